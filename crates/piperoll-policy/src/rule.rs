//! Match rules: which events a policy is about.

use std::collections::BTreeSet;
use std::fmt;

use piperoll_format::Kind;

use crate::decision::Facts;

/// One `[[match]]` of a policy; an event matches when all given fields hold.
///
/// A field that is not given holds for every event. An event without a number is in no `numbers` list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub(crate) kinds: Option<BTreeSet<KindPattern>>,
    pub(crate) numbers: Option<BTreeSet<String>>,
    pub(crate) except_numbers: Option<BTreeSet<String>>,
    pub(crate) sources: Option<BTreeSet<String>>,
}

impl Rule {
    /// Tells whether the rule holds for an event.
    #[must_use]
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let among = |list: &Option<BTreeSet<String>>, value: Option<&str>| {
            list.as_ref().map(|list| value.is_some_and(|value| list.contains(value)))
        };
        self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|pattern| pattern.matches(facts.kind)))
            && among(&self.numbers, facts.number) != Some(false)
            && among(&self.except_numbers, facts.number) != Some(true)
            && among(&self.sources, Some(facts.source)) != Some(false)
    }
}

impl fmt::Display for Rule {
    /// Writes the rule in words, such as `kind whatsapp.* or consent.*, source api`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds.as_ref().map(|kinds| alternatives(kinds.iter().map(KindPattern::as_str)));
        let [numbers, except_numbers, sources] = [&self.numbers, &self.except_numbers, &self.sources]
            .map(|list| list.as_ref().map(|list| alternatives(list.iter().map(String::as_str))));
        let parts: Vec<String> = [
            kinds.map(|kinds| format!("kind {kinds}")),
            numbers.map(|numbers| format!("number {numbers}")),
            except_numbers.map(|numbers| format!("any number but {numbers}")),
            sources.map(|sources| format!("source {sources}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() { f.write_str("every event") } else { f.write_str(&parts.join(", ")) }
    }
}

/// Joins with commas and `or`; long lists are cut, because they are read by people.
fn alternatives<'a>(values: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 12;
    let more = values.len().saturating_sub(SHOWN_MAX);
    let mut shown: Vec<String> = values.take(SHOWN_MAX).map(str::to_owned).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    let last = shown.pop().unwrap_or_default();
    if shown.is_empty() { last } else { format!("{} or {last}", shown.join(", ")) }
}

/// A kind (`consent.given`), a group of kinds (`consent.*`) or all of them (`*`). Matches at least one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KindPattern(String);

impl KindPattern {
    /// Reads a pattern; one that matches no kind is nothing, so that a misspelt kind is found.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let pattern = Self(text.to_owned());
        Kind::ALL.iter().any(|kind| pattern.matches(*kind)).then_some(pattern)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn matches(&self, kind: Kind) -> bool {
        match self.0.strip_suffix(".*") {
            Some(group) => kind.as_str().split_once('.').is_some_and(|(found, _)| found == group),
            None => self.0 == "*" || self.0 == kind.as_str(),
        }
    }
}
