//! Authenticates Meta's requests: the HMAC over a delivery and the handshake that registers the callback.
//!
//! The signature covers the body as received and nothing else: no time, no nonce. A replayed delivery therefore
//! verifies; it is recognised as a duplicate later.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// The header that carries the signature of a delivery.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

const SCHEME: &str = "sha256=";
const MAC_BYTES: usize = 32;

/// The secret of a Meta app, with a name that can be written down.
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

/// Why a delivery was not accepted as Meta's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request has no signature header.
    #[error("signature header `{SIGNATURE_HEADER}` is missing")]
    Missing,
    /// The header is not `sha256=` and 64 hexadecimal digits.
    #[error("signature header is malformed: expected `sha256=` and 64 hexadecimal digits")]
    Malformed,
    /// No configured secret produces this signature for this body.
    #[error("signature matches none of the configured app secrets")]
    Mismatch,
}

/// Checks the signature of `body` and returns the id of the secret that produced it.
///
/// Several secrets may be valid at once, after a reset. The comparison takes the same time wherever it differs.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify<'s>(
    header: Option<&str>,
    body: &[u8],
    secrets: &'s [AppSecret],
) -> Result<&'s str, SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?;
    let digits = header.trim().strip_prefix(SCHEME).ok_or(SignatureError::Malformed)?;
    let claimed = mac_from_hex(digits).ok_or(SignatureError::Malformed)?;
    secrets
        .iter()
        .find(|secret| {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(&secret.secret).expect("HMAC takes keys of any length");
            mac.update(body);
            mac.verify_slice(&claimed).is_ok()
        })
        .map(AppSecret::key_id)
        .ok_or(SignatureError::Mismatch)
}

fn mac_from_hex(digits: &str) -> Option<[u8; MAC_BYTES]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * MAC_BYTES {
        return None;
    }
    let mut mac = [0; MAC_BYTES];
    for (byte, pair) in mac.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(mac)
}

/// Why a callback registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// `hub.mode` is absent or not `subscribe`.
    #[error("handshake mode: expected `subscribe`")]
    Mode,
    /// `hub.verify_token` is absent or not one of the configured tokens.
    #[error("handshake token matches none of the configured verify tokens")]
    Token,
}

/// Checks the query of the GET request with which Meta verifies a callback address. The answer to a successful
/// one is the value of `hub.challenge` as plain text.
///
/// # Errors
/// See [`HandshakeError`].
pub fn verify_handshake(
    mode: Option<&str>,
    token: Option<&str>,
    expected: &[impl AsRef<str>],
) -> Result<(), HandshakeError> {
    if mode != Some("subscribe") {
        return Err(HandshakeError::Mode);
    }
    let token = token.filter(|token| !token.is_empty()).ok_or(HandshakeError::Token)?;
    // Every token is compared, so the time does not tell which one was close.
    let known = expected.iter().fold(Choice::from(0), |known, candidate| {
        known | candidate.as_ref().as_bytes().ct_eq(token.as_bytes())
    });
    if bool::from(known) { Ok(()) } else { Err(HandshakeError::Token) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The second test case of RFC 4231: key "Jefe".
    const BODY: &[u8] = b"what do ya want for nothing?";
    const HEX: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn secrets() -> Vec<AppSecret> {
        vec![AppSecret::new("other"), AppSecret::named("jefe".into(), "Jefe")]
    }

    #[test]
    fn signature_names_the_secret_that_made_it() {
        let header = format!("sha256={HEX}");
        assert_eq!(verify(Some(&header), BODY, &secrets()), Ok("jefe"));
        let upper = format!("sha256={}", HEX.to_uppercase());
        assert_eq!(verify(Some(&upper), BODY, &secrets()), Ok("jefe"));
    }

    #[test]
    fn unsigned_malformed_and_foreign_are_told_apart() {
        let check =
            |header: Option<&str>, expected| assert_eq!(verify(header, BODY, &secrets()), Err(expected));
        check(None, SignatureError::Missing);
        for bad in
            ["", HEX, "sha1=00", "sha256=", &format!("sha256={HEX}0"), &format!("sha256={}zz", &HEX[..62])]
        {
            check(Some(bad), SignatureError::Malformed);
        }
        check(Some(&format!("SHA256={HEX}")), SignatureError::Malformed);
        check(Some(&format!("sha256={}", "0".repeat(64))), SignatureError::Mismatch);
        let header = format!("sha256={HEX}");
        assert_eq!(
            verify(Some(&header), b"what do ya want for nothing!", &secrets()),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(verify(Some(&header), BODY, &[]), Err(SignatureError::Mismatch));
    }

    #[test]
    fn secret_is_not_printed() {
        let secret = AppSecret::new("Jefe");
        let text = format!("{secret:?}");
        assert!(!text.contains("Jefe"), "{text}");
        assert_eq!(secret.key_id().len(), 8);
        assert!(text.contains(secret.key_id()));
    }

    #[test]
    fn handshake_needs_mode_and_a_known_token() {
        let tokens = ["first", "second"];
        assert_eq!(verify_handshake(Some("subscribe"), Some("second"), &tokens), Ok(()));
        assert_eq!(verify_handshake(Some("unsubscribe"), Some("second"), &tokens), Err(HandshakeError::Mode));
        assert_eq!(verify_handshake(None, Some("second"), &tokens), Err(HandshakeError::Mode));
        assert_eq!(verify_handshake(Some("subscribe"), Some("secon"), &tokens), Err(HandshakeError::Token));
        assert_eq!(verify_handshake(Some("subscribe"), None, &tokens), Err(HandshakeError::Token));
        assert_eq!(verify_handshake(Some("subscribe"), Some(""), &[""]), Err(HandshakeError::Token));
    }
}
