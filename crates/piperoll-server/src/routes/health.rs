//! `/health` and `/ready`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use piperoll_engine::ClockJump;

use crate::archive::Archive;
use crate::wire::HealthView;

/// Tells that the process answers.
#[utoipa::path(get, path = "/health", tag = "operate", responses(
    (status = 200, description = "It answers", body = HealthView),
))]
pub(crate) async fn health() -> Json<HealthView> {
    Json(HealthView { status: "ok".to_owned(), reason: None })
}

/// Tells whether events can be committed.
#[utoipa::path(get, path = "/ready", tag = "operate", responses(
    (status = 200, description = "Events can be committed", body = HealthView),
    (status = 503, description = "The last commit failed; it is tried again by itself", body = HealthView),
))]
pub(crate) async fn ready(State(archive): State<Arc<Archive>>) -> (StatusCode, Json<HealthView>) {
    let is_off = archive.engine.clock_jump().borrow().filter(|jump| jump.is_by_store);
    if let Some(ClockJump { before, after, .. }) = is_off {
        let reason = Some(format!("the clock of this host stands at {after}, and the store's at {before}"));
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(HealthView { status: "unavailable".to_owned(), reason }),
        );
    }
    if archive.engine.trouble().borrow().is_none() {
        return (StatusCode::OK, Json(HealthView { status: "ready".to_owned(), reason: None }));
    }
    // In general words: what the store said may name paths, and is in the log.
    let reason = Some("the store does not take new events".to_owned());
    (StatusCode::SERVICE_UNAVAILABLE, Json(HealthView { status: "unavailable".to_owned(), reason }))
}
