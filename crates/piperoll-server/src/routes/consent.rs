//! `/v1/persons/{person}/consent`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::{Parameters, Segment, time_zone};
use super::projections_took;
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::consent::ConsentSearch;
use crate::error::ApiError;
use crate::wire::{ConsentView, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConsentParameters {
    /// The moment, `2026-11-21T09:30` or RFC 3339; now when absent.
    at: Option<String>,
    /// What the messages are for, such as `marketing`; any when absent.
    purpose: Option<String>,
    /// The business number's id; any when absent.
    number: Option<String>,
    /// The channel on which it must have been given; any when absent.
    channel: Option<String>,
    /// The time zone of the moment and of local times, such as `Europe/Berlin`.
    tz: Option<String>,
}

impl ConsentParameters {
    fn read(self, person: String) -> Result<ConsentSearch, ApiError> {
        let Self { at, purpose, number, channel, tz } = self;
        Ok(ConsentSearch { person, at, purpose, number, channel, time_zone: time_zone(tz.as_deref())? })
    }
}

/// Tells the state of a person's consent at a moment, with the events that show it. The view is recorded in the ledger.
#[utoipa::path(get, path = "/v1/persons/{person}/consent", tag = "people", security(("token" = [])),
    params(("person" = String, Path, description = "Any alias: `+4915550001`, `DE.1001`, `@name`, `wa:…`"),
        ConsentParameters), responses(
        (status = 200, description = "The state and its evidence", body = ConsentView),
        (status = 400, description = "The alias or the moment cannot be understood", body = ErrorBody),
    ))]
pub(crate) async fn show(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(person): Segment<String>,
    Parameters(parameters): Parameters<ConsentParameters>,
) -> Result<impl IntoResponse, ApiError> {
    let view = archive.consent(&caller, &parameters.read(person)?).await?;
    Ok(([("server-timing", projections_took(view.took))], Json(view)))
}

/// Returns a person's consents as a record with the fields of ISO/IEC TS 27560. The export is recorded in the ledger.
#[utoipa::path(get, path = "/v1/persons/{person}/consent/record", tag = "people", security(("token" = [])),
    params(("person" = String, Path, description = "Any alias: `+4915550001`, `DE.1001`, `@name`, `wa:…`"),
        ConsentParameters), responses(
        (status = 200, description = "The record, `schemas/consent-record.schema.json`", body = serde_json::Value),
        (status = 400, description = "The alias or the moment cannot be understood", body = ErrorBody),
    ))]
pub(crate) async fn record(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(person): Segment<String>,
    Parameters(parameters): Parameters<ConsentParameters>,
) -> Result<Json<serde_json::Value>, ApiError> {
    Ok(Json(archive.consent_record(&caller, &parameters.read(person)?).await?))
}
