//! Authenticates Meta's requests: the HMAC over a delivery and the handshake that registers the callback.
//!
//! The signature covers the body as received and nothing else: no time, no nonce. A replayed delivery therefore
//! verifies; it is recognised as a duplicate later.

use subtle::{Choice, ConstantTimeEq};

use crate::signature::{AppSecret, HmacSha256, SignatureError, digest_from_hex, find_secret};

/// The header that carries the signature of a delivery.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

const SCHEME: &str = "sha256=";
const EXPECTED: &str = "`sha256=` and 64 hexadecimal digits";

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
    let malformed = SignatureError::Malformed { header: SIGNATURE_HEADER, expected: EXPECTED };
    let header = header.ok_or(SignatureError::Missing { header: SIGNATURE_HEADER })?;
    let digits = header.trim().strip_prefix(SCHEME).ok_or(malformed)?;
    let claimed = digest_from_hex(digits).ok_or(malformed)?;
    find_secret::<HmacSha256>(secrets, &[body], &claimed)
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
        let malformed = SignatureError::Malformed { header: SIGNATURE_HEADER, expected: EXPECTED };
        check(None, SignatureError::Missing { header: SIGNATURE_HEADER });
        for bad in
            ["", HEX, "sha1=00", "sha256=", &format!("sha256={HEX}0"), &format!("sha256={}zz", &HEX[..62])]
        {
            check(Some(bad), malformed);
        }
        check(Some(&format!("SHA256={HEX}")), malformed);
        check(Some(&format!("sha256={}", "0".repeat(64))), SignatureError::Mismatch);
        let header = format!("sha256={HEX}");
        assert_eq!(
            verify(Some(&header), b"what do ya want for nothing!", &secrets()),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(verify(Some(&header), BODY, &[]), Err(SignatureError::Mismatch));
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
