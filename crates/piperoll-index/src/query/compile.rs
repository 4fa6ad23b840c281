//! What a query means to tantivy.

use std::collections::BTreeSet;
use std::ops::Bound;

use piperoll_format::{Kind, Timestamp};
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query as Compiled, RangeQuery, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::Query;
use super::node::{FactField, Node, TextForm};
use crate::analysis::{self, QueryToken, Shape};
use crate::error::{Doing, IndexError};
use crate::fields::{Fact, Fields, HAS_ATTACHMENT, digits, direction_value, normal};

/// How many different words a prefix may stand for.
const PREFIX_WORDS_MAX: usize = 16_384;
/// Shorter digit strings are rather a name than a phone number.
const PHONE_DIGITS_MIN: usize = 5;

type Boxed = Box<dyn Compiled>;

impl Query {
    /// Builds the tantivy query; prefixes are expanded to the words that `searcher` knows.
    pub(crate) fn compile(&self, searcher: &Searcher, fields: &Fields) -> Result<Boxed, IndexError> {
        Compilation { searcher, fields }.node(&self.0)
    }
}

struct Compilation<'a> {
    searcher: &'a Searcher,
    fields: &'a Fields,
}

impl Compilation<'_> {
    fn node(&self, node: &Node) -> Result<Boxed, IndexError> {
        Ok(match node {
            Node::Text { text, form: TextForm::Prefix } => return self.prefix_text(text),
            Node::Text { text, form: TextForm::Word } => return self.text(text, 0),
            Node::Text { text, form: TextForm::Phrase { slop } } => return self.text(text, *slop),
            Node::Fact { field, value, is_prefix } => return self.fact(*field, value, *is_prefix),
            Node::Kind(kind) => self.exact(Fact::Kind, kind.as_str()),
            Node::KindGroup(group) => {
                let kinds = Kind::ALL.iter().map(|kind| kind.as_str());
                let of_group = kinds.filter(|kind| kind.split_once('.').is_some_and(|(of, _)| of == group));
                any(of_group.map(|kind| self.exact(Fact::Kind, kind)).collect())
            }
            Node::Direction(direction) => self.exact(Fact::Direction, direction_value(*direction)),
            Node::HasAttachment => self.exact(Fact::Has, HAS_ATTACHMENT),
            Node::Id(id) => term(self.fields.id_term(id)),
            Node::After(moment) => self.time(Some(*moment), None),
            Node::Before(moment) => self.time(None, Some(*moment)),
            Node::During(start, end) => self.time(Some(*start), Some(*end)),
            Node::Not(inner) => without(vec![Box::new(AllQuery)], vec![self.node(inner)?]),
            Node::All(nodes) => return self.all(nodes),
            Node::Any(nodes) => any(nodes.iter().map(|node| self.node(node)).collect::<Result<_, _>>()?),
        })
    }

    fn all(&self, nodes: &[Node]) -> Result<Boxed, IndexError> {
        let (mut wanted, mut unwanted): (Vec<Boxed>, Vec<Boxed>) = (Vec::new(), Vec::new());
        for node in nodes {
            match node {
                Node::Not(inner) => unwanted.push(self.node(inner)?),
                other => wanted.push(self.node(other)?),
            }
        }
        if wanted.is_empty() {
            wanted.push(Box::new(AllQuery));
        }
        Ok(without(wanted, unwanted))
    }

    /// All tokens at their distances. A [`Shape::Last`] token can be the start of any pair and has no distance.
    fn text(&self, text: &str, slop: u32) -> Result<Boxed, IndexError> {
        let (lone, placed): (Vec<_>, Vec<_>) =
            analysis::query_tokens(text).into_iter().partition(|token| token.shape == Shape::Last);
        let mut parts = Vec::with_capacity(lone.len() + 1);
        for token in &lone {
            parts.push(self.prefix(self.fields.text, &token.text, &token.text)?);
        }
        parts.extend(self.phrase(&placed, slop));
        Ok(all(parts))
    }

    fn phrase(&self, tokens: &[QueryToken], slop: u32) -> Option<Boxed> {
        let at = |token: &QueryToken| Term::from_field_text(self.fields.text, &token.text);
        match tokens {
            [] => None,
            [only] => Some(term(at(only))),
            several => {
                let terms = several.iter().map(|token| (token.position as usize, at(token))).collect();
                Some(Box::new(PhraseQuery::new_with_offset_and_slop(terms, slop)))
            }
        }
    }

    /// The words before the last one as a phrase, and any word that starts with the last one.
    fn prefix_text(&self, stem: &str) -> Result<Boxed, IndexError> {
        let mut tokens = analysis::query_tokens(stem);
        // Every substring of a script without spaces is found anyway.
        if tokens.last().is_none_or(|last| last.shape == Shape::Pair) {
            return self.text(stem, 0);
        }
        let last = tokens.pop().map(|token| token.text).unwrap_or_default();
        let mut parts = vec![self.prefix(self.fields.text, &last, &last)?];
        if let Some(bare) = analysis::without_article(&last) {
            parts = vec![any(vec![parts.remove(0), self.prefix(self.fields.text, bare, bare)?])];
        }
        parts.extend(self.phrase(&tokens, 0));
        Ok(all(parts))
    }

    fn fact(&self, field: FactField, value: &str, is_prefix: bool) -> Result<Boxed, IndexError> {
        let one = |fact: Fact, value: &str| {
            if is_prefix { self.fact_prefix(fact, value) } else { Ok(self.exact(fact, value)) }
        };
        match field {
            FactField::From => self.party(Fact::From, value, is_prefix),
            FactField::To => self.party(Fact::To, value, is_prefix),
            FactField::With => Ok(any(vec![
                self.party(Fact::From, value, is_prefix)?,
                self.party(Fact::To, value, is_prefix)?,
            ])),
            FactField::Type => one(Fact::Type, &normal(value)),
            FactField::Template => one(Fact::Template, &normal(value)),
            FactField::Number => one(Fact::Number, &digits(value)),
            FactField::Class => one(Fact::Class, &normal(value)),
            FactField::Conversation => one(Fact::Conversation, &normal(value)),
        }
    }

    /// A person by phone number, user id, user name, or all words of the display name.
    fn party(&self, fact: Fact, value: &str, is_prefix: bool) -> Result<Boxed, IndexError> {
        if let Some(phone) = phone(value) {
            return if is_prefix { self.fact_prefix(fact, &phone) } else { Ok(self.exact(fact, &phone)) };
        }
        let tokens = analysis::query_tokens(value);
        let mut words = Vec::with_capacity(tokens.len());
        for (place, token) in tokens.iter().enumerate() {
            let is_open = token.shape == Shape::Last || is_prefix && place + 1 == tokens.len();
            words.push(if is_open {
                self.fact_prefix(fact, &token.text)?
            } else {
                self.exact(fact, &token.text)
            });
        }
        let handle = normal(value);
        let mut ways =
            vec![if is_prefix { self.fact_prefix(fact, &handle)? } else { self.exact(fact, &handle) }];
        if !words.is_empty() {
            ways.push(all(words));
        }
        Ok(any(ways))
    }

    fn exact(&self, fact: Fact, value: &str) -> Boxed {
        term(self.fields.fact_term(fact, value))
    }

    fn fact_prefix(&self, fact: Fact, value: &str) -> Result<Boxed, IndexError> {
        let start = self.fields.fact_term(fact, value);
        let start = start.value().as_str().unwrap_or_default().to_owned();
        self.prefix(self.fields.exact, &start, value)
    }

    /// Any word of `field` that starts with `start`; `shown` is how an error names it.
    fn prefix(&self, field: Field, start: &str, shown: &str) -> Result<Boxed, IndexError> {
        // No UTF-8 text contains the byte 0xff, so this is after every word with the prefix.
        let end = [start.as_bytes(), &[0xff]].concat();
        let mut words = BTreeSet::new();
        for segment in self.searcher.segment_readers() {
            let dictionary = segment.inverted_index(field).doing("read the word list")?;
            let range = dictionary.terms().range().ge(start).lt(&end);
            let mut stream = range.into_stream().doing("read the word list")?;
            while stream.advance() {
                words.insert(stream.key().to_owned());
                if words.len() > PREFIX_WORDS_MAX {
                    return Err(IndexError::TooBroad {
                        prefix: shown.to_owned(),
                        words_max: PREFIX_WORDS_MAX,
                    });
                }
            }
        }
        let texts = words.iter().filter_map(|word| std::str::from_utf8(word).ok());
        let mut terms: Vec<Term> = texts.map(|text| Term::from_field_text(field, text)).collect();
        Ok(match terms.len() {
            0 => Box::new(EmptyQuery),
            1 => term(terms.remove(0)),
            _ => Box::new(TermSetQuery::new(terms)),
        })
    }

    /// The index knows whole seconds, so bounds are rounded up to them.
    fn time(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> Boxed {
        let second =
            |moment: Timestamp| Term::from_field_u64(self.fields.time, moment.0.div_ceil(Timestamp::SECOND));
        Box::new(RangeQuery::new(
            start.map_or(Bound::Unbounded, |start| Bound::Included(second(start))),
            end.map_or(Bound::Unbounded, |end| Bound::Excluded(second(end))),
        ))
    }
}

/// Reads a phone number as people write it; `None` if it is something else.
fn phone(value: &str) -> Option<String> {
    let is_phone =
        value.chars().all(|next| next.is_ascii_digit() || matches!(next, '+' | '-' | '(' | ')' | '.' | ' '));
    let digits = digits(value);
    (is_phone && digits.len() >= PHONE_DIGITS_MIN).then_some(digits)
}

fn term(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn any(mut queries: Vec<Boxed>) -> Boxed {
    if queries.len() == 1 { queries.remove(0) } else { Box::new(BooleanQuery::union(queries)) }
}

fn all(mut queries: Vec<Boxed>) -> Boxed {
    if queries.len() == 1 { queries.remove(0) } else { Box::new(BooleanQuery::intersection(queries)) }
}

fn without(wanted: Vec<Boxed>, unwanted: Vec<Boxed>) -> Boxed {
    let clauses = wanted.into_iter().map(|query| (Occur::Must, query));
    Box::new(BooleanQuery::new(
        clauses.chain(unwanted.into_iter().map(|query| (Occur::MustNot, query))).collect(),
    ))
}
