//! One process writes to an archive: the lock file, and the note that tells how to reach its holder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::directory::{ArchiveDirectory, create_secret_directory, replace_secret_file};
use crate::error::{Exit, Failure};

/// How often and how far apart a command asks for the lock: three seconds in all.
const ATTEMPTS_MAX: u32 = 60;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);

/// The right to write; given back when it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock. Waits a moment for other short commands; fails when somebody keeps it longer.
    pub(crate) async fn take(directory: &ArchiveDirectory) -> anyhow::Result<Self> {
        create_secret_directory(&directory.run())?;
        let path = directory.writer_lock();
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.with_context(|| format!("open `{}`", path.display()))?;
        for _ in 0..ATTEMPTS_MAX {
            match file.try_lock() {
                Ok(()) => {
                    // A server that was killed left its note; with the lock held again it would be believed.
                    return remove_if_present(&directory.serve_json()).map(|()| Self { _file: file });
                }
                Err(TryLockError::WouldBlock) if !directory.serve_json().exists() => {
                    tokio::time::sleep(ATTEMPT_PAUSE).await;
                }
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("lock `{}`", path.display()));
                }
            }
        }
        let message = format!("another process writes to the archive in `{}`", directory.root().display());
        let hint = "wait for it to end; a running server is found by itself once it listens";
        Err(Failure::new(Exit::Conflict, message).hint(hint).into())
    }

    /// Tells whether a process holds the lock.
    pub(crate) fn is_held(directory: &ArchiveDirectory) -> bool {
        let Ok(file) = OpenOptions::new().write(true).open(directory.writer_lock()) else { return false };
        matches!(file.try_lock(), Err(TryLockError::WouldBlock))
    }
}

fn remove_if_present(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

/// How to reach the server on a directory; valid while the lock is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) pid: u32,
}

impl Running {
    /// Leaves the note for other commands; removed when the guard is dropped.
    pub(crate) fn announce(&self, directory: &ArchiveDirectory) -> anyhow::Result<Announced> {
        replace_secret_file(&directory.serve_json(), &serde_json::to_vec(self)?)?;
        Ok(Announced { directory: directory.clone() })
    }

    /// Finds the server that runs on a directory, with the token of local commands. A note whose writer died is not believed.
    pub(crate) fn find(directory: &ArchiveDirectory) -> anyhow::Result<Option<(Self, String)>> {
        if !WriterLock::is_held(directory) {
            return Ok(None);
        }
        let read = fs::read(directory.serve_json())
            .and_then(|note| fs::read_to_string(directory.local_token()).map(|token| (note, token)));
        match read {
            Ok((note, token)) => Ok(Some((serde_json::from_slice(&note)?, token.trim().to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read `{}`", directory.serve_json().display())),
        }
    }
}

/// Removes the note at the end.
#[derive(Debug)]
pub(crate) struct Announced {
    directory: ArchiveDirectory,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let path = self.directory.serve_json();
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "a note about this server stays");
        }
    }
}
