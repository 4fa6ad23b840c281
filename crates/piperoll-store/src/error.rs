//! What a store can fail with: one variant for each thing a caller can do about it.

use crate::key::ObjectKey;

/// The error below a [`StoreError`], from the operating system or a client library.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A failed storage operation; names the object and keeps the cause.
///
/// `key` is the object's key, or the prefix for a listing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("object `{key}` was not found")]
    NotFound {
        /// The object.
        key: String,
        /// What the storage said, if it said more.
        #[source]
        source: Option<Source>,
    },
    /// A create found the key taken. The object there may be the caller's own: read it back.
    #[error("object `{key}` exists already")]
    AlreadyExists {
        /// The object.
        key: String,
        /// What the storage said, if it said more.
        #[source]
        source: Option<Source>,
    },
    /// The object must stay as it is: it is retained or held, or it was created immutable and the call
    /// was meant for derived objects.
    #[error("object `{key}` must not be deleted, replaced or kept for less long{}", describe_until(*until))]
    Retained {
        /// The object.
        key: String,
        /// The end of its retention in µs since the Unix epoch; `None` if a hold alone keeps it, or no
        /// date is known.
        until: Option<u64>,
        /// What the storage said, if it said more.
        #[source]
        source: Option<Source>,
    },
    /// The range to read is not wholly inside the object: the object is shorter than expected.
    #[error("expected bytes {start}..{end} in object `{key}`, found {size} bytes")]
    OutOfRange {
        /// The object.
        key: String,
        /// First byte asked for.
        start: u64,
        /// The byte after the last one asked for.
        end: u64,
        /// Size of the object in bytes.
        size: u64,
    },
    /// The store does not permit this: missing rights, a read-only store, or a date it cannot record.
    /// Retrying does not help. Nothing was applied.
    #[error("access to object `{key}` was denied")]
    Denied {
        /// The object.
        key: String,
        /// What the storage said, if it said more.
        #[source]
        source: Option<Source>,
    },
    /// There is no space or no quota left. Nothing was applied.
    #[error("no space left for object `{key}`")]
    Full {
        /// The object.
        key: String,
        /// What the storage said, if it said more.
        #[source]
        source: Option<Source>,
    },
    /// The store did not answer, or failed in a way that a retry may cure.
    #[error("storage is unavailable for object `{key}`{}", describe_ambiguity(*applied_unknown))]
    Unavailable {
        /// The object.
        key: String,
        /// Tells that the change may have been applied, now or later: read the object back before acting.
        applied_unknown: bool,
        /// What the storage said, if it said more.
        #[source]
        source: Option<Source>,
    },
}

fn describe_until(until: Option<u64>) -> String {
    until.map_or_else(String::new, |until| format!(" before {until} µs"))
}

fn describe_ambiguity(applied_unknown: bool) -> &'static str {
    if applied_unknown { " and the change may have been applied" } else { "" }
}

impl StoreError {
    /// Returns the key, or the prefix of a listing, that the error is about.
    pub fn key(&self) -> &str {
        match self {
            Self::NotFound { key, .. }
            | Self::AlreadyExists { key, .. }
            | Self::Retained { key, .. }
            | Self::OutOfRange { key, .. }
            | Self::Denied { key, .. }
            | Self::Full { key, .. }
            | Self::Unavailable { key, .. } => key,
        }
    }

    /// Tells whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Tells whether the outcome of a write is open, so that the caller must read the object back.
    ///
    /// True for [`StoreError::AlreadyExists`] (it may be the caller's own write, after a lost answer)
    /// and for [`StoreError::Unavailable`] with `applied_unknown`.
    pub fn must_read_back(&self) -> bool {
        matches!(self, Self::AlreadyExists { .. } | Self::Unavailable { applied_unknown: true, .. })
    }

    pub(crate) fn not_found(key: &ObjectKey) -> Self {
        Self::NotFound { key: key.to_string(), source: None }
    }

    pub(crate) fn already_exists(key: &ObjectKey) -> Self {
        Self::AlreadyExists { key: key.to_string(), source: None }
    }

    pub(crate) fn retained(key: &ObjectKey, until: Option<u64>) -> Self {
        Self::Retained { key: key.to_string(), until, source: None }
    }

    pub(crate) fn derived_cannot_be_locked(key: &ObjectKey) -> Self {
        let source = Some("expected a created object, found a derived one".into());
        Self::Denied { key: key.to_string(), source }
    }
}
