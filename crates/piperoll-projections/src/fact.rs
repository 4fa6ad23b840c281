//! Facts: what one event says about one entity at one time.

use piperoll_format::{Kind, Payload, Timestamp};
use piperoll_sources::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// An event as the folds see it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Its position in the ledger.
    pub seq: u64,
    /// What it records.
    pub kind: Kind,
    /// When the archive recorded it.
    pub recorded_at: Timestamp,
    /// The retention bucket it is forgotten with, as `class/period`.
    pub bucket: &'a str,
    /// Its captured bytes and what was known about them.
    pub payload: &'a Payload,
    /// What a reader sees in it.
    pub message: &'a Message,
}

impl Observed<'_> {
    /// Returns when it happened, in microseconds since the epoch: according to the sender if that is plausible
    /// (1990 to one day after it was recorded), else when it was recorded.
    #[must_use]
    pub fn at(&self) -> i64 {
        const MIN: i64 = 631_152_000_000_000;
        const AHEAD: i64 = 86_400_000_000;
        let recorded = i64::try_from(self.recorded_at.0).unwrap_or(i64::MAX);
        let claimed = self.message.occurred_at.or(self.payload.facts.occurred_at);
        claimed.filter(|at| (MIN..=recorded.saturating_add(AHEAD)).contains(at)).unwrap_or(recorded)
    }
}

macro_rules! tables {
    ($( $(#[$doc:meta])* $name:ident = $number:literal, )+) => {
        /// What a fact is about. The numbers are stored; a new meaning takes a new number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Table { $( $(#[$doc])* $name = $number, )+ }
    };
}

tables! {
    /// Entity: an alias of a person (`wa:<digits>`, `bsuid:<id>`, `username:<name>`). What ties it to others, and names.
    Person = 1,
    /// Entity: a business number's id. Who it was assigned to.
    Assignment = 2,
    /// Entity: `<number>:<counterpart>` as in [`Message::conversation`]. Everything that belongs to it.
    Conversation = 3,
    /// Entity: the source id (wamid) of a message. Events that are about it: itself, statuses, edits, reactions.
    Item = 4,
    /// Entity: an alias of a person. Signals of consent.
    Consent = 5,
    /// Entity: a template's name. Snapshots, status and category changes.
    Template = 6,
    /// Entity: a journal id of a send. Request and answer.
    Send = 7,
    /// Entity: a business number's id. What opens, closes or degrades its capture.
    Coverage = 8,
    /// Entity: a business number's id. One fact an hour with what was received, for its rhythm.
    Rhythm = 9,
    /// Entity: a business number's id. References to items that were not seen when they were made.
    Dangling = 10,
    /// Entity: `<message seq>`. Attachments and what became of them.
    Media = 11,
    /// Entity: a business number's id. The state of its history synchronisation.
    History = 12,
    /// Entity: a day as `2026-11-22`. Findings.
    Finding = 13,
    /// Entity: always the same. Completed disposals.
    Disposal = 14,
}

/// A fact read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact<T> {
    /// When it became true, in microseconds since the epoch.
    pub at: i64,
    /// The event that says so.
    pub seq: u64,
    /// What it says.
    pub value: T,
}

/// A fact as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub(crate) key: Vec<u8>,
    /// Whether a fact that already has this key stays instead.
    pub(crate) keep_first: bool,
    pub(crate) bucket: String,
    pub(crate) value: Vec<u8>,
}

/// Collects the facts of one event.
#[derive(Debug)]
pub struct Facts<'a> {
    pub(crate) seq: u64,
    bucket: &'a str,
    rows: Vec<Row>,
}

/// The first fact of a day of those that say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Daily<T> {
    /// When it became true.
    pub(crate) at: i64,
    /// The event that says so.
    pub(crate) seq: u64,
    /// What it says.
    pub(crate) said: T,
}

/// The longest entity in bytes; a longer one is cut, so that no sender can make keys without limit.
const ENTITY_BYTES_MAX: usize = 512;

impl<'a> Facts<'a> {
    pub(crate) const fn of(observed: &Observed<'a>) -> Self {
        Self { seq: observed.seq, bucket: observed.bucket, rows: Vec::new() }
    }

    /// Adds a fact about `entity` that became true at `at` (microseconds since the epoch).
    pub fn put(&mut self, table: Table, entity: &str, at: i64, value: &impl Serialize) {
        let nth = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        let value = serde_json::to_vec(value).expect("facts have text keys only");
        let key = key(table, entity, at, self.seq, nth);
        self.rows.push(Row { key, keep_first: false, bucket: self.bucket.to_owned(), value });
    }

    /// Adds a fact that repeats with almost every event, such as a name: of equal ones only the first of a day is kept.
    /// It is read back at the start of its day (UTC), with this event's `seq` and time beside what it says.
    pub(crate) fn put_daily(&mut self, table: Table, entity: &str, at: i64, value: &impl Serialize) {
        const DAY: i64 = 86_400_000_000;
        let said = serde_json::to_vec(value).expect("facts have text keys only");
        let digest = Sha256::new().chain_update(&said).chain_update(self.bucket).finalize();
        let same = u64::from_be_bytes(digest[..8].try_into().expect("a digest is longer"));
        let daily = Daily { at, seq: self.seq, said: value };
        let value = serde_json::to_vec(&daily).expect("facts have text keys only");
        let key = key(table, entity, at.div_euclid(DAY) * DAY, same, 0);
        self.rows.push(Row { key, keep_first: true, bucket: self.bucket.to_owned(), value });
    }

    pub(crate) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

/// Returns the bytes before the time in the keys of an entity.
pub(crate) fn prefix(table: Table, entity: &str) -> Vec<u8> {
    let entity = &entity.as_bytes()[..entity.len().min(ENTITY_BYTES_MAX)];
    let mut key = Vec::with_capacity(entity.len() + 21);
    key.push(table as u8);
    // A zero byte ends the entity, so none may stand in it; JSON text can hold one, identifiers never need it.
    key.extend(entity.iter().map(|byte| if *byte == 0 { 1 } else { *byte }));
    key.push(0);
    key
}

/// Sorts like the numbers it stands for.
pub(crate) const fn time_key(at: i64) -> [u8; 8] {
    (at.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn key(table: Table, entity: &str, at: i64, seq: u64, nth: u16) -> Vec<u8> {
    let mut key = prefix(table, entity);
    key.extend_from_slice(&time_key(at));
    key.extend_from_slice(&seq.to_be_bytes());
    key.extend_from_slice(&nth.to_be_bytes());
    key
}

/// Reads time and `seq` back from a key.
pub(crate) fn at_and_seq(key: &[u8]) -> Option<(i64, u64)> {
    let tail = key.get(key.len().checked_sub(18)?..)?;
    let at = u64::from_be_bytes(tail[..8].try_into().ok()?) ^ (1 << 63);
    Some((at.cast_signed(), u64::from_be_bytes(tail[8..16].try_into().ok()?)))
}
