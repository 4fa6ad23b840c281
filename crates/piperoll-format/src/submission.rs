//! What a sender hands to the writer: an event before it has its `seq`.

use crate::kind::Kind;
use crate::payload::{Payload, Provenance};

/// Most events in one group; a larger delivery is archived whole, as one event.
pub const GROUP_EVENTS_MAX: usize = 12_000;

/// An event before it is sequenced. The writer decides its class and fills in every `seq` inside its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// What it records.
    pub kind: Kind,
    /// What was captured.
    pub payload: Payload,
}

/// Submissions that are committed together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmissionGroup {
    /// The skeleton of a delivery that was cut into several items: its payload has a [`crate::Skeleton`] whose
    /// items stand in the order of `items` and whose sequence numbers are still 0.
    pub delivery: Option<Submission>,
    /// At least one.
    pub items: Vec<Submission>,
}

impl Submission {
    /// An event of the archive itself, with a document of its own making as the only part.
    #[must_use]
    pub fn own(kind: Kind, media_type: &str, document: Vec<u8>) -> Self {
        let provenance = Provenance {
            source: "piperoll".to_owned(),
            media_type: media_type.to_owned(),
            ..Provenance::default()
        };
        Self { kind, payload: Payload { parts: vec![document], provenance, ..Payload::default() } }
    }
}

impl SubmissionGroup {
    /// A group of one.
    #[must_use]
    pub fn single(submission: Submission) -> Self {
        Self { delivery: None, items: vec![submission] }
    }

    /// Returns the number of events it becomes, when none of them is a repeat.
    #[must_use]
    pub fn events(&self) -> usize {
        self.items.len() + usize::from(self.delivery.is_some())
    }

    /// Returns the captured bytes it carries.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let parts = self.delivery.iter().chain(&self.items).flat_map(|submission| &submission.payload.parts);
        parts.map(Vec::len).sum()
    }
}
