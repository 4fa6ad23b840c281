//! Copies of an index: taken while it is written to, and put in place where there is none.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;

use tantivy::TantivyError;
use tantivy::index::SegmentId;

use crate::error::{Doing, IndexError};
use crate::fields::INDEX_VERSION;
use crate::index::SearchIndex;
use crate::writer::SearchWriter;

/// The file with which an index exists.
const META: &str = "meta.json";

/// The file that says which files tantivy may delete.
const MANAGED: &str = ".managed.json";

/// A merge that ends meanwhile replaces files; then the copy is begun again.
const COPY_TRIES: usize = 16;

impl SearchWriter {
    /// Gives the files of the newest commit second names in `dir`, which must be empty and on the same disk. They never
    /// change, so that the copy takes neither time nor space.
    ///
    /// # Errors
    /// [`IndexError::Failed`] if a file could not be named.
    pub fn copy_to(&self, dir: &Path) -> Result<(), IndexError> {
        let from = &self.shared.dir;
        let mut failed = TantivyError::InternalError("the index changed all the time".to_owned());
        for _ in 0..COPY_TRIES {
            let meta = fs::read(from.join(META)).doing("read the index metadata")?;
            match self.link_files(from, dir) {
                Ok(()) if fs::read(from.join(META)).doing("read the index metadata")? == meta => {
                    return fs::write(dir.join(META), &meta).doing("copy the index metadata");
                }
                Ok(()) => {}
                Err(error) => failed = error,
            }
            for entry in fs::read_dir(dir).doing("list the copied files")? {
                fs::remove_file(entry.doing("list the copied files")?.path())
                    .doing("delete a copied file")?;
            }
        }
        Err(IndexError::from_tantivy("copy the index", failed))
    }

    fn link_files(&self, from: &Path, to: &Path) -> Result<(), TantivyError> {
        let segments: HashSet<String> =
            self.shared.index.searchable_segment_ids()?.iter().map(SegmentId::uuid_string).collect();
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            let stem = name.to_str().and_then(|name| name.split_once('.')).map(|(stem, _)| stem);
            if stem.is_some_and(|stem| segments.contains(stem)) {
                fs::hard_link(from.join(&name), to.join(&name))?;
            }
        }
        Ok(())
    }
}

impl SearchIndex {
    /// The version of fields and analysis; an index of another is built anew.
    pub const VERSION: u32 = INDEX_VERSION;

    /// Tells whether there is an index in `dir`, of whatever quality.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        dir.join(META).exists()
    }

    /// Tells whether a file of a copy may have this name.
    #[must_use]
    pub fn is_file_of_copy(name: &str) -> bool {
        name == META || Self::is_immutable_file(name)
    }

    /// Tells whether a file with this name never gets other content.
    #[must_use]
    pub fn is_immutable_file(name: &str) -> bool {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        name.split_once('.').is_some_and(|(stem, kind)| {
            let is_segment = stem.len() == 32 && stem.bytes().all(|c| plain(c) && c.is_ascii_hexdigit());
            is_segment
                && kind.len() <= 32
                && kind.split('.').all(|part| !part.is_empty() && part.bytes().all(plain))
        })
    }

    /// Moves the files of a copy from `copy` to `dir`, where no index is. A crash leaves none there, or the whole.
    ///
    /// # Errors
    /// [`IndexError::Failed`] if a file could not be moved.
    pub fn put_in_place(copy: &Path, dir: &Path) -> Result<(), IndexError> {
        fs::create_dir_all(dir).doing("create the index directory")?;
        Self::reset(dir)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(copy).doing("list the copied files")? {
            let name = entry.doing("list the copied files")?.file_name();
            names.extend(name.into_string().ok().filter(|name| Self::is_file_of_copy(name)));
        }
        // Files that are not listed would never be deleted, not even when a bucket is forgotten.
        let managed = serde_json::to_vec(&names).expect("a list of texts is always JSON");
        fs::write(copy.join(MANAGED), managed).doing("write the list of index files")?;
        names.retain(|name| name != META);
        for name in names.iter().map(String::as_str).chain([MANAGED, META]) {
            let path = copy.join(name);
            File::open(&path).and_then(|file| file.sync_all()).doing("flush an index file")?;
            if name == META {
                sync(dir)?;
            }
            fs::rename(&path, dir.join(name)).doing("move an index file")?;
        }
        sync(dir)
    }
}

fn sync(dir: &Path) -> Result<(), IndexError> {
    File::open(dir).and_then(|dir| dir.sync_all()).doing("flush the index directory")
}
