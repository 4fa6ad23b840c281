//! A person: the aliases that belong together, over time.
//!
//! Numbers are given to other people, and a user id is made anew when its person takes another number. So a phone
//! number that was reached from a user id leads on only by a recorded change, and a change only to whoever had the
//! alias at that time. User names are shown but lead nowhere: they can be given away.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Daily, Fact, Table};
use crate::people::{Assignment, Tie};

/// Aliases that a person may have; more are left out, and the person says so.
const ALIASES_MAX: usize = 64;
/// Facts that are read for one alias: one a day for each name and tie.
const FACTS_MAX: usize = 20_000;

/// A person as the archive knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The aliases, by the time they were first seen.
    pub aliases: Vec<Alias>,
    /// The names, by the time they were first seen.
    pub names: Vec<Name>,
    /// Whether an alias was met that other people had as well; they are not part of this person.
    pub shared: bool,
    /// Whether there were too many aliases to follow.
    pub cut: bool,
}

/// An alias of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// `wa:<digits>`, `bsuid:<id>`, `parent:<id>` or `username:<name>`.
    pub alias: String,
    /// When it was first seen, microseconds since the epoch; absent for an alias of which nothing else is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<i64>,
    /// When the person left it, if that was told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<i64>,
    /// The event that ties it to the person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seq: Option<u64>,
}

/// A name of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// As it was captured.
    pub name: String,
    /// When it was first seen, microseconds since the epoch.
    pub since: i64,
    /// The event that says so.
    pub seq: u64,
}

impl Person {
    /// Returns the aliases under which messages can be found: all but user names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.iter().map(|alias| alias.alias.as_str());
        aliases.filter(|alias| !alias.starts_with("username:"))
    }
}

/// What is known of one alias.
#[derive(Default)]
struct Known {
    /// Other alias → first and last time together, and the first event.
    seen: BTreeMap<String, (i64, i64, u64)>,
    /// Changes: time, from, to, event.
    changes: Vec<(i64, String, String, u64)>,
    names: BTreeMap<String, (i64, u64)>,
    since: Option<(i64, u64)>,
}

/// An alias to look at, and the time for which it is known to be the person's.
struct Step {
    alias: String,
    /// From which sort of alias it was reached; the first is its own.
    from_user_id: bool,
    span: (i64, i64),
    tied: Option<(i64, u64)>,
}

impl Projections {
    /// Returns the person who has an alias, or had it at a time (microseconds since the epoch).
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn person(&self, alias: &str, at: Option<i64>) -> Result<Person, ProjectionError> {
        let mut walk = Walk::default();
        let start = self.alias_facts(alias)?;
        walk.start(alias, start, at);
        while let Some(step) = walk.queue.pop_front() {
            let known = self.alias_facts(&step.alias)?;
            walk.visit(step, known);
        }
        Ok(walk.finish())
    }

    /// Returns who had a business number at a time (microseconds since the epoch), with the event that says so.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn assignee(&self, number: &str, at: i64) -> Result<Option<Fact<Assignment>>, ProjectionError> {
        let newest = self.newest::<Assignment>(Table::Assignment, number, i64::MIN..=at, 1)?;
        // The newest that began decides, also when it has ended: nobody has the number then.
        Ok(newest.into_iter().next().filter(|found| found.value.until.is_none_or(|until| at < until)))
    }

    fn alias_facts(&self, alias: &str) -> Result<Known, ProjectionError> {
        let mut known = Known::default();
        for fact in self.ties(alias)? {
            let (at, seq) = (fact.at, fact.seq);
            known.since = known.since.into_iter().chain([(at, seq)]).min();
            match fact.value {
                Tie::Seen { with, name } => {
                    for other in with {
                        let span = known.seen.entry(other).or_insert((at, at, seq));
                        *span =
                            if at < span.0 { (at, span.1, seq) } else { (span.0, span.1.max(at), span.2) };
                    }
                    if let Some(name) = name {
                        let first = known.names.entry(name).or_insert((at, seq));
                        *first = (*first).min((at, seq));
                    }
                }
                Tie::Changed { from, to } => known.changes.push((at, from, to, seq)),
            }
        }
        Ok(known)
    }

    /// Reads what ties an alias; a sighting stands at the start of its day and holds its own time.
    fn ties(&self, alias: &str) -> Result<Vec<Fact<Tie>>, ProjectionError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Daily(Daily<Tie>),
            Once(Tie),
        }
        let stored = self.facts::<Stored>(Table::Person, alias, i64::MIN..=i64::MAX, FACTS_MAX)?;
        let tie = |fact: Fact<Stored>| match fact.value {
            Stored::Daily(daily) => Fact { at: daily.at, seq: daily.seq, value: daily.said },
            Stored::Once(value) => Fact { at: fact.at, seq: fact.seq, value },
        };
        Ok(stored.into_iter().map(tie).collect())
    }
}

#[derive(Default)]
struct Walk {
    queue: VecDeque<Step>,
    queued: BTreeSet<String>,
    aliases: HashMap<String, Alias>,
    names: BTreeMap<String, (i64, u64)>,
    shared: bool,
    cut: bool,
}

impl Walk {
    /// Begins with the alias itself, or with the user id that had the number at the time.
    fn start(&mut self, alias: &str, known: Known, at: Option<i64>) {
        let always = (i64::MIN, i64::MAX);
        let users: Vec<_> = known.seen.iter().filter(|(other, _)| other.starts_with("bsuid:")).collect();
        let first = Step { alias: alias.to_owned(), from_user_id: false, span: always, tied: known.since };
        let Some(at) = at.filter(|_| users.len() > 1 && !alias.starts_with("bsuid:")) else {
            self.push(first);
            return;
        };
        // The one seen last before the time, else the first one after it.
        let before = users.iter().filter(|(_, span)| span.0 <= at).max_by_key(|(_, span)| span.0);
        let chosen = before.or_else(|| users.iter().min_by_key(|(_, span)| span.0));
        self.shared = true;
        if let Some((user, (since, _, seq))) = chosen {
            self.push(Step {
                alias: (*user).clone(),
                from_user_id: true,
                span: always,
                tied: Some((*since, *seq)),
            });
        }
    }

    fn push(&mut self, step: Step) {
        if self.queued.contains(&step.alias) {
            return;
        }
        if self.queued.len() == ALIASES_MAX {
            self.cut = true;
            return;
        }
        let _ = self.queued.insert(step.alias.clone());
        self.queue.push_back(step);
    }

    fn visit(&mut self, step: Step, known: Known) {
        let left = known.changes.iter().filter(|(_, from, ..)| *from == step.alias).map(|(at, ..)| *at).max();
        let alias = Alias {
            alias: step.alias.clone(),
            since: step.tied.map(|(at, _)| at),
            until: left,
            seq: step.tied.map(|(_, seq)| seq),
        };
        let is_name = step.alias.starts_with("username:");
        let _ = self.aliases.insert(step.alias.clone(), alias);
        // The name of a shared number may be somebody else's.
        for (name, (at, seq)) in known.names {
            if (step.span.0..=step.span.1).contains(&at) {
                let first = self.names.entry(name).or_insert((at, seq));
                *first = (*first).min((at, seq));
            }
        }
        let is_first = self.aliases.len() == 1;
        if is_name && !is_first {
            return;
        }
        for (at, from, to, seq) in known.changes {
            let (other, fits) =
                if from == step.alias { (to, at >= step.span.0) } else { (from, at <= step.span.1) };
            if fits {
                let (from_user_id, tied) = (false, Some((at, seq)));
                self.push(Step { alias: other, from_user_id, span: (i64::MIN, i64::MAX), tied });
            }
        }
        let is_user = |alias: &str| alias.starts_with("bsuid:") || alias.starts_with("parent:");
        for (other, (since, until, seq)) in known.seen {
            if step.from_user_id && !is_user(&step.alias) && other.starts_with("bsuid:") {
                self.shared |= !self.queued.contains(&other);
                continue;
            }
            // What was reached from a user id is the person's only while both were seen together.
            let from_user_id = is_user(&step.alias);
            let span = if from_user_id { (since, until.saturating_add(DAY)) } else { (i64::MIN, i64::MAX) };
            self.push(Step { alias: other, from_user_id, span, tied: Some((since, seq)) });
        }
    }

    fn finish(self) -> Person {
        let mut aliases: Vec<Alias> = self.aliases.into_values().collect();
        aliases.sort_by(|a, b| (a.since, &a.alias).cmp(&(b.since, &b.alias)));
        let names = self.names.into_iter().map(|(name, (since, seq))| Name { name, since, seq });
        let mut names: Vec<Name> = names.collect();
        names.sort_by_key(|name| (name.since, name.seq));
        Person { aliases, names, shared: self.shared, cut: self.cut }
    }
}

/// Sightings are known to the day.
const DAY: i64 = 86_400_000_000;
