//! Reads the facts of coverage and computes what was the case.

use std::collections::{BTreeSet, HashMap};

use piperoll_sources::{Direction, Origin};

use super::beat::Beat;
use super::fold::{ARCHIVE, of_account, of_app, of_phone};
use super::interval::{Interval, Span, intervals};
use super::reference::{self, Known, Pointer};
use super::rhythm::{self, Arrival, UNOPENED_LOST, WEEKS};
use super::signal::{self, Aspect, Signal};
use super::{Cause, DAY, HOUR, State, beat, history};
use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Table};
use crate::talk::{About, Entry};

/// Events named as evidence of one thing that is missing.
pub(super) const EVIDENCE_MAX: usize = 20;

/// Facts of one kind that one answer is computed from; more are not looked at.
const FACTS_MAX: usize = 500_000;

/// Numbers of one ledger that are listed.
const NUMBERS_MAX: usize = 10_000;

/// Facts in which a number's phone and account are looked for.
const NAMES_LOOKED_AT: usize = 200;

/// A test message may be late by half of its interval.
const CANARY_LATE: i64 = 2;

/// All of time.
const EVER: std::ops::RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Why.
    pub cause: Cause,
    /// From this moment, microseconds since the epoch.
    pub from: i64,
    /// Until this moment.
    pub to: i64,
    /// How many; zero where nobody can know.
    pub count: u64,
    /// The first events that show it.
    pub evidence: Vec<u64>,
    /// What a reader should know.
    pub detail: Option<String>,
}

/// A test message that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The business number's id.
    pub number: String,
    /// How often, in microseconds.
    pub every: i64,
    /// Digits of the test handset's phone number.
    pub from: String,
}

/// How coverage is computed.
#[derive(Clone, Debug)]
pub struct CoverageOptions<'a> {
    /// The time, microseconds since the epoch.
    pub now: i64,
    /// The expected test messages.
    pub canaries: &'a [Canary],
    /// How many of the newest references are followed.
    pub references_max: usize,
}

/// A business number that something is known about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownNumber {
    /// Its id; its phone number where nothing else is told.
    pub number: String,
    /// Digits of its phone number.
    pub phone: Option<String>,
    /// The id of its WhatsApp account.
    pub account: Option<String>,
}

/// The capture of a number in a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Whose.
    pub number: KnownNumber,
    /// One state after the other, without holes.
    pub intervals: Vec<Interval>,
    /// What is missing, the oldest first.
    pub missing: Vec<Missing>,
    /// Whether every reference in the time was followed.
    pub is_complete: bool,
}

impl Projections {
    /// Lists the business numbers that something is known about.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn numbers(&self) -> Result<Vec<KnownNumber>, ProjectionError> {
        let mut ids = BTreeSet::new();
        let mut phones = BTreeSet::new();
        for table in [Table::Rhythm, Table::Coverage, Table::History, Table::Dangling] {
            for entity in self.entities(table, None, NUMBERS_MAX)? {
                match entity.strip_prefix("@phone:") {
                    Some(phone) => drop(phones.insert(phone.to_owned())),
                    None if entity.starts_with('@') => {}
                    None => drop(ids.insert(entity)),
                }
            }
        }
        let mut known = ids.iter().map(|id| self.named(id)).collect::<Result<Vec<_>, _>>()?;
        for phone in phones {
            if !known.iter().any(|number| number.phone.as_ref() == Some(&phone)) {
                known.push(KnownNumber { number: phone.clone(), phone: Some(phone), account: None });
            }
        }
        Ok(known)
    }

    /// Finds a number by its id or its phone number as written.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn number(&self, text: &str) -> Result<Option<KnownNumber>, ProjectionError> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let mut numbers = self.numbers()?;
        let found = numbers.iter().position(|known| known.number == text);
        let by_phone = || numbers.iter().position(|known| known.phone.as_ref() == Some(&digits));
        Ok(found.or_else(by_phone).map(|at| numbers.swap_remove(at)))
    }

    /// Finds phone and account of a number in what arrived for it last.
    fn named(&self, number: &str) -> Result<KnownNumber, ProjectionError> {
        let mut known = KnownNumber { number: number.to_owned(), ..KnownNumber::default() };
        for fact in self.newest::<Arrival>(Table::Rhythm, number, EVER, NAMES_LOOKED_AT)? {
            known.phone = known.phone.or(fact.value.phone);
            known.account = known.account.or(fact.value.account);
            if known.phone.is_some() && known.account.is_some() {
                break;
            }
        }
        Ok(known)
    }

    /// Tells the state that was put on record last (`coverage.changed`).
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn noted_coverage(&self, number: &str) -> Result<Option<(State, Cause)>, ProjectionError> {
        const LOOKED_AT: usize = 10_000;
        let newest = self.newest::<Signal>(Table::Coverage, number, EVER, LOOKED_AT)?;
        Ok(newest.into_iter().find_map(|fact| match fact.value {
            Signal::Noted { state, cause } => Some((state, cause)),
            _ => None,
        }))
    }

    /// Counts what arrived for each number between two moments (microseconds since the epoch).
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn arrivals(&self, from: i64, to: i64) -> Result<Vec<(String, u64)>, ProjectionError> {
        let mut counts = Vec::new();
        for number in self.numbers()? {
            let arrivals = self.facts::<Arrival>(Table::Rhythm, &number.number, from..=to, FACTS_MAX)?;
            let count = arrivals.iter().filter(|fact| !fact.value.names_only).count() as u64;
            counts.push((number.number, count));
        }
        Ok(counts)
    }

    /// Tells whether the findings of a day (`2026-11-22`) are on record.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn has_findings(&self, day: &str) -> Result<bool, ProjectionError> {
        Ok(!self.facts::<u64>(Table::Finding, day, EVER, 1)?.is_empty())
    }

    /// Computes how complete the capture of a number was between two moments (microseconds since the epoch), and what
    /// is missing in that time.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn coverage(
        &self,
        number: &KnownNumber,
        from: i64,
        to: i64,
        options: &CoverageOptions<'_>,
    ) -> Result<Coverage, ProjectionError> {
        let to = to.min(options.now);
        let intervals = self.timeline(number, from, to, options)?;
        let mut missing = missing_by(&intervals);
        missing.extend(self.told(&number.number, from, to, options.now)?);
        let (references, is_complete) = self.references(&number.number, from, to, options)?;
        missing.extend(references);
        missing.sort_by_key(|missing| (missing.from, missing.to, missing.cause));
        Ok(Coverage { number: number.clone(), intervals, missing, is_complete })
    }

    /// Returns the states of a number in a time, one after the other.
    pub(super) fn timeline(
        &self,
        number: &KnownNumber,
        from: i64,
        to: i64,
        options: &CoverageOptions<'_>,
    ) -> Result<Vec<Interval>, ProjectionError> {
        let mut spans = self.link_and_notices(number, to)?;
        spans.extend(self.downtime(from, to, options.now)?);
        spans.extend(self.silence(&number.number, from, to)?);
        spans.extend(self.unopened(&number.number, from, to)?);
        for canary in options.canaries.iter().filter(|canary| canary.number == number.number) {
            spans.extend(self.canary(canary, from, to)?);
        }
        Ok(intervals(&spans, from, to))
    }

    /// What pieces of the history and the archive itself say is missing.
    pub(super) fn told(
        &self,
        number: &str,
        from: i64,
        to: i64,
        now: i64,
    ) -> Result<Vec<Missing>, ProjectionError> {
        let pieces = self.facts(Table::History, number, i64::MIN..=to, FACTS_MAX)?;
        let touches = |missing: &Missing| missing.to >= from && missing.from <= to;
        let mut missing: Vec<Missing> = history::missing(&pieces, now).into_iter().filter(touches).collect();
        missing.extend(self.lost(number, from, to)?);
        Ok(missing)
    }

    /// What notices say of the number, its phone number and its account, and that what arrives proves a connection.
    fn link_and_notices(&self, number: &KnownNumber, to: i64) -> Result<Vec<Span>, ProjectionError> {
        let of_phone = number.phone.as_deref().map(of_phone);
        let of_account = number.account.as_deref().map(of_account);
        let mut signals: Vec<Fact<Signal>> = Vec::new();
        for entity in [Some(number.number.clone()), of_phone, of_account].into_iter().flatten() {
            signals.extend(self.facts::<Signal>(Table::Coverage, &entity, i64::MIN..=to, FACTS_MAX)?);
        }
        signals.sort_by_key(|fact| (fact.at, fact.seq));
        let links: Vec<Fact<Signal>> = signals.iter().filter(|fact| is_link(&fact.value)).cloned().collect();
        let first = self.first_arrival(&number.number, i64::MIN..=to)?;
        if let Some((at, seq)) = first
            && links.first().is_none_or(|link| link.at > at)
        {
            signals.push(connected(at, seq, Cause::Onboarded));
        }
        for (nth, link) in links.iter().enumerate() {
            let is_closed = matches!(&link.value, Signal::Set { state: State::Closed, .. });
            let next = links.get(nth + 1).map_or(to, |next| next.at);
            // What was on its way may still arrive for a while; later it proves that the number is connected again.
            let after = link.at.saturating_add(HOUR)..=next;
            if is_closed && let Some((at, seq)) = self.first_arrival(&number.number, after)? {
                signals.push(connected(at, seq, Cause::Reconnected));
            }
        }
        signals.sort_by_key(|fact| (fact.at, fact.seq));
        Ok(signal::spans(&signals, to))
    }

    fn first_arrival(
        &self,
        number: &str,
        span: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<(i64, u64)>, ProjectionError> {
        const LOOKED_AT: usize = 1_000;
        if span.is_empty() {
            return Ok(None);
        }
        let facts = self.facts::<Arrival>(Table::Rhythm, number, span.clone(), LOOKED_AT)?;
        let arrival = facts.iter().find(|fact| !fact.value.names_only).map(|fact| (fact.at, fact.seq));
        // Where nobody writes, statuses show that something arrives.
        let status = self.facts::<Pointer>(Table::Dangling, number, span, 1)?;
        Ok(arrival.into_iter().chain(status.first().map(|fact| (fact.at, fact.seq))).min())
    }

    /// What the archive itself put on record as missing.
    fn lost(&self, number: &str, from: i64, to: i64) -> Result<Vec<Missing>, ProjectionError> {
        let signals = self.facts::<Signal>(Table::Coverage, number, i64::MIN..=to, FACTS_MAX)?;
        let mut found = self.uncounted(number, &signals, from)?;
        let lost = signals.into_iter().filter_map(|fact| match fact.value {
            Signal::Lost { cause, to, count, detail } if to >= from => {
                Some(Missing { cause, from: fact.at, to, count, evidence: vec![fact.seq], detail })
            }
            _ => None,
        });
        found.extend(lost);
        Ok(found)
    }

    fn downtime(&self, from: i64, to: i64, now: i64) -> Result<Vec<Span>, ProjectionError> {
        // One beat before and one behind, so that gaps at the ends are whole.
        let mut beats = self.newest(Table::Coverage, ARCHIVE, i64::MIN..=from.saturating_sub(1), 1)?;
        beats.extend(self.facts(Table::Coverage, ARCHIVE, from..=to, FACTS_MAX)?);
        let behind = self.facts(Table::Coverage, ARCHIVE, to.saturating_add(1)..=i64::MAX, 1)?;
        let end = if behind.is_empty() { now } else { to };
        beats.extend(behind);
        Ok(beat::downtimes(&beats, end))
    }

    fn silence(&self, number: &str, from: i64, to: i64) -> Result<Vec<Span>, ProjectionError> {
        let before = self.newest::<Arrival>(Table::Rhythm, number, i64::MIN..=from, NAMES_LOOKED_AT)?;
        let last = before.iter().find(|fact| !fact.value.names_only).map_or(from, |fact| fact.at);
        let start = last.min(from).saturating_sub(WEEKS * 7 * DAY);
        let arrivals = self.facts::<Arrival>(Table::Rhythm, number, start..=to, FACTS_MAX)?;
        let arrivals: Vec<i64> =
            arrivals.iter().filter(|fact| !fact.value.names_only).map(|fact| fact.at).collect();
        Ok(rhythm::silences(&arrivals, from, to))
    }

    fn unopened(&self, number: &str, from: i64, to: i64) -> Result<Vec<Span>, ProjectionError> {
        let entity = of_app(number);
        let mut signs = self.newest::<()>(Table::Rhythm, &entity, i64::MIN..=from.saturating_sub(1), 1)?;
        signs.extend(self.facts::<()>(Table::Rhythm, &entity, from..=to, FACTS_MAX)?);
        let mut arrivals = Vec::new();
        let ends = signs.iter().skip(1).map(|sign| sign.at).chain([to]);
        for (sign, end) in signs.iter().zip(ends).filter(|(sign, end)| end - sign.at > UNOPENED_LOST) {
            let newest = self.newest::<Arrival>(Table::Rhythm, number, sign.at..=end, NAMES_LOOKED_AT)?;
            arrivals.extend(newest.iter().find(|fact| !fact.value.names_only).map(|fact| fact.at));
        }
        Ok(rhythm::unopened(&signs, &arrivals, to))
    }

    fn canary(&self, canary: &Canary, from: i64, to: i64) -> Result<Vec<Span>, ProjectionError> {
        let conversation = format!("{}:{}", canary.number, canary.from);
        let late = canary.every.saturating_add(canary.every / CANARY_LATE);
        let mut signs: Vec<(i64, Vec<u64>)> = self
            .facts::<Beat>(Table::Coverage, ARCHIVE, EVER, 1)?
            .iter()
            .map(|first| (first.value.from, vec![first.seq]))
            .collect();
        let start = from.saturating_sub(late);
        let seen = self.facts::<Entry>(Table::Conversation, &conversation, start..=to, FACTS_MAX)?;
        let inbound = seen.iter().filter(|fact| fact.value.direction == Some(Direction::Inbound));
        signs.extend(inbound.map(|fact| (fact.at, vec![fact.seq])));
        signs.sort_unstable();
        let ends: Vec<i64> = signs.iter().skip(1).map(|sign| sign.0).chain([to]).collect();
        let spans = signs.into_iter().zip(ends).filter(|((at, _), end)| end - at > late);
        let (state, cause) = (State::Degraded, Cause::CanaryMissing);
        let span = |((at, evidence), to)| Span { from: at + late, to, state, cause, evidence, detail: None };
        Ok(spans.map(span).collect())
    }

    fn references(
        &self,
        number: &str,
        from: i64,
        to: i64,
        options: &CoverageOptions<'_>,
    ) -> Result<(Vec<Missing>, bool), ProjectionError> {
        let (pointers, is_complete) = self.pointers(number, from, to, options)?;
        let known = self.known_targets(&pointers)?;
        Ok((reference::missing(&pointers, &known, options.now), is_complete))
    }

    /// Looks up everything that pointers point at.
    pub(super) fn known_targets(
        &self,
        pointers: &[Fact<Pointer>],
    ) -> Result<HashMap<String, Known>, ProjectionError> {
        let mut known: HashMap<String, Known> = HashMap::new();
        for target in pointers.iter().filter_map(|pointer| pointer.value.target()) {
            if !known.contains_key(target) {
                let known_of = self.what_is_known(target)?;
                let _previous = known.insert(target.to_owned(), known_of);
            }
        }
        Ok(known)
    }

    /// Returns the newest pointers of a time, oldest first, without attachments of which it is known what became of them,
    /// and whether these are all.
    pub(super) fn pointers(
        &self,
        number: &str,
        from: i64,
        to: i64,
        options: &CoverageOptions<'_>,
    ) -> Result<(Vec<Fact<Pointer>>, bool), ProjectionError> {
        let max = options.references_max.min(FACTS_MAX);
        let mut pointers = self.newest::<Pointer>(Table::Dangling, number, from..=to, max)?;
        let is_complete = pointers.len() < max;
        self.drop_settled(&mut pointers)?;
        pointers.reverse();
        Ok((pointers, is_complete))
    }

    /// Leaves out attachments of which it is known what became of them.
    pub(super) fn drop_settled(&self, pointers: &mut Vec<Fact<Pointer>>) -> Result<(), ProjectionError> {
        let mut failed = None;
        pointers.retain(|pointer| match pointer.value {
            Pointer::Attachment { index } => match self.attachment_outcome(pointer.seq, index) {
                Ok(outcome) => outcome.is_none(),
                Err(error) => {
                    failed = Some(error);
                    true
                }
            },
            _ => true,
        });
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(())
    }

    /// Looks up what is known about a message.
    fn what_is_known(&self, id: &str) -> Result<Known, ProjectionError> {
        const LOOKED_AT: usize = 100;
        let mut known = Known::default();
        for fact in self.facts::<About>(Table::Item, id, EVER, LOOKED_AT)? {
            match fact.value {
                // What the app sent is reported by its echo; nothing else says that it was sent.
                About::Message { origin, .. } => {
                    known.content = true;
                    known.sent |= origin != Some(Origin::Api);
                }
                About::Answered { .. } => known.content = true,
                // What failed was never sent; that is no gap.
                About::Status { status, .. } if matches!(status.as_str(), "sent" | "failed") => {
                    known.sent = true;
                }
                _ => {}
            }
        }
        Ok(known)
    }
}

const fn is_link(signal: &Signal) -> bool {
    matches!(signal, Signal::Set { aspect: Aspect::Link, .. })
}

fn connected(at: i64, seq: u64, cause: Cause) -> Fact<Signal> {
    let value = Signal::Set { aspect: Aspect::Link, state: State::Open, cause, until: None, detail: None };
    Fact { at, seq, value }
}

/// Everything that intervals say is missing: each cause once for each time without a break.
pub(super) fn missing_by(intervals: &[Interval]) -> Vec<Missing> {
    let mut found: Vec<Missing> = Vec::new();
    for interval in intervals.iter().filter(|interval| interval.state != State::Open) {
        for cause in &interval.causes {
            let same = found.iter_mut().rev().find(|missing| {
                missing.cause == cause.cause
                    && missing.evidence == cause.evidence
                    && missing.to == interval.from
            });
            match same {
                Some(missing) => missing.to = interval.to,
                None => found.push(Missing {
                    cause: cause.cause,
                    from: interval.from,
                    to: interval.to,
                    count: 0,
                    evidence: cause.evidence.clone(),
                    detail: cause.detail.clone(),
                }),
            }
        }
    }
    found
}
