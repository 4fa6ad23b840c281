//! `/v1/dispose`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use super::parameter::read_json;
use crate::archive::Archive;
use crate::auth::{Administer, By, Read};
use crate::error::ApiError;
use crate::wire::{DisposalPlanView, DisposalView, DisposeRequest, ErrorBody};

/// Plans what is due now. Nothing happens.
#[utoipa::path(get, path = "/v1/dispose/plan", tag = "dispose", security(("token" = [])), responses(
    (status = 200, description = "The plan", body = DisposalPlanView),
))]
pub(crate) async fn plan(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
) -> Result<Json<DisposalPlanView>, ApiError> {
    Ok(Json(archive.plan_disposal(&caller).await?))
}

/// Destroys the buckets that are due, all of them or the ones named, and their keys.
#[utoipa::path(post, path = "/v1/dispose/execute", tag = "dispose", security(("token" = [])),
    request_body = DisposeRequest, responses(
        (status = 200, description = "What was destroyed; nothing of it can be found any more", body = DisposalView),
        (status = 409, description = "A named bucket is not due; nothing was destroyed", body = ErrorBody),
    ))]
pub(crate) async fn execute(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Administer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<DisposalView>, ApiError> {
    let request: DisposeRequest = read_json(&headers, body).await?;
    Ok(Json(archive.dispose(&caller, request.buckets.as_deref()).await?))
}
