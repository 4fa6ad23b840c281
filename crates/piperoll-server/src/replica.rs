//! The second copy behind a running archive: a follower that copies, and events for when it falls behind.
//!
//! Nothing waits for it: no receipt depends on the replica, and while it is out of reach the archive stays ready.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use piperoll_engine::Engine;
use piperoll_format::{Kind, Submission, SubmissionGroup, Timestamp};
use piperoll_replica::{FollowSettings, Progress, Stores, compare, follow};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::scrub::Scrubs;
use crate::wire::{ReplicaEndView, ReplicaView};

/// How long the replica may take at the end of the process for what was committed last.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// The pause between two tries to record something.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

/// How stores are looked after.
#[derive(Clone, Debug)]
pub struct Care {
    /// The stores.
    pub stores: Stores,
    /// How the replica follows.
    pub follow: FollowSettings,
    /// After this time an event that is not copied is a reason to record that the replica is behind.
    pub behind_after: Duration,
    /// How long a pass over all objects takes in the background; `None` for no such passes.
    pub scrub_over: Option<Duration>,
    /// Where a pass is kept while it is under way; derived, may be deleted.
    pub scrub_state: PathBuf,
}

/// The care for an archive's stores.
pub(crate) struct Keeping {
    pub(crate) care: Care,
    pub(crate) scrubs: Arc<Scrubs>,
    progress: Mutex<Option<watch::Receiver<Progress>>>,
    stop: CancellationToken,
    following: Mutex<Option<JoinHandle<()>>>,
}

/// The content of `replica.behind`.
#[derive(Serialize)]
struct Behind<'a> {
    since: String,
    events_behind: u64,
    reason: &'a str,
}

/// The content of `replica.caught-up`.
#[derive(Serialize)]
struct CaughtUp {
    since: String,
    until: String,
    events_behind_max: u64,
}

impl Keeping {
    pub(crate) fn new(care: Care) -> Self {
        Self {
            care,
            scrubs: Arc::default(),
            progress: Mutex::new(None),
            stop: CancellationToken::new(),
            following: Mutex::new(None),
        }
    }

    fn progress(&self) -> Option<watch::Receiver<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the replica take what was committed last, then stops everything. The writer must have ended.
    pub(crate) async fn close(&self) {
        let following = self.following.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut following) = following
            && tokio::time::timeout(FINISH_WITHIN, &mut following).await.is_err()
        {
            tracing::warn!("the replica did not take everything in time; it goes on at the next start");
            following.abort();
        }
        self.stop.cancel();
        self.scrubs.close().await;
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Archive {
    /// Says how this archive's stores are looked after; before that there is no replica and nothing is scrubbed.
    ///
    /// Nothing runs by itself until [`Self::keep`]. A second call is ignored.
    pub fn look_after(&self, care: Care) {
        drop(self.keeping.set(Keeping::new(care)));
    }

    /// Lets the replica follow and the passes over all objects run, until the archive is closed.
    pub fn keep(self: &Arc<Self>) {
        let Some(keeping) = self.keeping.get() else { return };
        if let Some(pair) = keeping.care.stores.pair() {
            let (sender, progress) = watch::channel(Progress::default());
            let Care { stores, follow: settings, behind_after, .. } = keeping.care.clone();
            let following =
                follow(pair, stores.clock, settings, self.engine.head(), |head| head.size, sender);
            *keeping.following.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::spawn(following));
            *keeping.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress.clone());
            let (archive, stop) = (Arc::downgrade(self), keeping.stop.clone());
            let watched = async move {
                let Some(engine) = archive.upgrade().map(|archive| archive.engine.clone()) else { return };
                let now = || archive.upgrade().map(|archive| archive.now());
                watch_lag(&engine, progress, behind_after, now).await;
            };
            drop(tokio::spawn(async move {
                tokio::select! {
                    () = watched => {}
                    () = stop.cancelled() => {}
                }
            }));
        }
        if let Some(period) = keeping.care.scrub_over {
            keeping.scrubs.run_over(&keeping.care, &self.engine, period);
        }
    }

    /// Returns how far the replica is, now and whenever that changes; `None` when none follows.
    #[must_use]
    pub fn replica_progress(&self) -> Option<watch::Receiver<Progress>> {
        self.keeping.get()?.progress()
    }

    /// Tells how many events the replica lacks, and for how many seconds the oldest of them has waited.
    pub(crate) fn replica_lag(&self) -> (u64, u64) {
        let Some(progress) = self.replica_progress() else { return (0, 0) };
        let progress = progress.borrow();
        let waited = progress.behind_since.map_or(0, |since| self.now().0.saturating_sub(since));
        (progress.events_behind(), waited / Timestamp::SECOND)
    }

    /// Compares both copies and tells how the follower does.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when no replica is configured. A store that does not answer is part of the view.
    pub async fn replica(&self) -> Result<ReplicaView, ApiError> {
        let care = self.keeping.get().map(|keeping| &keeping.care);
        let configured =
            care.and_then(|care| Some((care, care.stores.replica.as_ref()?, care.stores.pair()?)));
        let Some((care, store, pair)) = configured else {
            return Err(ApiError::new(ErrorCode::NotFound, "no replica is configured")
                .hint("set `url` in the section `[replica]` of piperoll.toml"));
        };
        let progress = self.replica_progress().map(|progress| progress.borrow().clone());
        let described = store.describe();
        let (lag_events, lag_seconds) = self.replica_lag();
        let compared = compare(&pair).await;
        let mut view = ReplicaView {
            location: described.location,
            enforcement: described.enforcement.to_string(),
            is_following: progress.is_some(),
            behind_after_seconds: care.behind_after.as_secs(),
            lag_events,
            lag_seconds,
            ..ReplicaView::default()
        };
        if let Some(progress) = progress {
            view.behind_since = progress.behind_since.map(|since| Timestamp(since).to_string());
            view.trouble = progress.trouble;
            view.is_stopped = progress.is_stopped;
            (view.findings, view.findings_count) = (progress.findings, progress.findings_count);
            view.disposed_left = progress.left;
        }
        match compared {
            Ok(compared) => {
                view.primary = compared.primary.map(ReplicaEndView::from);
                view.replica = compared.replica.map(ReplicaEndView::from);
                view.events_behind = Some(compared.events_behind());
                view.events_ahead = compared.events_ahead();
                view.agree = compared.agree;
            }
            Err(error) => view.trouble = view.trouble.or(Some(error.to_string())),
        }
        Ok(view)
    }
}

/// Records when the replica falls behind by more than `limit`, and when it has caught up again.
async fn watch_lag(
    engine: &Engine,
    mut progress: watch::Receiver<Progress>,
    limit: Duration,
    now: impl Fn() -> Option<Timestamp>,
) {
    let every = (limit / 10).clamp(Duration::from_millis(10), Duration::from_secs(10));
    let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    let mut behind: Option<(u64, u64)> = None;
    loop {
        let Some(now) = now() else { return };
        let seen = progress.borrow_and_update().clone();
        let waited = seen.behind_since.map_or(0, |since| now.0.saturating_sub(since));
        behind = match behind {
            None if waited >= limit && seen.behind_since.is_some() || seen.is_stopped => {
                let since = seen.behind_since.unwrap_or(now.0);
                let events_behind = seen.events_behind();
                let reason =
                    seen.trouble.as_deref().unwrap_or("the replica takes events more slowly than they come");
                tracing::error!(events_behind, reason, "the replica is behind");
                let document = Behind { since: Timestamp(since).to_string(), events_behind, reason };
                if !record(engine, Kind::ReplicaBehind, &document).await {
                    return;
                }
                Some((since, events_behind))
            }
            Some((since, most)) if seen.events_behind() == 0 && !seen.is_stopped => {
                tracing::info!(events = most, "the replica has caught up");
                let document = CaughtUp {
                    since: Timestamp(since).to_string(),
                    until: now.to_string(),
                    events_behind_max: most,
                };
                if !record(engine, Kind::ReplicaCaughtUp, &document).await {
                    return;
                }
                None
            }
            Some((since, most)) => Some((since, most.max(seen.events_behind()))),
            None => None,
        };
        // The lag grows with time alone, so looking only at changes is not enough. The follower's end is no news.
        if matches!(tokio::time::timeout(every, progress.changed()).await, Ok(Err(_))) {
            return;
        }
    }
}

/// Commits a document of the archive's own, as often as it takes; false when the writer has stopped for good.
pub(crate) async fn record(engine: &Engine, kind: Kind, document: &impl Serialize) -> bool {
    let document = serde_json::to_vec(document).expect("texts and numbers are always JSON");
    loop {
        let submission = Submission::own(kind, "application/json", document.clone());
        match engine.submit(SubmissionGroup::single(submission)).await {
            Ok(_) => return true,
            Err(
                error @ (piperoll_engine::EngineError::Busy { .. }
                | piperoll_engine::EngineError::Unavailable { .. }),
            ) => {
                tracing::debug!(%error, kind = kind.as_str(), "recording is tried again");
                tokio::time::sleep(RECORD_AGAIN).await;
            }
            Err(error) => {
                tracing::error!(%error, kind = kind.as_str(), "an event of the archive's own was not recorded");
                return false;
            }
        }
    }
}
