//! The port: what the archive asks of write-once storage.
//!
//! It is shaped for S3 under Object Lock and small enough for a directory. It has no rename, no append
//! and no overwrite of a created object. Dates are µs since the Unix epoch, UTC; an adapter that can only
//! record coarser dates rounds a retain-until **up**.

use std::fmt::{self, Debug};
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::StoreError;
use crate::key::{KEY_BYTES_MAX, ObjectKey, SEGMENT_BYTES_MAX};
use crate::probe::ProbeReport;

/// The lock a new object is created under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The object cannot be deleted before this time, in µs since the Unix epoch; `None` for no retention.
    pub retain_until: Option<u64>,
    /// Tells that a legal hold is placed: the object cannot be deleted before it is released.
    pub hold: bool,
}

impl Lock {
    /// No retention and no hold. The object is still create-only and never changes.
    pub const NONE: Self = Self { retain_until: None, hold: false };

    /// Retention until `micros` µs since the Unix epoch, no hold.
    pub const fn until(micros: u64) -> Self {
        Self { retain_until: Some(micros), hold: false }
    }
}

/// How a store keeps the promise of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// The object has neither retention nor hold.
    None,
    /// The lock is recorded and this software honours it; the storage does not enforce it.
    Recorded,
    /// The storage enforces it, but a principal with the bypass right can lift it (S3 GOVERNANCE).
    Governance,
    /// The storage enforces it against everyone (S3 COMPLIANCE).
    Compliance,
}

/// The lock of an object as the store reports it.
///
/// A report, not a judgement: on a directory anyone with the rights can change a recorded date, and
/// only a verifier, which knows the date that should be there, can say whether it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockStatus {
    /// End of retention in µs since the Unix epoch, also when it has passed; `None` for no retention.
    pub retain_until: Option<u64>,
    /// Tells whether a legal hold is placed.
    pub hold: bool,
    /// How the lock is kept.
    pub mode: LockMode,
}

impl LockStatus {
    /// The status of an object with neither retention nor hold.
    pub const NONE: Self = Self { retain_until: None, hold: false, mode: LockMode::None };

    /// Tells whether the object can be deleted at `now_micros`: no hold, and retention has ended. An
    /// object is free from its retain-until on, not only after it.
    pub fn is_free(&self, now_micros: u64) -> bool {
        !self.hold && self.retain_until.is_none_or(|until| until <= now_micros)
    }
}

/// An object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key.
    pub key: ObjectKey,
    /// Size in bytes.
    pub size: u64,
    /// The lock.
    pub lock: LockStatus,
    /// The storage's name for the version read; `None` where a key has one version only.
    pub version: Option<String>,
    /// What somebody put over the object; `None` where nothing can lie over one, and for derived objects.
    pub shadowed: Option<Shadow>,
}

/// What lies over an object in a store that keeps versions. The archive never does that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shadow {
    /// A delete marker: readers who ask for the name are told that nothing is there.
    DeleteMarker,
    /// A newer version: readers who ask for the name get other bytes.
    NewerVersion,
}

impl fmt::Display for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeleteMarker => "a delete marker",
            Self::NewerVersion => "a newer version",
        })
    }
}

/// Whether a store stops a deletion, or only lets it be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Whoever has the rights of the process, or of its host, can delete or change objects; verification
    /// finds it.
    Detects,
    /// The storage refuses to delete or change a locked object, whoever asks.
    Prevents,
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detects => "detects",
            Self::Prevents => "prevents",
        })
    }
}

/// What a store says about itself at start, in `doctor` and in reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDescription {
    /// The kind of store: `memory`, `directory`, `s3`.
    pub name: String,
    /// Where it is: a path or a URL without credentials.
    pub location: String,
    /// What it does against early deletion.
    pub enforcement: Enforcement,
    /// One or two sentences for people: what this store promises and what it does not.
    pub statement: String,
}

/// Write-once storage of objects under keys.
///
/// Created objects never change. Reads see every write that has returned. All methods may be called
/// concurrently, also on one key and from several processes.
///
/// **Ambiguous answers.** A write that fails with [`StoreError::Unavailable`] and `applied_unknown`, or a
/// create that fails with [`StoreError::AlreadyExists`], may be the caller's own write, applied before its
/// answer was lost. The caller MUST read the object back and compare: equal bytes mean success, other
/// bytes mean another writer, and `NotFound` means that it may try again
/// ([`StoreError::must_read_back`]).
#[async_trait]
pub trait WormStore: Send + Sync + Debug {
    /// Creates an object under its lock; never replaces one.
    ///
    /// When it returns `Ok`, the bytes, the name and the lock are durable, and every reader sees them.
    /// Until then a reader may see nothing or the whole object, never a part.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if the key is taken, by whatever bytes: **read it back**. `Unavailable` with
    /// `applied_unknown` if the outcome is open: **read it back**. `Denied`, `Full`: not applied.
    async fn create(&self, key: &ObjectKey, bytes: Bytes, lock: &Lock) -> Result<(), StoreError>;

    /// Reads a whole object.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Denied`, `Unavailable`.
    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError>;

    /// Reads the object that was created under this key, whatever lies over it ([`ObjectMeta::shadowed`]).
    /// Dearer than [`WormStore::get`] where versions are kept: for bytes that are not the expected ones.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Denied`, `Unavailable`.
    async fn get_original(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.get(key).await
    }

    /// Reads exactly the bytes `range` of an object. The empty range is allowed anywhere inside the object
    /// and at its end.
    ///
    /// # Errors
    ///
    /// `OutOfRange` if the range is inverted or ends behind the object; `NotFound`, `Denied`,
    /// `Unavailable`.
    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError>;

    /// Returns size, lock and version of an object.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Denied`, `Unavailable`.
    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError>;

    /// Returns up to `limit` objects whose keys begin with `prefix` and come behind `after`, in ascending
    /// byte order of the keys. Fewer than `limit` means that there are no more. Each call looks afresh, so
    /// paging sees objects that were created meanwhile if they are still ahead.
    ///
    /// `prefix` is compared as text and may end inside a segment; `""` is everything.
    ///
    /// # Errors
    ///
    /// `Denied`, `Unavailable`, with the prefix as key. A prefix that names nothing is an empty listing.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError>;

    /// Returns the parts of keys up to the first slash behind `prefix`, with the slash, in ascending order and each once:
    /// what a person would call the folders below it. Keys without a further slash are none.
    ///
    /// # Errors
    ///
    /// As [`WormStore::list`].
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut folders = Vec::new();
        let mut after: Option<ObjectKey> = None;
        while let Some(object) = self.list(prefix, after.as_ref(), 1).await?.into_iter().next() {
            let rest = object.key.as_str().get(prefix.len()..).unwrap_or_default();
            after = match rest.split_once('/') {
                Some((name, _)) => {
                    let folder = format!("{prefix}{name}/");
                    // `z` is the greatest byte that a key may have.
                    let room = KEY_BYTES_MAX.saturating_sub(folder.len()).min(SEGMENT_BYTES_MAX);
                    let last = format!("{folder}{}", "z".repeat(room));
                    folders.push(folder);
                    ObjectKey::new(last).ok()
                }
                None => Some(object.key),
            };
        }
        Ok(folders)
    }

    /// Moves the end of an object's retention to `until`, in µs since the Unix epoch. It never shortens;
    /// the present date again is a success without effect.
    ///
    /// # Errors
    ///
    /// `Retained` with the present date if `until` is earlier; `Denied` for a derived object or a date
    /// that the store cannot record; `NotFound`, `Unavailable`.
    async fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError>;

    /// Places (`true`) or releases (`false`) the legal hold of an object; repeating it has no effect.
    ///
    /// # Errors
    ///
    /// `Denied` for a derived object; `NotFound`, `Full`, `Unavailable`.
    async fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError>;

    /// Deletes an object with all its versions, durably.
    ///
    /// # Errors
    ///
    /// `Retained` while it is retained or held; `NotFound` if it is not there, which after an ambiguous
    /// answer means that it is gone; `Denied`, `Unavailable`.
    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError>;

    /// Writes a derived object: unlocked, replaceable, rebuildable from created objects (checkpoint,
    /// tiles). Readers see the old bytes or the new ones. A crash may bring the old ones back.
    ///
    /// # Errors
    ///
    /// `Retained` if the key names an object with retention or hold, or one that [`WormStore::create`]
    /// made, as far as the store can tell; `Denied`, `Full`, `Unavailable`.
    async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError>;

    /// Deletes a derived object; succeeds if it is not there.
    ///
    /// # Errors
    ///
    /// `Retained` as for [`WormStore::put_derived`]; `Denied`, `Unavailable`.
    async fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError>;

    /// Returns the time by the store's own clock, in µs since the Unix epoch and perhaps to the second; `None` where the
    /// store has none and goes by this host's.
    ///
    /// # Errors
    ///
    /// `Denied`, `Unavailable`, with an empty key.
    async fn time(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Returns what the store says about itself.
    fn describe(&self) -> StoreDescription;

    /// Tries the promises of the port on scratch objects below [`crate::probe::PROBE_PREFIX`]; for
    /// `doctor` and for every start. Failures are part of the report.
    async fn probe(&self) -> ProbeReport;
}

/// Returns `range` as positions in an object of `size` bytes in memory.
pub(crate) fn slice_range(
    key: &ObjectKey,
    range: &Range<u64>,
    size: u64,
) -> Result<Range<usize>, StoreError> {
    let out_of_range =
        || StoreError::OutOfRange { key: key.to_string(), start: range.start, end: range.end, size };
    if range.start > range.end || range.end > size {
        return Err(out_of_range());
    }
    match (usize::try_from(range.start), usize::try_from(range.end)) {
        (Ok(start), Ok(end)) => Ok(start..end),
        _ => Err(out_of_range()),
    }
}
