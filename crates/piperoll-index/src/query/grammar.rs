//! The grammar, as winnow parsers over the typed text. Every failure says where and what to do.

use chrono_tz::Tz;
use winnow::combinator::{opt, peek};
use winnow::error::ParserError;
use winnow::stream::{LocatingSlice, Location, Stateful};
use winnow::token::{any, one_of, take_while};
use winnow::{Parser, Result};

use super::error::{Fault, QueryError};
use super::field::{self, Value};
use super::node::{Node, TextForm, is_bare, is_quote};
use crate::analysis::{self, Shape};

/// How large a query may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    chars: usize,
    terms: usize,
    levels: usize,
}

impl Limits {
    /// For what people type.
    pub(super) const TYPED: Self = Self { chars: 4_096, terms: 256, levels: 32 };
    /// For what [`Node`] prints, and for queries that were joined.
    pub(super) const CANONICAL: Self = Self { chars: 65_536, terms: 1_024, levels: 64 };
}

/// The widest proximity; less than the distance between two texts of a document.
const SLOP_MAX: u32 = 100;
/// A shorter prefix would match a large part of all words.
pub(super) const PREFIX_CHARS_MIN: usize = 2;

#[derive(Debug)]
struct State {
    zone: Tz,
    limits: Limits,
    terms: usize,
    levels: usize,
}

type Input<'a> = Stateful<LocatingSlice<&'a str>, State>;

impl<'a> ParserError<Input<'a>> for Fault {
    type Inner = Self;

    fn from_input(input: &Input<'a>) -> Self {
        Self::new(input.current_token_start(), "unexpected character")
    }

    fn into_inner(self) -> std::result::Result<Self, Self> {
        Ok(self)
    }
}

/// Parses a whole query.
pub(super) fn parse(text: &str, zone: Tz, limits: Limits) -> std::result::Result<Node, QueryError> {
    let parsed = if text.chars().nth(limits.chars).is_some() {
        let at = text.char_indices().nth(limits.chars).map_or(text.len(), |(at, _)| at);
        Err(Fault::new(at, format!("expected at most {} characters, found more", limits.chars)))
    } else {
        let state = State { zone, limits, terms: 0, levels: 0 };
        whole(&mut Input { input: LocatingSlice::new(text), state })
    };
    parsed.map_err(|fault| fault.locate(text))
}

fn whole(input: &mut Input<'_>) -> Result<Node, Fault> {
    let node = any_of(input)?;
    match opt(any).parse_next(input)? {
        None => Ok(node),
        // Everything else continues a query, so it can only be this.
        Some(_) => Err(Fault::new(input.previous_token_end() - 1, "`)` without a `(` before it")
            .hint("put text with parentheses in quotes")),
    }
}

fn any_of(input: &mut Input<'_>) -> Result<Node, Fault> {
    let mut nodes = vec![all_of(input)?];
    while keyword(input, "OR")? {
        nodes.push(all_of(input)?);
    }
    Ok(Node::any(nodes))
}

fn all_of(input: &mut Input<'_>) -> Result<Node, Fault> {
    let mut nodes = vec![negatable(input)?];
    loop {
        let is_joined = keyword(input, "AND")?;
        if !is_joined && (at_end_of_all(input)? || peek(opt(one_keyword("OR"))).parse_next(input)?.is_some())
        {
            return Ok(Node::all(nodes));
        }
        nodes.push(negatable(input)?);
    }
}

fn negatable(input: &mut Input<'_>) -> Result<Node, Fault> {
    spaces(input)?;
    let at = input.current_token_start();
    let is_negated = keyword(input, "NOT")? || minus(input)?;
    if !is_negated {
        return item(input);
    }
    deeper(input, at, |input| negatable(input).map(|node| Node::Not(Box::new(node))))
}

/// A `-` with something directly after it.
fn minus(input: &mut Input<'_>) -> Result<bool, Fault> {
    let is_followed = |rest: &str| {
        rest.strip_prefix('-')
            .and_then(|rest| rest.chars().next())
            .is_some_and(|next| next != ')' && !next.is_whitespace())
    };
    if is_followed(input.input.as_ref()) {
        any.parse_next(input)?;
        return Ok(true);
    }
    Ok(false)
}

fn item(input: &mut Input<'_>) -> Result<Node, Fault> {
    let at = input.current_token_start();
    match peek(opt(any)).parse_next(input)? {
        None => Err(Fault::new(at, "expected a word, found the end of the query")),
        Some('(') => parenthesised(input, at),
        Some(')') => Err(Fault::new(at, "expected a word, found `)`")),
        Some(quote) if is_quote(quote) => {
            let text = quoted(input)?;
            let slop = proximity(input)?;
            text_node(input, at, text, TextForm::Phrase { slop })
        }
        Some(_) => bare(input, at),
    }
}

fn parenthesised(input: &mut Input<'_>, at: usize) -> Result<Node, Fault> {
    any.parse_next(input)?;
    let node = deeper(input, at, any_of)?;
    match opt(one_of(')')).parse_next(input)? {
        Some(_) => Ok(node),
        None => Err(Fault::new(at, "`(` is never closed")),
    }
}

/// Runs a parser one level deeper; refuses to nest without end.
fn deeper(
    input: &mut Input<'_>,
    at: usize,
    parse: impl FnOnce(&mut Input<'_>) -> Result<Node, Fault>,
) -> Result<Node, Fault> {
    input.state.levels += 1;
    if input.state.levels > input.state.limits.levels {
        return Err(Fault::new(at, format!("nested deeper than {} levels", input.state.limits.levels)));
    }
    let node = parse(input)?;
    input.state.levels -= 1;
    Ok(node)
}

/// Reads a quoted text without its quotes; the opening one is next.
fn quoted(input: &mut Input<'_>) -> Result<String, Fault> {
    let at = input.current_token_start();
    any.parse_next(input)?;
    let mut text = String::new();
    loop {
        match opt(any).parse_next(input)? {
            None => return Err(Fault::new(at, "the quote is never closed")),
            Some(quote) if is_quote(quote) => return Ok(text),
            Some('\\') => text.push(escaped(input)?),
            Some(character) => text.push(character),
        }
    }
}

/// A backslash stands for itself unless a quote or another backslash follows.
fn escaped(input: &mut Input<'_>) -> Result<char, Fault> {
    let escaped = opt(one_of(|next| is_quote(next) || next == '\\')).parse_next(input)?;
    Ok(escaped.unwrap_or('\\'))
}

fn proximity(input: &mut Input<'_>) -> Result<u32, Fault> {
    if opt(one_of('~')).parse_next(input)?.is_none() {
        return Ok(0);
    }
    let at = input.current_token_start();
    let digits: &str = take_while(0.., |next: char| next.is_ascii_digit()).parse_next(input)?;
    let words = digits.parse().ok().filter(|words| (1..=SLOP_MAX).contains(words));
    words.ok_or_else(|| {
        Fault::new(at, format!("expected a number of words from 1 to {SLOP_MAX} after `~`"))
            .hint("write \"first second\"~5 for two words at most five words apart")
    })
}

/// A word, a prefix or a field with its value.
fn bare(input: &mut Input<'_>, at: usize) -> Result<Node, Fault> {
    let word: &str = take_while(1.., is_bare).parse_next(input)?;
    if matches!(word, "AND" | "OR" | "NOT") {
        return Err(Fault::new(at, format!("expected a word, found `{word}`"))
            .hint("write it in lower case or in quotes to search for the word itself"));
    }
    if let Some((name, value)) = word.split_once(':')
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !value.starts_with("//")
    {
        let value_at = at + name.len() + 1;
        let value = field_value(input, value, value_at)?;
        count_terms(input, at, 1)?;
        return field::node(at, &name.to_ascii_lowercase(), value, input.state.zone);
    }
    if let Some(stem) = word.strip_suffix('*') {
        return prefix(input, at, stem);
    }
    refuse_star(word, at)?;
    text_node(input, at, word.to_owned(), TextForm::Word)
}

fn field_value(input: &mut Input<'_>, bare: &str, at: usize) -> Result<Value, Fault> {
    let value = if bare.is_empty() && peek(opt(one_of(is_quote))).parse_next(input)?.is_some() {
        Value { at, text: quoted(input)?, is_quoted: true }
    } else {
        Value { at, text: bare.to_owned(), is_quoted: false }
    };
    if !value.text.trim().is_empty() {
        return Ok(value);
    }
    let fault = Fault::new(at, "expected a value after the `:`");
    Err(if peek(opt(one_of('('))).parse_next(input)?.is_some() {
        fault.hint("repeat the field for each value: (from:ana OR from:budi)")
    } else {
        fault.hint("write the value directly after the `:`, in quotes if it has spaces")
    })
}

fn prefix(input: &mut Input<'_>, at: usize, stem: &str) -> Result<Node, Fault> {
    if stem.is_empty() {
        return Err(
            Fault::new(at, "`*` alone matches everything").hint("write at least two letters before the `*`")
        );
    }
    refuse_star(stem, at)?;
    let tokens = analysis::query_tokens(stem);
    let is_short = tokens
        .last()
        .is_some_and(|token| token.shape == Shape::Word && token.text.chars().count() < PREFIX_CHARS_MIN);
    if is_short {
        return Err(too_short(at));
    }
    text_node(input, at, stem.to_owned(), TextForm::Prefix)
}

pub(super) fn too_short(at: usize) -> Fault {
    Fault::new(at, format!("expected at least {PREFIX_CHARS_MIN} letters before the `*`"))
}

pub(super) fn refuse_star(word: &str, at: usize) -> Result<(), Fault> {
    match word.find('*') {
        Some(star) => Err(Fault::new(at + star, "`*` can only stand at the end of a word")),
        None => Ok(()),
    }
}

fn text_node(input: &mut Input<'_>, at: usize, text: String, form: TextForm) -> Result<Node, Fault> {
    let tokens = analysis::query_tokens(&text).len();
    if tokens == 0 {
        return Err(Fault::new(at, format!("there is nothing to search for in `{}`", text.trim()))
            .hint("only letters, digits and emoji are indexed"));
    }
    count_terms(input, at, tokens)?;
    Ok(Node::Text { text, form })
}

fn count_terms(input: &mut Input<'_>, at: usize, terms: usize) -> Result<(), Fault> {
    input.state.terms += terms;
    if input.state.terms > input.state.limits.terms {
        return Err(Fault::new(
            at,
            format!("expected at most {} words and values, found more", input.state.limits.terms),
        ));
    }
    Ok(())
}

/// Consumes white space of any script; Japanese keyboards type a wide one.
fn spaces(input: &mut Input<'_>) -> Result<(), Fault> {
    take_while(0.., char::is_whitespace).void().parse_next(input)
}

/// Consumes white space and then the keyword, if it is next.
fn keyword(input: &mut Input<'_>, name: &'static str) -> Result<bool, Fault> {
    spaces(input)?;
    Ok(opt(one_keyword(name)).parse_next(input)?.is_some())
}

fn one_keyword<'a>(name: &'static str) -> impl Parser<Input<'a>, &'a str, Fault> {
    take_while(1.., is_bare).verify(move |word: &str| word == name)
}

fn at_end_of_all(input: &mut Input<'_>) -> Result<bool, Fault> {
    Ok(matches!(peek(opt(any)).parse_next(input)?, None | Some(')')))
}
