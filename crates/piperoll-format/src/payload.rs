//! The payload: the exact captured bytes and where they came from (`FORMAT.md` section 5).
//!
//! | key | value |
//! |---|---|
//! | 1 | parts: array of byte strings, the captured bytes |
//! | 2 | provenance: {1 source, 2 received_at?, 3 media type, 4 signature header?, 5 signature key id?} |
//! | 3 | facts: {1 subject?, 2 source id?, 3 number?, 4 occurred_at?, 5 flags?, 6 class reason?, 7 conflicts with?} |
//! | 4 | placement of an item: {1 delivery seq?, 2 ranges: [start, end, …]} |
//! | 5 | skeleton of a delivery: {1 body length, 2 items: [[seq, part ranges …] …]} |

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::cbor::{Reader, Writer};
use crate::error::DecodeError;
use crate::id::{Commitment, Seq};
use crate::time::Timestamp;

/// Length of the salt of a commitment.
pub const SALT_LEN: usize = 32;

/// What was captured, with its provenance. Stored encrypted; dies with its subject's key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// The exact captured bytes: one part for a whole body, otherwise the slices of one item in order, or the
    /// skeleton of a delivery as one part.
    pub parts: Vec<Vec<u8>>,
    /// Who sent the bytes and how that was checked.
    pub provenance: Provenance,
    /// What was found without understanding the content.
    pub facts: Facts,
    /// For an item: where its bytes are.
    pub placement: Option<Placement>,
    /// For a delivery: where its items' bytes belong.
    pub skeleton: Option<Skeleton>,
}

/// Where captured bytes came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The sender's module, such as `whatsapp`, `api` or `piperoll`.
    pub source: String,
    /// When the first byte of the request arrived; `None` for the archive's own events.
    pub received_at: Option<Timestamp>,
    /// The media type of the parts taken together.
    pub media_type: String,
    /// The signature header as received.
    pub signature: Option<String>,
    /// The id of the secret that verified the signature.
    pub signature_key: Option<String>,
}

/// What was known about an item when it was captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The natural person, such as `wa:15550100`.
    pub subject: Option<String>,
    /// The sender's identity of the fact.
    pub source_id: Option<String>,
    /// The business number's id.
    pub number: Option<String>,
    /// When it happened according to the sender, microseconds since the epoch, possibly absurd.
    pub occurred_at: Option<i64>,
    /// Oddities found when splitting.
    pub flags: Vec<String>,
    /// Why the retention class was chosen.
    pub class_reason: Option<String>,
    /// The event that has the same source id but other bytes.
    pub conflicts_with: Option<Seq>,
}

/// Where an item's bytes are: in its own single part (the whole body), or cut out of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The `delivery` event that holds the rest of the body; `None` when the part is the whole body.
    pub delivery: Option<Seq>,
    /// The item's byte ranges in the body, ascending and disjoint.
    pub ranges: Vec<Range<u64>>,
}

/// The rest of a delivery after its items were cut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeleton {
    /// Length of the whole body in bytes.
    pub body_length: u64,
    /// Which event fills which ranges of the body.
    pub items: Vec<SkeletonItem>,
}

/// The place of one item in a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkeletonItem {
    /// The event that holds the bytes; an earlier one when the item was a repeat.
    pub seq: Seq,
    /// The item's byte ranges in the body.
    pub ranges: Vec<Range<u64>>,
}

impl Payload {
    /// Encodes the payload; the result is what the commitment covers.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(&self.parts)
    }

    /// Encodes the payload as if it had these parts, which may be large and need not be copied first.
    #[must_use]
    pub fn encode_with(&self, parts: &[Vec<u8>]) -> Vec<u8> {
        let size: usize = parts.iter().map(Vec::len).sum();
        let mut w = Writer::with_capacity(size + 256);
        w.map(3 + usize::from(self.placement.is_some()) + usize::from(self.skeleton.is_some()));
        w.uint(1).array(parts.len());
        for part in parts {
            w.bytes(part);
        }
        w.uint(2);
        self.provenance.encode(&mut w);
        w.uint(3);
        self.facts.encode(&mut w);
        if let Some(placement) = &self.placement {
            w.uint(4).map(1 + usize::from(placement.delivery.is_some()));
            if let Some(delivery) = placement.delivery {
                w.uint(1).uint(delivery.0);
            }
            w.uint(2);
            write_ranges(&mut w, &placement.ranges);
        }
        if let Some(skeleton) = &self.skeleton {
            w.uint(5).map(2).uint(1).uint(skeleton.body_length);
            w.uint(2).array(skeleton.items.len());
            for item in &skeleton.items {
                w.array(2).uint(item.seq.0);
                write_ranges(&mut w, &item.ranges);
            }
        }
        w.into_bytes()
    }

    /// Copies everything but the parts.
    #[must_use]
    pub fn clone_without_parts(&self) -> Self {
        Self {
            parts: Vec::new(),
            provenance: self.provenance.clone(),
            facts: self.facts.clone(),
            placement: self.placement.clone(),
            skeleton: self.skeleton.clone(),
        }
    }

    /// Returns a length in bytes that the encoded payload does not exceed, without encoding it.
    #[must_use]
    pub fn encoded_len_max(&self) -> u64 {
        // A key and the head of a value take at most 10 bytes, and a range two numbers of at most 9.
        let text = |text: &Option<String>| text.as_ref().map_or(0, |text| 10 + text.len());
        let ranges = |ranges: &[Range<u64>]| 10 + 18 * ranges.len();
        let (provenance, facts) = (&self.provenance, &self.facts);
        let parts: usize = self.parts.iter().map(|part| 9 + part.len()).sum();
        let texts = provenance.source.len() + provenance.media_type.len() + text(&provenance.signature);
        let texts = texts + text(&provenance.signature_key) + text(&facts.subject) + text(&facts.source_id);
        let texts = texts + text(&facts.number) + text(&facts.class_reason);
        let flags: usize = facts.flags.iter().map(|flag| 9 + flag.len()).sum();
        let placement = self.placement.as_ref().map_or(0, |placement| 20 + ranges(&placement.ranges));
        let skeleton = self.skeleton.as_ref().map_or(0, |skeleton| {
            40 + skeleton.items.iter().map(|item| 10 + ranges(&item.ranges)).sum::<usize>()
        });
        // The map itself, and what has a fixed length in it.
        (128 + parts + texts + flags + placement + skeleton) as u64
    }

    /// Decodes a payload.
    ///
    /// # Errors
    /// [`DecodeError`] naming the byte where the payload leaves the format.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        let parts = read_list(map.required(1, "parts (key 1)")?, |r| r.bytes().map(<[u8]>::to_vec))?;
        let provenance = Provenance::decode(map.required(2, "provenance (key 2)")?)?;
        let facts = Facts::decode(map.required(3, "facts (key 3)")?)?;
        let placement = map.optional(4)?.map(Placement::decode).transpose()?;
        let skeleton = map.optional(5)?.map(Skeleton::decode).transpose()?;
        map.end()?;
        reader.finish()?;
        Ok(Self { parts, provenance, facts, placement, skeleton })
    }

    /// Returns the item's own bytes as slices, whichever way it is stored. Two deliveries of the same fact have
    /// equal slices even when the sender put them into different bodies.
    ///
    /// # Errors
    /// [`DecodeError::Range`] when the placement points outside the body.
    pub fn item_slices(&self) -> Result<Vec<&[u8]>, DecodeError> {
        let (Some(Placement { delivery: None, ranges }), [body]) = (&self.placement, &self.parts[..]) else {
            return Ok(self.parts.iter().map(Vec::as_slice).collect());
        };
        ranges.iter().map(|range| slice(body, range)).collect()
    }
}

/// Computes the commitment of payload bytes.
#[must_use]
pub fn commitment(salt: &[u8; SALT_LEN], payload: &[u8]) -> Commitment {
    Commitment(Sha256::new().chain_update(salt).chain_update(payload).finalize().into())
}

/// Puts the body of a delivery together again from its skeleton and its items' parts, given in the skeleton's order.
///
/// # Errors
/// [`DecodeError::Range`] when the pieces do not fill the body exactly.
pub fn rebuild_body(skeleton: &Skeleton, rest: &[u8], items: &[Vec<&[u8]>]) -> Result<Vec<u8>, DecodeError> {
    let misfit = DecodeError::Range { what: "skeleton", expected: "pieces that fill the body exactly" };
    let mut pieces: Vec<(&Range<u64>, &[u8])> = Vec::new();
    if skeleton.items.len() != items.len() {
        return Err(misfit);
    }
    for (item, slices) in skeleton.items.iter().zip(items) {
        if item.ranges.len() != slices.len() {
            return Err(misfit);
        }
        pieces.extend(item.ranges.iter().zip(slices.iter().copied()));
    }
    // By the end as well, so that an empty range stands before the one that starts where it does.
    pieces.sort_by_key(|(range, _)| (range.start, range.end));
    let mut body = Vec::new();
    let mut rest = rest;
    for (range, piece) in pieces {
        let gap = usize::try_from(range.start).ok().and_then(|start| start.checked_sub(body.len()));
        let (before, after) = gap.and_then(|gap| rest.split_at_checked(gap)).ok_or(misfit.clone())?;
        if range.end.checked_sub(range.start) != Some(piece.len() as u64) {
            return Err(misfit);
        }
        body.extend_from_slice(before);
        body.extend_from_slice(piece);
        rest = after;
    }
    body.extend_from_slice(rest);
    if body.len() as u64 == skeleton.body_length { Ok(body) } else { Err(misfit) }
}

fn slice<'a>(body: &'a [u8], range: &Range<u64>) -> Result<&'a [u8], DecodeError> {
    let start = usize::try_from(range.start).unwrap_or(usize::MAX);
    let end = usize::try_from(range.end).unwrap_or(usize::MAX);
    body.get(start..end).ok_or(DecodeError::Range { what: "placement", expected: "ranges inside the body" })
}

impl Provenance {
    fn encode(&self, w: &mut Writer) {
        let optional = [self.received_at.is_some(), self.signature.is_some(), self.signature_key.is_some()];
        w.map(2 + count(&optional)).uint(1).text(&self.source);
        if let Some(at) = self.received_at {
            w.uint(2).uint(at.0);
        }
        w.uint(3).text(&self.media_type);
        write_text(w, 4, self.signature.as_deref());
        write_text(w, 5, self.signature_key.as_deref());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = reader.map()?;
        let provenance = Self {
            source: map.required(1, "source (key 1)")?.text()?.to_owned(),
            received_at: map.optional(2)?.map(Reader::uint).transpose()?.map(Timestamp),
            media_type: map.required(3, "media type (key 3)")?.text()?.to_owned(),
            signature: map.optional(4)?.map(Reader::text).transpose()?.map(str::to_owned),
            signature_key: map.optional(5)?.map(Reader::text).transpose()?.map(str::to_owned),
        };
        map.end()?;
        Ok(provenance)
    }
}

impl Facts {
    fn encode(&self, w: &mut Writer) {
        let optional = [
            self.subject.is_some(),
            self.source_id.is_some(),
            self.number.is_some(),
            self.occurred_at.is_some(),
            !self.flags.is_empty(),
            self.class_reason.is_some(),
            self.conflicts_with.is_some(),
        ];
        w.map(count(&optional));
        write_text(w, 1, self.subject.as_deref());
        write_text(w, 2, self.source_id.as_deref());
        write_text(w, 3, self.number.as_deref());
        if let Some(at) = self.occurred_at {
            w.uint(4).int(at);
        }
        if !self.flags.is_empty() {
            w.uint(5).array(self.flags.len());
            for flag in &self.flags {
                w.text(flag);
            }
        }
        write_text(w, 6, self.class_reason.as_deref());
        if let Some(seq) = self.conflicts_with {
            w.uint(7).uint(seq.0);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = reader.map()?;
        let facts = Self {
            subject: map.optional(1)?.map(Reader::text).transpose()?.map(str::to_owned),
            source_id: map.optional(2)?.map(Reader::text).transpose()?.map(str::to_owned),
            number: map.optional(3)?.map(Reader::text).transpose()?.map(str::to_owned),
            occurred_at: map.optional(4)?.map(Reader::int).transpose()?,
            flags: match map.optional(5)? {
                Some(value) => non_empty(read_list(value, |r| r.text().map(str::to_owned))?)?,
                None => Vec::new(),
            },
            class_reason: map.optional(6)?.map(Reader::text).transpose()?.map(str::to_owned),
            conflicts_with: map.optional(7)?.map(Reader::uint).transpose()?.map(Seq),
        };
        map.end()?;
        Ok(facts)
    }
}

impl Placement {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = reader.map()?;
        let delivery = map.optional(1)?.map(Reader::uint).transpose()?.map(Seq);
        let ranges = read_ranges(map.required(2, "ranges (key 2)")?)?;
        map.end()?;
        Ok(Self { delivery, ranges })
    }
}

impl Skeleton {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = reader.map()?;
        let body_length = map.required(1, "body length (key 1)")?.uint()?;
        let items = read_list(map.required(2, "items (key 2)")?, |reader| {
            expect_count(reader, 2)?;
            Ok(SkeletonItem { seq: Seq(reader.uint()?), ranges: read_ranges(reader)? })
        })?;
        map.end()?;
        Ok(Self { body_length, items })
    }
}

fn count(present: &[bool]) -> usize {
    present.iter().filter(|present| **present).count()
}

fn non_empty<T>(list: Vec<T>) -> Result<Vec<T>, DecodeError> {
    if list.is_empty() {
        return Err(DecodeError::Range { what: "flags", expected: "absent rather than empty" });
    }
    Ok(list)
}

fn write_text(w: &mut Writer, key: u64, value: Option<&str>) {
    if let Some(value) = value {
        w.uint(key).text(value);
    }
}

fn write_ranges(w: &mut Writer, ranges: &[Range<u64>]) {
    w.array(2 * ranges.len());
    for range in ranges {
        w.uint(range.start).uint(range.end);
    }
}

fn read_ranges(reader: &mut Reader<'_>) -> Result<Vec<Range<u64>>, DecodeError> {
    let bad = DecodeError::Range { what: "ranges", expected: "pairs, ascending and disjoint" };
    let bounds = reader.array()?;
    if bounds % 2 != 0 {
        return Err(bad);
    }
    let mut ranges: Vec<Range<u64>> = Vec::with_capacity(bounds / 2);
    for _ in 0..bounds / 2 {
        let range = reader.uint()?..reader.uint()?;
        if range.start > range.end || ranges.last().is_some_and(|last| last.end > range.start) {
            return Err(bad);
        }
        ranges.push(range);
    }
    Ok(ranges)
}

/// Reads an array of values.
pub(crate) fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.array()?;
    let mut list = Vec::with_capacity(count.min(4_096));
    for _ in 0..count {
        list.push(read(reader)?);
    }
    Ok(list)
}

/// Reads the head of an array that must have exactly `count` values.
pub(crate) fn expect_count(reader: &mut Reader<'_>, count: usize) -> Result<(), DecodeError> {
    match reader.array()? {
        found if found == count => Ok(()),
        found => Err(DecodeError::Length { what: "array", expected: count, found }),
    }
}
