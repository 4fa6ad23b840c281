//! Where derived state is on this disk, and work on it away from the async threads.

use std::path::PathBuf;

use piperoll_index::Options;

/// The folder in which snapshots are put together.
const STAGING: &str = "snapshot";

/// Where index and projections are and how they are opened.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) projections: PathBuf,
}

impl Place {
    /// Where snapshots are put together, beside the projections: on the same disk as they and the index.
    pub(crate) fn staging(&self) -> PathBuf {
        self.projections.with_file_name(STAGING)
    }
}

/// Runs work that waits for the disk or computes for long.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => std::future::pending().await,
    }
}
