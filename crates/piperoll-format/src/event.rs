//! The event core: what is chained, signed and hashed into the tree (`FORMAT.md` section 4).
//!
//! | key | value |
//! |---|---|
//! | 1 | format version, 1 |
//! | 2 | ledger id, 16 bytes |
//! | 3 | `seq` |
//! | 4 | chain hash of the event before, 32 bytes; for event 0 that of the genesis object |
//! | 5 | `recorded_at`, microseconds |
//! | 6 | kind, text |
//! | 7 | retention class, text |
//! | 8 | payload reference: {1 commitment, 2 length, 3 pack digest prefix, 4 offset, 5 stored length, 6 key id?, 7 pseudonym?} |
//! | 9 | source digest, 16 bytes, optional |
//! | 10 | writer key id, 4 bytes |

use crate::cbor::{Reader, Writer};
use crate::class::Class;
use crate::error::DecodeError;
use crate::id::{
    ChainHash, Commitment, DigestPrefix, KeyId, LedgerId, Pseudonym, Seq, SourceDigest, WriterKeyId,
};
use crate::kind::Kind;
use crate::time::Timestamp;

/// The only format version there is.
pub const FORMAT_VERSION: u64 = 1;

/// The largest core that fits a C2SP entry bundle.
pub const CORE_BYTES_MAX: usize = 65_535;

const CHAIN_CONTEXT: &str = "piperoll v1 chain";

/// What an event says without saying anything about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCore {
    /// The ledger it belongs to.
    pub ledger: LedgerId,
    /// Its position.
    pub seq: Seq,
    /// The chain hash of the event before.
    pub prev: ChainHash,
    /// When it was sequenced; never decreases in a ledger.
    pub recorded_at: Timestamp,
    /// What it records.
    pub kind: Kind,
    /// The retention class decided when it was captured.
    pub class: Class,
    /// Where its payload is and what the payload must hash to.
    pub payload: PayloadRef,
    /// Finds repeated deliveries; `None` for events without a sender.
    pub source_digest: Option<SourceDigest>,
    /// The key that signed it.
    pub writer: WriterKeyId,
}

/// A pointer into a pack, with the commitment that the payload must meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadRef {
    /// `SHA-256(salt ‖ payload bytes)`.
    pub commitment: Commitment,
    /// Length of the payload bytes, before compression and encryption.
    pub length: u64,
    /// Names the pack, together with class, period and segment number.
    pub pack: DigestPrefix,
    /// Offset of the stored payload in the pack.
    pub offset: u64,
    /// Length of the stored payload.
    pub stored: u64,
    /// The subject's key; `None` for the archive's own events without personal data, which are stored in clear.
    pub key: Option<KeyId>,
    /// Whose key it is; only in the first event that has the key, which thereby gives it to the subject.
    pub pseudonym: Option<Pseudonym>,
}

impl EventCore {
    /// Encodes the core; the result is what is chained, signed and hashed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(256);
        w.map(if self.source_digest.is_some() { 10 } else { 9 });
        w.uint(1).uint(FORMAT_VERSION);
        w.uint(2).bytes(&self.ledger.0);
        w.uint(3).uint(self.seq.0);
        w.uint(4).bytes(&self.prev.0);
        w.uint(5).uint(self.recorded_at.0);
        w.uint(6).text(self.kind.as_str());
        w.uint(7).text(self.class.as_str());
        w.uint(8);
        self.payload.encode(&mut w);
        if let Some(digest) = &self.source_digest {
            w.uint(9).bytes(&digest.0);
        }
        w.uint(10).bytes(&self.writer.0);
        w.into_bytes()
    }

    /// Decodes a core. Whatever is accepted encodes to the same bytes again.
    ///
    /// # Errors
    /// [`DecodeError`] naming the byte where the core leaves the format.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > CORE_BYTES_MAX {
            return Err(DecodeError::Range { what: "core", expected: "at most 65535 bytes" });
        }
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        read_version(map.required(1, "version (key 1)")?)?;
        let core = Self {
            ledger: LedgerId::from_slice(map.required(2, "ledger (key 2)")?.bytes()?)?,
            seq: Seq(map.required(3, "seq (key 3)")?.uint()?),
            prev: ChainHash::from_slice(map.required(4, "previous chain hash (key 4)")?.bytes()?)?,
            recorded_at: Timestamp(map.required(5, "recorded_at (key 5)")?.uint()?),
            kind: map.required(6, "kind (key 6)")?.text()?.parse()?,
            class: map.required(7, "class (key 7)")?.text()?.parse()?,
            payload: PayloadRef::decode(map.required(8, "payload (key 8)")?)?,
            source_digest: match map.optional(9)? {
                Some(value) => Some(SourceDigest::from_slice(value.bytes()?)?),
                None => None,
            },
            writer: WriterKeyId::from_slice(map.required(10, "writer key (key 10)")?.bytes()?)?,
        };
        map.end()?;
        reader.finish()?;
        Ok(core)
    }
}

impl PayloadRef {
    fn encode(&self, w: &mut Writer) {
        w.map(5 + usize::from(self.key.is_some()) + usize::from(self.pseudonym.is_some()));
        w.uint(1).bytes(&self.commitment.0);
        w.uint(2).uint(self.length);
        w.uint(3).bytes(&self.pack.0);
        w.uint(4).uint(self.offset);
        w.uint(5).uint(self.stored);
        if let Some(key) = &self.key {
            w.uint(6).bytes(&key.0);
        }
        if let Some(pseudonym) = &self.pseudonym {
            w.uint(7).bytes(&pseudonym.0);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = reader.map()?;
        let payload = Self {
            commitment: Commitment::from_slice(map.required(1, "commitment (key 1)")?.bytes()?)?,
            length: map.required(2, "length (key 2)")?.uint()?,
            pack: DigestPrefix::from_slice(map.required(3, "pack (key 3)")?.bytes()?)?,
            offset: map.required(4, "offset (key 4)")?.uint()?,
            stored: map.required(5, "stored length (key 5)")?.uint()?,
            key: match map.optional(6)? {
                Some(value) => Some(KeyId::from_slice(value.bytes()?)?),
                None => None,
            },
            pseudonym: match map.optional(7)? {
                Some(value) => Some(Pseudonym::from_slice(value.bytes()?)?),
                None => None,
            },
        };
        map.end()?;
        if payload.pseudonym.is_some() && payload.key.is_none() {
            return Err(DecodeError::Range { what: "pseudonym", expected: "only beside a key id" });
        }
        if payload.offset.checked_add(payload.stored).is_none() {
            return Err(DecodeError::Range { what: "payload", expected: "an end below 2^64" });
        }
        Ok(payload)
    }
}

/// Reads a format version and refuses every one but 1.
pub(crate) fn read_version(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.uint()? {
        FORMAT_VERSION => Ok(()),
        found => Err(DecodeError::UnknownVersion { found }),
    }
}

/// Returns the chain hash of an encoded core, or of the genesis object for event 0's predecessor.
#[must_use]
pub fn chain_hash(bytes: &[u8]) -> ChainHash {
    ChainHash(blake3::derive_key(CHAIN_CONTEXT, bytes))
}

/// Returns the bytes that an event's Ed25519 signature covers: the COSE `Sig_structure` of `COSE_Sign1`
/// (RFC 9052 section 4.4) with protected header {1: -8} and no external data.
#[must_use]
pub fn signed_bytes(core: &[u8]) -> Vec<u8> {
    let mut w = Writer::with_capacity(core.len() + 24);
    w.array(4).text("Signature1").bytes(&COSE_PROTECTED).bytes(&[]).bytes(core);
    w.into_bytes()
}

/// The protected header of an event as `COSE_Sign1`: {1: -8}, `EdDSA`.
pub const COSE_PROTECTED: [u8; 3] = [0xa1, 0x01, 0x27];
