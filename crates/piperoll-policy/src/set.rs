//! The policies that an archive runs with, and the decision about each event.

use std::cmp::Ordering;
use std::collections::HashMap;

use piperoll_format::{Bucket, Class, Kind, RetainUntil, Timestamp};

use crate::bucket::bucket_of;
use crate::decision::{Decision, Facts, Reason};
use crate::error::{LabelError, PolicyError, Uncovered};
use crate::period::Period;
use crate::policy::{Policy, dispose_at, keep_until};

/// More policies than this can no longer be explained to anybody.
const POLICIES_MAX: usize = 64;

/// Policies that together say for every possible event how long it is kept.
///
/// All decisions are made when the set is built: rules only compare for equality, so a number or source that no
/// rule names is like any other such one, and the distinct cases can be listed.
#[derive(Debug)]
pub struct PolicySet {
    /// In the order in which they win: longest `keep`, then longest `dispose_after`, then id.
    policies: Vec<Policy>,
    /// The numbers that rules name, from 1; every other number, and none, is 0.
    numbers: HashMap<String, usize>,
    /// The sources that rules name, from 1; every other source is 0.
    sources: HashMap<String, usize>,
    /// Position in `decisions` by kind, number and source; the source changes fastest.
    table: Vec<usize>,
    decisions: Vec<Decision>,
}

impl PolicySet {
    /// Builds a set; the order of the policies does not matter.
    ///
    /// # Errors
    /// [`PolicyError::Count`] for none or too many, [`PolicyError::RepeatedId`], [`PolicyError::NoOrder`] when two
    /// `keep` values have no order, [`PolicyError::Uncovered`] when an event could come that no policy matches.
    pub fn new(mut policies: Vec<Policy>) -> Result<Self, PolicyError> {
        if !(1..=POLICIES_MAX).contains(&policies.len()) {
            return Err(PolicyError::Count { max: POLICIES_MAX, found: policies.len() });
        }
        policies.sort_by(|a, b| a.id.cmp(&b.id));
        check_ids(&policies)?;
        check_order(&policies)?;
        policies.sort_by(precedence);
        let rules = || policies.iter().flat_map(Policy::rules);
        let named_numbers =
            rules().flat_map(|rule| rule.numbers.iter().chain(&rule.except_numbers)).flatten();
        let named_sources = rules().filter_map(|rule| rule.sources.as_ref()).flatten();
        let (numbers, sources) = (positions(named_numbers), positions(named_sources));
        let cases = Cases { numbers: by_position(&numbers), sources: by_position(&sources) };
        let (table, decisions) = decide_all(&policies, &cases)?;
        Ok(Self { policies, numbers, sources, table, decisions })
    }

    /// Decides the class of an event: of all matching policies, the one that keeps longest.
    ///
    /// Costs two hash look-ups and no allocation. The answer depends on the facts alone, so it may be cached for as
    /// long as the set lives.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> &Decision {
        let number = facts.number.and_then(|number| self.numbers.get(number)).copied().unwrap_or(0);
        let source = self.sources.get(facts.source).copied().unwrap_or(0);
        let row = facts.kind as usize * (self.numbers.len() + 1) + number;
        &self.decisions[self.table[row * (self.sources.len() + 1) + source]]
    }

    /// Returns the policies in the order in which they win.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Returns the policy of a class.
    #[must_use]
    pub fn policy(&self, class: &Class) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.id == *class)
    }

    /// Returns until when the objects of a bucket must be locked: the latest end that the class's own policy and
    /// the policies extending it ask for; nothing when there is no such policy.
    ///
    /// # Errors
    /// [`LabelError`] when the label names no bucket.
    pub fn keep_until(&self, bucket: &Bucket) -> Result<Option<RetainUntil>, LabelError> {
        self.governing(bucket.class())
            .map(|policy| keep_until(policy, bucket.label()))
            .try_fold(None, |latest, end| Ok(latest.max(Some(end?))))
    }

    /// Returns when a bucket is due for disposal and by which policy: the latest that the class's own policy and
    /// the policies extending it say; nothing when there is no such policy, because what no policy is about is
    /// never disposed of.
    ///
    /// # Errors
    /// [`LabelError`] when the label names no bucket.
    pub fn dispose_at(&self, bucket: &Bucket) -> Result<Option<(Timestamp, &Policy)>, LabelError> {
        let mut latest: Option<(Timestamp, &Policy)> = None;
        for policy in self.governing(bucket.class()) {
            let due = dispose_at(policy, bucket.label())?;
            if latest.is_none_or(|(found, _)| due > found) {
                latest = Some((due, policy));
            }
        }
        Ok(latest)
    }

    /// The class's own policy, then those that extend it.
    fn governing(&self, class: &Class) -> impl Iterator<Item = &Policy> {
        let extending = self.policies.iter().filter(move |policy| policy.extends.contains(class));
        self.policy(class).into_iter().chain(extending)
    }
}

/// Returns the longest `keep` of a set.
#[must_use]
pub fn longest_keep(set: &PolicySet) -> Period {
    set.policies.first().expect("a set is never empty and sorted by `keep`").keep
}

/// Returns until when a segment committed at `recorded_at` must be locked, so that it outlives every pack it names.
#[must_use]
pub fn segment_retain_until(set: &PolicySet, recorded_at: Timestamp) -> RetainUntil {
    let ends = set.policies.iter().map(|policy| {
        let bucket = bucket_of(&policy.id, policy.bucket, recorded_at);
        set.keep_until(&bucket).expect("a label that was just written reads back")
    });
    ends.max().flatten().expect("a set is never empty, and each class has its policy")
}

/// Puts the policy that wins first.
fn precedence(a: &Policy, b: &Policy) -> Ordering {
    let keep = b.keep.cmp_length(a.keep);
    let dispose_after = || b.dispose_after.cmp_length(a.dispose_after);
    keep.then_with(dispose_after).then_with(|| a.id.cmp(&b.id))
}

/// Expects policies sorted by id.
fn check_ids(policies: &[Policy]) -> Result<(), PolicyError> {
    match policies.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(PolicyError::RepeatedId {
            id: pair[0].id.to_string(),
            first: pair[0].file.clone(),
            second: pair[1].file.clone(),
        }),
        None => Ok(()),
    }
}

fn check_order(policies: &[Policy]) -> Result<(), PolicyError> {
    for (index, first) in policies.iter().enumerate() {
        if let Some(second) = policies[index + 1..].iter().find(|p| !p.keep.has_order_with(first.keep)) {
            return Err(PolicyError::NoOrder {
                first: first.id.to_string(),
                first_keep: first.keep.to_string(),
                second: second.id.to_string(),
                second_keep: second.keep.to_string(),
            });
        }
    }
    Ok(())
}

/// Numbers the distinct values from 1.
fn positions<'a>(values: impl Iterator<Item = &'a String>) -> HashMap<String, usize> {
    let mut positions = HashMap::new();
    for value in values {
        let next = positions.len() + 1;
        positions.entry(value.clone()).or_insert(next);
    }
    positions
}

/// Turns positions around; position 0 stands for everything that is not named.
fn by_position(positions: &HashMap<String, usize>) -> Vec<Option<&str>> {
    let mut values = vec![None; positions.len() + 1];
    for (value, position) in positions {
        values[*position] = Some(value.as_str());
    }
    values
}

/// The numbers and sources that can make a difference; nothing stands for every one that no rule names.
struct Cases<'a> {
    numbers: Vec<Option<&'a str>>,
    sources: Vec<Option<&'a str>>,
}

impl Cases<'_> {
    fn facts(&self) -> impl Iterator<Item = Facts<'_>> {
        let numbers = || self.numbers.iter().copied();
        // No rule can name an empty source, so it stands for the sources that none names.
        let sources = || self.sources.iter().map(|source| source.unwrap_or_default());
        let kinds = Kind::ALL.iter().copied();
        kinds
            .flat_map(move |kind| numbers().map(move |number| (kind, number)))
            .flat_map(move |(kind, number)| sources().map(move |source| Facts { kind, number, source }))
    }

    /// Names the case of an uncovered event; nothing when there is only one number and one source to tell apart.
    fn describe(&self, facts: &Facts<'_>) -> Option<String> {
        let number = facts.number.map_or("any other number or none".to_owned(), |n| format!("number {n}"));
        let source = if facts.source.is_empty() { "any other source" } else { facts.source };
        match (self.numbers.len(), self.sources.len()) {
            (1, 1) => None,
            (_, 1) => Some(number),
            (1, _) => Some(format!("source {source}").replace("source any", "any")),
            _ => Some(format!("{number}, source {source}").replace("source any", "any")),
        }
    }
}

/// Decides every case; equal decisions are stored once.
fn decide_all(policies: &[Policy], cases: &Cases<'_>) -> Result<(Vec<usize>, Vec<Decision>), PolicyError> {
    let mut known: HashMap<Vec<(usize, usize)>, usize> = HashMap::new();
    let (mut table, mut decisions, mut uncovered) = (Vec::new(), Vec::new(), Vec::new());
    for facts in cases.facts() {
        let matched = matched_rules(policies, &facts);
        if matched.is_empty() {
            uncovered.push(facts);
            continue;
        }
        let next = decisions.len();
        let position = *known.entry(matched).or_insert_with_key(|matched| {
            decisions.push(decision(policies, matched));
            next
        });
        table.push(position);
    }
    if uncovered.is_empty() {
        return Ok((table, decisions));
    }
    let per_kind = cases.numbers.len() * cases.sources.len();
    let events = uncovered.chunk_by(|a, b| a.kind == b.kind).map(|facts| Uncovered {
        kind: facts[0].kind,
        only: if facts.len() == per_kind {
            Vec::new()
        } else {
            facts.iter().filter_map(|facts| cases.describe(facts)).collect()
        },
    });
    Err(PolicyError::Uncovered { events: events.collect() })
}

/// Returns each matching policy with its first matching rule, in order of precedence.
fn matched_rules(policies: &[Policy], facts: &Facts<'_>) -> Vec<(usize, usize)> {
    let first_rule = |policy: &Policy| policy.rules.iter().position(|rule| rule.matches(facts));
    policies.iter().enumerate().filter_map(|(p, policy)| Some((p, first_rule(policy)?))).collect()
}

fn decision(policies: &[Policy], matched: &[(usize, usize)]) -> Decision {
    let reason = |(policy, rule): &(usize, usize)| {
        let policy = &policies[*policy];
        Reason {
            policy: policy.id.clone(),
            version: policy.version,
            legal_basis: policy.legal_basis.clone(),
            why: policy.rules[*rule].to_string(),
            keep: policy.keep,
            dispose_after: policy.dispose_after,
        }
    };
    let winner = &policies[matched[0].0];
    Decision {
        class: winner.id.clone(),
        version: winner.version,
        keep: winner.keep,
        dispose_after: winner.dispose_after,
        bucket: winner.bucket,
        reasons: matched.iter().map(reason).collect(),
    }
}
