//! `/v1/coverage`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::{Parameters, Segment, time_zone};
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::error::ApiError;
use crate::wire::{CoverageListView, CoverageView, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SpanParameters {
    /// From this day or moment, `2026-11-01` or RFC 3339; 30 days before the end when absent.
    from: Option<String>,
    /// Until this moment, or to the end of this day; now when absent.
    to: Option<String>,
    /// The time zone of days, such as `Europe/Berlin`.
    tz: Option<String>,
}

/// Lists the business numbers and how complete their capture is now. The view is recorded in the ledger.
#[utoipa::path(get, path = "/v1/coverage", tag = "coverage", security(("token" = [])), responses(
    (status = 200, description = "One line for each number", body = CoverageListView),
))]
pub(crate) async fn list(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
) -> Result<Json<CoverageListView>, ApiError> {
    Ok(Json(archive.coverage_list(&caller).await?))
}

/// Tells how complete the capture of a number was, what is missing, why, and what can still be brought. The view is
/// recorded in the ledger.
#[utoipa::path(get, path = "/v1/coverage/{number}", tag = "coverage", security(("token" = [])),
    params(("number" = String, Path, description = "The number's id or phone number"), SpanParameters), responses(
        (status = 200, description = "The number's coverage", body = CoverageView),
        (status = 400, description = "The time cannot be understood", body = ErrorBody),
        (status = 404, description = "Nothing is known about such a number", body = ErrorBody),
    ))]
pub(crate) async fn show(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(number): Segment<String>,
    Parameters(span): Parameters<SpanParameters>,
) -> Result<Json<CoverageView>, ApiError> {
    let zone = time_zone(span.tz.as_deref())?;
    Ok(Json(archive.coverage(&caller, &number, span.from.as_deref(), span.to.as_deref(), zone).await?))
}
