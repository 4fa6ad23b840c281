//! `/v1/index`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use piperoll_format::Kind;

use crate::access::Access;
use crate::archive::Archive;
use crate::auth::{Administer, By};
use crate::error::ApiError;

/// Deletes the search index and builds it again from the ledger; `complete_to` of `/v1/ledger` tells how far it is.
#[utoipa::path(post, path = "/v1/index/rebuild", tag = "index", security(("token" = [])), responses(
    (status = 202, description = "The index is being built"),
))]
pub(crate) async fn rebuild(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Administer>,
) -> Result<StatusCode, ApiError> {
    let access = Access { action: "rebuild", target: Some("index"), ..Access::default() };
    let _ = archive.record_access(Kind::AccessView, &caller, &access).await?;
    archive.rebuild_index().await;
    Ok(StatusCode::ACCEPTED)
}
