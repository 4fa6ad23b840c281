//! The objects of snapshots in the store: sealed, derived, never evidence. What is in them is for others to know.
//!
//! Nothing here changes what a ledger says. A snapshot that is gone, damaged or made up costs a rebuild.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use piperoll_format::{
    Codec, DecodeError, Kek, LedgerId, ObjectName, PieceId, PieceRole, SEALED_PIECE_BYTES_MAX, Seq,
    SnapshotKey,
};
use piperoll_store::{ObjectKey, StoreError, WormStore};

use crate::error::Cause;
use crate::ledger::LedgerStore;

const PREFIX: &str = "snapshot/";
const MANIFESTS: &str = "snapshot/manifest/";
const PIECES: &str = "snapshot/piece/";

/// Names that are listed at a time.
const PAGE: usize = 1_000;

/// Deletions at a time.
const DELETES_AT_ONCE: usize = 8;

/// Pieces that are remembered to be there; of more, the rest are written again.
const PIECES_MAX: usize = 1_000_000;

/// Why a snapshot could not be written or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ShelfError {
    /// The object does not hold what its name promises.
    #[error("`{name}` of the snapshot is damaged or not ours: {reason}")]
    Damaged {
        /// The object.
        name: String,
        /// What is wrong with it.
        reason: DecodeError,
    },
    /// An object that must be there is not.
    #[error("`{name}` of the snapshot is missing")]
    Missing {
        /// The object.
        name: String,
    },
    /// The store failed.
    #[error("the store failed for a snapshot")]
    Store(#[source] Cause),
}

impl ShelfError {
    fn of(name: &str, error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } | StoreError::OutOfRange { .. } => {
                Self::Missing { name: name.to_owned() }
            }
            error => Self::Store(Arc::new(error)),
        }
    }
}

/// A sealed piece as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPiece {
    /// Its name.
    pub id: PieceId,
    /// Its length in the store.
    pub length: u32,
}

/// The newest manifest in the store: its place, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestName {
    /// The first event that is not in the snapshot.
    pub cursor: Seq,
    /// The piece that is the manifest.
    pub piece: StoredPiece,
}

/// Where the snapshots of one ledger are, with the keys that open them.
#[derive(Clone, Debug)]
pub struct Shelf {
    place: LedgerStore,
    key: SnapshotKey,
}

impl Shelf {
    /// Takes the place of a ledger's snapshots.
    #[must_use]
    pub fn new(store: Arc<dyn WormStore>, ledger: LedgerId, kek: &Kek) -> Self {
        Self { place: LedgerStore { store, ledger }, key: kek.snapshot_key(ledger) }
    }

    /// Compresses and seals at most [`piperoll_format::PIECE_BYTES_MAX`] bytes; computes for some milliseconds.
    #[must_use]
    pub fn seal(&self, role: PieceRole, content: &[u8]) -> SealedPiece {
        let (id, bytes) = self.key.seal(&mut Codec::default(), role, content);
        SealedPiece { role, id, bytes }
    }

    /// Opens what [`Self::get`] has read; computes for some milliseconds.
    ///
    /// # Errors
    /// [`ShelfError::Damaged`] unless it is exactly what was sealed for this ledger under this name.
    pub fn open(&self, piece: &SealedPiece) -> Result<Vec<u8>, ShelfError> {
        let opened = self.key.open(&mut Codec::default(), piece.role, piece.id, &piece.bytes);
        opened.map_err(|reason| ShelfError::Damaged { name: name(piece.role, piece.id).to_string(), reason })
    }

    /// Stores a sealed piece.
    ///
    /// # Errors
    /// [`ShelfError::Store`].
    pub async fn put(&self, piece: SealedPiece) -> Result<StoredPiece, ShelfError> {
        let stored = piece.stored();
        let name = name(piece.role, piece.id);
        let put = self.place.store.put_derived(&self.place.key(&name), piece.bytes.into()).await;
        put.map_err(|error| ShelfError::of(&name.to_string(), error))?;
        Ok(stored)
    }

    /// Reads a piece, never more of it than the length that it should have.
    ///
    /// # Errors
    /// [`ShelfError::Missing`] when it is not there or shorter; [`ShelfError::Store`].
    pub async fn get(&self, role: PieceRole, piece: StoredPiece) -> Result<SealedPiece, ShelfError> {
        let name = name(role, piece.id);
        if piece.length as usize > SEALED_PIECE_BYTES_MAX {
            let reason = DecodeError::Range { what: "piece of a snapshot", expected: "at most 16 MiB" };
            return Err(ShelfError::Damaged { name: name.to_string(), reason });
        }
        let range = 0..u64::from(piece.length);
        let got = self.place.store.get_range(&self.place.key(&name), range).await;
        let bytes = got.map_err(|error| ShelfError::of(&name.to_string(), error))?;
        Ok(SealedPiece { role, id: piece.id, bytes: bytes.into() })
    }

    /// Finds the manifest of the newest snapshot. Whether anything about it is true is for the caller to find out.
    ///
    /// # Errors
    /// [`ShelfError::Store`].
    pub async fn newest(&self) -> Result<Option<ManifestName>, ShelfError> {
        let mut newest: Option<ManifestName> = None;
        let mut pages = Pages::new(&self.place, MANIFESTS);
        while let Some(page) = pages.next().await.map_err(|error| ShelfError::of(MANIFESTS, error))? {
            let found = page.into_iter().filter_map(|(name, size)| match name {
                ObjectName::SnapshotManifest { cursor, id } => {
                    let length = u32::try_from(size).unwrap_or(u32::MAX);
                    Some(ManifestName { cursor, piece: StoredPiece { id, length } })
                }
                _ => None,
            });
            newest = newest.into_iter().chain(found).max_by_key(|name| (name.cursor, name.piece.id));
        }
        Ok(newest)
    }

    /// Lists the pieces that are there.
    ///
    /// # Errors
    /// [`ShelfError::Store`].
    pub async fn pieces(&self) -> Result<HashSet<PieceId>, ShelfError> {
        let mut pieces = HashSet::new();
        let mut pages = Pages::new(&self.place, PIECES);
        while let Some(page) = pages.next().await.map_err(|error| ShelfError::of(PIECES, error))? {
            pieces.extend(page.into_iter().filter_map(|(name, _)| match name {
                ObjectName::SnapshotPiece(id) => Some(id),
                _ => None,
            }));
            if pieces.len() >= PIECES_MAX {
                break;
            }
        }
        Ok(pieces)
    }

    /// Deletes every manifest but one, and then every piece that it does not name.
    ///
    /// # Errors
    /// [`ShelfError::Store`]; what is left is found again by the next call.
    pub async fn keep_only(
        &self,
        manifest: ManifestName,
        named: &HashSet<PieceId>,
    ) -> Result<(), ShelfError> {
        let ManifestName { cursor, piece } = manifest;
        let kept = ObjectName::SnapshotManifest { cursor, id: piece.id };
        self.delete(MANIFESTS, |name| *name != kept).await?;
        self.delete(PIECES, |name| !matches!(name, ObjectName::SnapshotPiece(id) if named.contains(id))).await
    }

    /// Deletes every snapshot, unless all that are there have taken in every event before `seq`.
    ///
    /// # Errors
    /// [`ShelfError::Store`]; what is left is found again by the next call.
    pub async fn delete_before(&self, seq: Seq) -> Result<(), ShelfError> {
        let (mut old, mut new) = (0, 0);
        let mut pages = Pages::new(&self.place, MANIFESTS);
        while let Some(page) = pages.next().await.map_err(|error| ShelfError::of(MANIFESTS, error))? {
            for (name, _) in page {
                match name {
                    ObjectName::SnapshotManifest { cursor, .. } if cursor >= seq => new += 1,
                    _ => old += 1,
                }
            }
        }
        // Pieces without any manifest are what an interrupted one left.
        if old > 0 || new == 0 { self.delete(PREFIX, |_| true).await } else { Ok(()) }
    }

    async fn delete(
        &self,
        prefix: &str,
        is_unwanted: impl Fn(&ObjectName) -> bool,
    ) -> Result<(), ShelfError> {
        delete(&self.place, prefix, is_unwanted).await.map_err(|error| ShelfError::of(prefix, error))
    }
}

/// A piece, sealed.
#[derive(Clone, Debug)]
pub struct SealedPiece {
    role: PieceRole,
    id: PieceId,
    bytes: Vec<u8>,
}

impl SealedPiece {
    /// Returns how it is stored.
    #[must_use]
    pub fn stored(&self) -> StoredPiece {
        StoredPiece { id: self.id, length: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX) }
    }
}

/// Deletes every snapshot of a ledger.
pub(crate) async fn delete_all(place: &LedgerStore) -> Result<(), StoreError> {
    delete(place, PREFIX, |_| true).await
}

async fn delete(
    place: &LedgerStore,
    prefix: &str,
    is_unwanted: impl Fn(&ObjectName) -> bool,
) -> Result<(), StoreError> {
    let mut pages = Pages::new(place, prefix);
    while let Some(page) = pages.next().await? {
        let unwanted = page.into_iter().map(|(name, _)| name).filter(&is_unwanted);
        stream::iter(unwanted.map(|name| place.key(&name)))
            .map(|key| async move {
                match place.store.delete_derived(&key).await {
                    // Somebody else made it, so nothing of ours is in it; it must not stop a disposal.
                    Err(error @ StoreError::Retained { .. }) => {
                        tracing::warn!(%error, "an object that no snapshot made has the name of one");
                        Ok(())
                    }
                    deleted => deleted,
                }
            })
            .buffer_unordered(DELETES_AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

/// The names of snapshots below a prefix, a page at a time. What has another name is not ours to touch.
struct Pages<'a> {
    place: &'a LedgerStore,
    ledger: String,
    prefix: String,
    after: Option<ObjectKey>,
    is_last: bool,
}

impl<'a> Pages<'a> {
    fn new(place: &'a LedgerStore, prefix: &str) -> Self {
        let ledger = format!("{}/", place.ledger);
        let prefix = format!("{ledger}{prefix}");
        Self { place, ledger, prefix, after: None, is_last: false }
    }

    /// Returns the next names, each with the size of its object.
    async fn next(&mut self) -> Result<Option<Vec<(ObjectName, u64)>>, StoreError> {
        if self.is_last {
            return Ok(None);
        }
        let page = self.place.store.list(&self.prefix, self.after.as_ref(), PAGE).await?;
        self.is_last = page.len() < PAGE;
        self.after = page.last().map(|meta| meta.key.clone()).or(self.after.take());
        let named = page.into_iter().filter_map(|meta| {
            let name = ObjectName::parse(meta.key.as_str().strip_prefix(&self.ledger)?).ok()?;
            Some((name, meta.size))
        });
        Ok(Some(named.collect()))
    }
}

fn name(role: PieceRole, id: PieceId) -> ObjectName {
    match role {
        PieceRole::Content => ObjectName::SnapshotPiece(id),
        PieceRole::Manifest(cursor) => ObjectName::SnapshotManifest { cursor, id },
    }
}
