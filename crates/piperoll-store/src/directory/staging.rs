//! Where objects are written before they have a name.
//!
//! Each open store has a directory of its own below `<root>/.staging`, with a file lock on it for as long
//! as the process lives. Whoever opens the store removes the directories that nobody holds a lock on.

use std::fs::{self, File, FileTimes, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::direct::write_all;
use super::lock::{CREATED_MODE, DERIVED_MODE, record_date};
use crate::key::STAGING;

/// The staging directory of one open store.
#[derive(Debug)]
pub(super) struct Staging {
    dir: PathBuf,
    next: AtomicU64,
    /// Tells other processes that this writer lives.
    _alive: File,
}

/// A complete file under a staging name; dropping it removes that name.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
    is_renamed: bool,
}

impl Staging {
    /// Takes a fresh staging directory below `root` and removes those of dead writers.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let area = root.join(STAGING);
        create_dir_if_missing(&area)?;
        // One open at a time, so that a directory is never seen between its creation and its lock.
        let opening = File::open(&area)?;
        opening.lock()?;
        remove_abandoned(&area)?;
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let dir = area.join(format!("{:016x}", u64::from_be_bytes(nonce)));
        fs::create_dir(&dir)?;
        let alive = File::open(&dir)?;
        alive.lock()?;
        Ok(Self { dir, next: AtomicU64::new(0), _alive: alive })
    }

    /// Writes a created object with its recorded date, and flushes bytes, mode and date.
    pub(super) fn write_created(&self, bytes: &[u8], retain_until: Option<u64>) -> io::Result<Staged> {
        self.write(CREATED_MODE, |file| {
            write_all(file, bytes)?;
            record_date(file, retain_until)?;
            file.sync_all()
        })
    }

    /// Writes a derived object and flushes its bytes: a crash must not leave a name with half of them.
    pub(super) fn write_derived(&self, bytes: &[u8]) -> io::Result<Staged> {
        self.write(DERIVED_MODE, |file| {
            file.write_all(bytes)?;
            file.sync_data()
        })
    }

    /// Writes a file anew under its name, with the same bytes, mode and time, and flushes it.
    pub(super) fn write_anew(&self, target: &Path) -> io::Result<()> {
        let (bytes, metadata) = (fs::read(target)?, fs::symlink_metadata(target)?);
        let mut staged = self.write(metadata.mode() & 0o777, |file| {
            file.write_all(&bytes)?;
            file.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
            file.sync_all()
        })?;
        staged.rename_to(target)
    }

    fn write(&self, mode: u32, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Staged> {
        let path = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        let staged = Staged { path, is_renamed: false };
        fill(&mut file)?;
        Ok(staged)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next open.
        let _ = fs::remove_dir(&self.dir);
    }
}

impl Staged {
    /// Gives the file a second, final name; fails if the name is taken.
    pub(super) fn link_to(&self, target: &Path) -> io::Result<()> {
        fs::hard_link(&self.path, target)
    }

    /// Moves the file to a final name, replacing what is there.
    pub(super) fn rename_to(&mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_renamed {
            // If it stays, it is a harmless second name, and the next open removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(super) fn create_dir_if_missing(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn remove_abandoned(area: &Path) -> io::Result<()> {
    for entry in fs::read_dir(area)? {
        let path = entry?.path();
        match remove_if_abandoned(&path) {
            // Its writer is closing just now and removes it itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    let writer = File::open(path)?;
    match writer.try_lock() {
        Ok(()) if path.is_dir() => fs::remove_dir_all(path),
        Ok(()) => fs::remove_file(path),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
