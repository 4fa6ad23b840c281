//! Turns text into searchable tokens, the same way for documents and for queries.
//!
//! - NFKC, then case and diacritics are folded ([`mod@fold`]), so that `ZAŻÓŁĆ`, `zazolc` and `zażółć` are one word.
//! - Letters, digits and the marks that belong to them make a word. Everything else separates; a query such as
//!   `acct-12` or `10:30` is therefore a phrase of two words.
//! - Scripts written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) and Korean, whose particles are
//!   glued to words, are cut into overlapping pairs of characters (a Thai letter with its vowel signs is one).
//!   A query becomes a phrase of pairs, so every substring is found.
//! - An emoji is a word.
//!
//! Deliberately absent:
//! - **Dictionary or neural word segmentation.** It cuts a text and a short query differently, which loses hits
//!   silently; an archive must rather find too much (京都 is also found in 東京都). It costs tens of microseconds
//!   a message as well.
//! - **Stemming.** One conversation mixes languages, short lines defeat language detection, a second (stemmed) field
//!   would take a third of the index, and there are no stemmers for several of the languages. The prefix search
//!   `meeting*` finds inflected forms. The one exception is the Arabic article, which is a word of its own that
//!   happens to be written together with the next.
//!
//! A change here that changes a token needs a new [`INDEX_VERSION`](crate::fields::INDEX_VERSION).

mod fold;
mod tokenizer;

use icu_normalizer::{ComposingNormalizer, ComposingNormalizerBorrowed};

pub(crate) use tokenizer::{LineTokenizer, TextTokenizer};

use fold::{Folded, fold};

/// Separates texts inside one field value; no phrase or proximity reaches over it.
pub(crate) const TEXT_BREAK: char = '\0';
/// How many positions lie between two texts; more than the widest proximity.
const TEXT_BREAK_POSITIONS: u32 = 200;
/// Longer words are cut into pieces of about this many bytes, which a query does as well.
const WORD_BYTES_MAX: usize = 96;

/// A shorter rest is rather a word that happens to start like the article.
const ARTICLE_LETTERS_LEFT_MIN: usize = 3;

const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfkc();

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A word, number or emoji.
    Word,
    /// Two neighbouring characters of a script without spaces.
    Pair,
    /// The last character of a run of such characters.
    Last,
}

/// A token's place in [`Tokens::text`].
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
    position: u32,
    shape: Shape,
}

/// The tokens of one text; reusable, so that analysing allocates nothing once warm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    text: String,
    spans: Vec<Span>,
    /// Where the characters of the current run without spaces start.
    run: Vec<u32>,
    word_start: Option<u32>,
    position: u32,
}

/// One token of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryToken {
    pub(crate) text: String,
    pub(crate) position: u32,
    pub(crate) shape: Shape,
}

/// Returns the tokens that a document must have, at the same distances, to contain `text`.
///
/// A [`Shape::Last`] token stands for every token that starts with it.
pub(crate) fn query_tokens(text: &str) -> Vec<QueryToken> {
    let mut tokens = Tokens::default();
    tokens.analyse(text);
    let mut found: Vec<QueryToken> = Vec::with_capacity(tokens.spans.len());
    for span in &tokens.spans {
        // The document's run may go on after the query's ends, so its last character proves nothing.
        let follows_pair = found.last().is_some_and(|before| before.shape == Shape::Pair);
        if span.shape == Shape::Last && follows_pair {
            continue;
        }
        found.push(QueryToken {
            text: tokens.slice(span).to_owned(),
            position: span.position,
            shape: span.shape,
        });
    }
    found
}

/// Returns the words of a name or another short value, folded, without order.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut tokens = Tokens::default();
    tokens.analyse(text);
    let mut words: Vec<String> = tokens.spans.iter().map(|span| tokens.slice(span).to_owned()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Returns a word of a prefix search without the Arabic article, which its full words lost when they were indexed.
pub(crate) fn without_article(start: &str) -> Option<&str> {
    const LETTERS_LEFT_MIN: usize = 2;
    match fold::arabic_article_bytes(start, LETTERS_LEFT_MIN) {
        0 => None,
        bytes => start.get(bytes as usize..),
    }
}

impl Tokens {
    fn slice(&self, span: &Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    /// Replaces the content by the tokens of `text`.
    fn analyse(&mut self, text: &str) {
        self.text.clear();
        self.spans.clear();
        self.run.clear();
        self.word_start = None;
        self.position = 0;
        if text.is_ascii() {
            self.analyse_ascii(text);
        } else {
            // NFKC would glue the number sign to its number: `№12` to `No12`.
            for part in text.split('№') {
                self.separate(' ');
                for character in NFKC.normalize(part).chars() {
                    self.push(character);
                }
            }
        }
        self.end_word();
        self.end_run();
    }

    fn analyse_ascii(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() {
                self.push_word(char::from(byte.to_ascii_lowercase()));
            } else {
                self.separate(char::from(byte));
            }
        }
    }

    fn push(&mut self, character: char) {
        match fold(character) {
            Folded::Separator => self.separate(character),
            Folded::Dropped => {}
            Folded::Letters(letters) => {
                self.end_run();
                for letter in letters.into_iter().filter(|letter| *letter != '\0') {
                    self.push_word(letter);
                }
            }
            Folded::Ideograph => {
                self.end_word();
                self.run.push(self.offset());
                self.text.push(character);
            }
            // A mark belongs to what it follows, whether a word or a character of a run.
            Folded::Mark if self.run.is_empty() => self.push_word(character),
            Folded::Mark => self.text.push(character),
            Folded::Symbol => {
                self.separate(character);
                let start = self.offset();
                self.text.push(character);
                self.emit(start, self.offset(), Shape::Word);
            }
        }
    }

    fn push_word(&mut self, letter: char) {
        let start = *self.word_start.get_or_insert(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        self.text.push(letter);
        if self.text.len() - start as usize >= WORD_BYTES_MAX {
            self.end_word();
        }
    }

    fn separate(&mut self, separator: char) {
        self.end_word();
        self.end_run();
        if separator == TEXT_BREAK {
            self.position = self.position.saturating_add(TEXT_BREAK_POSITIONS);
        }
    }

    fn end_word(&mut self) {
        let Some(start) = self.word_start.take() else { return };
        let article = fold::arabic_article_bytes(&self.text[start as usize..], ARTICLE_LETTERS_LEFT_MIN);
        self.emit(start + article, self.offset(), Shape::Word);
    }

    fn end_run(&mut self) {
        let Some((&last, _)) = self.run.split_last() else { return };
        let end = self.offset();
        let mut run = std::mem::take(&mut self.run);
        run.push(end);
        for window in run.windows(3) {
            self.emit(window[0], window[2], Shape::Pair);
        }
        self.emit(last, end, Shape::Last);
        run.clear();
        self.run = run;
    }

    fn emit(&mut self, start: u32, end: u32, shape: Shape) {
        self.spans.push(Span { start, end, position: self.position, shape });
        self.position = self.position.saturating_add(1);
    }

    /// Texts come from bodies of at most a few megabytes, so offsets fit.
    fn offset(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
