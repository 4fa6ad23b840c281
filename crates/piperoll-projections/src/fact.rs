//! Facts: what one event says about one entity at one time.

use std::io::Write as _;

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
    /// Entity: `<number>:<counterpart>` as in [`Message::conversation`]. Everything that belongs to it. Not listed.
    Conversation = 3,
    /// Entity: the source id (wamid) of a message. Events that are about it: itself, statuses, edits, reactions.
    /// Not listed.
    Item = 4,
    /// Entity: an alias of a person. Signals of consent.
    Consent = 5,
    /// Entity: a template's name. Snapshots, status and category changes.
    Template = 6,
    /// Entity: a journal id of a send. Request and answer.
    Send = 7,
    /// Entity: a business number's id. What opens, closes or degrades its capture.
    Coverage = 8,
    /// Entity: a business number's id. What was received, for its rhythm.
    Rhythm = 9,
    /// Entity: a business number's id. References to items that were not seen when they were made.
    Dangling = 10,
    /// Entity: `<message seq>`: what became of its attachments. `<captured seq>`: that its text was taken out.
    /// `@named` and `@captured`: attachments in the ledger's order.
    Media = 11,
    /// Entity: a business number's id. The state of its history synchronisation.
    History = 12,
    /// Entity: a day as `2026-11-22`. Findings.
    Finding = 13,
    /// Entity: always the same. Completed disposals.
    Disposal = 14,
    /// Entity: what was asked of the platform (`phone_number:<id>`, `template:<id>`). The digest of its answer.
    /// `@told`: templates that webhooks are about, in the ledger's order.
    Observed = 15,
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

/// Facts as they are stored, of as many events as fit together.
///
/// All bytes lie one behind the other: facts by the million, each with memory of its own, would cost more to allocate
/// than to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    bytes: Vec<u8>,
    rows: Vec<Slot>,
    /// The buckets of the rows; of neighbours that have the same, one.
    buckets: Vec<String>,
}

/// Where the value and, right behind it, the key of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// The first bytes of the key: most comparisons need no others.
    begin: [u64; 2],
    value: u32,
    key: u32,
    end: u32,
    bucket: u32,
    keep_first: bool,
}

/// One of [`Rows`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// The first bytes of the key, which sort as it does.
    pub(crate) begin: [u64; 2],
    pub(crate) key: &'a [u8],
    /// Whether a fact that already has this key stays instead.
    pub(crate) keep_first: bool,
    /// Its bucket's position among [`Rows::buckets`].
    pub(crate) bucket: usize,
    pub(crate) value: &'a [u8],
}

impl Rows {
    /// Returns none, with memory for those of so many events as they usually are.
    #[must_use]
    pub fn of_events(events: usize) -> Self {
        const ROWS: usize = 4;
        const BYTES: usize = 700;
        let (bytes, rows) = (Vec::with_capacity(events * BYTES), Vec::with_capacity(events * ROWS));
        Self { bytes, rows, buckets: Vec::new() }
    }

    /// Returns how many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns about how much memory they take, in bytes.
    #[must_use]
    pub const fn weight(&self) -> usize {
        self.bytes.capacity() + self.rows.capacity() * size_of::<Slot>()
    }

    /// Orders the rows by key; of rows with one key the first stays the first. What is in order is added faster.
    pub fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |slot: &Slot| &bytes[slot.key as usize..slot.end as usize];
        self.rows.sort_by(|a, b| a.begin.cmp(&b.begin).then_with(|| key(a).cmp(key(b))));
    }

    /// Returns the buckets of the rows.
    pub(crate) fn buckets(&self) -> &[String] {
        &self.buckets
    }

    /// Returns a row.
    pub(crate) fn get(&self, at: usize) -> Row<'_> {
        let slot = &self.rows[at];
        Row {
            begin: slot.begin,
            key: &self.bytes[slot.key as usize..slot.end as usize],
            keep_first: slot.keep_first,
            bucket: slot.bucket as usize,
            value: &self.bytes[slot.value as usize..slot.key as usize],
        }
    }

    /// Adds a row: a key behind the value, which is what follows `value` in the bytes.
    fn push(&mut self, value: u32, key: &Key<'_>, keep_first: bool, bucket: &str) {
        let at = self.end();
        key.write(&mut self.bytes);
        if self.buckets.last().is_none_or(|last| last != bucket) {
            self.buckets.push(bucket.to_owned());
        }
        let bucket = u32::try_from(self.buckets.len() - 1).expect("there are no more buckets than rows");
        let begin = begin(&self.bytes[at as usize..]);
        self.rows.push(Slot { begin, value, key: at, end: self.end(), bucket, keep_first });
    }

    fn end(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("what is folded at a time fits memory many times")
    }
}

/// Collects the facts of one event.
#[derive(Debug)]
pub struct Facts<'a> {
    pub(crate) seq: u64,
    bucket: &'a str,
    rows: &'a mut Rows,
    /// The rows that were there before.
    before: usize,
}

/// The first fact of a day of those that say the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Daily<T> {
    /// When it became true.
    pub(crate) at: i64,
    /// The event that says so.
    pub(crate) seq: u64,
    /// What it says.
    pub(crate) said: T,
}

/// Bytes of a digest that stand for an entity.
const DIGEST_BYTES: usize = 16;

/// The longest entity in bytes; a longer one is cut, so that no sender can make keys without limit.
const ENTITY_BYTES_MAX: usize = 512;

impl<'a> Facts<'a> {
    pub(crate) const fn of(observed: &Observed<'a>, rows: &'a mut Rows) -> Self {
        let before = rows.len();
        Self { seq: observed.seq, bucket: observed.bucket, rows, before }
    }

    /// Adds a fact about `entity` that became true at `at` (microseconds since the epoch).
    pub fn put(&mut self, table: Table, entity: &str, at: i64, value: &impl Serialize) {
        let nth = u16::try_from(self.rows.len() - self.before).unwrap_or(u16::MAX);
        let start = self.rows.end();
        serde_json::to_writer(&mut self.rows.bytes, value).expect("facts have text keys only");
        self.rows.push(start, &Key { table, entity, at, last: self.seq, nth }, false, self.bucket);
    }

    /// Adds a fact that repeats with almost every event, such as a name: of equal ones only the first of a day is kept.
    /// It is read back at the start of its day (UTC), with this event's `seq` and time beside what it says.
    pub(crate) fn put_daily(&mut self, table: Table, entity: &str, at: i64, value: &impl Serialize) {
        const DAY: i64 = 86_400_000_000;
        let start = self.rows.end();
        let bytes = &mut self.rows.bytes;
        // A `Daily` in JSON, of which the last member says whether two are equal.
        write!(bytes, r#"{{"at":{at},"seq":{},"said":"#, self.seq).expect("memory takes every byte");
        let said = bytes.len();
        serde_json::to_writer(&mut *bytes, value).expect("facts have text keys only");
        let digest = Sha256::new().chain_update(&bytes[said..]).chain_update(self.bucket).finalize();
        bytes.push(b'}');
        let last = u64::from_be_bytes(digest[..8].try_into().expect("a digest is longer"));
        let key = Key { table, entity, at: at.div_euclid(DAY) * DAY, last, nth: 0 };
        self.rows.push(start, &key, true, self.bucket);
    }
}

/// Returns the first bytes of a key as numbers. They sort as keys do, as far as they differ: no key is the start of
/// another one, nor so short.
fn begin(key: &[u8]) -> [u64; 2] {
    let number =
        |at: usize| key.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
    [number(0), number(8)]
}

/// The key of a fact: its table and entity, its time, and what tells it from others of that time.
struct Key<'a> {
    table: Table,
    entity: &'a str,
    at: i64,
    last: u64,
    nth: u16,
}

impl Key<'_> {
    fn write(&self, bytes: &mut Vec<u8>) {
        write_prefix(self.table, self.entity, bytes);
        bytes.extend_from_slice(&time_key(self.at));
        bytes.extend_from_slice(&self.last.to_be_bytes());
        bytes.extend_from_slice(&self.nth.to_be_bytes());
    }
}

/// Returns the bytes before the time in the keys of an entity.
pub(crate) fn prefix(table: Table, entity: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(entity.len().min(ENTITY_BYTES_MAX) + 21);
    write_prefix(table, entity, &mut key);
    key
}

fn write_prefix(table: Table, entity: &str, key: &mut Vec<u8>) {
    if matches!(table, Table::Conversation | Table::Item) {
        // Long and many, and never listed: their digest takes less, and tells them apart by its first bytes.
        key.push(table as u8);
        key.extend_from_slice(&Sha256::digest(entity)[..DIGEST_BYTES]);
        return;
    }
    let entity = &entity.as_bytes()[..entity.len().min(ENTITY_BYTES_MAX)];
    key.push(table as u8);
    // A zero byte ends the entity, so none may stand in it; JSON text can hold one, identifiers never need it.
    key.extend(entity.iter().map(|byte| if *byte == 0 { 1 } else { *byte }));
    key.push(0);
}

/// Sorts like the numbers it stands for.
pub(crate) const fn time_key(at: i64) -> [u8; 8] {
    (at.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// Reads time and `seq` back from a key.
pub(crate) fn at_and_seq(key: &[u8]) -> Option<(i64, u64)> {
    let tail = key.get(key.len().checked_sub(18)?..)?;
    let at = u64::from_be_bytes(tail[..8].try_into().ok()?) ^ (1 << 63);
    Some((at.cast_signed(), u64::from_be_bytes(tail[8..16].try_into().ok()?)))
}
