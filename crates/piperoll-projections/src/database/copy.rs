//! Copies of the database, taken while it is in use.

use std::fs;
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
}
