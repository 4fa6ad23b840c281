//! Packs and key objects: what is destroyed when a bucket's time is over (`FORMAT.md` sections 6 and 7).

use std::ops::Range;

use crate::cbor::{Reader, Writer};
use crate::class::Bucket;
use crate::error::DecodeError;
use crate::event::{FORMAT_VERSION, read_version};
use crate::id::{KekId, KeyId, LedgerId};
use crate::payload::{expect_count, read_list};

/// The first bytes of every pack.
pub const PACK_MAGIC: &[u8; 8] = b"prpack1\n";

/// Collects the stored payloads of one commit in one bucket: the magic, then the payloads without gaps.
#[derive(Debug)]
pub struct PackBuilder {
    bytes: Vec<u8>,
}

impl Default for PackBuilder {
    fn default() -> Self {
        Self { bytes: PACK_MAGIC.to_vec() }
    }
}

impl PackBuilder {
    /// Begins a pack with room for stored payloads of so many bytes together.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        let mut pack = Vec::with_capacity(PACK_MAGIC.len() + bytes);
        pack.extend_from_slice(PACK_MAGIC);
        Self { bytes: pack }
    }

    /// Appends a stored payload and returns its offset.
    pub fn push(&mut self, stored: &[u8]) -> u64 {
        let offset = self.bytes.len() as u64;
        self.bytes.extend_from_slice(stored);
        offset
    }

    /// Returns the pack's bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Checks that payload ranges, in the order of their events, cover a pack of `size` bytes without gap or overlap.
///
/// # Errors
/// [`DecodeError::Range`] when they do not.
pub fn check_pack_layout(size: u64, ranges: impl Iterator<Item = Range<u64>>) -> Result<(), DecodeError> {
    let mut end = PACK_MAGIC.len() as u64;
    for range in ranges {
        if range.start != end || range.end < range.start {
            return Err(DecodeError::Range { what: "pack", expected: "payloads one after the other" });
        }
        end = range.end;
    }
    if end != size {
        return Err(DecodeError::Range { what: "pack", expected: "no bytes besides its payloads" });
    }
    Ok(())
}

/// Wrapped subject keys of one bucket.
///
/// | key | value |
/// |---|---|
/// | 1 | format version, 1 |
/// | 2 | ledger id |
/// | 3 | class |
/// | 4 | period |
/// | 5 | KEK id, 8 bytes |
/// | 6 | array of [key id, wrapped key of 60 bytes], ascending by key id |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyObject {
    /// The ledger.
    pub ledger: LedgerId,
    /// The bucket whose payloads the keys open.
    pub bucket: Bucket,
    /// The key that wraps them.
    pub kek: KekId,
    /// The wrapped keys, ascending by id.
    pub keys: Vec<(KeyId, [u8; 60])>,
}

impl KeyObject {
    /// Encodes the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(96 + 82 * self.keys.len());
        w.map(6).uint(1).uint(FORMAT_VERSION).uint(2).bytes(&self.ledger.0);
        w.uint(3).text(self.bucket.class().as_str()).uint(4).text(self.bucket.label());
        w.uint(5).bytes(&self.kek.0).uint(6).array(self.keys.len());
        for (id, wrapped) in &self.keys {
            w.array(2).bytes(&id.0).bytes(wrapped);
        }
        w.into_bytes()
    }

    /// Decodes the object.
    ///
    /// # Errors
    /// [`DecodeError`] naming the byte where it leaves the format.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        read_version(map.required(1, "version (key 1)")?)?;
        let ledger = LedgerId::from_slice(map.required(2, "ledger (key 2)")?.bytes()?)?;
        let class = map.required(3, "class (key 3)")?.text()?.parse()?;
        let bucket = Bucket::new(class, map.required(4, "period (key 4)")?.text()?)?;
        let kek = KekId::from_slice(map.required(5, "KEK id (key 5)")?.bytes()?)?;
        let keys: Vec<(KeyId, [u8; 60])> = read_list(map.required(6, "keys (key 6)")?, |reader| {
            expect_count(reader, 2)?;
            let id = KeyId::from_slice(reader.bytes()?)?;
            let wrapped = reader.bytes()?;
            let length = DecodeError::Length { what: "wrapped key", expected: 60, found: wrapped.len() };
            Ok((id, wrapped.try_into().map_err(|_| length)?))
        })?;
        map.end()?;
        reader.finish()?;
        if keys.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(DecodeError::Range { what: "keys", expected: "ascending key ids" });
        }
        Ok(Self { ledger, bucket, kek, keys })
    }
}
