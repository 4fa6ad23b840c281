//! The recorded retention: mode bits and modification time.

use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, UNIX_EPOCH};

use crate::port::{LockMode, LockStatus};

/// Mode of a created object, less the umask.
pub(super) const CREATED_MODE: u32 = 0o444;

/// Mode of a derived object, less the umask.
pub(super) const DERIVED_MODE: u32 = 0o644;

const WRITE_BITS: u32 = 0o222;

/// Tells a created object from a derived one. A symbolic link shows all bits, so it never counts as created.
pub(super) fn is_created(metadata: &Metadata) -> bool {
    metadata.mode() & WRITE_BITS == 0
}

/// Returns the recorded lock of an object; `hold` tells whether its marker is there.
pub(super) fn read_lock(metadata: &Metadata, hold: bool) -> LockStatus {
    let retain_until = if is_created(metadata) { recorded_date(metadata) } else { None };
    let mode = if retain_until.is_some() || hold { LockMode::Recorded } else { LockMode::None };
    LockStatus { retain_until, hold, mode }
}

/// Returns the modification time in µs; `None` for 1970 or earlier, which records "no retention".
pub(super) fn recorded_date(metadata: &Metadata) -> Option<u64> {
    let micros = i128::from(metadata.mtime()) * 1_000_000 + i128::from(metadata.mtime_nsec()) / 1_000;
    u64::try_from(micros).ok().filter(|micros| *micros > 0)
}

/// Records a retain-until date on an open file and reads it back: file systems cut dates that they
/// cannot hold (ext4 at 2446, XFS without `bigtime` at 2038) without an error.
pub(super) fn record_date(file: &File, retain_until: Option<u64>) -> io::Result<()> {
    let micros = retain_until.unwrap_or(0);
    let unsupported = |what: String| io::Error::new(io::ErrorKind::Unsupported, what);
    let time = UNIX_EPOCH
        .checked_add(Duration::from_micros(micros))
        .ok_or_else(|| unsupported(format!("date {micros} µs is out of range")))?;
    file.set_times(FileTimes::new().set_modified(time))?;
    let recorded = recorded_date(&file.metadata()?).unwrap_or(0);
    if recorded == micros {
        return Ok(());
    }
    Err(unsupported(format!(
        "the file system cannot record {micros} µs as a file time, it keeps {recorded} µs"
    )))
}
