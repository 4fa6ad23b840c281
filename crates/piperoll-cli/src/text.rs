//! How numbers and texts are written for people.

use console::{measure_text_width, truncate_str};

/// Writes a number with separators between the thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a number with the right form of a noun.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Writes a size with a unit.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// Puts a text on one line and cuts it to a width in columns, so that wide characters do not break a table.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    // Control characters from outside must not reach the terminal.
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if measure_text_width(&line) <= columns { line } else { truncate_str(&line, columns, "…").into_owned() }
}

/// Makes a text from outside safe for the terminal; line breaks stay.
pub(crate) fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "event", "events"), "1 event");
        assert_eq!(counted(2_000, "event", "events"), "2,000 events");
    }

    #[test]
    fn texts_fit_their_column_and_cannot_steer_the_terminal() {
        assert_eq!(fit("a\nb\u{1b}[31m c", 20), "a b [31m c");
        assert_eq!(fit("abcdef", 4), "abc…");
        // Each of these takes two columns.
        assert_eq!(fit("日本語です", 5), "日本…");
        assert_eq!(safe("a\u{7}\nb"), "a\u{fffd}\nb");
    }
}
