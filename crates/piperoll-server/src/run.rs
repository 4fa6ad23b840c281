//! Serving an archive on a listener.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use piperoll_format::{Kind, Submission};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::archive::Archive;
use crate::routes::router;

/// Connections served at the same time.
const CONNECTIONS_MAX: usize = 4_096;

/// A request's line and headers must arrive within this time; also how long an idle connection stays.
const HEADERS_WITHIN: Duration = Duration::from_secs(60);

/// A request's line and headers take at most this many bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// The pause after the process ran out of something that a connection needs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    archive.start_heartbeat().await.map_err(std::io::Error::other)?;
    archive.record_gaps_later();
    let service = TowerToHyperService::new(router(archive));
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let mut shutdown = pin!(shutdown);
    loop {
        // A full house is not an error: further connections wait in the listener's queue.
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            listener.accept().await.map(|(stream, _)| (stream, place))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, place)) => serve(stream, &graceful, service.clone(), place),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted for now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

/// Serves one connection in the background, until it ends or the server stops.
fn serve(
    stream: TcpStream,
    graceful: &GracefulShutdown,
    service: TowerToHyperService<Router>,
    place: OwnedSemaphorePermit,
) {
    // A small answer must not wait for more bytes; without this setting it is only slower.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    drop(tokio::spawn(async move {
        // A peer that breaks off or sends no HTTP is its own affair.
        drop(connection.await);
        drop(place);
    }));
}

/// Whether an accept failed because the peer has gone already.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
