//! Sealing of snapshots: copies of derived state in the store, readable by whoever holds the KEK (`FORMAT.md` 3.1).
//!
//! A sealed piece is `AES-256-GCM(key, nonce, aad = id, length as u32be ‖ method ‖ data) ‖ tag[16]`. Its id is a keyed
//! BLAKE3 hash of what it is about and of what is encrypted; the nonce is the first 12 bytes of the id, so that one key
//! never meets the same nonce with other bytes. Keys follow from KEK and ledger.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::compress::Codec;
use crate::error::DecodeError;
use crate::id::{LedgerId, PieceId, Seq};
use crate::seal::{Kek, NONCE_LEN, decrypt, encrypt};

/// The longest content of a piece.
pub const PIECE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest that a sealed piece can be: length, method and tag come to content that does not shrink.
pub const SEALED_PIECE_BYTES_MAX: usize = PIECE_BYTES_MAX + 4 + 1 + 16;

/// What a piece of a snapshot is about; one never passes for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceRole {
    /// Bytes of a file.
    Content,
    /// The list of files of the state after all events before this one.
    Manifest(Seq),
}

impl PieceRole {
    fn bytes(self) -> [u8; 9] {
        let (tag, cursor) = match self {
            Self::Content => (0, 0),
            Self::Manifest(Seq(cursor)) => (1, cursor),
        };
        let mut bytes = [tag; 9];
        bytes[1..].copy_from_slice(&cursor.to_be_bytes());
        bytes
    }
}

/// The keys of a ledger's snapshots.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SnapshotKey {
    naming: [u8; 32],
    sealing: [u8; 32],
}

impl std::fmt::Debug for SnapshotKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SnapshotKey(…)")
    }
}

impl Kek {
    /// Returns the keys of a ledger's snapshots.
    #[must_use]
    pub fn snapshot_key(&self, ledger: LedgerId) -> SnapshotKey {
        let mut material = [0; 48];
        material[..32].copy_from_slice(self.expose());
        material[32..].copy_from_slice(&ledger.0);
        let naming = blake3::derive_key("piperoll v1 snapshot naming", &material);
        let sealing = blake3::derive_key("piperoll v1 snapshot sealing", &material);
        material.zeroize();
        SnapshotKey { naming, sealing }
    }
}

impl SnapshotKey {
    /// Compresses and encrypts at most [`PIECE_BYTES_MAX`] bytes. The same bytes give the same piece.
    ///
    /// # Panics
    /// When there are more.
    #[must_use]
    pub fn seal(&self, codec: &mut Codec, role: PieceRole, content: &[u8]) -> (PieceId, Vec<u8>) {
        assert!(content.len() <= PIECE_BYTES_MAX, "a piece of a snapshot has at most 16 MiB");
        let length = u32::try_from(content.len()).expect("16 MiB is less than 2^32");
        let mut plain = Vec::with_capacity(content.len() / 2);
        plain.extend_from_slice(&length.to_be_bytes());
        codec.compress(content, &mut plain);
        let id = self.id(role, &plain);
        let sealed = encrypt(&self.sealing, nonce(id), &id.0, plain);
        (id, sealed)
    }

    /// Reads a piece back.
    ///
    /// # Errors
    /// [`DecodeError::Sealed`] for another key, id or role and for changed bytes.
    pub fn open(
        &self,
        codec: &mut Codec,
        role: PieceRole,
        id: PieceId,
        sealed: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        if sealed.len() > SEALED_PIECE_BYTES_MAX {
            return Err(DecodeError::Range { what: "piece of a snapshot", expected: "at most 16 MiB" });
        }
        let plain = decrypt(&self.sealing, nonce(id), &id.0, sealed)?;
        if self.id(role, &plain) != id {
            return Err(DecodeError::Sealed);
        }
        let truncated = DecodeError::Truncated { at: plain.len() };
        let (length, data) = plain.split_first_chunk().ok_or(truncated)?;
        let length = u32::from_be_bytes(*length);
        if length as usize > PIECE_BYTES_MAX {
            return Err(DecodeError::Range { what: "piece of a snapshot", expected: "at most 16 MiB" });
        }
        codec.decompress(data, u64::from(length))
    }

    fn id(&self, role: PieceRole, plain: &[u8]) -> PieceId {
        let mut hasher = blake3::Hasher::new_keyed(&self.naming);
        hasher.update(&role.bytes()).update(plain);
        PieceId(*hasher.finalize().as_bytes())
    }
}

fn nonce(id: PieceId) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&id.0[..NONCE_LEN]);
    nonce
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::*;

    const LEDGER: LedgerId = LedgerId([7; 16]);

    fn key() -> SnapshotKey {
        Kek::new([3; 32]).snapshot_key(LEDGER)
    }

    #[test]
    fn pieces_open_with_their_key_in_their_role_only() {
        let mut codec = Codec::default();
        let content: Vec<u8> = (0..300_000_u32).flat_map(|n| (n / 7).to_be_bytes()).collect();
        for content in [&b""[..], b"a name", &content] {
            let (id, sealed) = key().seal(&mut codec, PieceRole::Content, content);
            assert_eq!(key().seal(&mut codec, PieceRole::Content, content), (id, sealed.clone()));
            let mut open = |key: SnapshotKey, role, id, sealed: &[u8]| key.open(&mut codec, role, id, sealed);
            assert_eq!(open(key(), PieceRole::Content, id, &sealed).unwrap(), content);
            let refused = Err(DecodeError::Sealed);
            assert_eq!(open(key(), PieceRole::Manifest(Seq(0)), id, &sealed), refused);
            assert_eq!(open(key(), PieceRole::Content, PieceId([9; 32]), &sealed), refused);
            let other = Kek::new([3; 32]).snapshot_key(LedgerId([8; 16]));
            assert_eq!(open(other, PieceRole::Content, id, &sealed), refused);
            let other = Kek::new([4; 32]).snapshot_key(LEDGER);
            assert_eq!(open(other, PieceRole::Content, id, &sealed), refused);
            for at in [0, sealed.len() / 2, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(open(key(), PieceRole::Content, id, &changed), refused, "byte {at}");
                assert!(open(key(), PieceRole::Content, id, &sealed[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn manifests_of_different_cursors_are_different_pieces() {
        let mut codec = Codec::default();
        let (one, sealed) = key().seal(&mut codec, PieceRole::Manifest(Seq(1)), b"{}");
        let (two, _) = key().seal(&mut codec, PieceRole::Manifest(Seq(2)), b"{}");
        assert_ne!(one, two);
        assert!(key().open(&mut codec, PieceRole::Manifest(Seq(2)), one, &sealed).is_err());
    }

    #[test]
    fn what_is_too_long_is_not_read() {
        let long = vec![0; SEALED_PIECE_BYTES_MAX + 1];
        let opened = key().open(&mut Codec::default(), PieceRole::Content, PieceId([0; 32]), &long);
        assert!(matches!(opened, Err(DecodeError::Range { .. })));
    }
}
