//! Identifiers and positions that can only be built valid.

use std::fmt;
use std::str::FromStr;

use crate::error::DecodeError;
use crate::hex;

macro_rules! bytes_newtype {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Reads the value from a slice of exactly [`Self::LEN`] bytes.
            ///
            /// # Errors
            /// [`DecodeError::Length`] when the slice is longer or shorter.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, DecodeError> {
                bytes.try_into().map(Self).map_err(|_| DecodeError::Length {
                    what: stringify!($name),
                    expected: $len,
                    found: bytes.len(),
                })
            }

            /// Returns the bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = DecodeError;

            fn from_str(text: &str) -> Result<Self, DecodeError> {
                hex::read(text, stringify!($name)).map(Self)
            }
        }
    };
}

bytes_newtype!(
    /// The random identity of a ledger; part of every core and of every object name.
    LedgerId, 16);
bytes_newtype!(
    /// A link of the BLAKE3 chain: `BLAKE3.derive_key("piperoll v1 chain", core)`.
    ChainHash, 32);
bytes_newtype!(
    /// The plain BLAKE3 digest of a stored object's bytes.
    ObjectDigest, 32);
bytes_newtype!(
    /// `SHA-256(salt ‖ payload bytes)`: binds a core to a payload without telling anything about it.
    Commitment, 32);
bytes_newtype!(
    /// Names one subject's key. Random, so it tells nothing about the subject.
    KeyId, 16);
bytes_newtype!(
    /// Stands for one subject in one bucket. A keyed hash, so it tells nothing to whoever lacks the ledger's secret.
    Pseudonym, 16);
bytes_newtype!(
    /// The first 8 bytes of a pack's or key object's BLAKE3 digest; part of its name.
    DigestPrefix, 8);
bytes_newtype!(
    /// The C2SP key id of the Ed25519 key that signed an event: `SHA-256(origin ‖ LF ‖ 0x01 ‖ key)[..4]`.
    WriterKeyId, 4);
bytes_newtype!(
    /// Names a key-encryption key: the first 8 bytes of its BLAKE3 key derivation `piperoll v1 kek id`.
    KekId, 8);
bytes_newtype!(
    /// A keyed hash of an item's source id; finds repeated deliveries without naming them.
    SourceDigest, 16);

bytes_newtype!(
    /// Names a sealed piece of a snapshot: a keyed hash, so it tells nothing to whoever lacks the KEK.
    PieceId, 32);

impl ObjectDigest {
    /// Hashes an object's bytes with plain BLAKE3.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Returns the part of the digest that stands in object names and cores.
    #[must_use]
    pub fn prefix(&self) -> DigestPrefix {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&self.0[..8]);
        DigestPrefix(prefix)
    }
}

/// The position of an event in its ledger; the first is 0. Equal to the leaf position in the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl Seq {
    /// Returns the position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a segment in its ledger; the first is 0. Written with twelve digits in object names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentNo(pub u64);

impl SegmentNo {
    /// The highest number that fits twelve digits.
    pub const MAX: Self = Self(999_999_999_999);

    /// Returns the number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for SegmentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}
