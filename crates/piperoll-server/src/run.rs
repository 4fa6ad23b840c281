//! Serving an archive on a listener.

use std::future::Future;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use piperoll_format::{Kind, Submission};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::archive::Archive;
use crate::routes::router;

/// What is recorded when a server starts.
#[derive(Serialize)]
struct Started<'a> {
    version: &'a str,
    policies: Vec<String>,
}

/// Serves until `shutdown` is done and the requests under way are answered. The archive stays open.
///
/// # Errors
/// When the start cannot be recorded in the ledger, or the listener fails.
pub async fn run(
    listener: TcpListener,
    archive: Arc<Archive>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let policies = archive.engine().policies().policies().iter();
    let started = Started {
        version: env!("CARGO_PKG_VERSION"),
        policies: policies.map(|policy| format!("{} version {}", policy.id(), policy.version())).collect(),
    };
    let document = serde_json::to_vec(&started).expect("texts are always JSON");
    let started = Submission::own(Kind::LedgerStarted, "application/json", document);
    let _ = archive.record(started).await.map_err(std::io::Error::other)?;
    let listener = listener.tap_io(|stream| {
        // A small answer must not wait for more bytes; without this setting it is only slower.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
    });
    axum::serve(listener, router(archive)).with_graceful_shutdown(shutdown).await
}
