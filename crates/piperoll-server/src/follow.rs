//! Index and projections follow the ledger: what was committed is read once, applied to both, and forgotten by both
//! when it was disposed of.
//!
//! Each has a cursor that is committed with its content, so a crash repeats a little and loses nothing. A broken one is
//! deleted and made again. Whatever fails is tried again; nobody waits for them but those who search or ask.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use piperoll_engine::Head;
use piperoll_format::Seq;
use piperoll_index::{IndexError, SearchIndex, SearchWriter};
use piperoll_projections::{ProjectionError, Projections};
use piperoll_verify::{Head as End, LedgerReader, ReadError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::indexing::{Indexing, Upkeep};
use crate::known::Known;
use crate::place::{Place, blocking};
use crate::project::{Projected, Projecting, sound};
use crate::snapshot::Snapshots;
use crate::step::{BATCHES_WAITING, Batch, Wanted, read_ahead};

/// So many events behind is far behind: more than come while a pass is made.
const FAR_BEHIND: u64 = 5_000;

/// The pause between two passes over new events: one pass over many commits costs less than one over each.
const READ_EVERY: Duration = Duration::from_millis(200);

/// The pause after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How far index and projections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every event with a lower `seq` is searchable.
    pub covered: u64,
    /// Every event with a lower `seq` is in the projections.
    pub projected: u64,
    /// Events committed when that was reached.
    pub size: u64,
    /// How often index or projections were deleted since the archive was opened.
    pub resets: u64,
}

/// Why index or projections could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Projections(#[from] ProjectionError),
}

/// The running follower.
pub(crate) struct Follower {
    index: Arc<RwLock<SearchIndex>>,
    projected: Projected,
    progress: watch::Receiver<Progress>,
    rebuild: Arc<Notify>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Follower {
    /// Opens index and projections and starts to follow.
    pub(crate) async fn start(
        place: Place,
        reader: LedgerReader,
        head: watch::Receiver<Head>,
        snapshots: Option<Snapshots>,
        upkeep: Upkeep,
    ) -> Result<Self, OpenError> {
        let (index, writer) = open(place.clone()).await?;
        let (path, ledger) = (place.projections.clone(), reader.ledger());
        let (projected, known) = blocking(move || {
            let projected = Projected::open(path, ledger)?;
            let known = sound(|| projected.current().cursor()).unwrap_or(0);
            Ok::<_, ProjectionError>((projected, known))
        })
        .await?;
        let covered = writer.cursor().unwrap_or(0);
        let size = head.borrow().size;
        let (sender, progress) = watch::channel(Progress { covered, projected: known, size, resets: 0 });
        let index = Arc::new(RwLock::new(index));
        let (rebuild, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let following = Following {
            place,
            reader,
            head,
            index: index.clone(),
            projected: projected.clone(),
            snapshots,
            upkeep,
            progress: sender,
            rebuild: rebuild.clone(),
            stop: stop.clone(),
            read_at: Instant::now(),
            resets: 0,
        };
        let task = tokio::spawn(following.run(Some(writer)));
        Ok(Self { index, projected, progress, rebuild, stop, task: Mutex::new(Some(task)) })
    }

    pub(crate) fn index(&self) -> SearchIndex {
        self.index.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn projections(&self) -> Projections {
        self.projected.current()
    }

    pub(crate) fn known(&self) -> Known {
        Known::new(self.projected.clone(), self.progress.clone())
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Has index and projections deleted and made again; returns when that has begun.
    pub(crate) async fn rebuild(&self) {
        let mut progress = self.progress.clone();
        let known = progress.borrow_and_update().resets;
        self.rebuild.notify_one();
        // An error means that the follower has gone.
        drop(progress.wait_for(|progress| progress.resets > known).await);
    }

    /// Commits what was applied and stops.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the follower did not stop in order");
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Opens index and writer; an index that cannot be used is deleted first.
async fn open(place: Place) -> Result<(SearchIndex, SearchWriter), IndexError> {
    blocking(move || {
        let open = || {
            let index = SearchIndex::open(&place.dir, place.options)?;
            let writer = index.writer()?;
            Ok((index, writer))
        };
        match open() {
            Err(IndexError::NeedsRebuild { reason }) => {
                tracing::warn!(%reason, "building the search index anew");
                SearchIndex::reset(&place.dir)?;
                open()
            }
            other => other,
        }
    })
    .await
}

/// Why following was interrupted.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the index failed")]
    Index(#[from] IndexError),
    #[error("the projections failed")]
    Projections(#[from] ProjectionError),
    #[error("the ledger could not be read")]
    Read(#[from] ReadError),
}

/// What the follower does next after an orderly interruption.
enum Next {
    Stop,
    Rebuild,
}

/// Everything that the follower's task owns.
struct Following {
    place: Place,
    reader: LedgerReader,
    head: watch::Receiver<Head>,
    index: Arc<RwLock<SearchIndex>>,
    projected: Projected,
    /// Taken when they are due, where there are any.
    snapshots: Option<Snapshots>,
    upkeep: Upkeep,
    progress: watch::Sender<Progress>,
    rebuild: Arc<Notify>,
    stop: CancellationToken,
    /// When the last pass over new events began.
    read_at: Instant,
    /// How often index or projections were deleted.
    resets: u64,
}

impl Following {
    /// Follows until it is stopped, whatever happens.
    async fn run(mut self, mut writer: Option<SearchWriter>) {
        loop {
            let next = match self.attempt(writer.take()).await {
                Ok(Next::Stop) => return,
                Ok(Next::Rebuild) => {
                    tracing::info!("making index and projections anew, as ordered");
                    self.reset(true, true).await
                }
                Err(FollowError::Index(error @ IndexError::NeedsRebuild { .. })) => {
                    tracing::warn!(%error, "building the search index anew");
                    self.reset(true, false).await
                }
                Err(FollowError::Projections(error @ ProjectionError::NeedsRebuild { .. })) => {
                    tracing::warn!(%error, "making the projections anew");
                    self.reset(false, true).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = next {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "index and projections will be tried again"
                );
                tokio::select! {
                    () = tokio::time::sleep(RETRY_AFTER) => {}
                    () = self.stop.cancelled() => return,
                }
            }
        }
    }

    async fn reset(&mut self, index: bool, projections: bool) -> Result<(), FollowError> {
        let (dir, projected) = (self.place.dir.clone(), self.projected.clone());
        blocking(move || {
            if index {
                SearchIndex::reset(&dir)?;
            }
            if projections { projected.reset().map_err(FollowError::from) } else { Ok(()) }
        })
        .await?;
        self.resets += 1;
        self.report(None);
        Ok(())
    }

    /// Opens the index if need be, and follows until something happens.
    async fn attempt(&mut self, writer: Option<SearchWriter>) -> Result<Next, FollowError> {
        let writer = match writer {
            Some(writer) => writer,
            None => {
                let (index, writer) = open(self.place.clone()).await?;
                *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
                writer
            }
        };
        let projections = self.projected.current();
        let upkeep = self.upkeep;
        let projecting = blocking(move || Projecting::new(projections, upkeep)).await?;
        let mut applying = Some(Applying { indexing: Indexing::new(writer, upkeep), projecting });
        self.report(applying.as_ref());
        loop {
            let woken = if self.read_on(&mut applying).await? {
                self.take_snapshot(&mut applying, false).await?;
                self.wait(applying.as_ref().and_then(|applying| applying.due(self.snapshots.as_ref()))).await
            } else {
                Woken::Stop
            };
            match woken {
                Woken::New => {}
                Woken::Due => self.with(&mut applying, Applying::flush).await?,
                Woken::Rebuild => return Ok(Next::Rebuild),
                Woken::Stop => {
                    self.with(&mut applying, Applying::finish).await?;
                    self.take_snapshot(&mut applying, true).await?;
                    if let Some(snapshots) = &self.snapshots {
                        snapshots.close().await;
                    }
                    return Ok(Next::Stop);
                }
            }
        }
    }

    /// Returns how many events are committed, and tells the reader where they end.
    fn look_at_head(&mut self) -> u64 {
        let head = self.head.borrow_and_update();
        if let Some(segment) = head.segment {
            self.reader.advance(End { segment, size: head.size, recorded_at: head.recorded_at });
        }
        head.size
    }

    /// Applies everything that is committed and not applied yet; false when it was stopped in between.
    async fn read_on(&mut self, applying: &mut Option<Applying>) -> Result<bool, FollowError> {
        let size = self.look_at_head();
        let Some(wanted) = applying.as_ref().map(Applying::wanted) else { return Ok(true) };
        let from = wanted.documents.min(wanted.facts);
        if from >= size {
            return Ok(true);
        }
        self.read_at = Instant::now();
        let mut batches = read_ahead(&self.reader, Seq(from)..Seq(size), wanted);
        let mut waiting = Vec::new();
        while batches.recv_many(&mut waiting, BATCHES_WAITING).await > 0 {
            let failed = waiting.iter().position(Result::is_err).map(|at| waiting.split_off(at));
            let ready: Vec<Batch> = waiting.drain(..).flatten().collect();
            for batch in &ready {
                self.forget(batch).await;
            }
            self.with(applying, move |applying| applying.apply(ready, size)).await?;
            if let Some(Err(error)) = failed.and_then(|failed| failed.into_iter().next()) {
                return Err(error.into());
            }
            if self.stop.is_cancelled() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Forgets keys and snapshots of what a batch destroys.
    async fn forget(&self, batch: &Batch) {
        for bucket in &batch.forgotten {
            self.reader.keys().forget_bucket(bucket).await;
        }
        if let Some(snapshots) = self.snapshots.as_ref().filter(|_| !batch.forgotten.is_empty()) {
            snapshots.forget_before(Seq(batch.next)).await;
        }
    }

    /// Copies index and projections aside when a snapshot is due, and has the copy sent.
    async fn take_snapshot(&self, applying: &mut Option<Applying>, is_last: bool) -> Result<(), FollowError> {
        let Some(snapshots) = self.snapshots.clone() else { return Ok(()) };
        if !snapshots.is_due(applying.as_ref().map_or(0, Applying::next), is_last).await {
            return Ok(());
        }
        let (copying, projections) = (snapshots.clone(), self.projected.current());
        self.with(applying, move |applying| {
            applying.projecting.flush()?;
            applying.indexing.commit()?;
            copying.copy(&applying.indexing.writer, &projections);
            Ok(())
        })
        .await?;
        snapshots.send().await;
        Ok(())
    }

    /// Works on index and projections away from the async threads, and tells how far they are then.
    async fn with(
        &self,
        applying: &mut Option<Applying>,
        work: impl FnOnce(&mut Applying) -> Result<(), FollowError> + Send + 'static,
    ) -> Result<(), FollowError> {
        let Some(mut taken) = applying.take() else { return Ok(()) };
        let (back, result) = blocking(move || {
            let result = work(&mut taken);
            (taken, result)
        })
        .await;
        self.report(Some(&back));
        *applying = Some(back);
        result
    }

    fn report(&self, applying: Option<&Applying>) {
        let covered = applying.and_then(|applying| applying.indexing.writer.cursor()).unwrap_or(0);
        let projected = applying.map_or(0, |applying| applying.projecting.added);
        let progress = Progress { covered, projected, size: self.head.borrow().size, resets: self.resets };
        self.progress.send_if_modified(|known| {
            let changed = *known != progress;
            *known = progress;
            changed
        });
    }

    async fn wait(&mut self, due: Option<Instant>) -> Woken {
        let until_due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let until_new = async {
            let changed = self.head.changed().await;
            tokio::time::sleep_until(self.read_at + READ_EVERY).await;
            changed
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Woken::Stop,
            () = self.rebuild.notified() => Woken::Rebuild,
            () = until_due => Woken::Due,
            changed = until_new => if changed.is_ok() { Woken::New } else { Woken::Stop },
        }
    }
}

enum Woken {
    New,
    Due,
    Stop,
    Rebuild,
}

/// Index and projections, each as far as it is.
struct Applying {
    indexing: Indexing,
    projecting: Projecting,
}

impl Applying {
    /// Returns the first event that one of them lacks.
    fn next(&self) -> u64 {
        self.indexing.next.min(self.projecting.next)
    }

    /// Returns from where on each of them lacks events.
    const fn wanted(&self) -> Wanted {
        Wanted { documents: self.indexing.next, facts: self.projecting.next }
    }

    /// Applies batches of a ledger with `size` events, to both at the same time.
    fn apply(&mut self, batches: Vec<Batch>, size: u64) -> Result<(), FollowError> {
        let Self { indexing, projecting } = self;
        let split =
            batches.into_iter().map(|Batch { steps, changes, next, .. }| ((steps, next), (changes, next)));
        let (documents, facts): (Vec<_>, Vec<_>) = split.unzip();
        let (indexed, projected) = std::thread::scope(|scope| {
            let projected = scope.spawn(|| {
                facts.into_iter().try_for_each(|(changes, next)| projecting.apply(changes, next, next < size))
            });
            let mut documents = documents.into_iter();
            let indexed = documents.try_for_each(|(steps, next)| {
                indexing.apply(steps, next, size.saturating_sub(next) > FAR_BEHIND)
            });
            (indexed, projected.join())
        });
        indexed?;
        Ok(projected.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
    }

    fn due(&self, snapshots: Option<&Snapshots>) -> Option<Instant> {
        let snapshot = snapshots.and_then(|snapshots| snapshots.due(self.next()));
        let due = [self.indexing.due(), self.projecting.due(), snapshot];
        due.into_iter().flatten().min()
    }

    /// Commits what is due.
    fn flush(&mut self) -> Result<(), FollowError> {
        let now = Instant::now();
        if self.indexing.due().is_some_and(|due| due <= now) {
            self.indexing.commit()?;
        }
        if self.projecting.due().is_some_and(|due| due <= now) {
            self.projecting.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FollowError> {
        self.projecting.flush()?;
        Ok(self.indexing.finish()?)
    }
}
