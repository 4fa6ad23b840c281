//! The analysis as tantivy wants it.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::Tokens;

/// Analyses running text.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextTokenizer {
    tokens: Tokens,
    token: Token,
}

/// The tokens of one text.
pub(crate) struct TextStream<'a> {
    tokens: &'a Tokens,
    next: usize,
    token: &'a mut Token,
}

impl Tokenizer for TextTokenizer {
    type TokenStream<'a> = TextStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> TextStream<'a> {
        self.tokens.analyse(text);
        TextStream { tokens: &self.tokens, next: 0, token: &mut self.token }
    }
}

impl TokenStream for TextStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(span) = self.tokens.spans.get(self.next) else { return false };
        self.next += 1;
        self.token.position = span.position as usize;
        self.token.offset_from = span.start as usize;
        self.token.offset_to = span.end as usize;
        self.token.text.clear();
        self.token.text.push_str(self.tokens.slice(span));
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Makes every line a token; for exact facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineTokenizer {
    token: Token,
}

/// The lines of one value.
pub(crate) struct LineStream<'a> {
    lines: std::str::Split<'a, char>,
    token: &'a mut Token,
}

impl Tokenizer for LineTokenizer {
    type TokenStream<'a> = LineStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> LineStream<'a> {
        LineStream { lines: text.split('\n'), token: &mut self.token }
    }
}

impl TokenStream for LineStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(line) = self.lines.find(|line| !line.is_empty()) else { return false };
        self.token.position = 0;
        self.token.text.clear();
        self.token.text.push_str(line);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
