//! From errors of the operating system to those of the port: by what the caller can do.

use std::io::{self, ErrorKind};

use crate::error::{Source, StoreError};
use crate::key::ObjectKey;

/// Maps the failure of a read.
pub(super) fn from_read(key: &str, error: io::Error) -> StoreError {
    let key = key.to_owned();
    match error.kind() {
        // A key below a file, or one that is a directory, names no object.
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            StoreError::NotFound { key, source: Some(error.into()) }
        }
        ErrorKind::PermissionDenied => StoreError::Denied { key, source: Some(error.into()) },
        _ => StoreError::Unavailable { key, applied_unknown: false, source: Some(error.into()) },
    }
}

/// Maps the failure of a write that has not become visible.
pub(super) fn from_write(key: &str, error: io::Error) -> StoreError {
    let key = key.to_owned();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            StoreError::Full { key, source: Some(error.into()) }
        }
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        // The key runs through an object, or names a directory of objects.
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        // The file system knows no hard links, or the store spans several.
        | ErrorKind::Unsupported
        | ErrorKind::CrossesDevices => StoreError::Denied { key, source: Some(error.into()) },
        _ => StoreError::Unavailable { key, applied_unknown: false, source: Some(error.into()) },
    }
}

/// Maps the failure of a flush after the change has become visible: it may or may not survive a crash.
pub(super) fn from_flush(key: &ObjectKey, error: io::Error) -> StoreError {
    StoreError::Unavailable { key: key.to_string(), applied_unknown: true, source: Some(error.into()) }
}

/// Maps the failure to open a store at all.
pub(super) fn from_open(root: &str, error: io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => from_read(root, error),
        _ => from_write(root, error),
    }
}

/// Refuses with a reason of our own.
pub(super) fn denied(key: &ObjectKey, reason: impl Into<Source>) -> StoreError {
    StoreError::Denied { key: key.to_string(), source: Some(reason.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the variant's name for an error number as Linux gives it.
    #[track_caller]
    fn check(map: fn(&str, io::Error) -> StoreError, errno: i32, expected: &str) {
        let debug = format!("{:?}", map("k", io::Error::from_raw_os_error(errno)));
        assert!(debug.starts_with(expected), "errno {errno}: expected {expected}, found {debug}");
    }

    #[test]
    fn error_numbers_map_to_what_the_caller_can_do() {
        const EIO: i32 = 5;
        const EACCES: i32 = 13;
        for (errno, expected) in [(2, "NotFound"), (20, "NotFound"), (21, "NotFound"), (EACCES, "Denied")] {
            check(from_read, errno, expected);
        }
        check(from_read, EIO, "Unavailable");
        const EPERM: i32 = 1;
        const ENOSPC: i32 = 28;
        const EROFS: i32 = 30;
        #[cfg(target_os = "linux")]
        check(from_write, 122, "Full"); // EDQUOT
        check(from_write, ENOSPC, "Full");
        for errno in [EPERM, EACCES, EROFS] {
            check(from_write, errno, "Denied");
        }
        check(from_write, EIO, "Unavailable");
    }
}
