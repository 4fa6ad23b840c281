//! `/v1/persons/{person}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::{Parameters, Segment, time_zone};
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::error::ApiError;
use crate::wire::{ErrorBody, PersonView};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PersonParameters {
    /// Who had the alias at this moment, `2026-11-21T09:30` or RFC 3339; whoever ever had it when absent.
    at: Option<String>,
    /// The time zone of the moment and of local times, such as `Europe/Berlin`.
    tz: Option<String>,
}

/// Shows which numbers, user ids, user names and names belong to one person, and since when. The view is recorded in
/// the ledger.
#[utoipa::path(get, path = "/v1/persons/{person}", tag = "people", security(("token" = [])),
    params(("person" = String, Path, description = "Any alias: `+4915550001`, `DE.1001`, `@name`, `wa:…`"),
        PersonParameters), responses(
        (status = 200, description = "The person", body = PersonView),
        (status = 400, description = "The alias or the moment cannot be understood", body = ErrorBody),
    ))]
pub(crate) async fn show(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(person): Segment<String>,
    Parameters(parameters): Parameters<PersonParameters>,
) -> Result<Json<PersonView>, ApiError> {
    let zone = time_zone(parameters.tz.as_deref())?;
    Ok(Json(archive.person(&caller, &person, parameters.at.as_deref(), zone).await?))
}
