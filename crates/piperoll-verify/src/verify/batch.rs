//! Many Ed25519 signatures at once, nearly all of the same key (decision 0007).
//!
//! The equation is that of RFC 8032 section 5.1.7 summed with random weights, as in `ed25519-dalek`'s own batch,
//! `Σ zᵢsᵢ·B = Σ zᵢ·Rᵢ + Σ zᵢhᵢ·Aᵢ`, but with one point for each *key* instead of one for each signature: the log has
//! few keys and many signatures, and the key's point was half of the work. The weights are 128 bits that follow from
//! everything that is checked, so nobody can choose a signature after knowing its weight.
//!
//! Acceptance only: whatever this refuses is checked one by one with `verify_strict`, which decides.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity as _, VartimeMultiscalarMul as _};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha512};

const CONTEXT: &str = "piperoll v1 batch verification weights";

/// One signature to check.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub(super) message: &'a [u8],
    pub(super) signature: Signature,
    pub(super) key: VerifyingKey,
}

/// Returns whether all signatures fit. False may also mean that the batch cannot tell.
pub(super) fn all_fit(batch: &[Signed<'_>]) -> bool {
    let hashes: Vec<[u8; 64]> = batch.iter().map(challenge).collect();
    let mut weights = weights(batch, &hashes);
    let mut base = Scalar::ZERO;
    let mut keys: Vec<(VerifyingKey, Scalar)> = Vec::new();
    let mut scalars = Vec::with_capacity(batch.len() + 2);
    for (signed, hash) in batch.iter().zip(&hashes) {
        let Some(s) = Scalar::from_canonical_bytes(*signed.signature.s_bytes()).into_option() else {
            return false;
        };
        let weight = weights.next();
        base += weight * s;
        let share = weight * Scalar::from_bytes_mod_order_wide(hash);
        match keys.iter_mut().find(|(key, _)| *key == signed.key) {
            Some((_, sum)) => *sum += share,
            None => keys.push((signed.key, share)),
        }
        scalars.push(weight);
    }
    let points = batch.iter().map(|signed| CompressedEdwardsY(*signed.signature.r_bytes()).decompress());
    let key_points = keys.iter().map(|(key, _)| CompressedEdwardsY(key.to_bytes()).decompress());
    let sum = EdwardsPoint::optional_multiscalar_mul(
        scalars.iter().copied().chain(keys.iter().map(|(_, share)| *share)).chain([-base]),
        points.chain(key_points).chain([Some(ED25519_BASEPOINT_POINT)]),
    );
    sum.is_some_and(|sum| sum.is_identity())
}

/// `SHA-512(R ‖ A ‖ M)`.
fn challenge(signed: &Signed<'_>) -> [u8; 64] {
    Sha512::new()
        .chain_update(signed.signature.r_bytes())
        .chain_update(signed.key.as_bytes())
        .chain_update(signed.message)
        .finalize()
        .into()
}

/// A stream of 128-bit weights that depends on every key, message and signature of the batch.
fn weights(batch: &[Signed<'_>], hashes: &[[u8; 64]]) -> Weights {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for (signed, hash) in batch.iter().zip(hashes) {
        let _ = hasher.update(hash).update(signed.signature.s_bytes());
    }
    Weights(hasher.finalize_xof())
}

struct Weights(blake3::OutputReader);

impl Weights {
    fn next(&mut self) -> Scalar {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        Scalar::from(u128::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;

    use super::*;

    fn signed(key: &SigningKey, message: &'static [u8]) -> Signed<'static> {
        Signed { message, signature: key.sign(message), key: key.verifying_key() }
    }

    #[test]
    fn a_batch_of_several_keys_fits() {
        let (one, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        assert!(all_fit(&[signed(&one, b"a"), signed(&other, b"b"), signed(&one, b"c")]));
        assert!(all_fit(&[]));
    }

    #[test]
    fn two_errors_that_cancel_without_weights_are_found() {
        // s₁ + 1 and s₂ - 1 leave the unweighted sum as it was.
        let key = SigningKey::from_bytes(&[1; 32]);
        let mut batch = [signed(&key, b"a"), signed(&key, b"b")];
        for (signed, change) in batch.iter_mut().zip([Scalar::ONE, -Scalar::ONE]) {
            let s = Scalar::from_canonical_bytes(*signed.signature.s_bytes()).expect("it was just made");
            let mut bytes = signed.signature.to_bytes();
            bytes[32..].copy_from_slice((s + change).as_bytes());
            signed.signature = Signature::from_bytes(&bytes);
        }
        assert!(!all_fit(&batch));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_refused(count in 1_usize..20, at in 0_usize..64, bit in 0_u8..8, which in any::<prop::sample::Index>()) {
            let key = SigningKey::from_bytes(&[7; 32]);
            let messages: Vec<Vec<u8>> = (0..count).map(|n| vec![n as u8; n + 1]).collect();
            let mut batch: Vec<Signed<'_>> = messages
                .iter()
                .map(|message| Signed { message, signature: key.sign(message), key: key.verifying_key() })
                .collect();
            prop_assert!(all_fit(&batch));
            let changed = which.index(count);
            let mut bytes = batch[changed].signature.to_bytes();
            bytes[at] ^= 1 << bit;
            batch[changed].signature = Signature::from_bytes(&bytes);
            prop_assert!(!all_fit(&batch));
            batch[changed].signature = key.sign(b"another message");
            prop_assert!(!all_fit(&batch));
        }
    }
}
