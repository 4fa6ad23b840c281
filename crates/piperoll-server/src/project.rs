//! The projections follow the ledger beside the index: facts are folded from the same events, with a cursor of their own.
//!
//! Facts are visible as soon as they are added and reach the disk a little later; a crash repeats those few.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use piperoll_format::{Bucket, LedgerId};
use piperoll_projections::{ProjectionError, Projections, Rows};
use tokio::time::Instant;

use crate::indexing::Upkeep;

/// How long added facts may be in memory only.
const DURABLE_AFTER: Duration = Duration::from_secs(5);

/// Memory of the database for pages.
const CACHE_BYTES: usize = 96 * 1024 * 1024;

/// Bytes of facts that wait to be added together while the follower catches up: the more, the fewer runs of them.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

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

/// What events do to the projections.
pub(crate) enum Change {
    /// Facts to add, sorted. To add them once more changes nothing.
    Add(Rows),
    Forget(Bucket),
}

/// The projections with what is known about their place on disk.
pub(crate) struct Projecting {
    projections: Projections,
    /// The first event that was not folded.
    pub(crate) next: u64,
    /// Facts that were not added yet: many at once fall on fewer pages.
    waiting: Vec<Rows>,
    /// The first event whose facts were not added.
    pub(crate) added: u64,
    /// The first event whose facts were not on the disk at `durable_at`.
    durable: u64,
    durable_at: Instant,
    /// Whether there may be many places to look in.
    unsettled: bool,
    upkeep: Upkeep,
}

impl Projecting {
    pub(crate) fn new(projections: Projections, upkeep: Upkeep) -> Result<Self, ProjectionError> {
        let next = sound(|| projections.cursor())?;
        let (waiting, durable_at) = (Vec::new(), Instant::now());
        let (added, durable) = (next, next);
        Ok(Self { projections, next, waiting, added, durable, durable_at, unsettled: true, upkeep })
    }

    /// Makes the changes of events up to `next`, unless all were made before. While `more` events are known to follow,
    /// facts may wait for theirs.
    pub(crate) fn apply(
        &mut self,
        changes: Vec<Change>,
        next: u64,
        more: bool,
    ) -> Result<(), ProjectionError> {
        if next <= self.next {
            return Ok(());
        }
        for change in changes {
            match change {
                Change::Add(rows) => self.waiting.push(rows),
                Change::Forget(bucket) => {
                    // Facts of this batch are added as well; the cursor stays behind them until its end.
                    self.add(self.next, false)?;
                    let facts = sound(|| self.projections.forget(&bucket.to_string()))?;
                    tracing::info!(%bucket, facts, "the projections forgot a bucket");
                }
            }
        }
        self.next = next;
        let waiting: usize = self.waiting.iter().map(Rows::weight).sum();
        if more && waiting < WAITING_BYTES_MAX {
            return Ok(());
        }
        self.unsettled |= more;
        self.add(next, self.durable_at.elapsed() >= DURABLE_AFTER)
    }

    /// Brings everything folded to the disk, if anything is not there yet, and into few places after catching up.
    pub(crate) fn flush(&mut self) -> Result<(), ProjectionError> {
        if self.durable != self.next {
            self.add(self.next, true)?;
        }
        if self.unsettled && self.upkeep == Upkeep::Now {
            sound(|| self.projections.settle())?;
            self.unsettled = false;
        }
        Ok(())
    }

    /// Tells when facts in memory must reach the disk.
    pub(crate) fn due(&self) -> Option<Instant> {
        let is_unsettled = self.unsettled && self.upkeep == Upkeep::Now;
        (self.durable != self.next || is_unsettled).then(|| self.durable_at + DURABLE_AFTER)
    }

    fn add(&mut self, next: u64, durable: bool) -> Result<(), ProjectionError> {
        let rows = std::mem::take(&mut self.waiting);
        sound(|| self.projections.add(&rows, next, durable))?;
        self.added = next;
        if durable {
            (self.durable, self.durable_at) = (next, Instant::now());
        }
        Ok(())
    }
}

/// The database panics on pages that make no sense; then the projections are made anew.
pub(crate) fn sound<T>(work: impl FnOnce() -> Result<T, ProjectionError>) -> Result<T, ProjectionError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(ProjectionError::NeedsRebuild { reason: "its pages make no sense".to_owned() })
    })
}
