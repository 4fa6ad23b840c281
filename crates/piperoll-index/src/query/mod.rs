//! The query language: grammar, tree, canonical text, and what it means to tantivy.
//!
//! ```text
//! query   = all *("OR" all)                     lowest precedence
//! all     = not *(["AND"] not)                  words side by side are AND
//! not     = ("NOT" / "-") not / item
//! item    = "(" query ")" / quoted ["~" words] / field ":" value / word / prefix "*"
//! field   = from to with kind type template number id has direction after before on class conversation
//! quoted  = %x22 text %x22                      \" and \\ inside; typographic quotes work too
//! ```
//!
//! A word is found however it is capitalised and accented; a word such as `acct-12` is the phrase "acct 12".
//! `"a b"~5` allows five words between or around, in any order (a swap counts two). `after:` includes its moment,
//! `before:` excludes it, `on:` is a day or, in canonical text, a span `start/end`; a day is one of the caller's time
//! zone. A date goes by when the item occurred, or was recorded if the sender's time is implausible.
//!
//! The canonical text ([`Display`](std::fmt::Display)) goes into the audit log. It has resolved times (UTC), so it
//! means the same wherever it is read, and parses back to the same query.

mod compile;
mod error;
mod field;
mod grammar;
mod node;
mod time;

use std::fmt;
use std::str::FromStr;

use chrono_tz::Tz;
use piperoll_format::Timestamp;

pub use error::QueryError;

use grammar::Limits;
use node::{FactField, Node};

/// A parsed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(Node);

impl Query {
    /// Parses what a person typed; days are days of `zone`.
    ///
    /// # Errors
    /// [`QueryError`] points at the character and says what was expected. At most 4,096 characters, 256 words and
    /// values, 32 levels.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, QueryError> {
        grammar::parse(text, zone, Limits::TYPED).map(Self)
    }

    /// Asks for the events of one conversation.
    #[must_use]
    pub fn conversation(id: &str) -> Self {
        Self(Node::Fact { field: FactField::Conversation, value: id.to_owned(), is_prefix: false })
    }

    /// Asks for the events that match both; how a caller narrows what somebody may see.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Node::all(vec![self.0, other.0]))
    }
}

/// What a query is restricted to, as far as that is certain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The business numbers, as they were written; all when empty.
    pub numbers: Vec<String>,
    /// Nothing before this moment.
    pub from: Option<Timestamp>,
    /// Nothing at or after this moment.
    pub to: Option<Timestamp>,
}

impl Query {
    /// Tells which numbers and times the query is restricted to. Alternatives and negations restrict nothing.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let mut scope = Scope::default();
        narrow(&self.0, &mut scope);
        scope
    }
}

fn narrow(node: &Node, scope: &mut Scope) {
    let mut after = |moment: &Timestamp| scope.from = scope.from.max(Some(*moment));
    match node {
        Node::All(nodes) => nodes.iter().for_each(|node| narrow(node, scope)),
        Node::After(moment) => after(moment),
        Node::Before(moment) => scope.to = Some(scope.to.map_or(*moment, |to| to.min(*moment))),
        Node::During(from, to) => {
            after(from);
            scope.to = Some(scope.to.map_or(*to, |known| known.min(*to)));
        }
        Node::Fact { field: FactField::Number, value, is_prefix: false } => scope.numbers.push(value.clone()),
        Node::Fact { field: FactField::Conversation, value, is_prefix: false } => {
            let number = value.split(':').next().unwrap_or_default();
            scope.numbers.push(number.to_owned());
        }
        _ => {}
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Query {
    type Err = QueryError;

    /// Reads canonical text back; days without a zone are UTC. Its limits are wider than [`Query::parse`]'s, because
    /// canonical text can be longer than what was typed.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        grammar::parse(text, Tz::UTC, Limits::CANONICAL).map(Self)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests;
