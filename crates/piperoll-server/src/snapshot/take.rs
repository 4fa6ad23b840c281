//! Taking snapshots: index, projections and local state are copied aside between two commits, and the copy goes to the
//! store in the background.
//!
//! Files of the index never change, so those that the last snapshot has are not sent again.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use piperoll_engine::{LocalState, ManifestName, STATE_FILE, Shelf, StoredPiece};
use piperoll_format::{PieceRole, Seq, Timestamp};
use piperoll_index::SearchWriter;
use piperoll_projections::Projections;
use piperoll_verify::LedgerReader;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::manifest::{FileEntry, Manifest, PIECE_BYTES, Taken};
use super::restore::{chain_at, read_manifest};
use super::{Doubt, SnapshotSettings, clear};
use crate::archive::Now;
use crate::place::{PROJECTIONS_FILE, blocking};

/// Pieces that are read, sealed and sent at the same time.
const PIECES_AT_ONCE: usize = 2;

/// The pause after a snapshot could not be taken.
const RETRY_AFTER: Duration = Duration::from_secs(600);

/// How long the end of the process may wait for the last snapshot.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// The snapshots of an archive: when one is due, and the one under way. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Snapshots {
    inner: Arc<Inner>,
}

struct Inner {
    shelf: Shelf,
    reader: LedgerReader,
    local_state: LocalState,
    staging: PathBuf,
    now: Now,
    /// Set when snapshots are taken.
    settings: OnceLock<SnapshotSettings>,
    /// So many want none to be taken.
    quiet: AtomicUsize,
    state: Mutex<State>,
    /// The one under way.
    upload: tokio::sync::Mutex<Option<Upload>>,
}

struct State {
    /// The newest snapshot in the store; not known at first.
    newest: Option<Newest>,
    is_known: bool,
    /// When the next one is taken, if there are new events.
    next_at: Instant,
    /// After a failure none is tried before this.
    not_before: Instant,
    /// What is copied aside and not on its way.
    copied: Option<Copied>,
}

/// A snapshot in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Events that it has.
    pub(crate) events: u64,
    /// When it was taken.
    pub(crate) taken_at: Timestamp,
}

/// The cursors of what was copied aside.
#[derive(Clone, Copy, Debug)]
struct Copied {
    index: u64,
    projections: u64,
    /// Segments.
    state: u64,
}

struct Upload {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

/// While it lives no snapshot is taken.
pub(crate) struct Quiet(Arc<Inner>);

impl Drop for Quiet {
    fn drop(&mut self) {
        self.0.quiet.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Snapshots {
    pub(crate) fn new(
        shelf: Shelf,
        (reader, local_state): (LedgerReader, LocalState),
        staging: PathBuf,
        now: Now,
    ) -> Self {
        let at = Instant::now();
        let state = State { newest: None, is_known: false, next_at: at, not_before: at, copied: None };
        let inner = Inner {
            shelf,
            reader,
            local_state,
            staging,
            now,
            settings: OnceLock::new(),
            quiet: AtomicUsize::new(0),
            state: Mutex::new(state),
            upload: tokio::sync::Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Lets snapshots be taken from now on; before that, and without it, there are none. A second call is ignored.
    pub(crate) fn keep(&self, settings: SnapshotSettings) {
        self.inner.state().next_at = Instant::now() + settings.every;
        let _known = self.inner.settings.set(settings);
    }

    /// Returns the newest snapshot, as far as this process knows.
    pub(crate) fn newest(&self) -> Option<Newest> {
        self.inner.state().newest
    }

    /// Tells whether a snapshot of everything before `next` is to be taken now, or as the last one of the process.
    pub(crate) async fn is_due(&self, next: u64, is_last: bool) -> bool {
        let Some(settings) = self.inner.settings.get() else { return false };
        if self.inner.quiet.load(Ordering::SeqCst) > 0 || !self.settled(is_last).await {
            return false;
        }
        if !self.inner.learn().await {
            return false;
        }
        let state = self.inner.state();
        let new = next.saturating_sub(state.newest.map_or(0, |newest| newest.events));
        let now = Instant::now();
        match is_last {
            // The first one is worth it in any case.
            true => new >= settings.stop_events_min.max(1) || new > 0 && state.newest.is_none(),
            false => {
                now >= state.not_before && new > 0 && (new >= settings.every_events || now >= state.next_at)
            }
        }
    }

    /// Tells when the next snapshot is due, if there is something new until then.
    pub(crate) fn due(&self, next: u64) -> Option<Instant> {
        self.inner.settings.get()?;
        let is_free = self.inner.upload.try_lock().is_ok_and(|upload| upload.is_none());
        let state = self.inner.state();
        let has_new = next > state.newest.map_or(0, |newest| newest.events);
        (is_free && has_new).then(|| state.next_at.max(state.not_before))
    }

    /// Copies aside what is committed. Waits for the disk. A failure is nobody's but the snapshot's.
    pub(crate) fn copy(&self, index: &SearchWriter, projections: &Projections) {
        match self.inner.copy(index, projections) {
            Ok(copied) => self.inner.state().copied = Some(copied),
            Err(reason) => {
                self.inner.failed(&reason);
                if let Err(error) = clear(&self.inner.staging) {
                    tracing::warn!(%error, "the copy for a snapshot could not be deleted");
                }
            }
        }
    }

    /// Sends to the store what was copied aside, in the background.
    pub(crate) async fn send(&self) {
        let mut upload = self.inner.upload.lock().await;
        let Some(copied) = self.inner.state().copied.take() else { return };
        // Whoever wants quiet looks for an upload after saying so, under the same lock.
        if self.inner.quiet.load(Ordering::SeqCst) > 0 {
            return self.inner.clear().await;
        }
        let (inner, stop) = (self.inner.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let began = Instant::now();
            match inner.publish(copied, &stopped).await {
                Ok(newest) => inner.succeeded(newest, began),
                Err(_) if stopped.is_cancelled() => tracing::debug!("a snapshot was given up"),
                Err(reason) => inner.failed(&reason),
            }
            inner.clear().await;
        });
        *upload = Some(Upload { task, stop });
    }

    /// Ends what is under way; nothing is taken as long as the answer lives.
    pub(crate) async fn quiet(&self) -> Quiet {
        self.inner.quiet.fetch_add(1, Ordering::SeqCst);
        let quiet = Quiet(self.inner.clone());
        self.stop().await;
        // Whatever there was is deleted now.
        self.inner.state().newest = None;
        quiet
    }

    /// Deletes every snapshot that does not know what the events before `seq` disposed of.
    pub(crate) async fn forget_before(&self, seq: Seq) {
        self.stop().await;
        self.inner.state().is_known = false;
        if let Err(error) = self.inner.shelf.delete_before(seq).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "a snapshot from before a disposal could not be deleted; the next one replaces it"
            );
        }
    }

    /// Waits for the last snapshot, but not for ever.
    pub(crate) async fn close(&self) {
        if !self.settled(true).await {
            tracing::warn!("the last snapshot did not end in time and is given up");
            self.stop().await;
        }
    }

    /// Whether no snapshot is under way; waits for its end if told to.
    async fn settled(&self, is_waiting: bool) -> bool {
        let mut upload = self.inner.upload.lock().await;
        let Some(running) = upload.as_mut() else { return true };
        let is_over = match is_waiting {
            true => tokio::time::timeout(STOP_WITHIN, &mut running.task).await.is_ok(),
            false => running.task.is_finished(),
        };
        if is_over {
            *upload = None;
        }
        is_over
    }

    /// Ends what is under way between two pieces: one that is on its way arrives.
    async fn stop(&self) {
        let mut upload = self.inner.upload.lock().await;
        if let Some(Upload { task, stop }) = upload.take() {
            stop.cancel();
            if let Err(error) = task.await {
                tracing::error!(%error, "a snapshot did not stop in order");
            }
        }
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for the newest snapshot in the store, unless it is known; false when the store does not answer.
    async fn learn(&self) -> bool {
        {
            let state = self.state();
            if state.is_known || Instant::now() < state.not_before {
                return state.is_known;
            }
        }
        match self.shelf.newest().await {
            Ok(name) => {
                let manifest = self.manifest(name).await;
                let mut state = self.state();
                state.newest = manifest.map(|manifest| Newest::of(&manifest));
                state.is_known = true;
                true
            }
            Err(error) => {
                self.failed(&Doubt::of(error));
                false
            }
        }
    }

    /// Reads a manifest; what is in doubt is none.
    async fn manifest(&self, name: Option<ManifestName>) -> Option<Manifest> {
        match read_manifest(&self.shelf, &self.reader, name?).await {
            Ok(manifest) => Some(manifest),
            Err(reason) => {
                tracing::warn!(%reason, "the newest snapshot in the store is not used");
                None
            }
        }
    }

    fn failed(&self, reason: &Doubt) {
        tracing::warn!(%reason, "no snapshot of index and projections could be taken");
        self.state().not_before = Instant::now() + RETRY_AFTER;
    }

    fn succeeded(&self, newest: Newest, began: Instant) {
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!(
            events = newest.events,
            seconds,
            "a snapshot of index and projections is in the store"
        );
        let every = self.settings.get().copied().unwrap_or_default().every;
        let mut state = self.state();
        (state.newest, state.is_known) = (Some(newest), true);
        state.next_at = Instant::now() + every;
    }

    async fn clear(&self) {
        let staging = self.staging.clone();
        if let Err(error) = blocking(move || clear(&staging)).await {
            tracing::warn!(%error, "the copy for a snapshot could not be deleted");
        }
    }

    fn copy(&self, index: &SearchWriter, projections: &Projections) -> Result<Copied, Doubt> {
        clear(&self.staging)?;
        let dir = self.staging.join("index");
        fs::create_dir_all(&dir)?;
        index.copy_to(&dir).map_err(Doubt::of)?;
        let projections = projections.copy_to(&self.staging.join(PROJECTIONS_FILE)).map_err(Doubt::of)?;
        // It may lack the last commit that the others have: whoever opens the ledger replays from its own end.
        let state = self.local_state.copy_to(&self.staging).map_err(Doubt::of)?.0;
        Ok(Copied { index: index.cursor().unwrap_or(0), projections, state })
    }

    /// Sends the pieces that the store lacks, then the manifest, and deletes what it replaces.
    async fn publish(&self, copied: Copied, stop: &CancellationToken) -> Result<Newest, Doubt> {
        let cursor = copied.index.min(copied.projections);
        let last = cursor.checked_sub(1).ok_or_else(|| Doubt::new("there is nothing to take"))?;
        let chain = chain_at(&self.reader, Seq(last)).await?;
        let newest = self.shelf.newest().await.map_err(Doubt::of)?;
        let previous = self.manifest(newest).await;
        let taken_at = (self.now)();
        let [index, projections, state] = self.send_files(previous.as_ref(), stop).await?;
        let taken = Taken {
            index: (copied.index, index),
            projections: (copied.projections, projections),
            state: (copied.state, state),
        };
        let manifest = Manifest::new((self.reader.ledger(), chain), taken_at, taken);
        let encoded = manifest.encode();
        // Nothing is written that would not be read.
        let _read = Manifest::decode(&encoded, self.reader.ledger(), Seq(cursor))?;
        if stop.is_cancelled() || encoded.len() > piperoll_format::PIECE_BYTES_MAX {
            return Err(Doubt::new("it was given up, or is larger than any index"));
        }
        let (shelf, role) = (self.shelf.clone(), PieceRole::Manifest(Seq(cursor)));
        let sealed = blocking(move || shelf.seal(role, &encoded)).await;
        let piece = self.shelf.put(sealed).await.map_err(Doubt::of)?;
        let name = ManifestName { cursor: Seq(cursor), piece };
        self.shelf.keep_only(name, &manifest.pieces()).await.map_err(Doubt::of)?;
        Ok(Newest::of(&manifest))
    }

    /// Sends the files of index, projections and local state, and returns how they are put together.
    async fn send_files(
        &self,
        previous: Option<&Manifest>,
        stop: &CancellationToken,
    ) -> Result<[Vec<FileEntry>; 3], Doubt> {
        let present = self.shelf.pieces().await.map_err(Doubt::of)?;
        let staging = self.staging.clone();
        let found = blocking(move || files(&staging)).await?;
        let is_there = |file: &&FileEntry| file.placed().all(|(piece, ..)| present.contains(&piece.id));
        let mut entries: Vec<FileEntry> = Vec::new();
        let mut jobs: Vec<(usize, PathBuf, u64, usize)> = Vec::new();
        for (name, path, length) in found {
            let known = previous.and_then(|previous| previous.immutable_file(&name, length)).filter(is_there);
            if known.is_none() {
                let cuts = (0..length).step_by(PIECE_BYTES).map(|offset| {
                    let left = usize::try_from(length - offset).unwrap_or(usize::MAX);
                    (entries.len(), path.clone(), offset, left.min(PIECE_BYTES))
                });
                jobs.extend(cuts);
            }
            entries.push(known.cloned().unwrap_or(FileEntry { name, length, pieces: Vec::new() }));
        }
        // Files with equal content are one piece, which is sent once.
        let present = Mutex::new(present);
        let stop = stop.child_token();
        let mut sent = stream::iter(jobs)
            .map(|(file, path, offset, length)| {
                let (present, stop) = (&present, &stop);
                async move {
                    if stop.is_cancelled() {
                        return Err(Doubt::new("it was given up"));
                    }
                    let shelf = self.shelf.clone();
                    let sealed = blocking(move || {
                        let bytes = read(&path, offset, length)?;
                        Ok::<_, Doubt>(shelf.seal(PieceRole::Content, &bytes))
                    })
                    .await?;
                    let stored = sealed.stored();
                    let is_new = present.lock().unwrap_or_else(PoisonError::into_inner).insert(stored.id);
                    if is_new {
                        let _stored = self.shelf.put(sealed).await.map_err(Doubt::of)?;
                    }
                    Ok((file, stored))
                }
            })
            .buffered(PIECES_AT_ONCE);
        let mut failed = None;
        // What is on its way arrives, whatever happens: nobody may delete a snapshot before its last piece is there.
        while let Some(sending) = sent.next().await {
            match sending {
                Ok((file, StoredPiece { id, length })) => entries[file].pieces.push((id.to_string(), length)),
                Err(reason) => {
                    stop.cancel();
                    failed.get_or_insert(reason);
                }
            }
        }
        drop(sent);
        if let Some(reason) = failed {
            return Err(reason);
        }
        let (projections, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|file| file.name == PROJECTIONS_FILE);
        let (state, index) = others.into_iter().partition(|file| file.name == STATE_FILE);
        Ok([index, projections, state])
    }
}

impl Newest {
    fn of(manifest: &Manifest) -> Self {
        Self { events: manifest.cursor, taken_at: Timestamp(manifest.taken_at) }
    }
}

/// Lists what was copied aside: name, path and length of each file.
fn files(staging: &Path) -> Result<Vec<(String, PathBuf, u64)>, Doubt> {
    let mut files = Vec::new();
    for entry in fs::read_dir(staging.join("index"))? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|_| Doubt::new("an index file has another name"))?;
        files.push((name, entry.path(), entry.metadata()?.len()));
    }
    for name in [PROJECTIONS_FILE, STATE_FILE] {
        let path = staging.join(name);
        let length = fs::metadata(&path)?.len();
        files.push((name.to_owned(), path, length));
    }
    Ok(files)
}

fn read(path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Doubt> {
    let mut bytes = vec![0; length];
    File::open(path)?.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
