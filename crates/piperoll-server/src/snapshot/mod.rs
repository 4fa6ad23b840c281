//! Snapshots of local state, index and projections in the store, so that an empty disk need not wait for a rebuild.
//!
//! They are sealed, because they hold what people wrote, and never trusted: version, ledger, cursor, the chain hash of the
//! last event, every digest and every length are checked, and any doubt leaves everything to the ledger. A disposal
//! deletes them all before it is ordered, and a snapshot that does not know of a later disposal is refused.

mod manifest;
mod restore;
mod take;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use piperoll_engine::Shelf;
use piperoll_format::Timestamp;
use piperoll_index::Options;
use piperoll_verify::LedgerReader;
use tokio::sync::watch;

use crate::place::Place;

pub(crate) use restore::{discard, restore};
pub(crate) use take::Snapshots;

/// When snapshots are taken; besides, one is taken at an orderly stop.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotSettings {
    /// After this time, if there are new events.
    pub every: Duration,
    /// After so many new events.
    pub every_events: u64,
    /// At an orderly stop, if there are so many new events; fewer are read again in no time.
    pub stop_events_min: u64,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        Self { every: Duration::from_secs(6 * 3_600), every_events: 1_000_000, stop_events_min: 1_000 }
    }
}

/// How far a snapshot is fetched, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes that are in place.
    pub done: u64,
    /// Bytes of the whole.
    pub total: u64,
}

/// Where index and projections came from when the archive was opened; with them, local state where it was missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Both were there.
    Local,
    /// What was missing came from a snapshot.
    Snapshot {
        /// Events that the snapshot has; those behind them are read from the ledger.
        events: u64,
        /// When it was taken.
        taken_at: Timestamp,
    },
    /// What was missing is made from the ledger.
    Ledger {
        /// Why no snapshot is used.
        reason: String,
    },
}

/// Brings back from the newest snapshot what is missing, as [`Archive::open`](crate::Archive::open) does: for whoever
/// must know what is recorded before an archive can be opened. No archive may have the places open.
pub async fn restore_from_snapshot(
    shelf: &Shelf,
    reader: &LedgerReader,
    (state_dir, index_dir): (PathBuf, PathBuf),
    progress: &watch::Sender<Fetched>,
) -> Origin {
    restore(shelf, reader, &Place::new(state_dir, index_dir, Options::default()), progress).await
}

/// Why a snapshot is not used, or could not be taken.
#[derive(Debug, PartialEq, Eq)]
struct Doubt(String);

impl Doubt {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// Tells an error with everything below it.
    fn of(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut below = error.source();
        while let Some(source) = below {
            text.push_str(": ");
            text.push_str(&source.to_string());
            below = source.source();
        }
        Self(text)
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Doubt {
    fn from(error: io::Error) -> Self {
        Self::of(error)
    }
}

/// Deletes what an earlier snapshot left on this disk.
fn clear(staging: &Path) -> io::Result<()> {
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
