//! The genesis object: what a ledger is, for life (`FORMAT.md` section 9).
//!
//! | key | value |
//! |---|---|
//! | 1 | format version, 1 |
//! | 2 | ledger id |
//! | 3 | origin: name of the log and of its key |
//! | 4 | first Ed25519 public key, 32 bytes |
//! | 5 | SHA-256 of the next public key |
//! | 6 | created at, microseconds |
//! | 7 | KEK id |
//! | 8 | policy files at creation: array of text, in the order of their ids |
//! | 9 | dictionaries: array of [number, digest], ascending by number |
//! | 10 | retain-until of this object and of the dictionaries |

use crate::cbor::{Reader, Writer};
use crate::compress::DICTIONARY_NUMBER_MAX;
use crate::error::DecodeError;
use crate::event::{FORMAT_VERSION, read_version};
use crate::id::{KekId, LedgerId, ObjectDigest};
use crate::payload::{expect_count, read_list};
use crate::time::{RetainUntil, Timestamp};

/// What a ledger is. Its chain hash is the predecessor of event 0, its digest that of segment 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The ledger.
    pub ledger: LedgerId,
    /// The C2SP origin; fixed for life, keys are attributes.
    pub origin: String,
    /// The key that signs from event 0 on.
    pub public_key: [u8; 32],
    /// SHA-256 of the key that may replace it (pre-rotation).
    pub next_key_digest: [u8; 32],
    /// When the ledger was created.
    pub created_at: Timestamp,
    /// The key that wraps subject keys.
    pub kek: KekId,
    /// The policy files as they stood, whole.
    pub policies: Vec<String>,
    /// Compression dictionaries, ascending by number.
    pub dictionaries: Vec<(u8, ObjectDigest)>,
    /// The lock of the genesis object and the dictionaries.
    pub retain_until: RetainUntil,
}

impl Genesis {
    /// Encodes the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(4_096);
        w.map(10).uint(1).uint(FORMAT_VERSION).uint(2).bytes(&self.ledger.0);
        w.uint(3).text(&self.origin).uint(4).bytes(&self.public_key).uint(5).bytes(&self.next_key_digest);
        w.uint(6).uint(self.created_at.0).uint(7).bytes(&self.kek.0);
        w.uint(8).array(self.policies.len());
        for policy in &self.policies {
            w.text(policy);
        }
        w.uint(9).array(self.dictionaries.len());
        for (number, digest) in &self.dictionaries {
            w.array(2).uint(u64::from(*number)).bytes(&digest.0);
        }
        w.uint(10).uint(self.retain_until.0.0);
        w.into_bytes()
    }

    /// Decodes the object.
    ///
    /// # Errors
    /// [`DecodeError`] naming the byte where it leaves the format.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let hash = |reader: &mut Reader<'_>| ObjectDigest::from_slice(reader.bytes()?).map(|hash| hash.0);
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        read_version(map.required(1, "version (key 1)")?)?;
        let genesis = Self {
            ledger: LedgerId::from_slice(map.required(2, "ledger (key 2)")?.bytes()?)?,
            origin: map.required(3, "origin (key 3)")?.text()?.to_owned(),
            public_key: hash(map.required(4, "public key (key 4)")?)?,
            next_key_digest: hash(map.required(5, "next key digest (key 5)")?)?,
            created_at: Timestamp(map.required(6, "created at (key 6)")?.uint()?),
            kek: KekId::from_slice(map.required(7, "KEK id (key 7)")?.bytes()?)?,
            policies: read_list(map.required(8, "policies (key 8)")?, |r| r.text().map(str::to_owned))?,
            dictionaries: read_list(map.required(9, "dictionaries (key 9)")?, |reader| {
                expect_count(reader, 2)?;
                let number = u8::try_from(reader.uint()?)
                    .ok()
                    .filter(|number| (1..=DICTIONARY_NUMBER_MAX).contains(number));
                let out_of_range = DecodeError::Range { what: "dictionary number", expected: "1 to 254" };
                Ok((number.ok_or(out_of_range)?, ObjectDigest::from_slice(reader.bytes()?)?))
            })?,
            retain_until: RetainUntil(Timestamp(map.required(10, "retain-until (key 10)")?.uint()?)),
        };
        map.end()?;
        reader.finish()?;
        if genesis.dictionaries.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(DecodeError::Range { what: "dictionaries", expected: "ascending numbers" });
        }
        Ok(genesis)
    }
}
