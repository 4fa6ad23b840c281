//! Words with which people end or begin messages, compared with the whole text of a message.
//!
//! The list is practice, not law; only the English words of 47 CFR 64.1200(a)(10) revoke a consent by themselves.

use icu_normalizer::DecomposingNormalizer;

/// What somebody who writes such a word may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sense {
    /// No more messages.
    Out,
    /// Messages again.
    In,
}

/// A word of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keyword {
    /// The word, normalised.
    pub(crate) word: &'static str,
    /// The languages it is used in.
    pub(crate) languages: &'static str,
    /// What it may mean.
    pub(crate) sense: Sense,
    /// Whether it revokes by itself (47 CFR 64.1200(a)(10)).
    pub(crate) is_per_se: bool,
}

const fn out(word: &'static str, languages: &'static str) -> Keyword {
    Keyword { word, languages, sense: Sense::Out, is_per_se: false }
}

const fn per_se(word: &'static str, languages: &'static str) -> Keyword {
    Keyword { word, languages, sense: Sense::Out, is_per_se: true }
}

const fn back(word: &'static str, languages: &'static str) -> Keyword {
    Keyword { word, languages, sense: Sense::In, is_per_se: false }
}

/// The words as [`normalise`] leaves them; a test checks that it does.
const KEYWORDS: [Keyword; 47] = [
    per_se("stop", "en fr it nl"),
    per_se("quit", "en"),
    per_se("end", "en"),
    per_se("revoke", "en"),
    per_se("opt out", "en"),
    per_se("optout", "en"),
    per_se("cancel", "en"),
    per_se("unsubscribe", "en"),
    out("stopall", "en"),
    out("stop all", "en"),
    out("stop promotions", "en"),
    out("baja", "es"),
    out("alto", "es"),
    out("parar", "es pt"),
    out("cancelar", "es pt"),
    out("sair", "pt"),
    out("descadastrar", "pt"),
    out("parar promocoes", "pt"),
    out("arret", "fr"),
    out("arreter", "fr"),
    out("desabonner", "fr"),
    out("stopp", "de"),
    out("abmelden", "de"),
    out("abbestellen", "de"),
    out("cancella", "it"),
    out("disiscrivi", "it"),
    out("disiscriviti", "it"),
    out("afmelden", "nl"),
    out("uitschrijven", "nl"),
    out("berhenti", "id"),
    out("dur", "tr"),
    out("iptal", "tr"),
    out("توقف", "ar"),
    out("الغاء", "ar"),
    out("ايقاف", "ar"),
    out("बंद", "hi"),
    out("बंद करो", "hi"),
    out("रोकें", "hi"),
    out("стоп", "ru"),
    out("отписаться", "ru"),
    out("הסר", "he"),
    out("detener promociones", "es"),
    out("arreter les promotions", "fr"),
    out("werbung stoppen", "de"),
    back("start", "en"),
    back("unstop", "en"),
    back("yes", "en"),
];

/// Tells whether the list has words of a language, given by its code such as `de`.
#[must_use]
pub fn is_consent_language(code: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.languages.split(' ').any(|language| language == code))
}

/// Longer texts are no keywords.
const CHARS_MAX: usize = 40;

/// Texts of more words are no keywords.
const WORDS_MAX: usize = 3;

/// Returns the keyword that a text is, all of it.
pub(crate) fn keyword_of(text: &str) -> Option<Keyword> {
    let is_word = |word: &&str| word.bytes().any(|byte| byte.is_ascii_alphanumeric());
    let has_more_words = text.split_ascii_whitespace().filter(is_word).nth(WORDS_MAX).is_some();
    if has_more_words || text.chars().nth(CHARS_MAX).is_some() {
        return None;
    }
    let text = normalise(text);
    KEYWORDS.into_iter().find(|keyword| keyword.word == text)
}

/// Folds case, drops diacritics, and makes one space of everything that is no letter, digit or vowel sign.
pub(crate) fn normalise(text: &str) -> String {
    let lower = text.to_lowercase();
    let decomposed = DecomposingNormalizer::new_nfkd().normalize(&lower).into_owned();
    let mut folded = String::with_capacity(decomposed.len());
    for c in decomposed.chars().filter(|c| !is_diacritic(*c)) {
        // Vowel signs of Indic scripts are marks, but part of the word.
        if c.is_alphanumeric() || ('\u{900}'..='\u{dff}').contains(&c) {
            folded.push(c);
        } else if !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    folded.trim().to_owned()
}

/// Accents of Latin, Cyrillic, Greek, Hebrew and Arabic, and what only joins or directs letters.
fn is_diacritic(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}'
        | '\u{670}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\'' | '\u{2019}')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn list_is_normalised_and_each_word_stands_once() {
        for keyword in KEYWORDS {
            assert_eq!(normalise(keyword.word), keyword.word);
            assert_eq!(keyword_of(keyword.word), Some(keyword));
            assert!(keyword.word.split(' ').count() <= WORDS_MAX);
        }
    }

    #[test]
    fn spelling_does_not_matter_but_the_whole_text_does() {
        let rows = [
            (" Stop! ", Some("stop")),
            ("S.T.O.P", None),
            ("OPT-OUT", Some("opt out")),
            ("Désabonner.", Some("desabonner")),
            ("Arrêt", Some("arret")),
            ("İPTAL", Some("iptal")),
            ("إلغاء", Some("الغاء")),
            ("توقُّف", Some("توقف")),
            ("बंद", Some("बंद")),
            ("СТОП 🛑", Some("стоп")),
            ("\u{200f}הסר", Some("הסר")),
            ("YES", Some("yes")),
            ("please stop", None),
            ("Don't stop", None),
            ("stop, where is my order?", None),
            ("", None),
            ("🛑", None),
        ];
        for (text, expected) in rows {
            assert_eq!(keyword_of(text).map(|keyword| keyword.word), expected, "{text}");
        }
        assert!(keyword_of("stop").unwrap().is_per_se);
        assert!(!keyword_of("стоп").unwrap().is_per_se);
        assert_eq!(keyword_of("start").unwrap().sense, Sense::In);
    }
}
