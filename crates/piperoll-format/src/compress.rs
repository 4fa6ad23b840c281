//! Payload compression: zstd, with a trained dictionary where it helps (`FORMAT.md` section 5.3).
//!
//! One byte before the data says how it is compressed. A dictionary is part of the format: it is never changed
//! or removed, a better one gets the next number.

use std::borrow::Cow;
use std::fmt;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use crate::error::DecodeError;
use crate::id::ObjectDigest;

/// The data stands as it is.
const RAW: u8 = 0;
/// One zstd frame without a dictionary, and without its magic number.
const ZSTD: u8 = 1;
/// One zstd frame with dictionary `method - 1`, and without its magic number.
const ZSTD_DICTIONARY_1: u8 = 2;

/// The first bytes of every zstd frame (RFC 8878 section 3.1.1), which are not stored.
pub(crate) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The level for all payloads: level 9 makes chat messages 7 % smaller and takes six times as long.
const LEVEL: i32 = 3;

/// Payloads at least this long are compressed without the dictionary, which would no longer help.
const DICTIONARY_BYTES_MAX: usize = 64 * 1024;

/// The largest payload that is decompressed: the largest body with generous room for its envelope.
pub const PAYLOAD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The greatest number of a dictionary: the method of dictionary `n` is `n + 1`, in one byte.
pub(crate) const DICTIONARY_NUMBER_MAX: u8 = 254;

/// A compression dictionary that payloads refer to by number.
#[derive(Clone, Copy)]
pub struct Dictionary {
    /// Its number, from 1.
    pub number: u8,
    /// Its bytes, in zstd's dictionary format.
    pub bytes: &'static [u8],
}

impl Dictionary {
    /// Every dictionary of the format, by ascending number.
    pub const ALL: &'static [Self] = &[Self { number: 1, bytes: include_bytes!("dictionary/1.zdict") }];

    /// Returns the digest that the genesis object names it by.
    #[must_use]
    pub fn digest(&self) -> ObjectDigest {
        ObjectDigest::of(self.bytes)
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dictionary({}, {} bytes)", self.number, self.bytes.len())
    }
}

/// From this length on, samples decide whether the whole is compressed: pictures, films and archives are already.
const SAMPLED_BYTES_MIN: usize = 256 * 1024;

/// Samples of long data.
const SAMPLES: usize = 8;

/// The length of each.
const SAMPLE_BYTES: usize = 4 * 1024;

/// Compresses and decompresses payloads. Holds working memory, so keep one for each thread.
pub struct Codec {
    plain: Compressor<'static>,
    dictionary: Compressor<'static>,
    plain_back: Decompressor<'static>,
    dictionary_back: Decompressor<'static>,
    frame: Vec<u8>,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}

impl Default for Codec {
    fn default() -> Self {
        let dictionary = Dictionary::ALL[0].bytes;
        let broken = "the dictionary was read by zstd when it was made";
        // The method byte names the dictionary, the core has the length, and tag or commitment find damage.
        let brief = |mut compressor: Compressor<'static>| {
            let parameters = [CParameter::DictIdFlag(false), CParameter::ContentSizeFlag(false)];
            for parameter in parameters.into_iter().chain([CParameter::ChecksumFlag(false)]) {
                compressor.set_parameter(parameter).expect("a zstd frame parameter that exists");
            }
            compressor
        };
        Self {
            plain: brief(Compressor::new(LEVEL).expect("level 3 exists")),
            dictionary: brief(Compressor::with_dictionary(LEVEL, dictionary).expect(broken)),
            plain_back: Decompressor::new().expect("needs only memory"),
            dictionary_back: Decompressor::with_dictionary(dictionary).expect(broken),
            frame: Vec::new(),
        }
    }
}

impl Codec {
    /// Appends the method byte and the compressed data to `out`; stores as it is whatever does not shrink.
    pub fn compress(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if self.stands_as_it_is(data) {
            out.push(RAW);
            out.extend_from_slice(data);
            return;
        }
        let (method, compressor) = if data.len() < DICTIONARY_BYTES_MAX {
            (ZSTD_DICTIONARY_1, &mut self.dictionary)
        } else {
            (ZSTD, &mut self.plain)
        };
        let frame = compressor.compress(data);
        match frame.as_deref().ok().and_then(|frame| frame.strip_prefix(&ZSTD_MAGIC)) {
            Some(frame) if frame.len() < data.len() => {
                out.push(method);
                out.extend_from_slice(frame);
            }
            // zstd fails only for want of memory; the data stands as it is then, and nothing is lost.
            _ => {
                out.push(RAW);
                out.extend_from_slice(data);
            }
        }
    }

    /// Returns the method byte and the compressed data, with `room` for more behind. Long data that would hardly become
    /// smaller stays where it is.
    pub(crate) fn compress_owned(&mut self, data: Cow<'_, [u8]>, room: usize) -> Vec<u8> {
        match data {
            Cow::Owned(mut data) if self.stands_as_it_is(&data) => {
                data.reserve_exact(1 + room);
                data.insert(0, RAW);
                data
            }
            data => {
                let mut out = Vec::with_capacity(1 + data.len() + room);
                self.compress(&data, &mut out);
                out
            }
        }
    }

    /// Tells without compressing the whole that long data would hardly become smaller.
    fn stands_as_it_is(&mut self, data: &[u8]) -> bool {
        data.len() >= SAMPLED_BYTES_MIN && !self.samples_shrink(data)
    }

    /// Tells whether pieces from all over the data become smaller together by at least a thirty-second.
    fn samples_shrink(&mut self, data: &[u8]) -> bool {
        let starts = data.chunks(data.len().div_ceil(SAMPLES));
        let sample: Vec<u8> =
            starts.flat_map(|chunk| &chunk[..chunk.len().min(SAMPLE_BYTES)]).copied().collect();
        let frame = self.plain.compress(&sample);
        frame.is_ok_and(|frame| frame.len() < sample.len() - sample.len() / 32)
    }

    /// Reads back what [`Self::compress`] wrote; the result must be exactly `length` bytes long.
    ///
    /// # Errors
    /// [`DecodeError::Compression`] for an unknown method, damaged data or another length.
    pub fn decompress(&mut self, stored: &[u8], length: u64) -> Result<Vec<u8>, DecodeError> {
        let fail = |reason| DecodeError::Compression { reason };
        let (method, data) = stored.split_first().ok_or(fail("no method byte"))?;
        if length > PAYLOAD_BYTES_MAX {
            return Err(fail("longer than 64 MiB"));
        }
        let length = usize::try_from(length).map_err(|_| fail("longer than 64 MiB"))?;
        let decompressor = match *method {
            RAW if data.len() == length => return Ok(data.to_vec()),
            RAW => return Err(fail("another length than the core says")),
            ZSTD => &mut self.plain_back,
            ZSTD_DICTIONARY_1 => &mut self.dictionary_back,
            _ => return Err(fail("unknown method, expected 0, 1 or 2")),
        };
        self.frame.clear();
        self.frame.extend_from_slice(&ZSTD_MAGIC);
        self.frame.extend_from_slice(data);
        let bytes = decompressor.decompress(&self.frame, length).map_err(|_| fail("damaged zstd frame"))?;
        if bytes.len() == length { Ok(bytes) } else { Err(fail("another length than the core says")) }
    }
}
