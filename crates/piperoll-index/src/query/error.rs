//! A syntax error that points at the character.

use std::fmt;

/// Why a query could not be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// Where, in characters from the start.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How many characters of the query are shown before the position.
const SHOWN_BEFORE: usize = 60;
/// How many characters of the query are shown after the position.
const SHOWN_AFTER: usize = 20;

impl QueryError {
    /// Shows the query (the part around the error, if it is long) with a caret under the character, then the message
    /// and the hint.
    #[must_use]
    pub fn render(&self, query: &str) -> String {
        let visible = |character: char| if character.is_control() { ' ' } else { character };
        let start = self.at.saturating_sub(SHOWN_BEFORE);
        let before = self.at - start;
        let line: String = query.chars().skip(start).take(before + SHOWN_AFTER).map(visible).collect();
        let mut shown = format!("{line}\n{:before$}^ {}", "", self.message);
        if let Some(hint) = &self.hint {
            shown.push_str("\nhint: ");
            shown.push_str(hint);
        }
        shown
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at + 1, self.message)
    }
}

impl std::error::Error for QueryError {}

/// A failure at a byte offset, before it is known what the whole query is.
#[derive(Debug)]
pub(super) struct Fault {
    at: usize,
    message: String,
    hint: Option<String>,
}

impl Fault {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Counts the characters up to the failure.
    pub(super) fn locate(self, query: &str) -> QueryError {
        let at = query.get(..self.at).map_or(0, |before| before.chars().count());
        QueryError { at, message: self.message, hint: self.hint }
    }
}
