//! One retention policy: a checked policy file.

use std::fmt::Write as _;

use piperoll_format::{Class, RetainUntil, Timestamp};

use crate::bucket::{BucketPeriod, bucket_end};
use crate::decision::Facts;
use crate::error::{LabelError, PolicyError};
use crate::file;
use crate::period::Period;
use crate::rule::{KindPattern, Rule};

/// A policy that was read from a file and is valid by itself. Its clock is `recorded`, the only one there is.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) file: String,
    pub(crate) id: Class,
    pub(crate) version: u32,
    pub(crate) title: String,
    pub(crate) legal_basis: String,
    pub(crate) summary: String,
    pub(crate) keep: Period,
    pub(crate) dispose_after: Period,
    pub(crate) bucket: BucketPeriod,
    pub(crate) extends: Vec<Class>,
    pub(crate) rules: Vec<Rule>,
}

impl Policy {
    /// Reads a policy file; `file_name` is used in messages only.
    ///
    /// # Errors
    /// [`PolicyError::Syntax`] when the text is no TOML or has an unknown, missing or mistyped key;
    /// [`PolicyError::Value`] when a key has a value that a policy cannot have.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, PolicyError> {
        file::parse(file_name, text)
    }

    /// Returns the name of the file it was read from.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the id, which is the retention class.
    #[must_use]
    pub const fn id(&self) -> &Class {
        &self.id
    }

    /// Returns the version; it rises with every change of the file's meaning.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Returns the name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Returns the citation of the rule that asks for the policy.
    #[must_use]
    pub fn legal_basis(&self) -> &str {
        &self.legal_basis
    }

    /// Returns what the policy does, in plain words.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Returns the minimum: how long the store refuses deletion, counted from the end of the bucket.
    #[must_use]
    pub const fn keep(&self) -> Period {
        self.keep
    }

    /// Returns the maximum: when the bucket is due for disposal, counted from its end.
    #[must_use]
    pub const fn dispose_after(&self) -> Period {
        self.dispose_after
    }

    /// Returns how long the class's buckets last.
    #[must_use]
    pub const fn bucket(&self) -> BucketPeriod {
        self.bucket
    }

    /// Returns the classes whose existing buckets are to be kept as long as this policy says.
    #[must_use]
    pub fn extends(&self) -> &[Class] {
        &self.extends
    }

    /// Returns the match rules; the policy is about an event when any of them holds.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Tells whether the policy is about an event.
    #[must_use]
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        self.rules.iter().any(|rule| rule.matches(facts))
    }

    /// Returns the policy as TOML in one fixed form: no comments, fixed order of keys, lists sorted.
    ///
    /// Two files with the same meaning and wording have the same canonical text, and it reads back as the same
    /// policy; so it is what a ledger records, and what a digest is taken of.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| {
            writeln!(text, "{key} = {value}").expect("a String takes every write");
        };
        line("id", &quoted(self.id.as_str()));
        line("version", &self.version.to_string());
        line("title", &quoted(&self.title));
        line("legal_basis", &quoted(&self.legal_basis));
        line("summary", &quoted(&self.summary));
        line("keep", &quoted(&self.keep.to_string()));
        line("dispose_after", &quoted(&self.dispose_after.to_string()));
        line("clock", "\"recorded\"");
        line("bucket", &quoted(self.bucket.as_str()));
        if !self.extends.is_empty() {
            line("extends", &array(self.extends.iter().map(Class::as_str)));
        }
        text.push_str(&self.canonical_rules());
        text
    }

    /// Returns the `[[match]]` part of the canonical text.
    pub(crate) fn canonical_rules(&self) -> String {
        let mut text = String::new();
        for rule in &self.rules {
            text.push_str("\n[[match]]\n");
            let kinds = rule.kinds.as_ref().map(|kinds| array(kinds.iter().map(KindPattern::as_str)));
            let lists = [&rule.numbers, &rule.except_numbers, &rule.sources]
                .map(|list| list.as_ref().map(|list| array(list.iter().map(String::as_str))));
            let [numbers, except_numbers, sources] = lists;
            let fields = [
                ("kinds", kinds),
                ("numbers", numbers),
                ("except_numbers", except_numbers),
                ("sources", sources),
            ];
            for (key, value) in fields {
                if let Some(value) = value {
                    writeln!(text, "{key} = {value}").expect("a String takes every write");
                }
            }
        }
        text
    }
}

/// Returns the end of a policy's lock on a bucket: the end of the bucket plus `keep`.
///
/// The lock of an object is [`crate::PolicySet::keep_until`], which also knows the policies that extend this one.
///
/// # Errors
/// [`LabelError`] when the label names no bucket.
pub fn keep_until(policy: &Policy, label: &str) -> Result<RetainUntil, LabelError> {
    bucket_end(label).map(|end| RetainUntil(policy.keep.after(end)))
}

/// Returns when a bucket is due for disposal by one policy: the end of the bucket plus `dispose_after`.
///
/// # Errors
/// [`LabelError`] when the label names no bucket.
pub fn dispose_at(policy: &Policy, label: &str) -> Result<Timestamp, LabelError> {
    bucket_end(label).map(|end| policy.dispose_after.after(end))
}

fn array<'a>(values: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", values.map(quoted).collect::<Vec<_>>().join(", "))
}

/// Writes a TOML basic string (TOML 1.0, "String"); written here so that a library update cannot change a digest.
fn quoted(value: &str) -> String {
    let mut text = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c if c.is_control() => {
                write!(text, "\\u{:04X}", u32::from(c)).expect("a String takes every write");
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
