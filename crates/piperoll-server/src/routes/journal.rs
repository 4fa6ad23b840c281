//! `/v1/sends`: requests to send that their sender hands in.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use super::parameter::read_body;
use crate::archive::Archive;
use crate::auth::{By, Ingest};
use crate::error::ApiError;
use crate::wire::{ErrorBody, JournalBody, JournalView};

/// The largest body, in bytes: a request and its answer.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Commits a request to send through the Cloud API, and its answer if there is one.
#[utoipa::path(post, path = "/v1/sends", tag = "capture", security(("token" = [])),
    request_body = JournalBody, responses(
        (status = 200, description = "It is committed; the same again gets the first receipts", body = JournalView),
        (status = 400, description = "A field is not as expected", body = ErrorBody),
        (status = 413, description = "More than 2 MiB", body = ErrorBody),
        (status = 503, description = "Not committed; send it again", body = ErrorBody),
    ))]
pub(crate) async fn hand_in(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Ingest>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<JournalView>, ApiError> {
    let body = read_body(&headers, body, BODY_BYTES_MAX).await?;
    Ok(Json(archive.journal(&caller, &body).await?))
}
