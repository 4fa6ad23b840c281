//! Why folded state could not be read or written.

/// An error of the projections' database.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The database is damaged, of another version or of another ledger: delete it and fold the ledger again.
    #[error("the projections must be made anew: {reason}")]
    NeedsRebuild {
        /// What was expected and what was found.
        reason: String,
    },
    /// The local disk failed.
    #[error("the projections' database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ProjectionError {
    pub(crate) fn database(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Database(Box::new(error))
    }
}
