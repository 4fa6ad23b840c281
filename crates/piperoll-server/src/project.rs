//! The projections follow the ledger beside the index: facts are folded from the same events, with a cursor of their own.
//!
//! Facts are visible as soon as they are added and reach the disk a little later; a crash repeats those few.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use piperoll_format::{Bucket, LedgerId};
use piperoll_projections::{ProjectionError, Projections, Row};
use tokio::time::Instant;

/// How long added facts may be in memory only.
const DURABLE_AFTER: Duration = Duration::from_secs(5);

/// Memory of the database for pages.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Where the projections are, and the ones in use: making them anew replaces them.
#[derive(Clone)]
pub(crate) struct Projected {
    path: PathBuf,
    ledger: LedgerId,
    current: Arc<RwLock<Projections>>,
}

impl Projected {
    /// Opens the projections; those that cannot be used are made anew.
    pub(crate) fn open(path: PathBuf, ledger: LedgerId) -> Result<Self, ProjectionError> {
        let projections = match Projections::open(&path, ledger, CACHE_BYTES) {
            Err(ProjectionError::NeedsRebuild { reason }) => {
                tracing::warn!(%reason, "making the projections anew");
                begin(&path, ledger)?
            }
            other => other?,
        };
        Ok(Self { path, ledger, current: Arc::new(RwLock::new(projections)) })
    }

    /// Returns the projections in use.
    pub(crate) fn current(&self) -> Projections {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Deletes everything and begins with nothing.
    pub(crate) fn reset(&self) -> Result<(), ProjectionError> {
        let projections = begin(&self.path, self.ledger)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = projections;
        Ok(())
    }
}

fn begin(path: &Path, ledger: LedgerId) -> Result<Projections, ProjectionError> {
    Projections::reset(path)?;
    Projections::open(path, ledger, CACHE_BYTES)
}

/// What one event does to the projections.
pub(crate) enum Change {
    Add(u64, Vec<Row>),
    Forget(Bucket),
}

/// The projections with what is known about their place on disk.
pub(crate) struct Projecting {
    projections: Projections,
    /// The first event that was not folded.
    pub(crate) next: u64,
    durable_next: u64,
    durable_at: Instant,
}

impl Projecting {
    pub(crate) fn new(projections: Projections) -> Result<Self, ProjectionError> {
        let next = sound(|| projections.cursor())?;
        Ok(Self { projections, next, durable_next: next, durable_at: Instant::now() })
    }

    /// Makes the changes of events up to `next`; those that were made before are left out.
    pub(crate) fn apply(&mut self, changes: Vec<Change>, next: u64) -> Result<(), ProjectionError> {
        if next <= self.next {
            return Ok(());
        }
        let mut rows = Vec::new();
        for change in changes {
            match change {
                Change::Add(seq, more) if seq >= self.next => rows.extend(more),
                Change::Add(..) => {}
                Change::Forget(bucket) => {
                    self.add(std::mem::take(&mut rows), self.next, false)?;
                    let facts = sound(|| self.projections.forget(&bucket.to_string()))?;
                    tracing::info!(%bucket, facts, "the projections forgot a bucket");
                }
            }
        }
        let durable = self.durable_at.elapsed() >= DURABLE_AFTER;
        self.add(rows, next, durable)
    }

    /// Brings everything added to the disk, if anything is not there yet.
    pub(crate) fn flush(&mut self) -> Result<(), ProjectionError> {
        if self.durable_next == self.next { Ok(()) } else { self.add(Vec::new(), self.next, true) }
    }

    /// Tells when facts in memory must reach the disk.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.durable_next != self.next).then(|| self.durable_at + DURABLE_AFTER)
    }

    fn add(&mut self, rows: Vec<Row>, next: u64, durable: bool) -> Result<(), ProjectionError> {
        sound(|| self.projections.add(rows, next, durable))?;
        self.next = next;
        if durable {
            (self.durable_next, self.durable_at) = (next, Instant::now());
        }
        Ok(())
    }
}

/// The database panics on pages that make no sense; then the projections are made anew.
fn sound<T>(work: impl FnOnce() -> Result<T, ProjectionError>) -> Result<T, ProjectionError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(ProjectionError::NeedsRebuild { reason: "its pages make no sense".to_owned() })
    })
}
