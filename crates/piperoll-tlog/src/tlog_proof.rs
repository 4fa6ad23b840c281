//! C2SP `.tlog-proof` files: one entry's inclusion proof with the checkpoint that it leads to.
//!
//! ```text
//! c2sp.org/tlog-proof@v1 LF
//! ("extra " base64 LF)?       opaque and not authenticated
//! "index " decimal LF
//! (base64 hash LF)*           from the leaf's sibling to the root's child
//! LF
//! checkpoint, verbatim
//! ```
//! The file does not contain the entry; a verifier brings the leaf hash and the keys it trusts.

use std::fmt;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::encoding;
use crate::hash::NodeHash;
use crate::note::key::VerifierKey;
use crate::note::{NOTE_BYTES_MAX, Note};
use crate::proof::{ProofError, verify_inclusion};

#[cfg(test)]
mod tests;

/// First line of the file: format and version.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Hashes that an inclusion proof can have: one for each level of a tree of `u64` size.
pub const PROOF_HASHES_MAX: usize = 64;

/// Bytes of the largest file that is read: a note and as much again for extra data and proof.
pub const PROOF_FILE_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX;

/// Why a proof file is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// The file is larger than [`PROOF_FILE_BYTES_MAX`].
    #[error("expected a proof file of at most {PROOF_FILE_BYTES_MAX} bytes, found {found}")]
    TooLarge {
        /// Bytes that were given.
        found: usize,
    },
    /// A line is missing or malformed.
    #[error("expected {expected} in line {line} of the proof file")]
    Malformed {
        /// Line number from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The checkpoint in the file is not accepted.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The proof does not lead to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// An inclusion proof that can be checked offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Data of the application, not authenticated by the proof. Absent rather than empty.
    pub extra: Option<Vec<u8>>,
    /// Position of the leaf.
    pub index: u64,
    /// Sibling hashes from the leaf to the root.
    pub hashes: Vec<NodeHash>,
    /// The signed checkpoint as it was issued.
    pub checkpoint: Note,
}

impl TlogProof {
    /// Reads a proof file; what is accepted writes back to the same bytes. Nothing is verified yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        let malformed = |line, expected| TlogProofError::Malformed { line, expected };
        if bytes.len() > PROOF_FILE_BYTES_MAX {
            return Err(TlogProofError::TooLarge { found: bytes.len() });
        }
        let file = str::from_utf8(bytes).map_err(|_| malformed(1, "UTF-8"))?;
        // The lines of the proof are never empty, so the first empty line ends it.
        let Some((head, checkpoint)) = file.split_once("\n\n") else {
            return Err(malformed(1, "an empty line before the checkpoint"));
        };
        let mut lines = head.split('\n').zip(1..).peekable();
        if lines.next().is_none_or(|(line, _)| line != HEADER) {
            return Err(malformed(1, HEADER));
        }
        let extra = lines.next_if(|(line, _)| line.starts_with("extra "));
        let extra =
            extra.map(|(line, number)| parse_extra(line).ok_or(malformed(number, "base64 extra data")));
        let extra = extra.transpose()?;
        let (line, number) = lines.next().ok_or(malformed(2, "the index"))?;
        let index = line.strip_prefix("index ").and_then(encoding::parse_decimal);
        let index = index.ok_or(malformed(number, "`index` and a decimal number"))?;
        let mut hashes = Vec::new();
        for (line, number) in lines {
            if hashes.len() == PROOF_HASHES_MAX {
                return Err(malformed(number, "at most 64 hashes"));
            }
            hashes.push(NodeHash::from_base64(line).ok_or(malformed(number, "a base64 hash of 32 bytes"))?);
        }
        let checkpoint = Note::parse(checkpoint.as_bytes()).map_err(CheckpointError::from)?;
        Checkpoint::parse(checkpoint.text())?;
        Ok(Self { extra, index, hashes, checkpoint })
    }

    /// Checks that the log behind `keys` contains `leaf` at the index of this proof.
    ///
    /// Returns the checkpoint that contains it. The extra data stays unauthenticated.
    pub fn verify(&self, leaf: NodeHash, keys: &[VerifierKey]) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = Checkpoint::open_note(&self.checkpoint, keys)?;
        verify_inclusion(self.index, checkpoint.size, leaf, &self.hashes, checkpoint.root)?;
        Ok(checkpoint)
    }
}

/// The whole file.
impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = self.extra.as_ref().filter(|extra| !extra.is_empty()) {
            writeln!(f, "extra {}", encoding::encode_base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", hash.to_base64()))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

fn parse_extra(line: &str) -> Option<Vec<u8>> {
    let extra = encoding::decode_base64(line.strip_prefix("extra ")?)?;
    (!extra.is_empty()).then_some(extra)
}
