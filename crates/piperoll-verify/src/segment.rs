//! A segment in memory, and the events in it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use piperoll_format::{
    ChainHash, EventCore, LedgerId, ObjectDigest, ObjectEntry, ObjectName, ObjectType, RetainUntil,
    SIGNATURE_LEN, Segment, SegmentNo, Seq, cbor, chain_hash,
};
use piperoll_tlog::hash::{NodeHash, leaf_hash};

use crate::error::{Damage, ReadError};

/// Bytes from the start of a segment in which its number and first `seq` are, with room to spare.
pub(crate) const HEADER_BYTES: u64 = 64;

/// A decoded segment that owns its bytes. Its cores are decoded when they are asked for.
#[derive(Debug)]
pub struct SegmentData {
    bytes: Bytes,
    number: SegmentNo,
    first_seq: Seq,
    retain_until: RetainUntil,
    frontier: Vec<NodeHash>,
    cores: Vec<Range<u32>>,
    signatures_start: usize,
    objects: Vec<Arc<ObjectEntry>>,
    chain_head: ChainHash,
    checkpoint: Range<usize>,
}

impl SegmentData {
    /// Decodes the bytes found under the name of segment `number` of `ledger`.
    ///
    /// Nothing but format and place is checked; signatures, chain and tree are the verifier's.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when they are no segment, or another one.
    pub fn decode(bytes: Bytes, ledger: LedgerId, number: SegmentNo) -> Result<Self, ReadError> {
        let name = ObjectName::Segment(number);
        let segment = Segment::decode(&bytes).map_err(|error| ReadError::damaged(&name, None, error))?;
        if (segment.ledger, segment.number) != (ledger, number) {
            let expected = format!("segment {number} of ledger {ledger}");
            let found = format!("segment {} of ledger {}", segment.number, segment.ledger);
            return Err(ReadError::damaged(&name, None, Damage::Place { expected, found }));
        }
        let start = |part: &[u8]| part.as_ptr().addr() - bytes.as_ptr().addr();
        let range = |core: &&[u8]| -> Option<Range<u32>> {
            let from = u32::try_from(start(core)).ok()?;
            Some(from..from.checked_add(u32::try_from(core.len()).ok()?)?)
        };
        let cores: Option<Vec<_>> = segment.cores.iter().map(range).collect();
        let checkpoint = start(segment.checkpoint.as_bytes());
        Ok(Self {
            number,
            first_seq: segment.first_seq,
            retain_until: segment.retain_until,
            frontier: segment.frontier.iter().copied().map(NodeHash).collect(),
            cores: cores.expect("16384 cores of at most 64 KiB end below 4 GiB"),
            signatures_start: start(segment.signatures),
            objects: segment.objects.into_iter().map(Arc::new).collect(),
            chain_head: segment.chain_head,
            checkpoint: checkpoint..checkpoint + segment.checkpoint.len(),
            bytes,
        })
    }

    /// Returns the segment's number.
    #[must_use]
    pub const fn number(&self) -> SegmentNo {
        self.number
    }

    /// Returns the position of the first event.
    #[must_use]
    pub const fn first_seq(&self) -> Seq {
        self.first_seq
    }

    /// Returns the position after the last event.
    #[must_use]
    pub const fn end_seq(&self) -> Seq {
        Seq(self.first_seq.0 + self.cores.len() as u64)
    }

    /// Returns the segment's own lock, as it records it.
    #[must_use]
    pub const fn retain_until(&self) -> RetainUntil {
        self.retain_until
    }

    /// Returns the tree before the segment: the roots of its perfect subtrees, largest first.
    #[must_use]
    pub fn frontier(&self) -> &[NodeHash] {
        &self.frontier
    }

    /// Returns the packs and key objects that the segment names.
    #[must_use]
    pub fn objects(&self) -> &[Arc<ObjectEntry>] {
        &self.objects
    }

    /// Returns the chain hash of the last event, as the segment states it.
    #[must_use]
    pub const fn chain_head(&self) -> ChainHash {
        self.chain_head
    }

    /// Returns the signed checkpoint after the segment: a C2SP note.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        str::from_utf8(&self.bytes[self.checkpoint.clone()])
            .expect("it was text when the segment was decoded")
    }

    /// Returns the encoded segment.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the BLAKE3 digest of the encoded segment.
    #[must_use]
    pub fn digest(&self) -> ObjectDigest {
        ObjectDigest::of(&self.bytes)
    }

    /// Returns the encoded core of the event at `seq`, if the segment has it.
    #[must_use]
    pub fn core_bytes(&self, seq: Seq) -> Option<&[u8]> {
        let range = self.cores.get(self.index(seq)?)?;
        Some(&self.bytes[range.start as usize..range.end as usize])
    }

    /// Decodes the event at `seq`.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when its core is not valid or belongs elsewhere, [`ReadError::NoEvent`] when the
    /// segment does not have it.
    pub fn event(&self, seq: Seq) -> Result<StoredEvent, ReadError> {
        let (index, bytes) = self
            .index(seq)
            .zip(self.core_bytes(seq))
            .ok_or(ReadError::NoEvent { seq, size: self.end_seq().0 })?;
        let name = ObjectName::Segment(self.number);
        let core = EventCore::decode(bytes).map_err(|error| ReadError::damaged(&name, Some(seq), error))?;
        if core.seq != seq {
            let damage =
                Damage::Place { expected: format!("event {seq}"), found: format!("event {}", core.seq) };
            return Err(ReadError::damaged(&name, Some(seq), damage));
        }
        let signature = &self.bytes[self.signatures_start + index * SIGNATURE_LEN..][..SIGNATURE_LEN];
        Ok(StoredEvent {
            signature: signature.try_into().expect("the slice has the length of a signature"),
            core_bytes: self.bytes.slice_ref(bytes),
            segment: self.number,
            pack: self.pack_of(&core),
            core,
        })
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        usize::try_from(seq.0.checked_sub(self.first_seq.0)?).ok().filter(|index| *index < self.cores.len())
    }

    fn pack_of(&self, core: &EventCore) -> Option<Arc<ObjectEntry>> {
        self.objects.iter().find(|entry| is_pack_of(entry, core)).cloned()
    }

    /// Returns about how much memory the segment takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + self.cores.len() * size_of::<Range<u32>>() + 4_096
    }
}

/// Tells whether a core's payload is in the pack of this entry.
pub(crate) fn is_pack_of(entry: &ObjectEntry, core: &EventCore) -> bool {
    entry.object == ObjectType::Pack
        && entry.digest.prefix() == core.payload.pack
        && *entry.bucket.class() == core.class
}

/// Reads number and first `seq` from the first [`HEADER_BYTES`] of a segment.
pub(crate) fn read_header(bytes: &[u8], number: SegmentNo) -> Result<Seq, ReadError> {
    let read = || {
        let mut reader = cbor::Reader::new(bytes);
        let mut map = reader.map()?;
        map.required(1, "version (key 1)")?.uint()?;
        map.required(2, "ledger (key 2)")?.bytes()?;
        let found = map.required(3, "segment number (key 3)")?.uint()?;
        Ok((found, map.required(4, "first seq (key 4)")?.uint()?))
    };
    let name = ObjectName::Segment(number);
    let (found, first) =
        read().map_err(|error: piperoll_format::DecodeError| ReadError::damaged(&name, None, error))?;
    if found != number.0 {
        let damage =
            Damage::Place { expected: format!("segment {number}"), found: format!("segment {found}") };
        return Err(ReadError::damaged(&name, None, damage));
    }
    Ok(Seq(first))
}

/// An event as it stands in the store, without its payload.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// The decoded core.
    pub core: EventCore,
    /// The encoded core: what is chained, signed and hashed. It shares the memory of its segment.
    pub core_bytes: Bytes,
    /// The Ed25519 signature over [`piperoll_format::signed_bytes`] of the core.
    pub signature: [u8; SIGNATURE_LEN],
    /// The segment that holds it.
    pub segment: SegmentNo,
    /// The pack that holds its payload; `None` when the segment names no fitting one, which is damage.
    pub pack: Option<Arc<ObjectEntry>>,
}

impl StoredEvent {
    /// Returns the event's position.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.core.seq
    }

    /// Returns the event's chain hash, its short identity.
    #[must_use]
    pub fn chain_hash(&self) -> ChainHash {
        chain_hash(&self.core_bytes)
    }

    /// Returns the event's leaf hash in the tree.
    #[must_use]
    pub fn leaf_hash(&self) -> NodeHash {
        leaf_hash(&self.core_bytes)
    }
}
