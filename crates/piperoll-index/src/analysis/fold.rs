//! What a character becomes: folded letters, a separator, part of a run without spaces, or nothing.

use std::sync::LazyLock;

use icu_normalizer::properties::{
    CanonicalCombiningClassMap, CanonicalCombiningClassMapBorrowed, CanonicalDecomposition,
    CanonicalDecompositionBorrowed, Decomposed,
};

/// What the analysis does with a character (after NFKC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// Ends words and runs.
    Separator,
    /// Invisible to search: combining accents, harakat, tatweel, joiners, direction marks, soft hyphens.
    Dropped,
    /// Part of a word, as these letters; unused places are NUL.
    Letters([char; 3]),
    /// A character of a script without spaces between words.
    Ideograph,
    /// A vowel sign or another mark that is part of the writing.
    Mark,
    /// A word by itself, such as an emoji.
    Symbol,
}

const DECOMPOSITION: CanonicalDecompositionBorrowed<'static> = CanonicalDecomposition::new();
const COMBINING: CanonicalCombiningClassMapBorrowed<'static> = CanonicalCombiningClassMap::new();

/// Characters below this have a precomputed answer: all alphabets with case and all Indic and Arabic scripts.
const TABLE_LEN: u32 = 0x2000;

static TABLE: LazyLock<Vec<Folded>> = LazyLock::new(|| {
    (0..TABLE_LEN).map(|code| char::from_u32(code).map_or(Folded::Separator, compute)).collect()
});

/// Returns what `character` becomes.
pub(super) fn fold(character: char) -> Folded {
    match TABLE.get(u32::from(character) as usize) {
        Some(folded) => *folded,
        None => compute(character),
    }
}

fn compute(character: char) -> Folded {
    if is_dropped(character) {
        Folded::Dropped
    } else if is_unspaced(character) {
        if COMBINING.get_u8(character) != 0 || is_unspaced_mark(character) {
            Folded::Mark
        } else {
            Folded::Ideograph
        }
    } else if is_symbol(character) {
        Folded::Symbol
    } else if character.is_alphanumeric() {
        Folded::Letters(letters(character))
    } else if COMBINING.get_u8(character) != 0 {
        Folded::Mark
    } else {
        Folded::Separator
    }
}

/// Returns the lower-case letters without diacritics.
fn letters(character: char) -> [char; 3] {
    let mut folded = ['\0'; 3];
    let mut len = 0;
    for lower in character.to_lowercase() {
        let base = base_letter(lower);
        for letter in special(base).chars().chain(plain(base)) {
            if !is_dropped(letter) && len < folded.len() {
                folded[len] = letter;
                len += 1;
            }
        }
    }
    folded
}

/// Takes canonical decompositions apart to the first letter. Only scripts whose marks are accents: Latin, Greek,
/// Cyrillic, Hebrew and Arabic.
fn base_letter(mut letter: char) -> char {
    if !matches!(u32::from(letter), 0x00c0..=0x08ff | 0x1e00..=0x1fff) {
        return letter;
    }
    while let Decomposed::Expansion(first, _) | Decomposed::Singleton(first) = DECOMPOSITION.decompose(letter)
    {
        letter = first;
    }
    letter
}

/// Letters whose difference is not a combining mark; empty for all others.
fn special(letter: char) -> &'static str {
    match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'ŧ' => "t",
        'ς' => "σ",
        // Arabic spelling variants, and the Persian and Urdu forms of the same letters.
        'ى' | 'ی' => "ي",
        'ة' => "ه",
        'ٱ' => "ا",
        'ک' => "ك",
        _ => "",
    }
}

/// The letter itself unless [`special`] has another form, with every script's digits as 0 to 9.
fn plain(letter: char) -> Option<char> {
    if !special(letter).is_empty() {
        return None;
    }
    let code = u32::from(letter);
    let digit = DIGIT_ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|value| *value < 10));
    Some(digit.and_then(|value| char::from_digit(value, 10)).unwrap_or(letter))
}

/// The digit zero of Arabic, Persian, the Indic scripts, Thai, Lao, Tibetan, Burmese and Khmer.
const DIGIT_ZEROS: [u32; 17] = [
    0x0660, 0x06f0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6, 0x0e50,
    0x0ed0, 0x0f20, 0x1040, 0x17e0,
];

fn is_dropped(character: char) -> bool {
    matches!(u32::from(character),
        0x00ad                                              // soft hyphen
        | 0x0300..=0x036f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff // combining accents
        | 0x0483..=0x0489                                   // Cyrillic marks
        | 0x0591..=0x05bd | 0x05bf | 0x05c1..=0x05c2 | 0x05c4..=0x05c5 | 0x05c7 // Hebrew points
        | 0x0610..=0x061c | 0x0640 | 0x064b..=0x065f | 0x0670 | 0x06d6..=0x06dc // harakat, tatweel
        | 0x06df..=0x06e8 | 0x06ea..=0x06ed
        | 0x200c..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff // joiners, direction marks
        | 0xfe00..=0xfe0f | 0x1f3fb..=0x1f3ff | 0xe0000..=0xe01ef) // variants, skin tones, tags
}

/// Scripts without spaces between words, and Korean.
fn is_unspaced(character: char) -> bool {
    let code = u32::from(character);
    let is_letter =
        character.is_alphanumeric() || COMBINING.get_u8(character) != 0 || is_unspaced_mark(character);
    let is_digit = DIGIT_ZEROS.iter().any(|zero| (*zero..*zero + 10).contains(&code));
    is_letter
        && !is_digit
        && matches!(code,
            0x0e00..=0x0eff                                 // Thai, Lao
            | 0x1000..=0x109f | 0x1780..=0x17ff             // Burmese, Khmer
            | 0x1100..=0x11ff | 0xac00..=0xd7ff             // Korean
            | 0x2e80..=0x2fdf | 0x3005..=0x3007 | 0x3021..=0x30ff | 0x3100..=0x312f | 0x31a0..=0x31ff
            | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xa960..=0xa97f | 0xf900..=0xfaff
            | 0x1aff0..=0x1b16f | 0x20000..=0x3ffff) // Chinese, Japanese
}

/// Vowel signs that are written above or below a Thai, Lao, Burmese or Khmer letter.
fn is_unspaced_mark(character: char) -> bool {
    matches!(u32::from(character),
        0x0e31 | 0x0e34..=0x0e3a | 0x0e47..=0x0e4e | 0x0eb1 | 0x0eb4..=0x0ebc | 0x0ec8..=0x0ece
        | 0x102b..=0x103e | 0x1056..=0x1059 | 0x105e..=0x1060 | 0x17b6..=0x17d3 | 0x3099..=0x309a)
}

fn is_symbol(character: char) -> bool {
    matches!(u32::from(character), 0x2600..=0x27bf | 0x2b50 | 0x2b55 | 0x1f000..=0x1faff)
        && !is_dropped(character)
}

/// Returns how many bytes of the word are the Arabic article, with the prepositions written before it.
pub(super) fn arabic_article_bytes(word: &str, letters_left_min: usize) -> u32 {
    const ARTICLES: [&str; 6] = ["وال", "بال", "كال", "فال", "ال", "لل"];
    if !word.starts_with(['ا', 'و', 'ب', 'ك', 'ف', 'ل']) {
        return 0;
    }
    let article = ARTICLES.iter().find(|article| {
        word.strip_prefix(**article).is_some_and(|rest| rest.chars().count() >= letters_left_min)
    });
    article.map_or(0, |article| u32::try_from(article.len()).unwrap_or(0))
}
