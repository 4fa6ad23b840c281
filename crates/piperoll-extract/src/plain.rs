//! Plain text in the encodings that people send: UTF-8, UTF-16 with a mark, else Latin-1.

/// Reads text; every byte sequence has some reading.
pub(crate) fn text(bytes: &[u8]) -> String {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_encodings_are_read() {
        assert_eq!(text("Grüße 📦".as_bytes()), "Grüße 📦");
        assert_eq!(text(b"\xEF\xBB\xBFabc"), "abc");
        assert_eq!(text(b"\xFF\xFEa\x00\xFC\x00"), "aü");
        assert_eq!(text(b"\xFE\xFF\x00a\x00\xFC"), "aü");
        assert_eq!(text(b"Gr\xFC\xDFe"), "Grüße");
    }
}
