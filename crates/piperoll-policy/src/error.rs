//! What can be wrong with a policy file, a policy set or a bucket label.

use piperoll_format::Kind;

/// Why a policy file or a set of them cannot be used; the archive refuses to start with it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The text is no TOML, or has a key that is unknown, missing, repeated or of the wrong type.
    #[error("policy file `{file}`{place}: {}", .source.message())]
    Syntax {
        /// Name of the file as the caller gave it.
        file: String,
        /// Line number and text, or nothing when the whole file is meant.
        place: String,
        /// What the TOML reader says: it names the key, what it expected and what it found.
        source: Box<toml::de::Error>,
    },
    /// A key has a value that a policy cannot have.
    #[error("policy file `{file}`: `{key}`: expected {expected}, found {found}")]
    Value {
        /// Name of the file as the caller gave it.
        file: String,
        /// The key, with list positions counted from 1, such as `match[1].kinds[2]`.
        key: String,
        /// What would be accepted.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The set has no policy, or more than it may have.
    #[error("policy set: expected 1 to {max} policies, found {found}")]
    Count {
        /// How many a set may have.
        max: usize,
        /// How many it has.
        found: usize,
    },
    /// Two files have the same id, so a class name would mean two things.
    #[error("policy set: expected unique ids, found `{id}` in `{first}` and in `{second}`")]
    RepeatedId {
        /// The id.
        id: String,
        /// The file that came first.
        first: String,
        /// The file that came second.
        second: String,
    },
    /// Which of two `keep` values is longer depends on the date, so "the longest wins" has no answer.
    #[error(
        "policy set: expected `keep` values that can be ordered, found `{first}` ({first_keep}) and `{second}` \
         ({second_keep}): which is longer depends on the date, use the same unit in both"
    )]
    NoOrder {
        /// Id of one policy.
        first: String,
        /// Its `keep`.
        first_keep: String,
        /// Id of the other policy.
        second: String,
        /// Its `keep`.
        second_keep: String,
    },
    /// Some events would have no policy, and so no period.
    #[error("policy set: expected a policy for every event, found none for {}", list(.events))]
    Uncovered {
        /// The events that no policy matches.
        events: Vec<Uncovered>,
    },
}

/// Events of one kind that no policy of a set matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// The kind.
    pub kind: Kind,
    /// The number and source for which the kind is uncovered; empty when it is for all.
    pub only: Vec<String>,
}

/// Lists uncovered events; kinds in the same case are listed together.
fn list(events: &[Uncovered]) -> String {
    /// More examples than this do not help to find the mistake.
    const CASES_SHOWN_MAX: usize = 3;
    let group = |events: &[Uncovered]| {
        let kinds: Vec<String> = events.iter().map(|event| format!("`{}`", event.kind)).collect();
        let kinds = kinds.join(", ");
        let only = &events[0].only;
        let shown = only[..only.len().min(CASES_SHOWN_MAX)].join("; ");
        match only.len().saturating_sub(CASES_SHOWN_MAX) {
            0 if shown.is_empty() => kinds,
            0 => format!("{kinds} ({shown})"),
            more => format!("{kinds} ({shown}; {more} more)"),
        }
    };
    events.chunk_by(|a, b| a.only == b.only).map(group).collect::<Vec<_>>().join(", ")
}

/// A text that is no bucket label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "bucket label `{found}`: expected a date from 1970 on, written like `2026-11`, `2026-11-21`, `2026-11-21T21`, \
     `2026-11-21T2137` or `2026-11-21T213745`"
)]
pub struct LabelError {
    /// The text, cut to 40 characters.
    pub found: String,
}
