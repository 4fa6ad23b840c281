//! What the platform listed and counted, against what is here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fold::of_app;
use super::query::Missing;
use super::reference::Pointer;
use super::signal::Signal;
use super::{Cause, DAY};
use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Table};
use crate::send::SendFact;
use crate::talk::About;
use crate::time::{day, micros};

/// Facts of one day that are counted.
const FACTS_MAX: usize = 500_000;

/// Facts about one message that are looked at.
const LOOKED_AT: usize = 100;

/// How long before a day its messages may have had their first status: it is not counted again then.
const BEFORE: i64 = 2 * DAY;

/// Reads what was found about a day (`account.observed` of `message_history` and `message_counts`).
pub(super) fn read(document: &Value) -> Option<(i64, Signal)> {
    let answer = document.get("answer")?;
    let time = |key: &str| answer.get(key).and_then(Value::as_str).and_then(micros);
    let count = |key: &str| answer.get(key).and_then(Value::as_u64);
    let (from, to) = (time("from")?, time("to")?);
    let signal = match document.get("object")?.as_str()? {
        "message_history" => Signal::Listed { to, listed: count("listed")?, missing: count("missing")? },
        "message_counts" => Signal::Counted { to, sent: count("sent")?, delivered: count("delivered")? },
        _ => return None,
    };
    (from < to).then_some((from, signal))
}

impl Projections {
    /// Tells whether the content of a message is here, or an answer that names it.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn has_content(&self, id: &str) -> Result<bool, ProjectionError> {
        let facts = self.facts::<About>(Table::Item, id, i64::MIN..=i64::MAX, LOOKED_AT)?;
        let is_content = |about: &About| matches!(about, About::Message { .. } | About::Answered { .. });
        Ok(facts.iter().any(|fact| is_content(&fact.value)))
    }

    /// What the platform listed or counted in a time beyond what is here. Of several looks at a day the last counts.
    pub(super) fn uncounted(
        &self,
        number: &str,
        signals: &[Fact<Signal>],
        from: i64,
    ) -> Result<Vec<Missing>, ProjectionError> {
        let mut listed: BTreeMap<i64, (i64, u64, u64, u64)> = BTreeMap::new();
        let mut counted: BTreeMap<i64, (i64, u64, u64, u64)> = BTreeMap::new();
        for fact in signals {
            match fact.value {
                Signal::Listed { to, listed: all, missing } if to >= from => {
                    let _earlier = listed.insert(fact.at, (to, all, missing, fact.seq));
                }
                Signal::Counted { to, sent, delivered } if to >= from => {
                    let _earlier = counted.insert(fact.at, (to, sent, delivered, fact.seq));
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        let missing = |cause, (from, to), count, seq, detail| Missing {
            cause,
            from,
            to,
            count,
            evidence: vec![seq],
            detail: Some(detail),
        };
        for (at, (to, all, absent, seq)) in listed.into_iter().filter(|(_, (_, _, absent, _))| *absent > 0) {
            let detail = format!("{absent} of {all} listed messages");
            found.push(missing(Cause::ListedNotCaptured, (at, to), absent, seq, detail));
        }
        for (at, (to, sent, delivered, seq)) in counted {
            let (here_sent, here_delivered) = self.sent_between(number, at, to)?;
            let pairs = [("sent", sent, here_sent), ("delivered", delivered, here_delivered)];
            for (what, there, here) in pairs.into_iter().filter(|(_, there, here)| there > here) {
                let detail = format!("{there} counted as {what}, {here} here");
                found.push(missing(Cause::CountedMore, (at, to), there - here, seq, detail));
            }
        }
        Ok(found)
    }

    /// Counts the messages that the number sent in a time, as many as there can be, and those that were delivered: by their
    /// statuses, by requests with an answer, and by echoes of the app, which the platform may count or not.
    fn sent_between(&self, number: &str, from: i64, to: i64) -> Result<(u64, u64), ProjectionError> {
        let last = to.saturating_sub(1);
        let mut before = BTreeSet::new();
        let (mut sent, mut delivered) = (BTreeSet::new(), BTreeSet::new());
        let span = from.saturating_sub(BEFORE)..=last;
        for fact in self.facts::<Pointer>(Table::Dangling, number, span, FACTS_MAX)? {
            let Pointer::Status { target, status } = fact.value else { continue };
            let is_delivered = matches!(status.as_str(), "delivered" | "read" | "played");
            if fact.at < from {
                let _known = before.insert(target);
                continue;
            }
            if is_delivered {
                let _known = delivered.insert(target.clone());
            }
            if status != "failed" && !before.contains(&target) {
                let _known = sent.insert(target);
            }
        }
        for start in (from.div_euclid(DAY)..=last.div_euclid(DAY)).map(|nth| nth * DAY) {
            for send in self.sends_on(&day(start), None, FACTS_MAX)? {
                if (from..to).contains(&send.at) {
                    sent.extend(self.wamids_of(&send.value, number)?);
                }
            }
        }
        let echoes = self.facts::<()>(Table::Rhythm, &of_app(number), from..=last, FACTS_MAX)?.len() as u64;
        Ok((sent.len() as u64 + echoes, delivered.len() as u64 + echoes))
    }

    /// Returns the ids that a send of the number got.
    fn wamids_of(&self, journal_id: &str, number: &str) -> Result<Vec<String>, ProjectionError> {
        let facts = self.facts::<SendFact>(Table::Send, journal_id, i64::MIN..=i64::MAX, LOOKED_AT)?;
        let is_of = |fact: &Fact<SendFact>| matches!(&fact.value, SendFact::Requested { number: Some(of), .. } if of == number);
        if !facts.iter().any(is_of) {
            return Ok(Vec::new());
        }
        let wamids = facts.into_iter().filter_map(|fact| match fact.value {
            SendFact::Answered { wamids, .. } => Some(wamids),
            _ => None,
        });
        Ok(wamids.flatten().collect())
    }
}
