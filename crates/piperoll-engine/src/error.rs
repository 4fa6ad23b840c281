//! Why the engine did not do what it was asked, by what the caller must do.

use std::sync::Arc;

use thiserror::Error;

/// The error below an [`EngineError`], shared by every submission that it stopped.
pub type Cause = Arc<dyn std::error::Error + Send + Sync + 'static>;

/// Why a submission or an order was not committed.
#[derive(Clone, Debug, Error)]
pub enum EngineError {
    /// The submission itself is wrong; it will never be committed as it is.
    #[error("invalid submission: {reason}")]
    Invalid {
        /// What was expected.
        reason: String,
    },
    /// The pool is full; the same submission can succeed later.
    #[error("the pool of waiting events is full ({events} events)")]
    Busy {
        /// How many wait.
        events: usize,
    },
    /// The store failed; nothing was acknowledged, and the same submission can succeed later.
    #[error("the store did not take the commit")]
    Unavailable {
        /// What it said.
        #[source]
        cause: Cause,
    },
    /// The engine stopped; start it again.
    #[error("the writer has stopped: {reason}")]
    Fatal {
        /// Why.
        reason: String,
        /// What failed underneath.
        #[source]
        cause: Option<Cause>,
    },
}

impl EngineError {
    /// Wraps what kept the store from taking a commit.
    pub(crate) fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable { cause: Arc::new(cause) }
    }

    /// Says that the ledger or the local state cannot be worked with.
    pub(crate) fn fatal(reason: impl Into<String>) -> Self {
        Self::Fatal { reason: reason.into(), cause: None }
    }

    /// Says what failed and why the writer cannot go on.
    pub(crate) fn fatal_from(
        reason: impl Into<String>,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Fatal { reason: reason.into(), cause: Some(Arc::new(cause)) }
    }
}
