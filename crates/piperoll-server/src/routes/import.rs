//! `/v1/import`: messages from exports of other systems.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use chrono_tz::Tz;
use futures::StreamExt as _;
use piperoll_sources::import::{Context, DateOrder, Format};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::parameter::Parameters;
use crate::archive::Archive;
use crate::auth::{By, Ingest};
use crate::entry::{is_number, is_phone};
use crate::error::{ApiError, ErrorCode};
use crate::wire::{ErrorBody, ImportView};

/// The largest file, in bytes.
const FILE_BYTES_MAX: u64 = 8 << 30;
/// How long the next piece of a file may take.
const PIECE_WITHIN: Duration = Duration::from_secs(60);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportParameters {
    /// What kind of file it is.
    format: FormatParameter,
    /// The business number's `phone_number_id`.
    number: String,
    /// The time zone of times that name none, such as `Europe/Berlin`; the archive's when absent.
    zone: Option<String>,
    /// The order of day and month in a chat; found by itself when absent.
    date_order: Option<OrderParameter>,
    /// The name under which the business wrote, which tells sent from received.
    name: Option<String>,
    /// The phone number of the person whom a chat is with.
    person: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FormatParameter {
    Chat,
    Jsonl,
    Eml,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OrderParameter {
    Dmy,
    Mdy,
    Ymd,
}

/// Imports a file, as it is or in a zip with its attachments. Importing it again stores nothing new.
#[utoipa::path(post, path = "/v1/import", tag = "capture", security(("token" = [])), params(ImportParameters),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file, at most 8 GiB"),
    responses(
        (status = 200, description = "Everything that is a message is committed; the lines that are none are named", body = ImportView),
        (status = 400, description = "The file is not of this format, or a zip that unpacks to too much", body = ErrorBody),
        (status = 413, description = "More than 8 GiB, or a text of more than 256 MiB", body = ErrorBody),
        (status = 503, description = "Not all is committed; send it again, and it goes on from there", body = ErrorBody),
    ))]
pub(crate) async fn import(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Ingest>,
    Parameters(parameters): Parameters<ImportParameters>,
    body: Body,
) -> Result<Json<ImportView>, ApiError> {
    let context = context(parameters, archive.time_zone)?;
    let file = spool(body).await?;
    // A task of its own: an import goes on when its caller breaks off.
    let import = tokio::spawn(async move { archive.import(&caller, context, file).await });
    Ok(Json(import.await.map_err(ApiError::internal)??))
}

fn context(parameters: ImportParameters, zone: Tz) -> Result<Context, ApiError> {
    let invalid = |field: &str, expected: &str| {
        Err(ApiError::new(ErrorCode::Invalid, format!("field `{field}`: expected {expected}")))
    };
    if !is_number(&parameters.number) {
        return invalid("number", "1 to 32 digits, the phone_number_id");
    }
    if parameters.person.as_deref().is_some_and(|person| !is_phone(person)) {
        return invalid("person", "a phone number in E.164 such as `+15550100001`");
    }
    if parameters.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 256) {
        return invalid("name", "1 to 256 bytes");
    }
    Ok(Context {
        format: match parameters.format {
            FormatParameter::Chat => Format::Chat,
            FormatParameter::Jsonl => Format::Jsonl,
            FormatParameter::Eml => Format::Eml,
        },
        number: parameters.number,
        zone: match parameters.zone.as_deref().map(str::parse) {
            Some(Ok(zone)) => zone,
            Some(Err(_)) => return invalid("zone", "a time zone such as `Europe/Berlin`"),
            None => zone,
        },
        date_order: parameters.date_order.map(|order| match order {
            OrderParameter::Dmy => DateOrder::Dmy,
            OrderParameter::Mdy => DateOrder::Mdy,
            OrderParameter::Ymd => DateOrder::Ymd,
        }),
        name: parameters.name,
        person: parameters.person.map(|person| person.trim_start_matches('+').to_owned()),
    })
}

/// Writes a body to a file that has no name and goes with its last user.
async fn spool(body: Body) -> Result<File, ApiError> {
    let mut file = tempfile::tempfile().map_err(ApiError::internal)?;
    let mut pieces = body.into_data_stream();
    let mut size = 0;
    let late = || ApiError::new(ErrorCode::Invalid, "the body did not arrive in time");
    while let Some(piece) = tokio::time::timeout(PIECE_WITHIN, pieces.next()).await.map_err(|_| late())? {
        let broken = |_| ApiError::new(ErrorCode::Invalid, "the body ended before its length");
        let piece = piece.map_err(broken)?;
        size += piece.len() as u64;
        if size > FILE_BYTES_MAX {
            let message = format!("expected a file of at most {FILE_BYTES_MAX} bytes");
            return Err(ApiError::new(ErrorCode::TooLarge, message));
        }
        let written = tokio::task::spawn_blocking(move || file.write_all(&piece).map(|()| file)).await;
        file = written.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    }
    Ok(file)
}
