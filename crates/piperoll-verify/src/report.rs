//! The result of a verification: findings are data, not errors.

mod display;

use std::collections::BTreeMap;
use std::fmt;

use piperoll_format::Seq;
use serde::{Deserialize, Serialize};

/// Findings of one code that a report lists; more are only counted.
pub const FINDINGS_PER_CODE_MAX: u64 = 100;

macro_rules! codes {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, )+) => {
        /// What a finding is about: a closed list with a fixed text for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FindingCode { $( $(#[$doc])* #[serde(rename = $text)] $name, )+ }

        impl FindingCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// Returns the text form.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }
        }
    };
}

codes! {
    /// The chain hash that an event carries is not that of the event before it.
    ChainBroken = "chain-broken",
    /// A checkpoint is no signed note of this log by a known key.
    CheckpointInvalid = "checkpoint-invalid",
    /// A payload does not meet the commitment in its event.
    CommitmentMismatch = "commitment-mismatch",
    /// The bytes of an event are no valid core.
    CoreInvalid = "core-invalid",
    /// A derived object (checkpoint, tile) does not fit the ledger; it can be rebuilt.
    DerivedWrong = "derived-wrong",
    /// An object was disposed of before its lock had ended.
    DisposalEarly = "disposal-early",
    /// An object is still there although its disposal was ordered.
    DisposalIncomplete = "disposal-incomplete",
    /// A disposal order cannot be read as one.
    DisposalInvalid = "disposal-invalid",
    /// An object has a name that is not of this format, or belongs to nothing in the ledger.
    ForeignObject = "foreign-object",
    /// The ledger has other events than at an earlier time: its history was replaced.
    Forked = "forked",
    /// A segment says another tree before it than the one that there is.
    FrontierMismatch = "frontier-mismatch",
    /// The genesis object is not valid, or that of another ledger.
    GenesisInvalid = "genesis-invalid",
    /// A key was given twice, is in two key objects, or is used before it was given.
    KeyMisassigned = "key-misassigned",
    /// The key of a payload is in no key object of its bucket.
    KeyMissing = "key-missing",
    /// The ledger was signed by another key than the one that is trusted.
    KeyUnknown = "key-unknown",
    /// An event has a kind that this version does not know.
    KindUnknown = "kind-unknown",
    /// The store keeps an object for less long than the ledger records.
    LockTooShort = "lock-too-short",
    /// An object's bytes are not those that were committed.
    ObjectChanged = "object-changed",
    /// An object is not what its name says.
    ObjectInvalid = "object-invalid",
    /// An object is gone, and no disposal was ordered.
    ObjectMissing = "object-missing",
    /// Somebody put a delete marker or a newer version over an object; the object itself is there.
    ObjectShadowed = "object-shadowed",
    /// The first event is not the opening of the ledger, or another one is.
    OpeningInvalid = "opening-invalid",
    /// Ledger, key and checkpoints have different names for the log.
    OriginMismatch = "origin-mismatch",
    /// Payloads do not fill their pack exactly.
    PackLayout = "pack-layout",
    /// A payload meets its commitment but is not valid.
    PayloadInvalid = "payload-invalid",
    /// No pack of the segment can hold an event's payload.
    PayloadUnplaced = "payload-unplaced",
    /// An event's pack is of another period than the event.
    PeriodMismatch = "period-mismatch",
    /// The policies in genesis cannot be read.
    PolicyInvalid = "policy-invalid",
    /// An object was recorded with a shorter lock than the policies demand.
    RetentionTooShort = "retention-too-short",
    /// The ledger ends before a size that it once had.
    RolledBack = "rolled-back",
    /// A checkpoint's root or size is not that of the events.
    RootMismatch = "root-mismatch",
    /// The bytes under a segment's name are no segment.
    SegmentInvalid = "segment-invalid",
    /// A payload that must be sealed is in clear, or the other way round.
    SealingWrong = "sealing-wrong",
    /// A segment does not name the one before it.
    SegmentLink = "segment-link",
    /// A segment is gone; later ones exist.
    SegmentMissing = "segment-missing",
    /// A segment or event stands in another place than it says.
    SegmentMisplaced = "segment-misplaced",
    /// Positions of events do not follow each other.
    SeqGap = "seq-gap",
    /// An event's signature does not fit.
    SignatureInvalid = "signature-invalid",
    /// Time runs backwards.
    TimeBackwards = "time-backwards",
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One deviation: where, what was expected, what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub code: FindingCode,
    /// Name of the object in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Finding {
    /// Makes a finding about no object and no event.
    pub(crate) fn new(code: FindingCode, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { code, object: None, event: None, expected: expected.into(), found: found.into() }
    }

    /// Names the object.
    pub(crate) fn at(mut self, object: impl ToString) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// Names the event.
    pub(crate) fn event(mut self, seq: Seq) -> Self {
        self.event = Some(seq.0);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())?;
        if let Some(object) = &self.object {
            write!(f, " at `{object}`")?;
        }
        if let Some(event) = self.event {
            write!(f, ", event {event}")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

/// One kind of check: how often it was made, or why not always.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked, such as `signatures`.
    pub what: String,
    /// How often.
    pub count: u64,
    /// What was left out and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// What is gone by order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstones {
    /// Packs and key objects.
    pub objects: u64,
    /// Events whose payloads were in them.
    pub events: u64,
}

/// The state of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The ledger's id.
    pub ledger: String,
    /// The log's name, if genesis could be read.
    pub origin: Option<String>,
    /// The keys that signatures were checked with.
    pub vkeys: Vec<String>,
    /// Events.
    pub size: u64,
    /// The tree's root (base64) as computed from the events.
    pub root: Option<String>,
    /// The chain hash (hex) of the last event.
    pub chain_head: Option<String>,
    /// When the last event was recorded, RFC 3339.
    pub recorded_at: Option<String>,
    /// The signed checkpoint of the newest segment: what to remember for the next run.
    pub checkpoint: Option<String>,
    /// Segments.
    pub segments: u64,
    /// Objects that were read.
    pub objects: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is gone by order.
    pub tombstones: Tombstones,
    /// What was checked and what was not.
    pub checked: Vec<Check>,
    /// Deviations, at most [`FINDINGS_PER_CODE_MAX`] of one code, in the order in which they were found.
    pub findings: Vec<Finding>,
    /// How many findings there were of each code, including those that are not listed.
    pub finding_counts: BTreeMap<FindingCode, u64>,
    /// What could not be read, so that something may be wrong there.
    pub unreadable: Vec<String>,
    /// What is worth knowing but no deviation.
    pub notes: Vec<String>,
}

impl Report {
    /// Tells whether nothing deviates, as far as could be read.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.finding_counts.is_empty()
    }

    /// Tells whether everything that was to be checked could be read.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.unreadable.is_empty()
    }
}

/// Collects findings within bounds.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) listed: Vec<Finding>,
    pub(crate) counts: BTreeMap<FindingCode, u64>,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.code).or_default();
        *count += 1;
        if *count <= FINDINGS_PER_CODE_MAX {
            self.listed.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_in_the_format_has_every_code() {
        let format = include_str!("../../../schemas/FORMAT.md");
        let table = format.split("### 12.1 ").nth(1).and_then(|rest| rest.split("\n## ").next());
        let rows = table.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("| `"));
        let listed: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        let known: Vec<&str> = FindingCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(listed, known);
    }
}
