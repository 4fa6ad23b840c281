//! Where derived state is on this disk, and work on it away from the async threads.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use piperoll_engine::STATE_FILE;
use piperoll_index::Options;

/// The file of the projections.
pub(crate) const PROJECTIONS_FILE: &str = "projections.redb";

/// The folder in which snapshots are put together.
const STAGING: &str = "snapshot";

/// Where local state, index and projections are and how the index is opened.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Local state and projections are files in it.
    pub(crate) state_dir: PathBuf,
    /// The search index.
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) projections: PathBuf,
}

impl Place {
    pub(crate) fn new(state_dir: PathBuf, dir: PathBuf, options: Options) -> Self {
        Self { projections: state_dir.join(PROJECTIONS_FILE), state_dir, dir, options }
    }

    /// Where snapshots are put together: on the same disk as all else.
    pub(crate) fn staging(&self) -> PathBuf {
        self.state_dir.join(STAGING)
    }

    pub(crate) fn local_state(&self) -> PathBuf {
        self.state_dir.join(STATE_FILE)
    }
}

/// Moves a file from `copy` to `path`, where none is. A crash leaves none there, or the whole.
pub(crate) fn put_in_place(copy: &Path, path: &Path) -> io::Result<()> {
    let flush = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    flush(copy)?;
    fs::create_dir_all(parent)?;
    fs::rename(copy, path)?;
    flush(parent)
}

/// Runs work that waits for the disk or computes for long.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => std::future::pending().await,
    }
}
