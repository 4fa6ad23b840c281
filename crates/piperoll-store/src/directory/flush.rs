//! Flushing directories, and what follows when that fails.
//!
//! After a failed flush a new name is visible but perhaps not durable. The caller is told that the outcome is
//! open and will read the object back; so reads must not succeed before the name is durable. Every
//! failed flush is remembered, and repeated before the next read.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The directories whose last flush failed.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    failed: Mutex<BTreeSet<PathBuf>>,
    /// Spares reads the mutex while all is well.
    has_failed: AtomicBool,
}

impl Flushes {
    /// Makes the names in `dir` durable.
    pub(super) fn flush(&self, dir: &Path) -> io::Result<()> {
        flush_dir(dir).inspect_err(|_| {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned());
            self.has_failed.store(true, Ordering::SeqCst);
        })
    }

    /// Repeats what failed; fails until all of it has succeeded.
    pub(super) fn repeat_failed(&self) -> io::Result<()> {
        if !self.has_failed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(dir) = failed.first() {
            match flush_dir(dir) {
                // The directory is gone, and with it the names that it might have lost.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Whatever the reason: a read that cannot rely on what it sees is no "not found".
                result => result.map_err(io::Error::other)?,
            }
            failed.pop_first();
        }
        self.has_failed.store(false, Ordering::SeqCst);
        Ok(())
    }
}

/// Makes the names in `dir` durable, without remembering a failure.
pub(super) fn flush_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
