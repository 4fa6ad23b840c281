//! Copies of the database: taken while it is in use, and put in place where there is none.

use std::fs::{self, File};
use std::path::Path;

use super::{Projections, VERSION};
use crate::error::ProjectionError;

impl Projections {
    /// The version of facts; a file of another is made anew.
    pub const VERSION: u64 = VERSION;

    /// Copies what is on the disk to a new file and returns the cursor of the copy; reading goes on meanwhile, adding
    /// waits.
    ///
    /// # Errors
    /// [`ProjectionError`]; a copy that does not open again is one.
    pub fn copy_to(&self, path: &Path) -> Result<u64, ProjectionError> {
        let database = self.database();
        // Nobody writes while this transaction is open, and it writes nothing itself.
        let quiet = database.begin_write().map_err(ProjectionError::database)?;
        fs::copy(&self.path, path).map_err(ProjectionError::database)?;
        quiet.abort().map_err(ProjectionError::database)?;
        // Opening repairs what an open database leaves open, and closing says so.
        Self::open(path, self.ledger, self.cache_bytes)?.cursor()
    }

    /// Moves a copy from `copy` to `path`, where no file is. A crash leaves none there, or the whole.
    ///
    /// # Errors
    /// [`ProjectionError::Database`] when it cannot be moved.
    pub fn put_in_place(copy: &Path, path: &Path) -> Result<(), ProjectionError> {
        let flush = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let moved = flush(copy)
            .and_then(|()| fs::create_dir_all(parent))
            .and_then(|()| fs::rename(copy, path))
            .and_then(|()| flush(parent));
        moved.map_err(ProjectionError::database)
    }
}
