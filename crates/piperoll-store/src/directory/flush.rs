//! Flushing directories, and what follows when that fails.
//!
//! After a failed flush a new name is visible but perhaps not durable. The caller is told that the outcome is
//! open and will read the object back; so reads must not succeed before the name is durable. To flush again is not
//! enough: a kernel that failed to write a page may call it clean, and the second flush succeeds without
//! writing anything. So every failed flush is remembered with the names it was for, and before the next read each of
//! them is written anew, as a fresh file that takes the name over, and flushed again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The directories whose last flush failed, each with the names that it was for.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    failed: Mutex<BTreeMap<PathBuf, BTreeSet<PathBuf>>>,
    /// Spares reads the mutex while all is well.
    has_failed: AtomicBool,
}

impl Flushes {
    /// Makes the names in `dir` durable, among them the new one `path`.
    pub(super) fn flush(&self, dir: &Path, path: &Path) -> io::Result<()> {
        flush_dir(dir).inspect_err(|_| {
            self.failed().entry(dir.to_owned()).or_default().insert(path.to_owned());
            self.has_failed.store(true, Ordering::SeqCst);
        })
    }

    /// Whether [`Self::repeat_failed`] has anything to do.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    /// Repeats what failed, after `write_anew` for each name; fails until all of it has succeeded.
    pub(super) fn repeat_failed(&self, write_anew: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut failed = self.failed();
        while let Some((dir, names)) = failed.first_key_value() {
            // Whatever the reason: a read that cannot rely on what it sees is no "not found".
            names.iter().try_for_each(|name| if_there(write_anew(name))).map_err(io::Error::other)?;
            if_there(flush_dir(dir)).map_err(io::Error::other)?;
            failed.pop_first();
        }
        self.has_failed.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn failed(&self) -> MutexGuard<'_, BTreeMap<PathBuf, BTreeSet<PathBuf>>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes it that what is gone needs nothing more, and neither do names that went with their directory.
fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes the names in `dir` durable, without remembering a failure.
pub(super) fn flush_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
