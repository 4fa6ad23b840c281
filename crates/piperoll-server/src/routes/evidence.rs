//! `/v1/evidence`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::{Parameters, Segment, time_zone};
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::error::ApiError;
use crate::wire::SendEvidenceView;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EvidenceParameters {
    /// The time zone of local times, such as `Europe/Berlin`.
    tz: Option<String>,
}

/// Gathers what shows whether a message was sent as it may be: consent, template, request, answer, statuses, service
/// window. The view is recorded in the ledger.
#[utoipa::path(get, path = "/v1/evidence/sends/{wamid}", tag = "people", security(("token" = [])),
    params(("wamid" = String, Path, description = "The message's id"), EvidenceParameters), responses(
        (status = 200, description = "The evidence, or what is missing of it", body = SendEvidenceView),
    ))]
pub(crate) async fn send(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(wamid): Segment<String>,
    Parameters(parameters): Parameters<EvidenceParameters>,
) -> Result<Json<SendEvidenceView>, ApiError> {
    let zone = time_zone(parameters.tz.as_deref())?;
    Ok(Json(archive.send_evidence(&caller, &wamid, zone).await?))
}
