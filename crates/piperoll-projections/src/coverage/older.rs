//! Coverage of now, beside what was found before: the older part of a number's time is kept, and only the newer part is
//! computed again, so that an answer is of now also in a large archive.

use super::DAY;
use super::interval::Interval;
use super::query::{Coverage, CoverageOptions, KnownNumber, Missing, missing_by};
use super::reference::{self, Pointer};
use super::rhythm::Arrival;
use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Table};

/// How much of the newest time is always computed again: notices and webhooks may be late by that much. Microseconds.
const NEWER: i64 = 3 * DAY;

/// Long before anything.
const BEGINNING: i64 = i64::MIN / 2;

/// Arrivals among which the last one before the newer part is looked for.
const ARRIVALS_LOOKED_AT: usize = 200;

/// What was found in the older part of a number's time.
#[derive(Clone, Debug)]
pub struct Older {
    /// Where the newer part begins.
    until: i64,
    /// What notices and silence say is missing before.
    missing: Vec<Missing>,
    /// What pointed at something that was not here, or may yet be settled.
    open: Vec<Fact<Pointer>>,
    /// Whether every reference before was followed.
    is_complete: bool,
}

impl Older {
    /// Returns why something is missing there.
    #[cfg(test)]
    pub(super) fn causes(&self) -> impl Iterator<Item = super::Cause> + '_ {
        self.missing.iter().map(|missing| missing.cause)
    }
}

impl Projections {
    /// Computes what is missing in the older part of a number's time.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn coverage_older(
        &self,
        number: &KnownNumber,
        options: &CoverageOptions<'_>,
    ) -> Result<Older, ProjectionError> {
        let border = options.now.saturating_sub(NEWER);
        // Between two arrivals, so that no silence is cut in two.
        let newest =
            self.newest::<Arrival>(Table::Rhythm, &number.number, i64::MIN..=border, ARRIVALS_LOOKED_AT)?;
        let until = newest.iter().find(|fact| !fact.value.names_only).map_or(border, |fact| fact.at);
        let intervals = self.timeline(number, BEGINNING, options.now, options)?;
        let missing = missing_by(&until_border(intervals, until));
        let before = until.saturating_sub(1);
        let (mut open, is_complete) = self.pointers(&number.number, i64::MIN, before, options)?;
        let known = self.known_targets(&open)?;
        open.retain(|pointer| reference::is_open(&pointer.value, &known));
        Ok(Older { until, missing, open, is_complete })
    }

    /// Computes how complete the capture of a number is now and was ever, from what was found in its older part. The
    /// intervals are those of the newer part.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn coverage_now(
        &self,
        number: &KnownNumber,
        older: &Older,
        options: &CoverageOptions<'_>,
    ) -> Result<Coverage, ProjectionError> {
        let (from, to) = (older.until, options.now);
        let intervals = self.timeline(number, from, to, options)?;
        let mut missing = older.missing.clone();
        for newer in missing_by(&intervals) {
            let goes_on = missing.iter_mut().find(|known| {
                known.to == from
                    && newer.from == from
                    && (known.cause, &known.evidence) == (newer.cause, &newer.evidence)
            });
            match goes_on {
                Some(known) => known.to = newer.to,
                None => missing.push(newer),
            }
        }
        missing.extend(self.told(&number.number, i64::MIN, to, options.now)?);
        let mut pointers = older.open.clone();
        self.drop_settled(&mut pointers)?;
        let (newer, is_complete) = self.pointers(&number.number, from, to, options)?;
        pointers.extend(newer);
        let known = self.known_targets(&pointers)?;
        missing.extend(reference::missing(&pointers, &known, options.now));
        missing.sort_by_key(|missing| (missing.from, missing.to, missing.cause));
        let is_complete = is_complete && older.is_complete;
        Ok(Coverage { number: number.clone(), intervals, missing, is_complete })
    }
}

/// Cuts intervals off at a moment.
fn until_border(intervals: Vec<Interval>, until: i64) -> Vec<Interval> {
    let before = intervals.into_iter().filter(|interval| interval.from < until);
    before.map(|interval| Interval { to: interval.to.min(until), ..interval }).collect()
}
