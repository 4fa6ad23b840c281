//! Hashes of the RFC 6962 Merkle tree (section 2.1), SHA-256 only.
//!
//! ```text
//! leaf = SHA-256(0x00 || entry)
//! node = SHA-256(0x01 || left || right)
//! root of the empty tree = SHA-256("")
//! ```
//! The prefixes keep a leaf from being passed off as a node; this module hashes no other formats.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::encoding;

/// Bytes of a [`NodeHash`].
pub const HASH_BYTES: usize = 32;

/// The hash of a leaf, of an inner node or of a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeHash(pub [u8; HASH_BYTES]);

impl NodeHash {
    /// Returns the bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// Returns the hash in standard base64 with padding, the form of checkpoints and proof files.
    pub fn to_base64(&self) -> String {
        encoding::encode_base64(&self.0)
    }

    /// Reads standard base64 with padding of exactly 32 bytes; anything else is `None`.
    pub fn from_base64(text: &str) -> Option<Self> {
        encoding::decode_base64(text)?.try_into().ok().map(Self)
    }
}

impl From<[u8; HASH_BYTES]> for NodeHash {
    fn from(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for NodeHash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Lowercase hex, as in reports and error messages.
impl fmt::Display for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeHash({self})")
    }
}

/// Hashes one tree entry.
pub fn leaf_hash(entry: &[u8]) -> NodeHash {
    NodeHash(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// Hashes two neighbouring subtrees into their parent.
pub fn node_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    // One buffer and one call: this is the inner loop of every verification.
    let mut input = [0x01; 1 + 2 * HASH_BYTES];
    input[1..=HASH_BYTES].copy_from_slice(&left.0);
    input[1 + HASH_BYTES..].copy_from_slice(&right.0);
    NodeHash(Sha256::digest(input).into())
}

/// Returns the root of the tree without leaves.
pub fn empty_root() -> NodeHash {
    NodeHash(Sha256::digest([]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_the_published_values() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let empty_leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(empty_root().to_string(), empty);
        assert_eq!(leaf_hash(b"").to_string(), empty_leaf);
    }

    #[test]
    fn node_hash_is_prefixed_and_ordered() {
        let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
        let input = [&[0x01][..], left.as_ref(), right.as_ref()].concat();
        assert_eq!(node_hash(&left, &right).0, <[u8; 32]>::from(Sha256::digest(input)));
        assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
    }

    #[test]
    fn base64_reads_back_and_is_strict() {
        let hash = leaf_hash(b"entry");
        let text = hash.to_base64();
        assert_eq!(NodeHash::from_base64(&text), Some(hash));
        assert_eq!(NodeHash::from_base64(text.trim_end_matches('=')), None);
        assert_eq!(NodeHash::from_base64(&format!("{text} ")), None);
        assert_eq!(NodeHash::from_base64("AAAA"), None);
    }
}
