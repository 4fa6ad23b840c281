//! Errors, named for what the caller must do about them.

use std::path::PathBuf;

use tantivy::TantivyError;

/// Why the index could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The index is of another version or damaged: [`SearchIndex::reset`](crate::SearchIndex::reset) and rebuild it.
    #[error("the index must be rebuilt: {reason}")]
    NeedsRebuild {
        /// What was found.
        reason: String,
    },
    /// Another process or task is the writer.
    #[error("the index `{}` has another writer", dir.display())]
    Locked {
        /// The index directory.
        dir: PathBuf,
    },
    /// A document or cursor came out of sequence; nothing was applied for it.
    #[error("expected seq {expected} or higher, found {found}")]
    OutOfOrder {
        /// The lowest seq that could come next.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A prefix stands for more words than a search may expand.
    #[error("`{prefix}*` matches more than {words_max} different words; type more letters")]
    TooBroad {
        /// The prefix, folded.
        prefix: String,
        /// The limit.
        words_max: usize,
    },
    /// Files that should be gone could not be deleted.
    #[error("{} index files with forgotten text could not be deleted", files.len())]
    Undeleted {
        /// Their names in the index directory.
        files: Vec<PathBuf>,
    },
    /// The disk or the search library failed; drop the writer and open it again.
    #[error("could not {doing}")]
    Failed {
        /// The step that failed.
        doing: &'static str,
        /// What the library said.
        source: Box<TantivyError>,
    },
}

impl IndexError {
    /// Turns the library's error into one that says what to do.
    pub(crate) fn from_tantivy(doing: &'static str, source: TantivyError) -> Self {
        match source {
            TantivyError::DataCorruption(_)
            | TantivyError::OpenReadError(_)
            | TantivyError::IncompatibleIndex(_)
            | TantivyError::SchemaError(_) => {
                Self::NeedsRebuild { reason: format!("could not {doing}: {source}") }
            }
            _ => Self::Failed { doing, source: Box::new(source) },
        }
    }
}

/// `map_err` with the step that failed.
pub(crate) trait Doing<T> {
    /// Names the step.
    fn doing(self, step: &'static str) -> Result<T, IndexError>;
}

impl<T> Doing<T> for Result<T, TantivyError> {
    fn doing(self, step: &'static str) -> Result<T, IndexError> {
        self.map_err(|source| IndexError::from_tantivy(step, source))
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, step: &'static str) -> Result<T, IndexError> {
        self.map_err(|source| IndexError::from_tantivy(step, source.into()))
    }
}
