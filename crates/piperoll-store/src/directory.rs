//! The embedded default: objects are files below a root directory.
//!
//! **It detects, it cannot prevent.** Files are read-only, the lock is recorded, and this code refuses
//! to delete early or to shorten; but whoever has the rights of the process, of root, or of the disk can
//! change and remove everything. Verification finds that; nothing here stops it.
//!
//! | on disk | meaning |
//! |---|---|
//! | `<root>/<key>`, no write bit (mode 0444 less the umask) | a created object; its **modification time is its retain-until**, in µs; the time 0 (1970) means no retention |
//! | `<root>/<key>` with a write bit (0644 less the umask) | a derived object; its modification time means nothing |
//! | `<dir>/.hold-<name>`, empty | a legal hold on the object `<dir>/<name>` |
//! | `<root>/.staging/<writer>/<n>` | bytes that have no name yet; removed at the next open |
//!
//! The file time of a read-only file as retention date is what `NetApp` `SnapLock` does (with the access
//! time), so `ls -l` shows the lock and it needs no second file. It follows that copies must keep modes and times
//! (`cp -a`, `rsync -a`, `tar -p`), or `verify` reports the lost locks. A recorded date cannot be judged
//! here: whether it is the right one only the verifier knows.
//!
//! A create is: write and flush (`fsync`) a file in `.staging`, hard-link it to its name (atomic, fails if
//! the name is taken), remove the staging name, flush the directory. Content is thus durable before the name
//! is visible, and the name is durable before the create returns. New directories are flushed into
//! their parents. The staging area lies outside the object directories so that opening a store with
//! millions of objects need not search them; each writer holds a file lock on its own part, so that
//! an open removes only what dead writers left. It must be on the same file system as all objects, and that
//! must know hard links.

mod direct;
mod error;
mod flush;
mod hold;
mod lock;
mod staging;
mod sync;
mod walk;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Clock;
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Enforcement, Lock, ObjectMeta, StoreDescription, WormStore};
use crate::probe::{ProbeReport, probe_store};
use staging::Staging;
use sync::Root;

/// A [`WormStore`] in a directory.
///
/// Cloning is cheap and gives another handle to the same store.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    root: Arc<Root>,
    clock: Arc<dyn Clock>,
}

impl DirectoryStore {
    /// Creates the directory `root`, unless it exists, and opens it.
    ///
    /// # Errors
    ///
    /// As [`DirectoryStore::open`]. The parent must exist.
    pub fn init(root: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        sync::create_root(root).map_err(|error| open_error(root, error))?;
        Self::open(root, clock)
    }

    /// Opens the existing directory `root` for reading and writing, and removes what dead writers left
    /// half-written. Retention is judged by `clock`. Several processes may have one store open.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such directory, `Denied` if it cannot be written, `Full`, `Unavailable`.
    pub fn open(root: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        require_directory(root).map_err(|error| open_error(root, error))?;
        let staging = Staging::open(root).map_err(|error| open_error(root, error))?;
        Ok(Self { root: Arc::new(Root::new(root, Some(staging))), clock })
    }

    /// Opens the existing directory `root` for reading only, leaving no trace, also on a read-only mount.
    /// Every write is `Denied`.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such directory, `Denied` if it cannot be read, `Unavailable`.
    pub fn open_read_only(root: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        require_directory(root).map_err(|error| open_error(root, error))?;
        Ok(Self { root: Arc::new(Root::new(root, None)), clock })
    }

    /// Returns the root directory.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Reads a whole object on the calling thread, as [`WormStore::get`] does on another one.
    ///
    /// For verification, which reads millions of objects on threads of its own. It blocks.
    ///
    /// # Errors
    ///
    /// As [`WormStore::get`].
    pub fn read_sync(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.root.read(key)
    }

    /// Reads a range on the calling thread, as [`WormStore::get_range`] does on another one. It blocks.
    ///
    /// # Errors
    ///
    /// As [`WormStore::get_range`].
    pub fn read_range_sync(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.root.read_range(key, &range)
    }

    /// Runs one whole operation on a blocking thread; never one system call at a time.
    async fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        operation: impl FnOnce(&Root) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let root = Arc::clone(&self.root);
        tokio::task::spawn_blocking(move || operation(&root)).await.unwrap_or_else(|source| {
            // The operation panicked or the runtime is shutting down: it may or may not have run.
            let source = Some(source.into());
            Err(StoreError::Unavailable { key: key.to_owned(), applied_unknown: true, source })
        })
    }
}

fn require_directory(root: &Path) -> io::Result<()> {
    // `metadata` follows a symbolic link: the root itself may be one.
    if std::fs::metadata(root)?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn open_error(root: &Path, error: io::Error) -> StoreError {
    error::from_open(&root.display().to_string(), error)
}

#[async_trait]
impl WormStore for DirectoryStore {
    async fn create(&self, key: &ObjectKey, bytes: Bytes, lock: &Lock) -> Result<(), StoreError> {
        let (owned, lock) = (key.clone(), *lock);
        self.blocking(key.as_str(), move |root| root.create(&owned, &bytes, lock)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        let owned = key.clone();
        self.blocking(key.as_str(), move |root| root.read(&owned)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        let owned = key.clone();
        self.blocking(key.as_str(), move |root| root.read_range(&owned, &range)).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        let owned = key.clone();
        self.blocking(key.as_str(), move |root| root.head(&owned)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError> {
        let (owned, after) = (prefix.to_owned(), after.cloned());
        self.blocking(prefix, move |root| root.list(&owned, after.as_ref(), limit)).await
    }

    async fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        let owned = key.clone();
        self.blocking(key.as_str(), move |root| root.extend_retention(&owned, until)).await
    }

    async fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError> {
        let owned = key.clone();
        self.blocking(key.as_str(), move |root| root.set_hold(&owned, hold)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let (owned, now) = (key.clone(), self.clock.now_micros());
        self.blocking(key.as_str(), move |root| root.delete(&owned, now)).await
    }

    async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        let owned = key.clone();
        self.blocking(key.as_str(), move |root| root.put_derived(&owned, &bytes)).await
    }

    async fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let owned = key.clone();
        self.blocking(key.as_str(), move |root| root.delete_derived(&owned)).await
    }

    fn describe(&self) -> StoreDescription {
        StoreDescription {
            name: "directory".to_owned(),
            location: self.path().display().to_string(),
            enforcement: Enforcement::Detects,
            statement: "a directory detects early deletion and change, it cannot prevent them: whoever can \
                        write to the disk can remove any object, and `verify` will find it"
                .to_owned(),
        }
    }

    async fn probe(&self) -> ProbeReport {
        probe_store(self, self.clock.as_ref()).await
    }
}

#[cfg(test)]
mod tests;
