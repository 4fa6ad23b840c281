//! Keys of signed notes: names, ids, verifier keys (vkeys) and the Ed25519 signer.
//!
//! ```text
//! key id = SHA-256( name || 0x0A || type || public key )[0..4]
//! vkey   = name "+" hex(key id) "+" base64( type || public key )
//! ```
//! The base64 part may contain plus signs, so a vkey is split at the first two only.
//! Type 0x01 is Ed25519 over the note text (RFC 8032); no other type is supported.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::encoding;
use crate::note::{NoteError, NoteSignature};

/// Signature type of Ed25519 note signatures.
const TYPE_ED25519: u8 = 0x01;

/// The name of a key: not empty, no spaces, no plus sign, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Takes a valid name; fails with [`NoteError::KeyName`].
    pub fn new(name: &str) -> Result<Self, NoteError> {
        let forbidden = |symbol: char| symbol.is_whitespace() || symbol == '+' || symbol < ' ';
        if name.is_empty() || name.contains(forbidden) {
            return Err(NoteError::KeyName { name: name.to_owned() });
        }
        Ok(Self(name.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The short id of a key. It selects a key and proves nothing: anyone can make a key with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl KeyId {
    fn of(name: &KeyName, public_key: &VerifyingKey) -> Self {
        let hash = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', TYPE_ED25519])
            .chain_update(public_key.as_bytes())
            .finalize();
        Self([hash[0], hash[1], hash[2], hash[3]])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// A public key that is trusted under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    public_key: VerifyingKey,
}

impl VerifierKey {
    /// Names an Ed25519 public key. Fails if the key is weak, since anyone could sign under it.
    pub fn new(name: KeyName, public_key: VerifyingKey) -> Result<Self, NoteError> {
        if public_key.is_weak() {
            return Err(NoteError::VerifierKey { expected: "an Ed25519 key that is not weak" });
        }
        let id = KeyId::of(&name, &public_key);
        Ok(Self { name, id, public_key })
    }

    /// Reads a vkey text; the id in it must be that of the key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = |expected| NoteError::VerifierKey { expected };
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("name, id and key separated by plus signs"));
        };
        let key = encoding::decode_base64(key).ok_or(malformed("a base64 key"))?;
        let (TYPE_ED25519, key) = key.split_first().map_or((0, &[][..]), |(kind, key)| (*kind, key)) else {
            return Err(malformed("key type 0x01 (Ed25519)"));
        };
        let key = key.try_into().map_err(|_| malformed("32 bytes of public key"))?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| malformed("a valid Ed25519 public key"))?;
        let verifier_key = Self::new(KeyName::new(name)?, key)?;
        if verifier_key.id.to_string() != id {
            return Err(malformed("the id of the key in lowercase hex"));
        }
        Ok(verifier_key)
    }

    /// Returns the name of the key.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the id of the key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the Ed25519 public key.
    pub fn public_key(&self) -> &VerifyingKey {
        &self.public_key
    }

    /// Tells whether the signature claims to be of this key, by name and id.
    pub(super) fn made(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name && self.id == signature.id
    }

    /// Tells whether the signature fits the text; refuses malleable and small-order signatures.
    pub(super) fn accepts(&self, text: &[u8], signature: &NoteSignature) -> bool {
        Signature::from_slice(&signature.bytes)
            .is_ok_and(|signature| self.public_key.verify_strict(text, &signature).is_ok())
    }
}

/// The vkey text.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[TYPE_ED25519][..], self.public_key.as_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, self.id, encoding::encode_base64(&key))
    }
}

/// An Ed25519 private key with its name.
#[derive(Clone)]
pub struct NoteSigner {
    verifier_key: VerifierKey,
    signing_key: SigningKey,
}

impl NoteSigner {
    /// Names an Ed25519 private key; fails on an invalid name.
    pub fn new(name: &str, signing_key: SigningKey) -> Result<Self, NoteError> {
        let verifier_key = VerifierKey::new(KeyName::new(name)?, signing_key.verifying_key())?;
        Ok(Self { verifier_key, signing_key })
    }

    /// Returns the name of the key.
    pub fn name(&self) -> &KeyName {
        self.verifier_key.name()
    }

    /// Returns the id of the key.
    pub fn id(&self) -> KeyId {
        self.verifier_key.id()
    }

    /// Returns the public key with its name.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier_key
    }

    /// Signs the text of a note.
    pub(super) fn sign(&self, text: &[u8]) -> NoteSignature {
        let bytes = self.signing_key.sign(text).to_vec();
        NoteSignature { name: self.name().clone(), id: self.id(), bytes }
    }
}

/// Shows the public key only.
impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner")
            .field("verifier_key", &self.verifier_key.to_string())
            .finish_non_exhaustive()
    }
}
