//! C2SP checkpoints: the size and root of a log as the text of a signed note (`tlog-checkpoint` 1.0.0).
//!
//! ```text
//! origin LF
//! size LF                     ASCII decimal, no leading zeros
//! root LF                     base64 of 32 bytes
//! (extension LF)*             opaque, not empty; kept for readers, never made by us
//! ```
//! Whether two checkpoints are consistent is a matter of [`crate::proof`].

use std::fmt;

use crate::encoding;
use crate::hash::{NodeHash, empty_root};
use crate::note::key::{NoteSigner, VerifierKey};
use crate::note::{Note, NoteError};

#[cfg(test)]
mod tests;

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The signed note around the checkpoint is not accepted.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of the text is missing or malformed.
    #[error("expected {expected} in line {line} of the checkpoint")]
    Malformed {
        /// Line number from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// A tree without leaves has another root than the empty one.
    #[error("expected the root of the empty tree at size 0, found {found}")]
    EmptyTreeRoot {
        /// Root in the checkpoint.
        found: NodeHash,
    },
    /// No key with the name of the origin signed the checkpoint.
    #[error("expected a signature of a key named like the origin `{origin}`, found none")]
    OriginNotSigned {
        /// Origin in the checkpoint.
        origin: String,
    },
}

/// The head of a log: its identity, size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Identity of the log, fixed for its life.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root of the tree with `size` leaves.
    pub root: NodeHash,
    /// Lines after the root, without their newlines. Their meaning cannot be audited.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// Creates a checkpoint without extension lines.
    pub fn new(origin: impl Into<String>, size: u64, root: NodeHash) -> Self {
        Self { origin: origin.into(), size, root, extensions: Vec::new() }
    }

    /// Reads the text of a checkpoint note; what is accepted writes back to the same bytes.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |line, expected| CheckpointError::Malformed { line, expected };
        let Some(text) = text.strip_suffix('\n') else {
            return Err(malformed(text.split('\n').count(), "a newline at the end"));
        };
        let lines: Vec<&str> = text.split('\n').collect();
        let invalid = |line: &&str| line.is_empty() || line.bytes().any(|byte| byte < b' ');
        if let Some(position) = lines.iter().position(invalid) {
            return Err(malformed(position + 1, "text without control characters"));
        }
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(malformed(lines.len() + 1, "origin, size and root"));
        };
        let size = encoding::parse_decimal(size).ok_or(malformed(2, "a decimal tree size"))?;
        let root = NodeHash::from_base64(root).ok_or(malformed(3, "a base64 root of 32 bytes"))?;
        if size == 0 && root != empty_root() {
            return Err(CheckpointError::EmptyTreeRoot { found: root });
        }
        let extensions = extensions.iter().map(|line| (*line).to_owned()).collect();
        Ok(Self { origin: (*origin).to_owned(), size, root, extensions })
    }

    /// Signs the checkpoint and returns the note.
    ///
    /// The signer must have the origin as its name. The caller answers for never signing two checkpoints
    /// that are inconsistent. Fails if the checkpoint would not be accepted by [`Self::open`].
    pub fn sign(&self, signer: &NoteSigner) -> Result<String, CheckpointError> {
        let text = self.to_string();
        if Self::parse(&text)? != *self {
            return Err(CheckpointError::Malformed { line: 1, expected: "lines without newlines inside" });
        }
        if signer.name().as_str() != self.origin {
            return Err(CheckpointError::OriginNotSigned { origin: self.origin.clone() });
        }
        Ok(Note::sign(&text, &[signer])?.to_string())
    }

    /// Reads a signed checkpoint and checks it against the known keys.
    ///
    /// At least one of the keys must be named like the origin and have signed; known keys with other names,
    /// such as witnesses, may have signed too. Any failing signature of a known key is an error.
    pub fn open(note: &[u8], keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        Self::open_note(&Note::parse(note)?, keys)
    }

    /// Does the same as [`Self::open`] for a note that was read already.
    pub fn open_note(note: &Note, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let verified = note.verify(keys)?;
        let checkpoint = Self::parse(note.text())?;
        if !verified.iter().any(|signature| signature.name.as_str() == checkpoint.origin) {
            return Err(CheckpointError::OriginNotSigned { origin: checkpoint.origin });
        }
        Ok(checkpoint)
    }
}

/// The note text, with the last newline.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root.to_base64())?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
