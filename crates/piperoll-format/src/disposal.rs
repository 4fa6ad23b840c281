//! The content of `disposal.ordered` and `disposal.completed` events, stored in clear so that whoever verifies
//! without keys can account for what is gone (`FORMAT.md` section 10).

use crate::cbor::{Reader, Writer};
use crate::class::Bucket;
use crate::error::DecodeError;
use crate::event::{FORMAT_VERSION, read_version};
use crate::id::ObjectDigest;
use crate::payload::{expect_count, read_list};

/// An order to destroy one bucket: every object of it, and why.
///
/// | key | value |
/// |---|---|
/// | 1 | format version, 1 |
/// | 2 | class |
/// | 3 | period |
/// | 4 | reason, text: policy, version, dates |
/// | 5 | who ordered it, text (token name) |
/// | 6 | objects: array of [name, digest] |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisposalOrder {
    /// What goes.
    pub bucket: Bucket,
    /// Why, in words.
    pub reason: String,
    /// Who.
    pub ordered_by: String,
    /// The objects by name (without the ledger's prefix) and digest.
    pub objects: Vec<(String, ObjectDigest)>,
}

impl DisposalOrder {
    /// Encodes the order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(256 + 128 * self.objects.len());
        w.map(6).uint(1).uint(FORMAT_VERSION);
        w.uint(2).text(self.bucket.class().as_str()).uint(3).text(self.bucket.label());
        w.uint(4).text(&self.reason).uint(5).text(&self.ordered_by).uint(6).array(self.objects.len());
        for (name, digest) in &self.objects {
            w.array(2).text(name).bytes(&digest.0);
        }
        w.into_bytes()
    }

    /// Decodes an order.
    ///
    /// # Errors
    /// [`DecodeError`] naming the byte where it leaves the format.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        read_version(map.required(1, "version (key 1)")?)?;
        let class = map.required(2, "class (key 2)")?.text()?.parse()?;
        let bucket = Bucket::new(class, map.required(3, "period (key 3)")?.text()?)?;
        let order = Self {
            bucket,
            reason: map.required(4, "reason (key 4)")?.text()?.to_owned(),
            ordered_by: map.required(5, "ordered by (key 5)")?.text()?.to_owned(),
            objects: read_list(map.required(6, "objects (key 6)")?, |reader| {
                expect_count(reader, 2)?;
                Ok((reader.text()?.to_owned(), ObjectDigest::from_slice(reader.bytes()?)?))
            })?,
        };
        map.end()?;
        reader.finish()?;
        Ok(order)
    }
}
