//! Date and time at the head of an exported message, in the forms of the phones' languages.
//!
//! The numbers are in an order of their own (the date's is found by looking at all heads of a chat), in digits of any
//! script, with marks of direction between them. Words around them tell the half of the day or nothing. A text with
//! any other word is no head: it is part of a message.

use chrono::NaiveTime;

/// Marks of direction that the app writes between words and numbers.
pub(super) const MARKS: [char; 15] = [
    '\u{61c}', '\u{200b}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
    '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{feff}', '\u{fffc}',
];

/// The longest head, in bytes.
const STAMP_BYTES_MAX: usize = 120;

/// Words that say nothing about the time, in lower case and without what is no letter: "à", "às", "kl.", "klo", "г.", …
const FILLERS: [&str; 18] = [
    "à", "às", "as", "a", "alas", "alle", "ore", "at", "kl", "klo", "um", "uhr", "om", "ob", "la", "saat",
    "г", "ч",
];

/// What stands for the morning.
const MORNING: [&str; 20] = [
    "am",
    "vorm",
    "vormittags",
    "ص",
    "صباحا",
    "पूरवाहन",
    "सुबह",
    "上午",
    "凌晨",
    "早上",
    "午前",
    "오전",
    "πμ",
    "öö",
    "fm",
    "ip",
    "dop",
    "sa",
    "קצ",
    "قظ",
];

/// What stands for the afternoon.
const AFTERNOON: [&str; 20] = [
    "pm",
    "nachm",
    "nachmittags",
    "م",
    "مساء",
    "अपराहन",
    "शाम",
    "下午",
    "中午",
    "晚上",
    "午後",
    "오후",
    "μμ",
    "ös",
    "em",
    "odp",
    "ch",
    "ptg",
    "אחהצ",
    "بظ",
];

/// The morning in Malay, and in Hebrew: short for what others write out.
const MORNING_SHORT: [&str; 2] = ["pg", "לפנהצ"];

/// A number, and what stands before it.
#[derive(Clone, Copy, Debug)]
struct Number<'a> {
    before: &'a str,
    value: u32,
    digits: usize,
}

/// What a word around a time says.
enum Word {
    Nothing,
    Afternoon(bool),
}

/// Reads `21.11.26, 10:05:33` and its like: the three numbers of the date, whether the first has four digits, and the
/// time.
pub(super) fn stamp_of(stamp: &str) -> Option<([u32; 3], bool, NaiveTime)> {
    if stamp.len() > STAMP_BYTES_MAX {
        return None;
    }
    let plain: String = stamp.chars().filter(|c| !MARKS.contains(c)).map(plain).collect();
    let (numbers, rest) = numbers(&plain)?;
    let time_first = matches!(numbers[..], [_, second, ..] if second.before == ":");
    let (first, second) = match (time_first, numbers.len()) {
        (false, 5 | 6) => numbers.split_at(3),
        (true, 5) => numbers.split_at(2),
        (true, 6) => numbers.split_at(3),
        _ => return None,
    };
    let (date, time) = if time_first { (second, first) } else { (first, second) };
    // What stands before the first number, between date and time, and behind the last.
    let words = [numbers[0].before, second[0].before, rest];
    let mut half = None;
    for word in words {
        if let Word::Afternoon(is_afternoon) = word_of(word)? {
            half = Some(is_afternoon);
        }
    }
    let (date, is_year_first) = date_of(date)?;
    Some((date, is_year_first, time_of(time, half)?))
}

/// A character as it counts: digits of any script, and one kind of blank.
fn plain(c: char) -> char {
    let digit = |zero: char| char::from_digit(c as u32 - zero as u32, 10).unwrap_or(c);
    match c {
        '\u{660}'..='\u{669}' => digit('\u{660}'),
        '\u{6f0}'..='\u{6f9}' => digit('\u{6f0}'),
        '\u{966}'..='\u{96f}' => digit('\u{966}'),
        '\u{9e6}'..='\u{9ef}' => digit('\u{9e6}'),
        '\u{60c}' => ',',
        c if c.is_whitespace() => ' ',
        c => c,
    }
}

/// Takes a text apart into its numbers, and what follows the last of them.
fn numbers(text: &str) -> Option<(Vec<Number<'_>>, &str)> {
    const NUMBERS_MAX: usize = 6;
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, tail) = rest.split_at(start);
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, behind) = tail.split_at(end);
        if found.len() == NUMBERS_MAX || number.len() > 4 {
            return None;
        }
        found.push(Number { before, value: number.parse().ok()?, digits: number.len() });
        rest = behind;
    }
    (!found.is_empty()).then_some((found, rest))
}

/// Reads the numbers of a date; between them stands the same sign, or the words for year and month.
fn date_of(numbers: &[Number<'_>]) -> Option<([u32; 3], bool)> {
    let [first, second, third] = numbers else { return None };
    let between = [second.before.trim(), third.before.trim()];
    let is_date = match between {
        ["年", "月"] | ["년", "월"] => true,
        [left, right] => left == right && matches!(left, "/" | "." | "-"),
    };
    let is_short = second.digits <= 2 && (first.digits <= 2 || third.digits <= 2);
    (is_date && is_short).then_some(([first.value, second.value, third.value], first.digits == 4))
}

fn time_of(numbers: &[Number<'_>], half: Option<bool>) -> Option<NaiveTime> {
    let is_time = numbers.iter().skip(1).all(|number| matches!(number.before, ":" | "."));
    if !is_time || numbers.iter().any(|number| number.digits > 2) {
        return None;
    }
    let value = |at: usize| numbers.get(at).map_or(0, |number| number.value);
    let hour = match half {
        None => value(0),
        Some(is_afternoon) if (1..=12).contains(&value(0)) => {
            value(0) % 12 + if is_afternoon { 12 } else { 0 }
        }
        // Some phones write the half of the day beside 24 hours.
        Some(true) if value(0) < 24 => value(0),
        Some(_) => return None,
    };
    NaiveTime::from_hms_opt(hour, value(1), value(2))
}

/// Reads what stands beside the numbers; nothing for words of a message.
fn word_of(text: &str) -> Option<Word> {
    let is_plain = |c: char| c.is_alphabetic() || c == ' ' || c == ',' || c == '.' || is_joint(c);
    if !text.chars().all(is_plain) {
        return None;
    }
    let letters: String = text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    // "Day", which closes a date in Chinese, Japanese and Korean.
    let letters = letters.trim_start_matches(['日', '일']);
    let half = |list: &[&str]| list.contains(&letters);
    if letters.is_empty() || FILLERS.contains(&letters) {
        return Some(Word::Nothing);
    }
    if half(&MORNING) || half(&MORNING_SHORT) {
        return Some(Word::Afternoon(false));
    }
    half(&AFTERNOON).then_some(Word::Afternoon(true))
}

/// Signs inside of words: the sign that joins Devanagari letters, vowel marks of Arabic, the quotation mark in Hebrew
/// abbreviations.
const fn is_joint(c: char) -> bool {
    matches!(c, '\u{94d}' | '\u{64b}'..='\u{652}' | '\u{5f4}' | '\u{5f3}' | '"' | '\u{307}')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    /// What phones in these languages write at 22:05 on 21 November 2026.
    const FORMS: [(&str, &str, [u32; 3]); 40] = [
        ("American", "11/21/26, 10:05 PM", [11, 21, 26]),
        ("American, narrow blank", "11/21/26, 10:05\u{202f}PM", [11, 21, 26]),
        ("American iPhone", "11/21/26, 10:05:00\u{202f}PM", [11, 21, 26]),
        ("British", "21/11/2026, 22:05", [21, 11, 2026]),
        ("Australian", "21/11/2026, 10:05 pm", [21, 11, 2026]),
        ("Canadian", "2026-11-21, 10:05 p.m.", [2026, 11, 21]),
        ("Indian", "21/11/26, 10:05\u{202f}pm", [21, 11, 26]),
        ("German", "21.11.26, 22:05", [21, 11, 26]),
        ("German iPhone", "21.11.26, 22:05:00", [21, 11, 26]),
        ("German, 12 hours", "21.11.26, 10:05 nachm.", [21, 11, 26]),
        ("Spanish", "21/11/26, 10:05\u{a0}p.\u{a0}m.", [21, 11, 26]),
        ("Spanish, narrow blank", "21/11/26, 10:05 p.\u{202f}m.", [21, 11, 26]),
        ("Spanish, 24 hours", "21/11/26 22:05", [21, 11, 26]),
        ("French", "21/11/2026, 22:05", [21, 11, 2026]),
        ("French, older", "21/11/2026 à 22:05", [21, 11, 2026]),
        ("French iPhone", "21/11/2026 22:05:00", [21, 11, 2026]),
        ("Portuguese", "21/11/2026 22:05", [21, 11, 2026]),
        ("Portuguese, older", "21/11/2026 às 22:05", [21, 11, 2026]),
        ("Italian", "21/11/26, 22:05", [21, 11, 26]),
        ("Dutch", "21-11-2026 22:05", [21, 11, 2026]),
        ("Danish", "21.11.2026 22.05", [21, 11, 2026]),
        ("Finnish", "21.11.2026 klo 22.05", [21, 11, 2026]),
        ("Swedish", "2026-11-21 22:05", [2026, 11, 21]),
        ("Hungarian", "2026. 11. 21. 22:05", [2026, 11, 21]),
        ("Bulgarian", "21.11.26 г., 22:05 ч.", [21, 11, 26]),
        ("Greek", "21/11/26, 10:05 μ.μ.", [21, 11, 26]),
        ("Turkish, 12 hours", "21.11.2026 ÖS 10:05", [21, 11, 2026]),
        ("Hindi", "21/11/26, 10:05 अपराह्न", [21, 11, 26]),
        ("Marathi", "२१/११/२६, १०:०५ PM", [21, 11, 26]),
        ("Bengali", "২১/১১/২৬, ১০:০৫ PM", [21, 11, 26]),
        ("Arabic", "٢١\u{200f}/١١\u{200f}/٢٠٢٦، ١٠:٠٥ م", [21, 11, 2026]),
        ("Arabic, ASCII digits", "21\u{200f}/11\u{200f}/2026\u{200f}, 10:05 م", [21, 11, 2026]),
        ("Persian", "۲۰۲۶/۱۱/۲۱،\u{200f} ۲۲:۰۵", [2026, 11, 21]),
        ("Hebrew", "21.11.2026, 22:05", [21, 11, 2026]),
        ("Vietnamese", "22:05, 21/11/2026", [21, 11, 2026]),
        ("Malay", "21/11/2026, 10:05 PTG", [21, 11, 2026]),
        ("Chinese", "2026/11/21 下午10:05", [2026, 11, 21]),
        ("Chinese, with words", "2026年11月21日 下午10:05", [2026, 11, 21]),
        ("Japanese", "2026/11/21 22:05", [2026, 11, 21]),
        ("Korean", "2026. 11. 21. 오후 10:05", [2026, 11, 21]),
    ];

    #[test]
    fn forms_of_many_languages_are_read() {
        for (language, stamp, date) in FORMS {
            let expected = (date, date[0] == 2026, NaiveTime::from_hms_opt(22, 5, 0).unwrap());
            assert_eq!(stamp_of(stamp), Some(expected), "{language}: {stamp}");
        }
    }

    #[test]
    fn halves_of_the_day_are_told_apart() {
        for (stamp, hour) in [
            ("11/21/26, 12:05 AM", 0),
            ("11/21/26, 12:05 PM", 12),
            ("11/21/26, 1:05 AM", 1),
            ("21.11.26, 9:05 vorm.", 9),
            ("21/11/26, 9:05 a. m.", 9),
            ("21/11/26, 9:05 पूर्वाह्न", 9),
            ("٢١/١١/٢٠٢٦، ٩:٠٥ ص", 9),
            ("2026/11/21 上午9:05", 9),
            ("2026. 11. 21. 오전 9:05", 9),
            ("21/11/26, 9:05 π.μ.", 9),
        ] {
            let expected = NaiveTime::from_hms_opt(hour, 5, 0);
            assert_eq!(stamp_of(stamp).map(|(.., time)| time), expected, "{stamp}");
        }
    }

    #[test]
    fn words_of_a_message_are_no_head() {
        for text in [
            "",
            "10:05",
            "21/11/2026",
            "on 21/11/2026, 10:05",
            "21/11/2026, 10:05 sharp",
            "1.2.3.4.5.6.7",
            "21/11.2026, 10:05",
            "21/11/2026, 10-05",
            "21/11/2026, 25:05",
            "21/11/2026, 10:05 (2)",
            "20/11/2026 to 21/11/2026",
            "13:05 PM, 21/11/20265",
            "0/0/0, 13:00 AM",
        ] {
            assert_eq!(stamp_of(text), None, "{text}");
        }
    }
}
