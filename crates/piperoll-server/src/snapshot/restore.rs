//! From a snapshot to local state, index and projections, where there are none. Any doubt leaves everything to the
//! ledger.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use piperoll_engine::{STATE_FILE, Shelf, local_end};
use piperoll_format::{ChainHash, Kind, PieceRole, SegmentNo, Seq, Timestamp};
use piperoll_index::{Check, Options, SearchIndex};
use piperoll_projections::Projections;
use piperoll_verify::LedgerReader;
use tokio::sync::watch;

use super::manifest::{FileEntry, Manifest};
use super::{Doubt, Fetched, Origin, clear};
use crate::place::{PROJECTIONS_FILE, Place, blocking, put_in_place};

/// Pieces that are fetched and opened at the same time.
const PIECES_AT_ONCE: usize = 4;

/// Memory for pages while the projections are looked at.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Brings local state, index and projections back from the newest snapshot, each where there is none.
///
/// Before the ledger is opened for writing. What is there is never touched. When anything is in doubt nothing is put in
/// place, and the reason is told.
pub(crate) async fn restore(
    shelf: &Shelf,
    reader: &LedgerReader,
    place: &Place,
    progress: &watch::Sender<Fetched>,
) -> Origin {
    let missing = Missing::of(place);
    if !missing.index && !missing.projections {
        return Origin::Local;
    }
    let staging = place.staging();
    let restoring = Restoring { shelf, reader, place, staging: &staging, missing };
    let restored = restoring.run(progress).await;
    discard(staging).await;
    match restored {
        Ok(Some(manifest)) => {
            let Manifest { cursor, taken_at, .. } = manifest;
            tracing::info!(events = cursor, "local state, index and projections come from a snapshot");
            Origin::Snapshot { events: cursor, taken_at: Timestamp(taken_at) }
        }
        Ok(None) => Origin::Ledger { reason: "there is no snapshot".to_owned() },
        Err(Doubt(reason)) => {
            tracing::warn!(
                reason,
                "the snapshot is not used; index and projections are made from the ledger"
            );
            Origin::Ledger { reason }
        }
    }
}

/// Deletes what a crash, or an end in the middle, left of a snapshot on this disk.
pub(crate) async fn discard(staging: PathBuf) {
    if let Err(error) = blocking(move || clear(&staging)).await {
        tracing::warn!(%error, "what is left of a snapshot could not be deleted");
    }
}

/// Returns the chain hash of an event, which commits to it and to every event before.
pub(super) async fn chain_at(reader: &LedgerReader, seq: Seq) -> Result<ChainHash, Doubt> {
    let event = reader.event(seq).await.map_err(Doubt::of)?;
    Ok(event.chain_hash())
}

/// What is to be brought back.
#[derive(Clone, Copy, Debug)]
struct Missing {
    index: bool,
    projections: bool,
    /// Alone it is no reason for a snapshot: it is made from less than all others.
    state: bool,
}

impl Missing {
    fn of(place: &Place) -> Self {
        Self {
            index: !SearchIndex::exists(&place.dir),
            projections: !place.projections.exists(),
            state: !place.local_state().exists(),
        }
    }
}

struct Restoring<'a> {
    shelf: &'a Shelf,
    reader: &'a LedgerReader,
    place: &'a Place,
    staging: &'a Path,
    missing: Missing,
}

impl Restoring<'_> {
    async fn run(&self, progress: &watch::Sender<Fetched>) -> Result<Option<Manifest>, Doubt> {
        let Some(name) = self.shelf.newest().await.map_err(Doubt::of)? else { return Ok(None) };
        let manifest = read_manifest(self.shelf, self.reader, name).await?;
        self.check_ledger(&manifest).await?;
        let staging = self.staging.to_owned();
        blocking(move || clear(&staging).and_then(|()| fs::create_dir_all(staging.join("index")))).await?;
        let parts = [
            (self.missing.index, &manifest.index, self.staging.join("index")),
            (self.missing.projections, &manifest.projections, self.staging.to_owned()),
            (self.missing.state, &manifest.state, self.staging.to_owned()),
        ];
        let missing = parts.iter().filter(|(is_missing, ..)| *is_missing);
        let files: Vec<(&FileEntry, PathBuf)> = missing
            .flat_map(|(_, part, dir)| part.files.iter().map(|file| (file, dir.join(&file.name))))
            .collect();
        self.fetch(&files, progress).await?;
        if self.missing.state {
            self.check_state(&manifest).await?;
        }
        self.put_in_place(&manifest).await?;
        Ok(Some(manifest))
    }

    /// Compares the snapshot with the ledger, which alone is believed.
    async fn check_ledger(&self, manifest: &Manifest) -> Result<(), Doubt> {
        let size = self.reader.refresh().await.map_err(Doubt::of)?.map_or(0, |head| head.size);
        let cursor = manifest.cursor;
        if manifest.index.cursor.max(manifest.projections.cursor) > size {
            return Err(Doubt::new(format!("it has more events than the ledger, which has {size}")));
        }
        if manifest.chain() != Some(chain_at(self.reader, Seq(cursor - 1)).await?) {
            return Err(Doubt::new(format!("event {} of the ledger is another than its", cursor - 1)));
        }
        // What was disposed of since must not come back, not even until the follower has read so far.
        let is_disposal = |kind| matches!(kind, Kind::DisposalOrdered | Kind::DisposalCompleted);
        let mut later = self.reader.stream_of(Seq(cursor), Seq(size), |_| false);
        while let Some(batch) = later.try_next().await.map_err(Doubt::of)? {
            if let Some(read) = batch.iter().find(|read| is_disposal(read.event.core.kind)) {
                let seq = read.event.core.seq;
                return Err(Doubt::new(format!("event {seq} is a disposal that it does not know of")));
            }
        }
        Ok(())
    }

    /// Compares the end of the ledger as local state knows it with the ledger.
    async fn check_state(&self, manifest: &Manifest) -> Result<(), Doubt> {
        let (staging, ledger) = (self.staging.to_owned(), self.reader.ledger());
        let end = blocking(move || local_end(&staging, ledger)).await;
        let end = end.ok_or_else(|| Doubt::new("its local state cannot be read"))?;
        same("local state to have segments", manifest.state.cursor, end.segments)?;
        let last = SegmentNo(end.segments.saturating_sub(1));
        let segment = self.reader.segment(last).await.map_err(Doubt::of)?;
        let event = segment.event(Seq(segment.end_seq().0 - 1)).map_err(Doubt::of)?;
        if end.chain != Some(event.chain_hash()) {
            return Err(Doubt::new(format!("segment {last} of the ledger is another than its")));
        }
        Ok(())
    }

    /// Fetches, opens and writes pieces, a few at a time.
    async fn fetch(
        &self,
        files: &[(&FileEntry, PathBuf)],
        progress: &watch::Sender<Fetched>,
    ) -> Result<(), Doubt> {
        let total = files.iter().map(|(file, _)| file.length).sum();
        let done = AtomicU64::new(0);
        let _told = progress.send_replace(Fetched { done: 0, total });
        let mut pieces = Vec::new();
        for (file, path) in files {
            let (created, length) = (path.clone(), file.length);
            blocking(move || File::create_new(created)?.set_len(length)).await?;
            pieces.extend(file.placed().map(|placed| (path.clone(), placed)));
        }
        stream::iter(pieces)
            .map(|(path, (piece, offset, length))| {
                let done = &done;
                async move {
                    let sealed = self.shelf.get(PieceRole::Content, piece).await.map_err(Doubt::of)?;
                    let shelf = self.shelf.clone();
                    blocking(move || write(&path, offset, length, &shelf.open(&sealed).map_err(Doubt::of)?))
                        .await?;
                    let done = done.fetch_add(length, Ordering::Relaxed) + length;
                    let _told = progress.send_replace(Fetched { done, total });
                    Ok::<_, Doubt>(())
                }
            })
            .buffer_unordered(PIECES_AT_ONCE)
            .try_collect()
            .await
    }

    /// Opens both as they will be opened, and moves them to their places.
    async fn put_in_place(&self, manifest: &Manifest) -> Result<(), Doubt> {
        let (place, staging, missing) = (self.place.clone(), self.staging.to_owned(), self.missing);
        let (index_cursor, known) = (manifest.index.cursor, manifest.projections.cursor);
        let ledger = self.reader.ledger();
        blocking(move || {
            let (index, file) = (staging.join("index"), staging.join(PROJECTIONS_FILE));
            if missing.index {
                // Whoever took it may have had a damaged disk.
                let options = Options { check: Check::Checksums, ..place.options };
                let opened = SearchIndex::open(&index, options).map_err(Doubt::of)?;
                same("the index to have events", index_cursor, opened.cursor().unwrap_or(0))?;
            }
            if missing.projections {
                let opened = Projections::open(&file, ledger, CACHE_BYTES).map_err(Doubt::of)?;
                same("the projections to have events", known, opened.cursor().map_err(Doubt::of)?)?;
                drop(opened);
                put_in_place(&file, &place.projections)?;
            }
            if missing.index {
                SearchIndex::put_in_place(&index, &place.dir).map_err(Doubt::of)?;
            }
            if missing.state {
                put_in_place(&staging.join(STATE_FILE), &place.local_state())?;
            }
            Ok(())
        })
        .await
    }
}

/// Reads and opens a manifest.
pub(super) async fn read_manifest(
    shelf: &Shelf,
    reader: &LedgerReader,
    name: piperoll_engine::ManifestName,
) -> Result<Manifest, Doubt> {
    let role = PieceRole::Manifest(name.cursor);
    let sealed = shelf.get(role, name.piece).await.map_err(Doubt::of)?;
    let (shelf, ledger) = (shelf.clone(), reader.ledger());
    blocking(move || Manifest::decode(&shelf.open(&sealed).map_err(Doubt::of)?, ledger, name.cursor)).await
}

fn same(what: &str, expected: u64, found: u64) -> Result<(), Doubt> {
    if expected == found {
        return Ok(());
    }
    Err(Doubt::new(format!("expected {what}: {expected}, found {found}")))
}

/// Writes a piece of a file to its place.
fn write(path: &Path, offset: u64, length: u64, bytes: &[u8]) -> Result<(), Doubt> {
    if bytes.len() as u64 != length {
        return Err(Doubt::new(format!("expected {length} bytes of a file, found {}", bytes.len())));
    }
    Ok(File::options().write(true).open(path)?.write_all_at(bytes, offset)?)
}
