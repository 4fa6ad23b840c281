//! Why a copy could not be made, by what can be done about it.

use std::fmt;

use piperoll_format::DecodeError;
use piperoll_store::StoreError;
use piperoll_verify::ReadError;
use thiserror::Error;

/// One of the two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The store that the writer commits to.
    Primary,
    /// The store with the second copy.
    Replica,
}

impl Side {
    /// Returns the name used in events, in JSON and in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }

    /// Returns the other store.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Replica,
            Self::Replica => Self::Primary,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why copying, comparing or scrubbing stopped.
#[derive(Debug, Error)]
pub enum ReplicaError {
    /// A store failed; the same work can succeed later.
    #[error("the {side} store failed")]
    Store {
        /// Which one.
        side: Side,
        /// What it said.
        #[source]
        source: StoreError,
    },
    /// The two stores contradict each other, so that nothing can be copied before somebody has looked.
    #[error("{side} store, object `{object}`: expected {expected}, found {found}")]
    Conflict {
        /// Where the unexpected object is.
        side: Side,
        /// The object, without the ledger's prefix.
        object: String,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An object that everything else depends on cannot be read as what it is.
    #[error("{side} store, object `{object}` is damaged")]
    Damaged {
        /// Which store.
        side: Side,
        /// The object, without the ledger's prefix.
        object: String,
        /// Where it leaves the format.
        #[source]
        source: DecodeError,
    },
    /// A ledger could not be read.
    #[error("the ledger in the {side} store cannot be read")]
    Read {
        /// Which store.
        side: Side,
        /// Why.
        #[source]
        source: ReadError,
    },
}

impl ReplicaError {
    /// Tells whether the same work can succeed later without anybody's help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Store { .. } => true,
            Self::Read { source, .. } => matches!(source, ReadError::Store(_)),
            Self::Conflict { .. } | Self::Damaged { .. } => false,
        }
    }
}
