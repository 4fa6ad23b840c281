//! Declared digests: hexadecimal or base64, compared by their bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Reads a SHA-256 as senders write it; `None` for anything else, such as the placeholders in examples.
pub(crate) fn read_sha256(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() == 64 {
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        return Some(bytes);
    }
    let alphabets = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    alphabets.into_iter().find_map(|alphabet| alphabet.decode(text).ok()?.try_into().ok())
}

/// Tells whether bytes with the digest `found` are what was declared; `None` when nothing readable was declared.
pub(crate) fn matches(declared: Option<&str>, found: &[u8; 32]) -> Option<bool> {
    Some(read_sha256(declared?)? == *found)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn both_spellings_of_a_digest_are_read() {
        let found: [u8; 32] = Sha256::digest(b"an image").into();
        let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        let spellings = [hex.to_uppercase(), hex, STANDARD.encode(found), URL_SAFE_NO_PAD.encode(found)];
        for spelling in spellings {
            assert_eq!(matches(Some(&spelling), &found), Some(true), "{spelling}");
            assert_eq!(matches(Some(&spelling), &[0; 32]), Some(false), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_digest_is_compared_with_nothing() {
        let found = [0; 32];
        for text in ["", "<SHA256>", "abc", "zz".repeat(32).as_str(), &STANDARD.encode([0; 16])] {
            assert_eq!(matches(Some(text), &found), None, "{text}");
        }
        assert_eq!(matches(None, &found), None);
    }
}
