//! The search index follows the ledger: documents are applied as they come, and committed together.

use std::time::Duration;

use piperoll_index::{IndexError, SearchWriter};
use tokio::time::Instant;

use crate::step::Step;

/// How long applied documents wait for an index commit at most, while the follower keeps up.
const COMMIT_AFTER: Duration = Duration::from_millis(900);

/// How long they wait while the follower is far behind, where larger commits cost less.
const COMMIT_AFTER_FAR: Duration = Duration::from_secs(10);

/// The writer with what is known about its next commit.
pub(crate) struct Indexing {
    pub(crate) writer: SearchWriter,
    /// The first event that was not applied.
    pub(crate) next: u64,
    committed_at: Instant,
    upkeep: Upkeep,
}

/// Whether files are merged when there is time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// By whoever goes on to use them.
    Now,
    /// Whoever opens them next does it.
    Later,
}

impl Indexing {
    pub(crate) fn new(writer: SearchWriter, upkeep: Upkeep) -> Self {
        let next = writer.cursor().unwrap_or(0);
        // The first commit need not wait for anything.
        let now = Instant::now();
        Self { writer, next, committed_at: now.checked_sub(COMMIT_AFTER).unwrap_or(now), upkeep }
    }

    pub(crate) fn apply(&mut self, steps: Vec<Step>, next: u64, far: bool) -> Result<(), IndexError> {
        if next <= self.next {
            return Ok(());
        }
        for step in steps {
            match step {
                Step::Index(document) if document.seq < self.next => {}
                Step::Index(document) => self.writer.apply(std::iter::once(*document))?,
                Step::Forget(bucket) => {
                    let documents = self.writer.forget(&bucket.to_string())?;
                    tracing::info!(%bucket, documents, "the search index forgot a bucket");
                }
            }
        }
        self.next = next;
        let wait = if far { COMMIT_AFTER_FAR } else { COMMIT_AFTER };
        if self.committed_at.elapsed() >= wait { self.commit() } else { Ok(()) }
    }

    pub(crate) fn commit(&mut self) -> Result<(), IndexError> {
        let is_new = self.writer.cursor() != Some(self.next);
        self.writer.commit(self.next)?;
        if is_new && self.upkeep == Upkeep::Now {
            self.writer.merge()?;
        }
        self.committed_at = Instant::now();
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<(), IndexError> {
        self.commit()?;
        self.writer.finish_merge();
        Ok(())
    }

    /// Tells when the next commit is due; nothing is when everything applied is committed.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.writer.cursor() != Some(self.next) && self.next > 0).then(|| self.committed_at + COMMIT_AFTER)
    }
}
