//! `/v1/export`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::parameter::Parameters;
use super::search::SearchParameters;
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::error::ApiError;
use crate::wire::ErrorBody;

/// Exports everything that matches a query as JSON lines with proofs, in the order of the ledger. The export is
/// recorded in the ledger.
#[utoipa::path(get, path = "/v1/export", tag = "read", security(("token" = [])), params(SearchParameters), responses(
    (status = 200, description = "A first line with checkpoint and counts, a line for each event, and a last line \
        with totals; without the last line the export is not complete", body = String, content_type = "application/jsonl"),
    (status = 400, description = "The query cannot be understood", body = ErrorBody),
))]
pub(crate) async fn export(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Parameters(parameters): Parameters<SearchParameters>,
) -> Result<Response, ApiError> {
    let export = archive.export(&caller, &parameters.read()?).await?;
    let blocks = stream::unfold(export.blocks, async |mut blocks| Some((blocks.recv().await?, blocks)));
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(blocks)).into_response())
}
