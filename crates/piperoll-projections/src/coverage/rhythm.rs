//! Silence against a number's own rhythm, and a Business app that nobody opens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::interval::Span;
use super::{Cause, DAY, HOUR, State};
use crate::fact::Fact;

/// A silent time is a gap when at least this many items were to be expected in it.
pub const SILENCE_EXPECTED_MIN: f64 = 10.0;

/// After so long without a sign of the Business app a warning is due. Microseconds.
pub const UNOPENED_WARNING: i64 = 10 * DAY;

/// After so long WhatsApp has disconnected the number. Microseconds.
pub const UNOPENED_LOST: i64 = 14 * DAY;

/// Weeks that the rhythm is taken from.
pub(super) const WEEKS: i64 = 4;

/// A week, in hours.
const WEEK_HOURS: i64 = 168;

/// Something that arrived for a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrival {
    /// The number's phone number, where the delivery says it.
    #[serde(rename = "p", skip_serializing_if = "Option::is_none", default)]
    pub(crate) phone: Option<String>,
    /// The account, where the delivery says it.
    #[serde(rename = "w", skip_serializing_if = "Option::is_none", default)]
    pub(crate) account: Option<String>,
    /// Not a sign of the rhythm: it only tells phone and account.
    #[serde(rename = "n", skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) names_only: bool,
}

/// Finds silent times between two moments.
///
/// The rule: for each hour of the week, what is usual is the median of the same hour in the four weeks before. A time
/// without anything is a gap when what is usual adds up to [`SILENCE_EXPECTED_MIN`] or more. `arrivals` are the
/// moments of what came, oldest first, from four weeks before `from`.
pub(super) fn silences(arrivals: &[i64], from: i64, now: i64) -> Vec<Span> {
    let mut counts: BTreeMap<i64, u32> = BTreeMap::new();
    for at in arrivals {
        *counts.entry(at.div_euclid(HOUR)).or_default() += 1;
    }
    let pairs = arrivals.windows(2).map(|pair| (pair[0], pair[1]));
    let last = arrivals.last().map(|last| (*last, now));
    let silent = pairs.chain(last).filter(|(start, end)| end - start > HOUR && *end > from);
    let spans = silent.filter(|(start, end)| expected(&counts, *start, *end) >= SILENCE_EXPECTED_MIN);
    let (state, cause) = (State::Degraded, Cause::Silence);
    spans.map(|(from, to)| Span { from, to, state, cause, evidence: Vec::new(), detail: None }).collect()
}

/// Adds up what is usual in a time, from the weeks before its start. Stops when it is enough.
fn expected(counts: &BTreeMap<i64, u32>, start: i64, end: i64) -> f64 {
    let (mut sum, first) = (0.0, start.div_euclid(HOUR));
    for hour in first..=end.div_euclid(HOUR) {
        let share = (end.min((hour + 1) * HOUR) - start.max(hour * HOUR)).max(0);
        // Weeks are counted from the last one that was not silent.
        let back = (hour - first).div_euclid(WEEK_HOURS);
        let mut week: Vec<u32> = (1..=WEEKS)
            .map(|week| counts.get(&(hour - (back + week) * WEEK_HOURS)).copied().unwrap_or(0))
            .collect();
        week.sort_unstable();
        // The lower of the two in the middle: a single busy week must not raise an alarm.
        let usual = week[(week.len() - 1) / 2];
        #[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is exact")]
        let share = share as f64 / HOUR as f64;
        sum += f64::from(usual) * share;
        if sum >= SILENCE_EXPECTED_MIN {
            break;
        }
    }
    sum
}

/// Finds the times in which the Business app was not opened for too long. `signs` are what only an opened app causes,
/// oldest first; without any the number may not be on the app at all, and nothing is claimed. `arrivals` are moments
/// at which something came all the same: until then the number was not disconnected.
pub(super) fn unopened(signs: &[Fact<()>], arrivals: &[i64], now: i64) -> Vec<Span> {
    let ends = signs.iter().skip(1).map(|sign| sign.at).chain([now]);
    let mut spans = Vec::new();
    for (sign, end) in signs.iter().zip(ends) {
        let mut add = |from: i64, to: i64, state, cause| {
            if to > from {
                spans.push(Span { from, to, state, cause, evidence: vec![sign.seq], detail: None });
            }
        };
        let (warning, lost) = (sign.at + UNOPENED_WARNING, sign.at + UNOPENED_LOST);
        let proof = arrivals.iter().copied().filter(|at| (lost..end).contains(at)).max();
        let lost = proof.unwrap_or(lost);
        add(warning, end.min(lost), State::Degraded, Cause::PhoneUnopened);
        add(lost, end, State::Closed, Cause::PhoneUnopenedLost);
    }
    spans
}
