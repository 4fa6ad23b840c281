//! Encryption of payloads and wrapping of keys: AES-256-GCM (NIST SP 800-38D).
//!
//! A stored payload is `AES-256-GCM(key, nonce, aad, method ‖ data) ‖ tag[16]` with `aad = ledger[16] ‖ seq as u64be`;
//! without a key it is `salt[32] ‖ method ‖ data`. With a key the salt follows from key, ledger and `seq`, and the
//! nonce is the first 12 bytes of the commitment, so that neither is stored (`FORMAT.md` section 5.2).

use std::borrow::Cow;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::cbor::Writer;
use crate::class::Bucket;
use crate::compress::Codec;
use crate::error::DecodeError;
use crate::event::PayloadRef;
use crate::id::{Commitment, KekId, KeyId, LedgerId, Pseudonym, Seq, SourceDigest};
use crate::kind::Kind;
use crate::payload::{SALT_LEN, commitment};

/// Length of an AES-GCM nonce.
pub const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// The key of one subject in one bucket.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SubjectKey([u8; 32]);

/// The key-encryption key of a ledger; without it no payload can be read.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Kek([u8; 32]);

macro_rules! secret {
    ($name:ident) => {
        impl $name {
            /// Takes the key's bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret!(SubjectKey);
secret!(Kek);

impl Kek {
    /// Returns the key's bytes, for a backup.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the name that key objects carry.
    #[must_use]
    pub fn id(&self) -> KekId {
        let mut id = [0; 8];
        id.copy_from_slice(&blake3::derive_key("piperoll v1 kek id", &self.0)[..8]);
        KekId(id)
    }

    /// Wraps a subject key: `nonce[12] ‖ ciphertext[32] ‖ tag[16]`, bound to ledger, bucket and key id.
    #[must_use]
    pub fn wrap(&self, key: &SubjectKey, nonce: [u8; NONCE_LEN], binding: &KeyBinding<'_>) -> [u8; 60] {
        let mut wrapped = [0; 60];
        wrapped[..NONCE_LEN].copy_from_slice(&nonce);
        let sealed = encrypt(&self.0, nonce, &binding.aad(), key.0.to_vec());
        wrapped[NONCE_LEN..].copy_from_slice(&sealed);
        wrapped
    }

    /// Unwraps a subject key.
    ///
    /// # Errors
    /// [`DecodeError::Sealed`] for another KEK, another place or changed bytes.
    pub fn unwrap(&self, wrapped: &[u8], binding: &KeyBinding<'_>) -> Result<SubjectKey, DecodeError> {
        let truncated = DecodeError::Truncated { at: wrapped.len() };
        let (nonce, sealed) = wrapped.split_first_chunk().ok_or(truncated)?;
        let mut plain = decrypt(&self.0, *nonce, &binding.aad(), sealed)?;
        let key = plain.as_slice().try_into().map(SubjectKey).map_err(|_| DecodeError::Sealed);
        plain.zeroize();
        key
    }

    /// Returns the secret for keyed digests.
    #[must_use]
    pub fn link_secret(&self) -> LinkSecret {
        LinkSecret(blake3::derive_key("piperoll v1 link secret", &self.0))
    }
}

/// What a wrapped key is bound to.
#[derive(Clone, Debug)]
pub struct KeyBinding<'a> {
    /// The ledger.
    pub ledger: LedgerId,
    /// The bucket.
    pub bucket: &'a Bucket,
    /// The key's name.
    pub key: KeyId,
}

impl KeyBinding<'_> {
    fn aad(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(96);
        w.array(4).bytes(&self.ledger.0).text(self.bucket.class().as_str()).text(self.bucket.label());
        w.bytes(&self.key.0);
        w.into_bytes()
    }
}

/// The secret under which subjects and source ids become digests that tell outsiders nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LinkSecret([u8; 32]);

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkSecret(…)")
    }
}

impl LinkSecret {
    /// Stands for a subject in a bucket. `generation` counts up after an erasure.
    #[must_use]
    pub fn pseudonym(&self, subject: &str, bucket: &Bucket, generation: u64) -> Pseudonym {
        let mut w = Writer::with_capacity(128);
        w.array(5)
            .text("key")
            .text(bucket.class().as_str())
            .text(bucket.label())
            .text(subject)
            .uint(generation);
        Pseudonym(self.digest(&w.into_bytes()))
    }

    /// Digests an item's source id.
    #[must_use]
    pub fn source_id(&self, kind: Kind, source_id: &str) -> SourceDigest {
        let mut w = Writer::with_capacity(160);
        w.array(3).text("source").text(kind.as_str()).text(source_id);
        SourceDigest(self.digest(&w.into_bytes()))
    }

    /// Digests an item without a source id by its content.
    #[must_use]
    pub fn content(&self, kind: Kind, slices: &[&[u8]]) -> SourceDigest {
        let mut w = Writer::with_capacity(160);
        w.array(2 + slices.len()).text("content").text(kind.as_str());
        for slice in slices {
            w.bytes(slice);
        }
        SourceDigest(self.digest(&w.into_bytes()))
    }

    fn digest(&self, message: &[u8]) -> [u8; 16] {
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::keyed_hash(&self.0, message).as_bytes()[..16]);
        digest
    }
}

impl SubjectKey {
    /// Derives the salt of the payload in a place; it is gone when the key is.
    fn salt(&self, (ledger, seq): (LedgerId, Seq)) -> [u8; SALT_LEN] {
        let mut material = [0; 56];
        material[..32].copy_from_slice(&self.0);
        material[32..48].copy_from_slice(&ledger.0);
        material[48..].copy_from_slice(&seq.0.to_be_bytes());
        let salt = blake3::derive_key("piperoll v1 payload salt", &material);
        material.zeroize();
        salt
    }
}

/// How a payload is stored.
#[derive(Clone, Copy, Debug)]
pub enum Sealing<'a> {
    /// In clear, with a random salt in front.
    Clear {
        /// Random, and fresh for each event.
        salt: [u8; SALT_LEN],
    },
    /// Encrypted under the key of its subject, from which the salt follows.
    Key(&'a SubjectKey),
}

/// A payload as it lies in a pack, with what binds it to its core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPayload {
    /// The commitment to salt and payload.
    pub commitment: Commitment,
    /// The stored payload.
    pub stored: Vec<u8>,
}

/// Makes the stored form of a payload, which must be at most [`crate::PAYLOAD_BYTES_MAX`] long to be read again.
/// A long one that is given away is not copied.
#[must_use]
pub fn seal_payload<'p>(
    codec: &mut Codec,
    payload: impl Into<Cow<'p, [u8]>>,
    sealing: Sealing<'_>,
    place: (LedgerId, Seq),
) -> SealedPayload {
    let payload = payload.into();
    match sealing {
        Sealing::Clear { salt } => {
            let mut plain = Vec::with_capacity(SALT_LEN + 1 + payload.len());
            plain.extend_from_slice(&salt);
            codec.compress(&payload, &mut plain);
            SealedPayload { commitment: commitment(&salt, &payload), stored: plain }
        }
        Sealing::Key(key) => {
            let mut salt = key.salt(place);
            let commitment = commitment(&salt, &payload);
            salt.zeroize();
            let plain = codec.compress_owned(payload, TAG_LEN);
            let stored = encrypt(&key.0, nonce(commitment), &payload_aad(place), plain);
            SealedPayload { commitment, stored }
        }
    }
}

/// Reads a stored payload back: its salt and its bytes. Whether they meet the commitment is for the caller to check.
///
/// # Errors
/// [`DecodeError::Sealed`] for another key, another commitment or changed bytes, [`DecodeError::Compression`] for
/// damage inside.
pub fn open_payload(
    codec: &mut Codec,
    stored: &[u8],
    reference: &PayloadRef,
    key: Option<&SubjectKey>,
    place: (LedgerId, Seq),
) -> Result<([u8; SALT_LEN], Vec<u8>), DecodeError> {
    if let Some(key) = key {
        let plain = decrypt(&key.0, nonce(reference.commitment), &payload_aad(place), stored)?;
        return Ok((key.salt(place), codec.decompress(&plain, reference.length)?));
    }
    let (salt, data) = stored.split_first_chunk().ok_or(DecodeError::Truncated { at: stored.len() })?;
    Ok((*salt, codec.decompress(data, reference.length)?))
}

/// Cuts the nonce out of a commitment, which no two payloads under one key share.
fn nonce(commitment: Commitment) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&commitment.0[..NONCE_LEN]);
    nonce
}

fn payload_aad((ledger, seq): (LedgerId, Seq)) -> [u8; 24] {
    let mut aad = [0; 24];
    aad[..16].copy_from_slice(&ledger.0);
    aad[16..].copy_from_slice(&seq.0.to_be_bytes());
    aad
}

/// Encrypts in place: `ciphertext ‖ tag[16]`.
pub(crate) fn encrypt(key: &[u8; 32], nonce: [u8; NONCE_LEN], aad: &[u8], mut plain: Vec<u8>) -> Vec<u8> {
    if plain.capacity() - plain.len() < TAG_LEN {
        // A reallocation would leave a copy of the plaintext behind.
        let mut longer = Vec::with_capacity(plain.len() + TAG_LEN);
        longer.extend_from_slice(&plain);
        plain.zeroize();
        plain = longer;
    }
    let tag = Aes256Gcm::new(key.into())
        .encrypt_inout_detached(&Nonce::from(nonce), aad, plain.as_mut_slice().into())
        .expect("a payload is shorter than the 64 GiB that AES-GCM allows");
    plain.extend_from_slice(&tag);
    plain
}

pub(crate) fn decrypt(
    key: &[u8; 32],
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, DecodeError> {
    let (body, tag) =
        sealed.split_last_chunk::<TAG_LEN>().ok_or(DecodeError::Truncated { at: sealed.len() })?;
    let mut plain = body.to_vec();
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(&Nonce::from(nonce), aad, plain.as_mut_slice().into(), tag.into())
        .map_err(|_| DecodeError::Sealed)?;
    Ok(plain)
}
