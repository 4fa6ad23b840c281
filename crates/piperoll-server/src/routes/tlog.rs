//! The log API: C2SP `tlog-tiles`, open to everybody. Cores name nobody, so neither does this.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::parameter::Segment;
use crate::archive::Archive;
use crate::error::ApiError;
use crate::wire::ErrorBody;

/// Returns the newest signed checkpoint.
#[utoipa::path(get, path = "/checkpoint", tag = "log", responses(
    (status = 200, description = "A C2SP signed note", body = String, content_type = "text/plain"),
))]
pub(crate) async fn checkpoint(State(archive): State<Arc<Archive>>) -> impl IntoResponse {
    let checkpoint = archive.engine.head().borrow().checkpoint.to_string();
    ([(header::CACHE_CONTROL, "no-cache")], checkpoint)
}

/// Returns a tile of the tree, or an entry bundle.
#[utoipa::path(get, path = "/tile/{*path}", tag = "log",
    params(("path" = String, Path, description = "`<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]` as in C2SP tlog-tiles")),
    responses(
        (status = 200, description = "The hashes or the entries", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "The tree does not have it", body = ErrorBody),
    ))]
pub(crate) async fn tile(
    State(archive): State<Arc<Archive>>,
    Segment(path): Segment<String>,
) -> Result<impl IntoResponse, ApiError> {
    let bytes = archive.reader.tile_at(&format!("tile/{path}")).await?;
    // What a path names never changes, also when the tree grows.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes))
}
