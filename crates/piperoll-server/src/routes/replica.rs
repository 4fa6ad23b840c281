//! `/v1/replica` and `/v1/scrub`: the second copy, and passes over all objects.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use piperoll_format::Kind;

use crate::access::Access;
use crate::archive::Archive;
use crate::auth::{Administer, By, Verify};
use crate::error::ApiError;
use crate::wire::{ErrorBody, ReplicaView, ScrubView};

/// Compares both copies and tells how the follower does; nothing of the content is read.
#[utoipa::path(get, path = "/v1/replica", tag = "operate", security(("token" = [])), responses(
    (status = 200, description = "The replica", body = ReplicaView),
    (status = 404, description = "No replica is configured", body = ErrorBody),
))]
pub(crate) async fn replica(
    State(archive): State<Arc<Archive>>,
    _by: By<Verify>,
) -> Result<Json<ReplicaView>, ApiError> {
    Ok(Json(archive.replica().await?))
}

/// Begins to read every object again, in both stores, and to repair one from the other.
#[utoipa::path(post, path = "/v1/scrub", tag = "operate", security(("token" = [])), responses(
    (status = 202, description = "The pass has begun"),
    (status = 503, description = "Another pass runs", body = ErrorBody),
))]
pub(crate) async fn scrub(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Administer>,
) -> Result<StatusCode, ApiError> {
    let access = Access { action: "scrub", target: Some("store"), ..Access::default() };
    let _ = archive.record_access(Kind::AccessVerify, &caller, &access).await?;
    archive.scrub()?;
    Ok(StatusCode::ACCEPTED)
}

/// Tells how far the newest ordered pass is, or how it ended.
#[utoipa::path(get, path = "/v1/scrub", tag = "operate", security(("token" = [])), responses(
    (status = 200, description = "The pass", body = ScrubView),
))]
pub(crate) async fn status(State(archive): State<Arc<Archive>>, _by: By<Verify>) -> Json<ScrubView> {
    Json(archive.scrub_status())
}
