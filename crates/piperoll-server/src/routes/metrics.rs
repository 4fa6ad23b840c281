//! `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::archive::Archive;
use crate::auth::{By, Known};

/// Returns counters and gauges in the `OpenMetrics` text format; no label names a person.
#[utoipa::path(get, path = "/metrics", tag = "operate", security(("token" = [])), responses(
    (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text"),
))]
pub(crate) async fn metrics(State(archive): State<Arc<Archive>>, _by: By<Known>) -> impl IntoResponse {
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], archive.metrics_text())
}
