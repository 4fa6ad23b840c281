//! The recorded legal hold: an empty marker file beside the object.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::key::HOLD_PREFIX;

/// Returns the path of the hold marker that belongs to an object's path.
pub(super) fn hold_path(object: &Path) -> PathBuf {
    let name = object.file_name().and_then(|name| name.to_str()).expect("an object key ends in a segment");
    object.with_file_name(format!("{HOLD_PREFIX}{name}"))
}

/// Names a held object: the marker comes first, so that the object is never there without its hold.
pub(super) fn link_held(path: &Path, link: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if fs::exists(path)? {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let is_new = place_hold(path)?;
    let linked = link();
    if linked.is_err() && is_new {
        release_hold(path)?;
    }
    linked
}

/// Writes the hold marker and tells whether it is new; if that fails, there is none. The caller flushes the
/// directory.
pub(super) fn place_hold(path: &Path) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(hold_path(path)) {
        Ok(marker) => {
            let flushed = marker.sync_all();
            if flushed.is_err() {
                release_hold(path)?;
            }
            flushed.map(|()| true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the hold marker if there is one. The caller flushes the directory.
pub(super) fn release_hold(path: &Path) -> io::Result<()> {
    match fs::remove_file(hold_path(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
