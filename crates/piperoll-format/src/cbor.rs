//! Deterministic CBOR (RFC 8949 section 4.2.1), as much of it as this format uses.
//!
//! Unsigned and negative integers in shortest form, byte strings, text strings, arrays and maps of definite
//! length with ascending unsigned keys. No floats, tags, simple values or indefinite lengths. The reader is
//! strict by construction: it has no code path for anything else, so whatever it accepts re-encodes to the same
//! bytes. `ciborium` reads the same bytes in the tests, as the independent reader.

use crate::error::DecodeError;

const UINT: u8 = 0;
const NINT: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    buf: Vec<u8>,
}

impl Writer {
    /// Starts with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buf: Vec::with_capacity(capacity) }
    }

    /// Returns the bytes written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.buf
    }

    /// Writes an unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        self.head(UINT, value)
    }

    /// Writes a signed integer.
    pub fn int(&mut self, value: i64) -> &mut Self {
        match u64::try_from(value) {
            Ok(value) => self.head(UINT, value),
            // -1 - value, without overflow: the bitwise complement of a negative number.
            Err(_) => self.head(NINT, !value.cast_unsigned()),
        }
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.head(BYTES, value.len() as u64);
        self.buf.extend_from_slice(value);
        self
    }

    /// Writes a text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.head(TEXT, value.len() as u64);
        self.buf.extend_from_slice(value.as_bytes());
        self
    }

    /// Opens an array of `count` values, which must follow.
    pub fn array(&mut self, count: usize) -> &mut Self {
        self.head(ARRAY, count as u64)
    }

    /// Opens a map of `count` pairs, which must follow with ascending keys.
    pub fn map(&mut self, count: usize) -> &mut Self {
        self.head(MAP, count as u64)
    }

    fn head(&mut self, major: u8, value: u64) -> &mut Self {
        let major = major << 5;
        let bytes = value.to_be_bytes();
        match value {
            0..24 => self.buf.push(major | bytes[7]),
            24..=0xff => self.buf.extend_from_slice(&[major | 24, bytes[7]]),
            0x100..=0xffff => self.buf.extend_from_slice(&[major | 25, bytes[6], bytes[7]]),
            0x1_0000..=0xffff_ffff => {
                self.buf.push(major | 26);
                self.buf.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.buf.push(major | 27);
                self.buf.extend_from_slice(&bytes);
            }
        }
        self
    }
}

/// Reads values from a slice and refuses everything outside the profile.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the position of the next byte.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when bytes are left.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { count }),
        }
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    /// [`DecodeError`] when the next value is anything else.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        self.head(UINT, "an unsigned integer")
    }

    /// Reads a signed integer of at most 64 bits.
    ///
    /// # Errors
    /// [`DecodeError`] when the next value is anything else.
    pub fn int(&mut self) -> Result<i64, DecodeError> {
        let at = self.at;
        let out_of_range = DecodeError::Profile { at, expected: "an integer of 64 bits" };
        if self.bytes.get(at).is_some_and(|first| first >> 5 == NINT) {
            let value = self.head(NINT, "a negative integer")?;
            i64::try_from(value).map(|value| !value).map_err(|_| out_of_range)
        } else {
            i64::try_from(self.head(UINT, "an integer")?).map_err(|_| out_of_range)
        }
    }

    /// Reads a byte string.
    ///
    /// # Errors
    /// [`DecodeError`] when the next value is anything else or ends too early.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.head(BYTES, "a byte string")?;
        self.take(length)
    }

    /// Reads a text string.
    ///
    /// # Errors
    /// [`DecodeError`] when the next value is anything else, ends too early or is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let at = self.at;
        let length = self.head(TEXT, "a text string")?;
        std::str::from_utf8(self.take(length)?)
            .map_err(|_| DecodeError::Profile { at, expected: "UTF-8 text" })
    }

    /// Opens an array and returns how many values follow, at most as many as bytes are left.
    ///
    /// # Errors
    /// [`DecodeError`] when the next value is anything else.
    pub fn array(&mut self) -> Result<usize, DecodeError> {
        let count = self.head(ARRAY, "an array")?;
        self.bounded(count)
    }

    /// Opens a map.
    ///
    /// # Errors
    /// [`DecodeError`] when the next value is anything else.
    pub fn map(&mut self) -> Result<Map<'_, 'a>, DecodeError> {
        let count = self.head(MAP, "a map")?;
        let left = self.bounded(count)?;
        Ok(Map { reader: self, left, next: None })
    }

    /// Every value takes at least one byte, so a larger count is a lie; refusing it bounds allocations.
    fn bounded(&self, count: u64) -> Result<usize, DecodeError> {
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.bytes.len() - self.at)
            .ok_or(DecodeError::Truncated { at: self.bytes.len() })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let length = self.bounded(length)?;
        let slice = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(slice)
    }

    fn head(&mut self, major: u8, expected: &'static str) -> Result<u64, DecodeError> {
        let at = self.at;
        let first = *self.bytes.get(at).ok_or(DecodeError::Truncated { at })?;
        if first >> 5 != major {
            return Err(DecodeError::Profile { at, expected });
        }
        let additional = first & 0x1f;
        self.at += 1;
        let (width, least) = match additional {
            0..24 => return Ok(u64::from(additional)),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(DecodeError::Profile { at, expected: "a definite length" }),
        };
        let digits = self
            .bytes
            .get(self.at..self.at + width)
            .ok_or(DecodeError::Truncated { at: self.bytes.len() })?;
        self.at += width;
        let value = digits.iter().fold(0, |value, digit| value << 8 | u64::from(*digit));
        if value < least {
            return Err(DecodeError::Profile { at, expected: "the shortest form" });
        }
        Ok(value)
    }
}

/// A map being read: keys are asked for in ascending order, so an unknown, repeated or unordered key is an error.
#[derive(Debug)]
pub struct Map<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: usize,
    next: Option<u64>,
}

impl<'a> Map<'_, 'a> {
    /// Returns the reader at the value of `key`.
    ///
    /// # Errors
    /// [`DecodeError::Profile`] when the next key is another one.
    pub fn required(&mut self, key: u64, expected: &'static str) -> Result<&mut Reader<'a>, DecodeError> {
        let at = self.reader.at;
        if self.peek()? != Some(key) {
            return Err(DecodeError::Profile { at, expected });
        }
        self.next = None;
        Ok(self.reader)
    }

    /// Returns the reader at the value of `key`, or `None` when the next key is another one.
    ///
    /// # Errors
    /// [`DecodeError`] when the next key is not an unsigned integer.
    pub fn optional(&mut self, key: u64) -> Result<Option<&mut Reader<'a>>, DecodeError> {
        if self.peek()? != Some(key) {
            return Ok(None);
        }
        self.next = None;
        Ok(Some(self.reader))
    }

    /// Ends the map.
    ///
    /// # Errors
    /// [`DecodeError::Profile`] when a pair is left.
    pub fn end(mut self) -> Result<(), DecodeError> {
        let at = self.reader.at;
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(DecodeError::Profile { at, expected: "the end of the map" }),
        }
    }

    fn peek(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.next.is_none() && self.left > 0 {
            self.left -= 1;
            self.next = Some(self.reader.uint()?);
        }
        Ok(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_the_shortest_form_and_no_other() {
        for value in [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            let mut writer = Writer::default();
            writer.uint(value);
            let bytes = writer.into_bytes();
            let independent: u64 = ciborium::from_reader(&bytes[..]).expect("ciborium reads it");
            assert_eq!(independent, value);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.uint(), Ok(value));
            assert_eq!(reader.finish(), Ok(()));
        }
        for long in [
            &[0x18, 23][..],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
        ] {
            assert!(matches!(
                Reader::new(long).uint(),
                Err(DecodeError::Profile { expected: "the shortest form", .. })
            ));
        }
    }

    #[test]
    fn signed_integers_read_back() {
        for value in [0, -1, -24, -25, -256, i64::MIN, i64::MAX, 1_700_000_000_000_000] {
            let mut writer = Writer::default();
            writer.int(value);
            let bytes = writer.into_bytes();
            assert_eq!(ciborium::from_reader::<i64, _>(&bytes[..]).expect("ciborium reads it"), value);
            assert_eq!(Reader::new(&bytes).int(), Ok(value));
        }
    }

    #[test]
    fn lengths_that_lie_are_refused_before_anything_is_allocated() {
        let huge = [0x9b, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(Reader::new(&huge).array(), Err(DecodeError::Truncated { .. })));
        assert!(matches!(
            Reader::new(&[0x5f]).bytes(),
            Err(DecodeError::Profile { expected: "a definite length", .. })
        ));
    }

    #[test]
    fn keys_must_be_the_expected_ones_in_order() {
        // {1: 0, 2: 0} is asked for; {2: 0, 1: 0}, {1: 0, 1: 0} and {1: 0, 2: 0, 3: 0} are refused.
        let read = |bytes: &[u8]| -> Result<(), DecodeError> {
            let mut reader = Reader::new(bytes);
            let mut map = reader.map()?;
            map.required(1, "1")?.uint()?;
            map.required(2, "2")?.uint()?;
            map.end()?;
            reader.finish()
        };
        assert_eq!(read(&[0xa2, 1, 0, 2, 0]), Ok(()));
        for bad in
            [&[0xa2, 2, 0, 1, 0][..], &[0xa2, 1, 0, 1, 0], &[0xa3, 1, 0, 2, 0, 3, 0], &[0xa2, 1, 0, 2, 0, 0]]
        {
            assert!(read(bad).is_err(), "{bad:02x?}");
        }
    }
}
