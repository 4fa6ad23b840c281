//! `/v1/ledger`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::error::ApiError;
use crate::wire::LedgerView;

/// Tells what the ledger is, how large, under which policies and where.
#[utoipa::path(get, path = "/v1/ledger", tag = "read", security(("token" = [])), responses(
    (status = 200, description = "The ledger", body = LedgerView),
))]
pub(crate) async fn describe(
    State(archive): State<Arc<Archive>>,
    _by: By<Read>,
) -> Result<Json<LedgerView>, ApiError> {
    Ok(Json(archive.describe()?))
}
