//! vCard 2.1 to 4.0 (RFC 6350): the values that a person reads.

use crate::plain;

/// Properties with pictures, sounds and keys in them.
const BINARY: [&str; 4] = ["PHOTO", "LOGO", "SOUND", "KEY"];
/// Properties that no person reads.
const TECHNICAL: [&str; 6] = ["BEGIN", "END", "VERSION", "PRODID", "REV", "UID"];

/// Returns one line for each value.
pub(crate) fn text(bytes: &[u8]) -> String {
    let text = plain::text(bytes);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        // A line that begins with white space, or follows a soft break, goes on with the one before.
        let folded = line.strip_prefix([' ', '\t']);
        match (lines.last_mut(), folded) {
            (Some(last), Some(rest)) => last.push_str(rest),
            (Some(last), None) if is_quoted(last) && last.ends_with('=') => {
                let _ = last.pop();
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let values: Vec<String> = lines.iter().filter_map(|line| value(line)).collect();
    values.join("\n")
}

fn is_quoted(line: &str) -> bool {
    line.split(':').next().unwrap_or_default().to_ascii_uppercase().contains("QUOTED-PRINTABLE")
}

fn value(line: &str) -> Option<String> {
    let (head, value) = line.split_once(':')?;
    let name = head.split(';').next().unwrap_or_default().to_ascii_uppercase();
    // `item1.TEL` is a TEL in a group.
    let name = name.rsplit('.').next().unwrap_or_default();
    if TECHNICAL.contains(&name) || BINARY.contains(&name) || value.trim().is_empty() {
        return None;
    }
    let value = if is_quoted(line) { quoted_printable(value) } else { value.to_owned() };
    let parts: Vec<&str> = value.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
    let readable = parts.join(" ").replace("\\n", "\n").replace("\\N", "\n");
    Some(readable.replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\"))
}

fn quoted_printable(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'=').then(|| after.get(..2)).flatten();
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    plain::text(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_values_are_kept() {
        let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Brandt;Ada;;;\r\nFN:Ada Brandt\r\nitem1.TEL;waid=491:+49 1\r\n\
            PHOTO;ENCODING=b:AAAA\r\n BBBB\r\nNOTE:first\\nsec\r\n ond\\, third\r\n\
            ADR;ENCODING=QUOTED-PRINTABLE:;;Stra=C3=9Fe 1;=\r\nKiel;;;\r\nEND:VCARD\r\n";
        assert_eq!(
            text(card.as_bytes()),
            "Brandt Ada\nAda Brandt\n+49 1\nfirst\nsecond, third\nStraße 1 Kiel"
        );
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(text(b"NOTE;QUOTED-PRINTABLE:a=Z1=\xFF=4"), "a=Z1=\u{ff}=4");
    }
}
