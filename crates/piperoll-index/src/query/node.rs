//! The query tree, independent of tantivy, and its canonical text.

use std::fmt::{self, Write};

use chrono::SecondsFormat;
use piperoll_format::{Kind, Timestamp};
use piperoll_sources::Direction;

use crate::fields::direction_value;

/// A node. [`Node::all`] and [`Node::any`] keep the tree flat, so that equal queries have equal trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Words at the places they have in `text`, give or take `slop` words.
    Text { text: String, form: TextForm },
    /// An exact fact.
    Fact { field: FactField, value: String, is_prefix: bool },
    /// One kind of event.
    Kind(Kind),
    /// All kinds of a group, such as `consent`.
    KindGroup(String),
    /// To or from the business.
    Direction(Direction),
    /// Has media or documents.
    HasAttachment,
    /// The item with this source id, and what points at it.
    Id(String),
    /// At or after a moment.
    After(Timestamp),
    /// Before a moment.
    Before(Timestamp),
    /// At or after the first and before the second moment.
    During(Timestamp, Timestamp),
    /// What does not match.
    Not(Box<Self>),
    /// What matches all; two or more.
    All(Vec<Self>),
    /// What matches any; two or more.
    Any(Vec<Self>),
}

/// How text was written in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// Bare.
    Word,
    /// Bare with a star.
    Prefix,
    /// In quotes, with so many words of leeway.
    Phrase { slop: u32 },
}

/// Fields whose values are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FactField {
    From,
    To,
    With,
    Type,
    Template,
    Number,
    Class,
    Conversation,
}

impl FactField {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::From,
        Self::To,
        Self::With,
        Self::Type,
        Self::Template,
        Self::Number,
        Self::Class,
        Self::Conversation,
    ];

    /// The name in a query.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::With => "with",
            Self::Type => "type",
            Self::Template => "template",
            Self::Number => "number",
            Self::Class => "class",
            Self::Conversation => "conversation",
        }
    }
}

impl Node {
    /// Joins by AND; flattens, and leaves a single node alone.
    pub(crate) fn all(nodes: Vec<Self>) -> Self {
        let flatten = |node| match node {
            Self::All(inner) => inner,
            other => vec![other],
        };
        single_or(nodes.into_iter().flat_map(flatten).collect(), Self::All)
    }

    /// Joins by OR; flattens, and leaves a single node alone.
    pub(crate) fn any(nodes: Vec<Self>) -> Self {
        let flatten = |node| match node {
            Self::Any(inner) => inner,
            other => vec![other],
        };
        single_or(nodes.into_iter().flat_map(flatten).collect(), Self::Any)
    }

    /// Writes the node, in parentheses if it binds weaker than its place demands.
    fn write_in(&self, f: &mut fmt::Formatter<'_>, is_loose: bool) -> fmt::Result {
        if is_loose { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

fn single_or(mut nodes: Vec<Node>, join: impl FnOnce(Vec<Node>) -> Node) -> Node {
    match (nodes.len(), nodes.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            nodes.extend(last);
            join(nodes)
        }
    }
}

/// Characters that end a bare word.
pub(super) fn is_bare(character: char) -> bool {
    !character.is_whitespace() && !is_quote(character) && !matches!(character, '(' | ')')
}

/// Straight and typographic double quotes.
pub(super) const fn is_quote(character: char) -> bool {
    matches!(character, '"' | '“' | '”' | '„')
}

/// A double-quoted string with backslashes before quotes and backslashes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            if is_quote(character) || character == '\\' {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        f.write_char('"')
    }
}

/// A field's value, quoted if it has to be.
struct Value<'a>(&'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(is_bare) && !self.0.contains('*') {
            f.write_str(self.0)
        } else {
            Quoted(self.0).fmt(f)
        }
    }
}

/// A moment as short as it can be written exactly.
struct Moment(Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, form: TextForm::Word } => f.write_str(text),
            Self::Text { text, form: TextForm::Prefix } => write!(f, "{text}*"),
            Self::Text { text, form: TextForm::Phrase { slop: 0 } } => Quoted(text).fmt(f),
            Self::Text { text, form: TextForm::Phrase { slop } } => write!(f, "{}~{slop}", Quoted(text)),
            Self::Fact { field, value, is_prefix: false } => write!(f, "{}:{}", field.name(), Value(value)),
            Self::Fact { field, value, is_prefix: true } => write!(f, "{}:{value}*", field.name()),
            Self::Kind(kind) => write!(f, "kind:{kind}"),
            Self::KindGroup(group) => write!(f, "kind:{group}.*"),
            Self::Direction(direction) => write!(f, "direction:{}", direction_value(*direction)),
            Self::HasAttachment => f.write_str("has:attachment"),
            Self::Id(id) => write!(f, "id:{}", Value(id)),
            Self::After(moment) => write!(f, "after:{}", Moment(*moment)),
            Self::Before(moment) => write!(f, "before:{}", Moment(*moment)),
            Self::During(start, end) => write!(f, "on:{}/{}", Moment(*start), Moment(*end)),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                inner.write_in(f, matches!(**inner, Self::All(_) | Self::Any(_)))
            }
            Self::All(nodes) => {
                for (place, node) in nodes.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { " AND " })?;
                    node.write_in(f, matches!(node, Self::Any(_)))?;
                }
                Ok(())
            }
            Self::Any(nodes) => {
                for (place, node) in nodes.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { " OR " })?;
                    node.write_in(f, false)?;
                }
                Ok(())
            }
        }
    }
}
