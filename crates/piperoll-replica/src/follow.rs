//! Letting the copy run behind a writer, whatever happens to either store.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use piperoll_store::Clock;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::copy::Copier;
use crate::error::ReplicaError;
use crate::place::Pair;

/// Sizes with their times that are kept to tell how long the oldest event has waited.
const MARKS_MAX: usize = 4_096;

/// Commits this close together, in µs, share one mark; the lag is then exact to a second.
const MARK_EVERY: u64 = 1_000_000;

/// How a follower behaves.
#[derive(Clone, Copy, Debug)]
pub struct FollowSettings {
    /// The pause after the first failure; it doubles with each further one.
    pub retry_min: Duration,
    /// The longest pause after a failure.
    pub retry_max: Duration,
    /// How often the locks of all objects are compared.
    pub locks_every: Duration,
}

impl Default for FollowSettings {
    fn default() -> Self {
        Self {
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
            locks_every: Duration::from_secs(24 * 3_600),
        }
    }
}

/// How far the replica is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events that the replica holds; `None` before it answered for the first time.
    pub copied: Option<u64>,
    /// Events that are committed.
    pub committed: u64,
    /// Since when the oldest event that is not copied has waited, in µs since the Unix epoch.
    pub behind_since: Option<u64>,
    /// Why copying does not go on at the moment.
    pub trouble: Option<String>,
    /// Whether somebody must look: the stores contradict each other, and nothing is copied any more.
    pub is_stopped: bool,
    /// What could not be copied as it was committed, at most a hundred.
    pub findings: Vec<String>,
    /// How much could not be copied.
    pub findings_count: u64,
    /// Objects that were disposed of and that the replica did not give up.
    pub left: u64,
    /// Objects whose hold was released in the first store and that the replica still holds.
    pub still_held: u64,
}

impl Progress {
    /// Returns how many events the replica lacks.
    #[must_use]
    pub fn events_behind(&self) -> u64 {
        self.committed.saturating_sub(self.copied.unwrap_or(0))
    }
}

/// Follows the committed size until the writer ends, then copies the rest and returns.
///
/// The future may be dropped at any time; whoever calls again goes on where the replica ends. After a conflict it
/// reports that and waits for the writer's end without copying.
pub async fn follow<T>(
    pair: Pair,
    clock: Arc<dyn Clock>,
    settings: FollowSettings,
    committed: watch::Receiver<T>,
    size: impl Fn(&T) -> u64 + Send + Sync,
    progress: watch::Sender<Progress>,
) where
    T: Send + Sync,
{
    let lag = Lag { clock, marks: Mutex::default(), progress };
    let watched = {
        let (mut committed, lag, size) = (committed.clone(), &lag, &size);
        async move {
            loop {
                lag.committed(size(&committed.borrow_and_update()));
                if committed.changed().await.is_err() {
                    return;
                }
            }
        }
    };
    let copying = Following { pair, settings, lag: &lag, copier: None, locks_at: None };
    let (watched, copied) = (pin!(watched), pin!(copying.run(committed)));
    match select(watched, copied).await {
        Either::Left(((), copied)) => copied.await,
        Either::Right(((), _)) => {}
    }
}

struct Following<'a> {
    pair: Pair,
    settings: FollowSettings,
    lag: &'a Lag,
    copier: Option<Copier>,
    /// When the locks were compared last.
    locks_at: Option<Instant>,
}

impl Following<'_> {
    async fn run<T: Send + Sync>(mut self, mut committed: watch::Receiver<T>) {
        let mut pause = self.settings.retry_min;
        loop {
            drop(committed.borrow_and_update());
            let ended = match self.attempt().await {
                Ok(()) => {
                    pause = self.settings.retry_min;
                    self.lag.report(|progress| progress.trouble = None);
                    let left = self.copier.as_ref().is_some_and(|copier| !copier.left.is_empty());
                    let again = if left { self.settings.retry_max } else { self.settings.locks_every };
                    tokio::time::timeout(again, committed.changed())
                        .await
                        .is_ok_and(|changed| changed.is_err())
                }
                Err(error) if error.is_transient() => {
                    self.trouble(&error, false);
                    let waited = tokio::time::timeout(pause, ended(&mut committed)).await;
                    pause = (pause * 2).min(self.settings.retry_max);
                    // With the writer gone there is nobody to wait for a store that does not answer.
                    if waited.is_ok() {
                        return;
                    }
                    false
                }
                Err(error) => {
                    self.trouble(&error, true);
                    ended(&mut committed).await;
                    return;
                }
            };
            if ended {
                drop(self.attempt().await);
                return;
            }
        }
    }

    /// Copies what is there now.
    async fn attempt(&mut self) -> Result<(), ReplicaError> {
        if self.copier.is_none() {
            let copier = Copier::open(self.pair.clone(), self.lag.clock.clone()).await?;
            self.lag.copied(copier.size());
            self.copier = Some(copier);
        }
        let copier = self.copier.as_mut().expect("it was just opened");
        let caught_up = copier.catch_up(|size| self.lag.copied(size)).await;
        let (findings, findings_count) = copier.findings();
        let left = copier.left.len() as u64;
        self.lag.report(|progress| {
            if progress.findings_count != findings_count {
                (progress.findings, progress.findings_count) = (findings.to_vec(), findings_count);
            }
            progress.left = left;
        });
        caught_up?;
        if self.locks_at.is_none_or(|at| at.elapsed() >= self.settings.locks_every) {
            let locked = copier.copy_locks().await?;
            tracing::debug!(?locked, "compared the locks of both stores");
            self.locks_at = Some(Instant::now());
            self.lag.report(|progress| progress.still_held = locked.still_held);
        }
        Ok(())
    }

    fn trouble(&self, error: &ReplicaError, is_stopped: bool) {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        if is_stopped {
            tracing::error!(reason, "the replica is stopped");
        } else {
            tracing::warn!(reason, "copying to the replica failed; it is tried again");
        }
        self.lag.report(|progress| {
            progress.trouble = Some(reason);
            progress.is_stopped = is_stopped;
        });
    }
}

/// Returns when the writer has ended.
async fn ended<T>(committed: &mut watch::Receiver<T>) {
    while committed.changed().await.is_ok() {}
}

/// Tells how far behind the replica is, and since when.
struct Lag {
    clock: Arc<dyn Clock>,
    /// Committed sizes with the time when each was first seen, oldest first; those that are copied are dropped.
    marks: Mutex<VecDeque<(u64, u64)>>,
    progress: watch::Sender<Progress>,
}

impl Lag {
    fn committed(&self, size: u64) {
        let now = self.clock.now_micros();
        let mut marks = self.marks();
        let copied = self.progress.borrow().copied.unwrap_or(0);
        let is_full = marks.len() == MARKS_MAX;
        match marks.back_mut() {
            Some((newest, at)) if is_full || now < at.saturating_add(MARK_EVERY) => *newest = size,
            _ if size > copied => marks.push_back((size, now)),
            _ => {}
        }
        self.update(marks, |progress| progress.committed = size);
    }

    fn copied(&self, size: u64) {
        let mut marks = self.marks();
        while marks.front().is_some_and(|(waiting, _)| *waiting <= size) {
            marks.pop_front();
        }
        self.update(marks, |progress| {
            progress.copied = Some(size);
            // The copy can be ahead of the notice.
            progress.committed = progress.committed.max(size);
        });
    }

    fn report(&self, change: impl FnOnce(&mut Progress)) {
        self.update(self.marks(), change);
    }

    fn update(&self, marks: MutexGuard<'_, VecDeque<(u64, u64)>>, change: impl FnOnce(&mut Progress)) {
        self.progress.send_if_modified(|progress| {
            let before = progress.clone();
            change(progress);
            progress.behind_since = marks.front().map(|(_, at)| *at);
            *progress != before
        });
    }

    fn marks(&self) -> MutexGuard<'_, VecDeque<(u64, u64)>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
