//! Why stored bytes were refused.

use thiserror::Error;

/// Why bytes are not a valid object of this format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("truncated at byte {at}")]
    Truncated {
        /// Where the bytes end.
        at: usize,
    },
    /// Bytes are left after the value.
    #[error("{count} bytes after the end of the value")]
    Trailing {
        /// How many are left.
        count: usize,
    },
    /// The CBOR is valid but not deterministic (RFC 8949 section 4.2.1), or outside the profile.
    #[error("not deterministic CBOR at byte {at}: expected {expected}")]
    Profile {
        /// Where.
        at: usize,
        /// What the profile allows there.
        expected: &'static str,
    },
    /// A value has the wrong length.
    #[error("`{what}` is {found} long, expected {expected}")]
    Length {
        /// Which value.
        what: &'static str,
        /// The only length allowed.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// A text has the wrong form.
    #[error("`{what}` is not {expected}")]
    Text {
        /// Which value.
        what: &'static str,
        /// The form it must have.
        expected: &'static str,
    },
    /// A number is outside its range, or two values that must agree do not.
    #[error("`{what}` is out of range: expected {expected}")]
    Range {
        /// Which value.
        what: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// An event kind that this version does not know.
    #[error("unknown event kind `{found}`")]
    UnknownKind {
        /// The text found, cut to 40 characters.
        found: String,
    },
    /// A format version that this version does not know.
    #[error("unknown format version {found}, expected 1")]
    UnknownVersion {
        /// The version found.
        found: u64,
    },
    /// A payload was compressed in a way that this version does not know, or its compressed bytes are damaged.
    #[error("payload cannot be decompressed: {reason}")]
    Compression {
        /// Why.
        reason: &'static str,
    },
    /// Decryption failed: another key, or changed bytes.
    #[error("authentication tag does not match: wrong key or changed bytes")]
    Sealed,
}
