//! The operations of a directory store as plain blocking functions.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use bytes::Bytes;

use super::error::{denied, from_flush, from_read, from_write};
use super::flush::{Flushes, flush_dir};
use super::hold::{hold_path, link_held, place_hold, release_hold};
use super::lock::{is_created, read_lock, record_date};
use super::staging::{Staging, create_dir_if_missing};
use super::walk::list;
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Lock, ObjectMeta, slice_range};

/// The directories remembered as existing and flushed; when there are more, all are forgotten.
const KNOWN_DIRS_MAX: usize = 4_096;

/// The root directory of a store.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    /// `None` if the store was opened for reading only.
    staging: Option<Staging>,
    /// Directories whose own entries have been flushed into their parents by this process.
    known_dirs: Mutex<HashSet<PathBuf>>,
    /// Shared by plain creates, exclusive for what looks at an object before changing it. It orders the threads of
    /// this process; the engine's commit protocol orders processes.
    names: RwLock<()>,
    flushes: Flushes,
}

impl Root {
    pub(super) fn new(path: &Path, staging: Option<Staging>) -> Self {
        Self {
            path: path.to_owned(),
            staging,
            known_dirs: Mutex::default(),
            names: RwLock::default(),
            flushes: Flushes::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn create(&self, key: &ObjectKey, bytes: &[u8], lock: Lock) -> Result<(), StoreError> {
        let staging = self.staging(key)?;
        let path = self.object_path(key);
        let write_error = |error| from_write(key.as_str(), error);
        let dir = self.ensure_parent(&path).map_err(write_error)?;
        let staged = staging.write_created(bytes, lock.retain_until).map_err(write_error)?;
        let linked = if lock.hold {
            let _exclusive = self.exclusive();
            self.link_into(dir, || link_held(&path, || staged.link_to(&path)))
        } else {
            let _shared = self.names.read().unwrap_or_else(PoisonError::into_inner);
            self.link_into(dir, || staged.link_to(&path))
        };
        drop(staged);
        match linked {
            Ok(()) => self.flush(key, &path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if path.is_dir() {
                    return Err(denied(key, "expected no such directory, found one with objects"));
                }
                // The winner may not have flushed its name yet, and the caller may find that the object
                // is its own: what it then relies on must be durable.
                self.flush(key, &path)?;
                Err(StoreError::already_exists(key))
            }
            Err(error) => Err(write_error(error)),
        }
    }

    pub(super) fn read(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        let read = || {
            self.settle()?;
            let mut file = File::open(self.object_path(key))?;
            let size = file.metadata()?.len();
            let mut bytes = Vec::with_capacity(usize::try_from(size).map_err(io::Error::other)?);
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map(Bytes::from).map_err(|error| from_read(key.as_str(), error))
    }

    pub(super) fn read_range(&self, key: &ObjectKey, range: &Range<u64>) -> Result<Bytes, StoreError> {
        let read_error = |error| from_read(key.as_str(), error);
        self.settle().map_err(read_error)?;
        let file = File::open(self.object_path(key)).map_err(read_error)?;
        let metadata = file.metadata().map_err(read_error)?;
        if metadata.is_dir() {
            return Err(read_error(ErrorKind::IsADirectory.into()));
        }
        let range_in_memory = slice_range(key, range, metadata.len())?;
        let mut bytes = vec![0; range_in_memory.len()];
        file.read_exact_at(&mut bytes, range.start).map_err(read_error)?;
        Ok(bytes.into())
    }

    pub(super) fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        let head = self.settle().and_then(|()| head_at(key, &self.object_path(key)));
        head.map_err(|error| from_read(key.as_str(), error))
    }

    pub(super) fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError> {
        let listed = self.settle().and_then(|()| list(&self.path, prefix, after, limit));
        listed.map_err(|error| from_read(prefix, error))
    }

    pub(super) fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        self.staging(key)?;
        let path = self.object_path(key);
        let _exclusive = self.settled(key)?;
        let present = require_created(key, &path)?.lock.retain_until;
        if let Some(present) = present.filter(|present| *present > until) {
            return Err(StoreError::retained(key, Some(present)));
        }
        let file = File::open(&path).map_err(|error| from_read(key.as_str(), error))?;
        if let Err(error) = record_date(&file, Some(until)) {
            // A date that the file system cut must not stay: put the present one back.
            if require_created(key, &path)?.lock.retain_until != present {
                record_date(&file, present).map_err(|error| from_flush(key, error))?;
            }
            return Err(from_write(key.as_str(), error));
        }
        file.sync_all().map_err(|error| from_flush(key, error))
    }

    pub(super) fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError> {
        self.staging(key)?;
        let path = self.object_path(key);
        let _exclusive = self.settled(key)?;
        require_created(key, &path)?;
        let changed = if hold { place_hold(&path).map(|_| ()) } else { release_hold(&path) };
        changed.map_err(|error| from_write(key.as_str(), error))?;
        self.flush(key, &hold_path(&path))
    }

    pub(super) fn delete(&self, key: &ObjectKey, now_micros: u64) -> Result<(), StoreError> {
        self.staging(key)?;
        let path = self.object_path(key);
        let _exclusive = self.settled(key)?;
        let lock = head_at(key, &path).map_err(|error| from_read(key.as_str(), error))?.lock;
        if !lock.is_free(now_micros) {
            return Err(StoreError::retained(key, lock.retain_until));
        }
        fs::remove_file(&path).map_err(|error| from_write(key.as_str(), error))?;
        self.flush(key, &path)
    }

    pub(super) fn put_derived(&self, key: &ObjectKey, bytes: &[u8]) -> Result<(), StoreError> {
        let staging = self.staging(key)?;
        let path = self.object_path(key);
        let write_error = |error| from_write(key.as_str(), error);
        let dir = self.ensure_parent(&path).map_err(write_error)?;
        let mut staged = staging.write_derived(bytes).map_err(write_error)?;
        let _exclusive = self.exclusive();
        require_derived(key, &path)?;
        // The directory is not flushed: a crash may bring the old object back, and it is rebuilt.
        self.link_into(dir, || staged.rename_to(&path)).map_err(write_error)
    }

    pub(super) fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.staging(key)?;
        let path = self.object_path(key);
        let _exclusive = self.exclusive();
        require_derived(key, &path)?;
        match fs::remove_file(&path) {
            Err(error) if is_missing(&error) => Ok(()),
            result => result.map_err(|error| from_write(key.as_str(), error)),
        }
    }

    fn object_path(&self, key: &ObjectKey) -> PathBuf {
        self.path.join(key.as_str())
    }

    fn staging(&self, key: &ObjectKey) -> Result<&Staging, StoreError> {
        self.staging.as_ref().ok_or_else(|| denied(key, "the store was opened for reading only"))
    }

    /// Makes a new name durable, or the absence of one.
    fn flush(&self, key: &ObjectKey, path: &Path) -> Result<(), StoreError> {
        self.flushes.flush(parent(path), path).map_err(|error| from_flush(key, error))
    }

    /// Makes durable what a failed flush has left open, before anybody relies on what is to be seen.
    fn settle(&self) -> io::Result<()> {
        if !self.flushes.has_failed() {
            return Ok(());
        }
        let _exclusive = self.exclusive();
        self.repeat_failed()
    }

    /// Keeps everybody else from changing objects, and makes durable what a failed flush has left open.
    fn settled(&self, key: &ObjectKey) -> Result<RwLockWriteGuard<'_, ()>, StoreError> {
        let exclusive = self.exclusive();
        self.repeat_failed().map_err(|error| from_read(key.as_str(), error))?;
        Ok(exclusive)
    }

    fn repeat_failed(&self) -> io::Result<()> {
        if !self.flushes.has_failed() {
            return Ok(());
        }
        // Only a store that is open for writing flushes.
        let staging = self.staging.as_ref().ok_or(ErrorKind::ReadOnlyFilesystem)?;
        self.flushes.repeat_failed(|path| staging.write_anew(path))
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, ()> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the directories above `path` exist, durably, and returns the nearest.
    fn ensure_parent<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        let dir = parent(path);
        if dir == self.path || self.known_dirs().contains(dir) {
            return Ok(dir);
        }
        let below_root: Vec<_> = dir.ancestors().take_while(|dir| *dir != self.path).collect();
        for dir in below_root.into_iter().rev() {
            if !self.known_dirs().contains(dir) {
                create_dir_if_missing(dir)?;
                // Also if it was there: whoever made it may have died before flushing it. One that could not be
                // made durable goes again if it is empty, so that the next try writes its name anew.
                flush_dir(parent(dir)).inspect_err(|_| drop(fs::remove_dir(dir)))?;
                self.remember_dir(dir);
            }
        }
        Ok(dir)
    }

    /// Runs `link`, which names a file in `dir`; if somebody removed the directory meanwhile, makes it again.
    fn link_into(&self, dir: &Path, mut link: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        match link() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.known_dirs().clear();
                self.ensure_parent(&dir.join("any"))?;
                link()
            }
            result => result,
        }
    }

    fn known_dirs(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.known_dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember_dir(&self, dir: &Path) {
        let mut known = self.known_dirs();
        if known.len() >= KNOWN_DIRS_MAX {
            known.clear();
        }
        known.insert(dir.to_owned());
    }
}

fn head_at(key: &ObjectKey, path: &Path) -> io::Result<ObjectMeta> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let hold = fs::exists(hold_path(path))?;
    let lock = read_lock(&metadata, hold);
    Ok(ObjectMeta { key: key.clone(), size: metadata.len(), lock, version: None, shadowed: None })
}

fn require_created(key: &ObjectKey, path: &Path) -> Result<ObjectMeta, StoreError> {
    let read_error = |error| from_read(key.as_str(), error);
    let meta = head_at(key, path).map_err(read_error)?;
    if is_created(&fs::symlink_metadata(path).map_err(read_error)?) {
        Ok(meta)
    } else {
        Err(StoreError::derived_cannot_be_locked(key))
    }
}

/// Refuses if `path` is a created object; nothing there is fine.
fn require_derived(key: &ObjectKey, path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_dir() && is_created(&metadata) => {
            Err(StoreError::retained(key, read_lock(&metadata, false).retain_until))
        }
        Err(error) if !is_missing(&error) => Err(from_read(key.as_str(), error)),
        _ => Ok(()),
    }
}

/// Creates the root directory of a store, durably, unless it exists.
pub(super) fn create_root(root: &Path) -> io::Result<()> {
    create_dir_if_missing(root)?;
    match root.parent() {
        Some(dir) if dir.as_os_str().is_empty() => flush_dir(Path::new(".")),
        Some(dir) => flush_dir(dir),
        None => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("an object key has a segment below the root")
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
