//! What the senders' signatures have in common: shared secrets, HMACs over a request, and why one is refused.
//!
//! A signature proves that the sender made the request, not when: a time in it is handed on and not judged here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// HMAC with SHA-256, which all senders but one use.
pub(crate) type HmacSha256 = Hmac<Sha256>;

/// A secret that is shared with a sender, with a name that can be written down.
#[derive(Clone)]
pub struct AppSecret {
    key_id: String,
    secret: Zeroizing<Vec<u8>>,
}

impl AppSecret {
    /// Wraps a secret; its id is the first eight hexadecimal digits of the SHA-256 of the secret.
    #[must_use]
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        let digest = Sha256::digest(secret.as_ref());
        let key_id = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self::named(key_id, secret)
    }

    /// Wraps a secret under a configured id.
    #[must_use]
    pub fn named(key_id: String, secret: impl AsRef<[u8]>) -> Self {
        Self { key_id, secret: Zeroizing::new(secret.as_ref().to_vec()) }
    }

    /// Returns the id that the archive records as having verified a delivery.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}

impl fmt::Debug for AppSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSecret").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A request that its sender made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'s> {
    /// The id of the secret that verified it.
    pub key_id: &'s str,
    /// When the sender says it was signed, seconds since the epoch. How old is too old is for the caller to decide.
    pub signed_at: Option<i64>,
}

/// Why a request was not accepted as its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request has no signature.
    #[error("signature header `{header}` is missing")]
    Missing {
        /// The header that was looked for.
        header: &'static str,
    },
    /// The signature is not written as this sender writes it.
    #[error("signature header `{header}` is malformed: expected {expected}")]
    Malformed {
        /// The header that holds it.
        header: &'static str,
        /// Its form.
        expected: &'static str,
    },
    /// The signature was not made over this body.
    #[error("signature is of another body")]
    ForeignBody,
    /// No configured secret produces this signature for this request.
    #[error("signature matches none of the configured secrets")]
    Mismatch,
}

/// Returns the id of the secret that was presented as it is, for senders that sign nothing but can send a header of
/// the subscriber's choice.
///
/// # Errors
/// [`SignatureError::Missing`] naming `header`, or [`SignatureError::Mismatch`].
pub fn verify_shared_secret<'s>(
    header: &'static str,
    presented: Option<&[u8]>,
    secrets: &'s [AppSecret],
) -> Result<Verified<'s>, SignatureError> {
    let presented = presented.ok_or(SignatureError::Missing { header })?;
    let digest = Sha256::digest(presented);
    // Digests are of one length, so that the comparison does not tell the secret's.
    let is_it = |secret: &&AppSecret| bool::from(Sha256::digest(&*secret.secret).ct_eq(&digest));
    let found = secrets.iter().find(is_it).ok_or(SignatureError::Mismatch)?;
    Ok(Verified { key_id: found.key_id(), signed_at: None })
}

/// Returns the id of the secret whose HMAC over `message` is `claimed`.
///
/// Several secrets may be valid at once, after a reset. The comparison takes the same time wherever it differs.
///
/// # Errors
/// [`SignatureError::Mismatch`] if there is none.
pub(crate) fn find_secret<'s, M: Mac + KeyInit>(
    secrets: &'s [AppSecret],
    message: &[&[u8]],
    claimed: &[u8],
) -> Result<&'s str, SignatureError> {
    secrets
        .iter()
        .find(|secret| {
            let mut mac =
                <M as KeyInit>::new_from_slice(&secret.secret).expect("HMAC takes keys of any length");
            message.iter().for_each(|part| mac.update(part));
            mac.verify_slice(claimed).is_ok()
        })
        .map(AppSecret::key_id)
        .ok_or(SignatureError::Mismatch)
}

/// Reads a SHA-256 digest or MAC of 64 hexadecimal digits.
pub(crate) fn digest_from_hex(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    let mut digest = [0; 32];
    if digits.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(digest)
}

/// Reads a header that holds an HMAC in base64.
///
/// # Errors
/// [`SignatureError::Missing`] or [`SignatureError::Malformed`].
pub(crate) fn mac_from_base64(header: &'static str, text: Option<&str>) -> Result<Vec<u8>, SignatureError> {
    let text = text.ok_or(SignatureError::Missing { header })?;
    STANDARD.decode(text.trim()).map_err(|_| SignatureError::Malformed { header, expected: "base64" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_not_printed() {
        let secret = AppSecret::new("Jefe");
        let text = format!("{secret:?}");
        assert!(!text.contains("Jefe"), "{text}");
        assert_eq!(secret.key_id().len(), 8);
        assert!(text.contains(secret.key_id()));
    }

    #[test]
    fn shared_secret_is_known_as_a_whole_only() {
        let secrets = [AppSecret::new("older"), AppSecret::named("s1".into(), "Basic QTpi")];
        let check = |presented: Option<&[u8]>| verify_shared_secret("x-secret", presented, &secrets);
        assert_eq!(check(Some(b"Basic QTpi")), Ok(Verified { key_id: "s1", signed_at: None }));
        for other in [&b""[..], b"Basic", b"Basic QTpi ", b"basic QTpi"] {
            assert_eq!(check(Some(other)), Err(SignatureError::Mismatch));
        }
        assert_eq!(check(None), Err(SignatureError::Missing { header: "x-secret" }));
    }
}
