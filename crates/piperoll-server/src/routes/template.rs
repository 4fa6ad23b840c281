//! `/v1/templates/{name}`.

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
use crate::error::ApiError;
use crate::wire::{ErrorBody, TemplateView};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemplateParameters {
    /// Only this language.
    language: Option<String>,
    /// The moment, `2026-11-21T09:30` or RFC 3339; now when absent.
    at: Option<String>,
    /// The time zone of the moment and of local times, such as `Europe/Berlin`.
    tz: Option<String>,
}

/// Shows a template as it stood at a moment: version, status, category, content. The view is recorded in the ledger.
#[utoipa::path(get, path = "/v1/templates/{name}", tag = "people", security(("token" = [])),
    params(("name" = String, Path, description = "The template's name"), TemplateParameters), responses(
        (status = 200, description = "The template", body = TemplateView),
        (status = 404, description = "Nothing was told of it before that moment", body = ErrorBody),
    ))]
pub(crate) async fn show(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(name): Segment<String>,
    Parameters(parameters): Parameters<TemplateParameters>,
) -> Result<impl IntoResponse, ApiError> {
    let zone = time_zone(parameters.tz.as_deref())?;
    let (language, at) = (parameters.language.as_deref(), parameters.at.as_deref());
    let view = archive.template(&caller, &name, language, at, zone).await?;
    Ok(([("server-timing", projections_took(view.took))], Json(view)))
}
