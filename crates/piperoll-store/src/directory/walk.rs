//! Listing: a walk over the tree in the order of the keys.
//!
//! Each call reads every directory on its way once. It holds the names of one path from the root
//! downwards, and of each directory's files no more than about twice the limit. Names that are no object
//! keys, markers and the staging area are passed over.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::lock::read_lock;
use crate::key::{HOLD_PREFIX, ObjectKey, is_valid_segment};
use crate::port::ObjectMeta;

/// Lists the objects below `root`; see [`crate::WormStore::list`].
pub(super) fn list(
    root: &Path,
    prefix: &str,
    after: Option<&ObjectKey>,
    limit: usize,
) -> io::Result<Vec<ObjectMeta>> {
    let after = after.map_or("", ObjectKey::as_str);
    let mut walk = Walk { root, prefix, after, limit, found: Vec::new() };
    walk.visit("")?;
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Path,
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    found: Vec<ObjectMeta>,
}

/// What is relevant in one directory.
#[derive(Default)]
struct Names {
    /// Key texts; a directory ends in `/`, which puts it where its objects come in the order of keys.
    entries: Vec<String>,
    /// Names of objects with a hold marker.
    held: HashSet<String>,
}

impl Walk<'_> {
    /// Visits a directory, given as the beginning of its keys: empty, or ending in `/`.
    fn visit(&mut self, dir: &str) -> io::Result<()> {
        let names = match self.read_names(dir) {
            // It was removed, or replaced, since its parent was read.
            Err(error) if is_gone(&error) => return Ok(()),
            names => names?,
        };
        for entry in names.entries {
            if self.found.len() >= self.limit {
                break;
            }
            if entry.ends_with('/') {
                self.visit(&entry)?;
            } else {
                let hold = names.held.contains(&entry[dir.len()..]);
                self.push(entry, hold)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, key: String, hold: bool) -> io::Result<()> {
        let metadata = match fs::symlink_metadata(self.root.join(&key)) {
            Err(error) if is_gone(&error) => return Ok(()),
            metadata => metadata?,
        };
        if let Ok(key) = ObjectKey::new(key) {
            let lock = read_lock(&metadata, hold);
            self.found.push(ObjectMeta { key, size: metadata.len(), lock, version: None, shadowed: None });
        }
        Ok(())
    }

    fn read_names(&self, dir: &str) -> io::Result<Names> {
        let wanted = self.limit - self.found.len();
        let (mut files, mut dirs, mut held) = (Vec::new(), Vec::new(), HashSet::new());
        for entry in fs::read_dir(self.root.join(dir))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if let Some(object) = name.strip_prefix(HOLD_PREFIX) {
                held.insert(object.to_owned());
            } else if !is_valid_segment(&name) {
                continue;
            } else if entry.file_type()?.is_dir() {
                dirs.extend(Some(format!("{dir}{name}/")).filter(|dir| self.may_hold(dir)));
            } else {
                files.extend(Some(format!("{dir}{name}")).filter(|key| self.is_asked_for(key)));
                if files.len() >= wanted.saturating_mul(2).max(1_024) {
                    files.select_nth_unstable(wanted);
                    files.truncate(wanted);
                }
            }
        }
        let mut entries = files;
        entries.append(&mut dirs);
        entries.sort_unstable();
        Ok(Names { entries, held })
    }

    fn is_asked_for(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && key > self.after
    }

    /// Tells whether keys that begin with `dir` can be asked for.
    fn may_hold(&self, dir: &str) -> bool {
        let has_prefix = dir.starts_with(self.prefix) || self.prefix.starts_with(dir);
        has_prefix && (dir > self.after || self.after.starts_with(dir))
    }
}

/// A concurrent deletion is no failure of a listing.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
