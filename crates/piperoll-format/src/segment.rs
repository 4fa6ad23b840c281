//! The segment: the cores and signatures of one commit. Creating it is the commit (`FORMAT.md` section 8).
//!
//! | key | value |
//! |---|---|
//! | 1 | format version, 1 |
//! | 2 | ledger id |
//! | 3 | segment number |
//! | 4 | `seq` of the first event |
//! | 5 | digest of the segment before; for segment 0 that of the genesis object |
//! | 6 | retain-until of this segment, microseconds |
//! | 7 | tree frontier before: array of 32-byte hashes, largest subtree first |
//! | 8 | cores: array of byte strings |
//! | 9 | signatures: one byte string of 64 bytes an event |
//! | 10 | objects: array of [type, class, period, digest, size, retain-until]; type 1 pack, 2 key object |
//! | 11 | chain hash of the last event |
//! | 12 | checkpoint after this segment: C2SP signed note, text |

use crate::cbor::{Reader, Writer};
use crate::class::Bucket;
use crate::error::DecodeError;
use crate::event::{FORMAT_VERSION, read_version};
use crate::id::{ChainHash, LedgerId, ObjectDigest, SegmentNo, Seq};
use crate::name::ObjectName;
use crate::payload::{expect_count, read_list};
use crate::time::{RetainUntil, Timestamp};

/// Length of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

/// Most events that one segment holds.
pub const SEGMENT_EVENTS_MAX: usize = 16_384;

/// A segment with everything but its events, which are borrowed from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The ledger.
    pub ledger: LedgerId,
    /// Its number.
    pub number: SegmentNo,
    /// The position of its first event.
    pub first_seq: Seq,
    /// Digest of the segment before it.
    pub previous: ObjectDigest,
    /// Its own lock.
    pub retain_until: RetainUntil,
    /// The tree before it, as the roots of its perfect subtrees.
    pub frontier: Vec<[u8; 32]>,
    /// The encoded cores.
    pub cores: Vec<&'a [u8]>,
    /// The signatures, 64 bytes an event.
    pub signatures: &'a [u8],
    /// The packs and key objects that its events need.
    pub objects: Vec<ObjectEntry>,
    /// The chain hash of its last event.
    pub chain_head: ChainHash,
    /// The signed checkpoint after it.
    pub checkpoint: &'a str,
}

/// What a segment says about a pack or key object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectEntry {
    /// What it is.
    pub object: ObjectType,
    /// Its bucket.
    pub bucket: Bucket,
    /// Its BLAKE3 digest.
    pub digest: ObjectDigest,
    /// Its size in bytes.
    pub size: u64,
    /// Its lock.
    pub retain_until: RetainUntil,
}

/// The two types of objects that segments name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectType {
    /// Stored payloads.
    Pack,
    /// Wrapped keys.
    Keys,
}

impl ObjectEntry {
    /// Returns the object's name in the ledger.
    #[must_use]
    pub fn name(&self, segment: SegmentNo) -> ObjectName {
        let (bucket, digest) = (self.bucket.clone(), self.digest.prefix());
        match self.object {
            ObjectType::Pack => ObjectName::Pack { bucket, segment, digest },
            ObjectType::Keys => ObjectName::Keys { bucket, segment, digest },
        }
    }
}

impl<'a> Segment<'a> {
    /// Encodes the segment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let cores: usize = self.cores.iter().map(|core| core.len() + 3).sum();
        let mut w = Writer::with_capacity(cores + self.signatures.len() + 1_024 + 96 * self.objects.len());
        w.map(12).uint(1).uint(FORMAT_VERSION).uint(2).bytes(&self.ledger.0);
        w.uint(3).uint(self.number.0).uint(4).uint(self.first_seq.0);
        w.uint(5).bytes(&self.previous.0).uint(6).uint(self.retain_until.0.0);
        w.uint(7).array(self.frontier.len());
        for hash in &self.frontier {
            w.bytes(hash);
        }
        w.uint(8).array(self.cores.len());
        for core in &self.cores {
            w.bytes(core);
        }
        w.uint(9).bytes(self.signatures);
        w.uint(10).array(self.objects.len());
        for object in &self.objects {
            object.encode(&mut w);
        }
        w.uint(11).bytes(&self.chain_head.0).uint(12).text(self.checkpoint);
        w.into_bytes()
    }

    /// Decodes a segment. Cores stay undecoded; one signature for each is guaranteed.
    ///
    /// # Errors
    /// [`DecodeError`] naming the byte where it leaves the format.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        read_version(map.required(1, "version (key 1)")?)?;
        let segment = Self {
            ledger: LedgerId::from_slice(map.required(2, "ledger (key 2)")?.bytes()?)?,
            number: SegmentNo(map.required(3, "segment number (key 3)")?.uint()?),
            first_seq: Seq(map.required(4, "first seq (key 4)")?.uint()?),
            previous: ObjectDigest::from_slice(map.required(5, "previous digest (key 5)")?.bytes()?)?,
            retain_until: RetainUntil(Timestamp(map.required(6, "retain-until (key 6)")?.uint()?)),
            frontier: read_list(map.required(7, "frontier (key 7)")?, |reader| {
                ObjectDigest::from_slice(reader.bytes()?).map(|hash| hash.0)
            })?,
            cores: read_list(map.required(8, "cores (key 8)")?, Reader::bytes)?,
            signatures: map.required(9, "signatures (key 9)")?.bytes()?,
            objects: read_list(map.required(10, "objects (key 10)")?, ObjectEntry::decode)?,
            chain_head: ChainHash::from_slice(map.required(11, "chain head (key 11)")?.bytes()?)?,
            checkpoint: map.required(12, "checkpoint (key 12)")?.text()?,
        };
        map.end()?;
        reader.finish()?;
        segment.check_counts()?;
        Ok(segment)
    }

    fn check_counts(&self) -> Result<(), DecodeError> {
        if self.number > SegmentNo::MAX {
            return Err(DecodeError::Range { what: "segment number", expected: "at most twelve digits" });
        }
        if self.cores.is_empty() || self.cores.len() > SEGMENT_EVENTS_MAX {
            return Err(DecodeError::Range { what: "cores", expected: "1 to 16384 events" });
        }
        if self.first_seq.0.checked_add(self.cores.len() as u64).is_none() {
            return Err(DecodeError::Range { what: "first seq", expected: "room for every event" });
        }
        if self.signatures.len() != self.cores.len() * SIGNATURE_LEN {
            return Err(DecodeError::Length {
                what: "signatures",
                expected: self.cores.len() * SIGNATURE_LEN,
                found: self.signatures.len(),
            });
        }
        Ok(())
    }

    /// Returns the signature of the event at `index` in the segment.
    #[must_use]
    pub fn signature(&self, index: usize) -> Option<&'a [u8; SIGNATURE_LEN]> {
        self.signatures.as_chunks().0.get(index)
    }

    /// Returns the position after the last event.
    #[must_use]
    pub fn end_seq(&self) -> Seq {
        Seq(self.first_seq.0 + self.cores.len() as u64)
    }
}

impl ObjectEntry {
    fn encode(&self, w: &mut Writer) {
        let code = match self.object {
            ObjectType::Pack => 1,
            ObjectType::Keys => 2,
        };
        w.array(6).uint(code).text(self.bucket.class().as_str()).text(self.bucket.label());
        w.bytes(&self.digest.0).uint(self.size).uint(self.retain_until.0.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_count(reader, 6)?;
        let object = match reader.uint()? {
            1 => ObjectType::Pack,
            2 => ObjectType::Keys,
            _ => return Err(DecodeError::Range { what: "object type", expected: "1 or 2" }),
        };
        let bucket = Bucket::new(reader.text()?.parse()?, reader.text()?)?;
        let digest = ObjectDigest::from_slice(reader.bytes()?)?;
        Ok(Self {
            object,
            bucket,
            digest,
            size: reader.uint()?,
            retain_until: RetainUntil(Timestamp(reader.uint()?)),
        })
    }
}
