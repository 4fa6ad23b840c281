//! What `split` finds in a delivery.

use std::ops::Range;

use piperoll_format::Kind;

/// One archived fact inside a delivery, found without understanding its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is about.
    pub kind: Kind,
    /// The sender's own identity of this fact, used to find repeated deliveries; `None` where the sender gives
    /// none (the content then stands for itself).
    pub source_id: Option<String>,
    /// The natural person it is about: `wa:<digits>`, `bsuid:<id>` or `group:<id>`; `None` for account facts.
    pub subject: Option<String>,
    /// The business number's id, where the envelope names one: Meta's `phone_number_id`; from other senders the
    /// number's digits, or what the sender calls the number (an app, a channel).
    pub number: Option<String>,
    /// When it happened according to the sender, in microseconds since the epoch; may be absurd.
    pub occurred_at: Option<i64>,
    /// The bytes of the body that are this item and belong to its person, ascending and disjoint.
    pub ranges: Vec<Range<usize>>,
    /// What a reader should know about the item.
    pub flags: Vec<Flag>,
}

/// Something odd about an item that the archive records and does not repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flag {
    /// The time is absent or not a number.
    TimeMissing,
    /// The time is negative, far in the future, or looks like milliseconds.
    TimeImplausible,
    /// The item has no source id although its kind has one.
    SourceIdMissing,
    /// The person could not be told.
    SubjectMissing,
    /// The item lacks parts that its kind always has.
    Malformed,
}

impl Flag {
    /// Returns the stored text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TimeMissing => "time-missing",
            Self::TimeImplausible => "time-implausible",
            Self::SourceIdMissing => "source-id-missing",
            Self::SubjectMissing => "subject-missing",
            Self::Malformed => "malformed",
        }
    }
}

/// The items of a delivery, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// At least one.
    pub items: Vec<Item>,
}
