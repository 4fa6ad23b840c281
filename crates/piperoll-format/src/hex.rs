//! Lower-case hexadecimal text.

use std::fmt;

use crate::error::DecodeError;

/// Writes `bytes` as lower-case hexadecimal digits.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads exactly `N` bytes from lower-case hexadecimal digits.
pub(crate) fn read<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], DecodeError> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(DecodeError::Length { what, expected: 2 * N, found: digits.len() });
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(DecodeError::Text { what, expected: "lower-case hexadecimal digits" });
        };
        *byte = high << 4 | low;
    }
    Ok(out)
}

const fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}
