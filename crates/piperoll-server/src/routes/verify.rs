//! `/v1/verify`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use piperoll_verify::report::Report;
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::Parameters;
use crate::archive::Archive;
use crate::auth::{By, Verify};
use crate::error::ApiError;
use crate::verify::Depth;
use crate::wire::ErrorBody;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerifyParameters {
    /// Whether to check the signatures of checkpoints instead of every event's, and no commitments.
    #[serde(default)]
    quick: bool,
}

/// Verifies the whole ledger. Findings are part of the report.
#[utoipa::path(post, path = "/v1/verify", tag = "read", security(("token" = [])), params(VerifyParameters), responses(
    (status = 200, description = "The report", body = Object),
    (status = 503, description = "Another verification runs", body = ErrorBody),
))]
pub(crate) async fn verify(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Verify>,
    Parameters(parameters): Parameters<VerifyParameters>,
) -> Result<Json<Report>, ApiError> {
    let depth = if parameters.quick { Depth::Quick } else { Depth::Full };
    Ok(Json(archive.verify(&caller, depth).await?))
}
