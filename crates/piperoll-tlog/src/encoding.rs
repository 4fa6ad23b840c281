//! The text encodings that all C2SP formats share, in their only accepted spelling.
//!
//! Each value has exactly one text form, so that what parses also writes back to the same bytes.

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// Writes standard base64 with padding (RFC 4648 section 4).
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Reads standard base64; missing padding, spaces and non-zero trailing bits are refused.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// Reads an ASCII decimal number without sign and without leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits_only && (text == "0" || !text.starts_with('0'));
    // Overflow of u64 is the only way left to fail.
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_has_one_spelling() {
        assert_eq!(parse_decimal("0"), Some(0));
        assert_eq!(parse_decimal("18446744073709551615"), Some(u64::MAX));
        for refused in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "١", "18446744073709551616"] {
            assert_eq!(parse_decimal(refused), None, "`{refused}` was accepted");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(decode_base64("AA=="), Some(vec![0]));
        for refused in ["AA", "AA=", "AB==", "AA==\n", " AA==", "AA===", "_w=="] {
            assert_eq!(decode_base64(refused), None, "`{refused}` was accepted");
        }
    }
}
