//! C2SP signed notes: text with signature lines (`signed-note` 1.0.0).
//!
//! ```text
//! note      = text LF signature+        text ends in LF and may have empty lines
//! signature = U+2014 SP name SP base64( key id (4 bytes) || signature bytes ) LF
//! ```
//! The last empty line separates text and signatures. A note is UTF-8 without control characters below
//! U+0020 other than LF. The text must not be used before [`Note::verify`] accepted a known signature.
//! Only signatures of type 0x01 (Ed25519) are made and checked; others stay in the note as unknown ones.

pub mod key;

use std::fmt;

use crate::encoding;
use crate::note::key::{KeyId, KeyName, NoteSigner, VerifierKey};

#[cfg(test)]
mod tests;

/// Bytes of the largest note that is read.
pub const NOTE_BYTES_MAX: usize = 1_000_000;

/// Signature lines that a note may have; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 64;

/// What every signature line starts with.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Bytes of the key id in front of the signature bytes.
const KEY_ID_BYTES: usize = 4;

/// Why a note or a key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The note is larger than [`NOTE_BYTES_MAX`].
    #[error("expected a note of at most {NOTE_BYTES_MAX} bytes, found {found}")]
    TooLarge {
        /// Bytes that were given.
        found: usize,
    },
    /// The note is not made of text, an empty line and signature lines.
    #[error("expected {expected} in the signed note")]
    Malformed {
        /// What is missing.
        expected: &'static str,
    },
    /// A signature line has not the one valid form.
    #[error("expected an em dash, key name and base64 signature in line {line} of the signatures")]
    SignatureLine {
        /// Line number from 1.
        line: usize,
    },
    /// The note has more than [`SIGNATURES_MAX`] signatures.
    #[error("expected at most {SIGNATURES_MAX} signatures, found {found} or more")]
    TooManySignatures {
        /// Signatures found until reading stopped.
        found: usize,
    },
    /// The key name is empty or has a space, a plus sign or a control character.
    #[error("expected a key name without spaces, plus signs and control characters, found `{name}`")]
    KeyName {
        /// Name that was given.
        name: String,
    },
    /// The verifier key text is not `name+id+key` of an Ed25519 key.
    #[error("expected {expected} in the verifier key")]
    VerifierKey {
        /// What is missing.
        expected: &'static str,
    },
    /// The signature of a known key does not fit the text: the note is not to be trusted at all.
    #[error("signature of known key `{name}` ({id}) does not fit the text")]
    BadSignature {
        /// Key name in the signature line.
        name: KeyName,
        /// Key id in the signature line.
        id: KeyId,
    },
    /// No signature is of a known key.
    #[error("expected a signature of one of {known} known keys, found only unknown keys")]
    NoKnownSignature {
        /// Number of known keys.
        known: usize,
    },
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: KeyName,
    /// Id of the key.
    pub id: KeyId,
    /// Signature bytes after the key id; never empty.
    pub bytes: Vec<u8>,
}

/// A text with its signatures, which are not verified by reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads a note; what is accepted writes back to the same bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge { found: bytes.len() });
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::Malformed { expected: "UTF-8" })?;
        let blank = note.rfind("\n\n").ok_or(NoteError::Malformed { expected: "an empty line" })?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        check_text(text)?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed { expected: "signature lines that end in a newline" })?;
        let mut signatures = Vec::new();
        for (position, line) in lines.split('\n').enumerate() {
            if position == SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures { found: position + 1 });
            }
            let signature = parse_signature(line).ok_or(NoteError::SignatureLine { line: position + 1 })?;
            signatures.push(signature);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Signs a text, which must end in a newline and have no other control characters.
    ///
    /// Fails on a text that no reader would accept and on no or too many signers.
    pub fn sign(text: &str, signers: &[&NoteSigner]) -> Result<Self, NoteError> {
        check_text(text)?;
        if signers.is_empty() {
            return Err(NoteError::Malformed { expected: "at least one signature" });
        }
        if signers.len() > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { found: signers.len() });
        }
        let signatures = signers.iter().map(|signer| signer.sign(text.as_bytes())).collect();
        let note = Self { text: text.to_owned(), signatures };
        match note.to_string().len() {
            found if found > NOTE_BYTES_MAX => Err(NoteError::TooLarge { found }),
            _ => Ok(note),
        }
    }

    /// Checks the signatures of known keys and returns them.
    ///
    /// Signatures of unknown keys are ignored, also if they share a name or an id with a known key.
    /// Fails if a known key's signature does not fit, or if there is none of a known key.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<&NoteSignature>, NoteError> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let mut known = keys.iter().filter(|key| key.made(signature)).peekable();
            if known.peek().is_none() {
                continue;
            }
            if !known.any(|key| key.accepts(self.text.as_bytes(), signature)) {
                return Err(NoteError::BadSignature { name: signature.name.clone(), id: signature.id });
            }
            verified.push(signature);
        }
        if verified.is_empty() {
            Err(NoteError::NoKnownSignature { known: keys.len() })
        } else {
            Ok(verified)
        }
    }

    /// Returns the text with its last newline. It means nothing before [`Self::verify`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns all signatures in the order of their lines, known or not.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// The signature line without its newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&self.id.0[..], &self.bytes].concat();
        write!(f, "{SIGNATURE_PREFIX}{} {}", self.name, encoding::encode_base64(&blob))
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed { expected: "a text that ends in a newline" });
    }
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Malformed { expected: "no control characters but newlines" });
    }
    Ok(())
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, blob) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let blob = encoding::decode_base64(blob)?;
    let (id, bytes) = blob.split_first_chunk::<KEY_ID_BYTES>()?;
    let name = KeyName::new(name).ok()?;
    (!bytes.is_empty()).then(|| NoteSignature { name, id: KeyId(*id), bytes: bytes.to_vec() })
}
