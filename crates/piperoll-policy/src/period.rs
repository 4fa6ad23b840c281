//! Lengths of time as laws state them: `3 years`, `90 days`.
//!
//! Months and years are calendar months and years in UTC, counted so that a period is never shorter than the law's:
//! where the day does not exist (31 January + 1 month), the period ends with the first moment of the next month.

use std::cmp::Ordering;
use std::fmt;

use chrono::{Datelike as _, Months, NaiveDate};
use piperoll_format::Timestamp;

/// Seconds in a day; leap seconds do not exist in a [`Timestamp`].
const DAY_SECONDS: u64 = 86_400;

/// A unit of a [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days of 24 hours (UTC has no other).
    Day,
    /// Calendar months.
    Month,
    /// Calendar years.
    Year,
}

impl Unit {
    const ALL: [Self; 6] = [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Year];

    const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Returns the greatest count: 100 years, the longest lock that S3 Object Lock accepts.
    const fn count_max(self) -> u32 {
        match self {
            Self::Second => 3_155_760_000,
            Self::Minute => 52_596_000,
            Self::Hour => 876_600,
            Self::Day => 36_525,
            Self::Month => 1_200,
            Self::Year => 100,
        }
    }
}

/// A length of time between one second and 100 years, in one unit.
///
/// Two periods are equal when they are written the same; use [`Period::cmp_length`] to compare lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    count: u32,
    unit: Unit,
}

impl Period {
    /// What [`Period::parse`] accepts, for error messages.
    pub(crate) const EXPECTED: &'static str = "a whole number from 1 and a unit (seconds, minutes, hours, days, months, years), at most 100 years, \
         such as \"3 years\"";

    /// Returns `count` units, or nothing when that is no time or more than 100 years.
    #[must_use]
    pub const fn new(count: u32, unit: Unit) -> Option<Self> {
        if count == 0 || count > unit.count_max() { None } else { Some(Self { count, unit }) }
    }

    /// Reads `3 years` or `1 year`: digits, one space, a unit.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (count, name) = text.split_once(' ')?;
        if count.starts_with('0') || !count.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let name = name.strip_suffix('s').unwrap_or(name);
        let unit = Unit::ALL.into_iter().find(|unit| unit.name() == name)?;
        Self::new(count.parse().ok()?, unit)
    }

    /// Returns the moment this period after `start`, never earlier than the calendar says.
    ///
    /// It never decreases when `start` grows. A moment that cannot be written down becomes the greatest one.
    #[must_use]
    pub fn after(self, start: Timestamp) -> Timestamp {
        match self.months() {
            Some(months) => plus_months(start, months).unwrap_or(Timestamp(u64::MAX)),
            None => start.plus_seconds(self.fixed_seconds()),
        }
    }

    /// Compares lengths. Where the order depends on the date (`1 month`, `30 days`), the one that can get longer is
    /// the greater.
    #[must_use]
    pub fn cmp_length(self, other: Self) -> Ordering {
        match (self.months(), other.months()) {
            (Some(own), Some(other)) => own.cmp(&other),
            _ => self.reach().cmp(&other.reach()),
        }
    }

    /// Tells whether the order of two periods is the same on every date.
    #[must_use]
    pub fn has_order_with(self, other: Self) -> bool {
        if self.months().is_some() == other.months().is_some() {
            return true;
        }
        let ((self_longest, self_shortest), (other_longest, other_shortest)) = (self.reach(), other.reach());
        self_longest <= other_shortest || other_longest <= self_shortest
    }

    /// Tells whether this period is at least as long as `other` on every date.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.has_order_with(other) && self.cmp_length(other) != Ordering::Less
    }

    const fn months(self) -> Option<u32> {
        match self.unit {
            Unit::Month => Some(self.count),
            Unit::Year => Some(self.count * 12),
            _ => None,
        }
    }

    /// Length of a period that is not counted in months.
    fn fixed_seconds(self) -> u64 {
        let unit = match self.unit {
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => DAY_SECONDS,
            Unit::Second | Unit::Month | Unit::Year => 1,
        };
        u64::from(self.count) * unit
    }

    /// Returns the longest and the shortest that this period can be, in seconds.
    ///
    /// Months are longest and shortest between two firsts of a month: a period that starts on a day which its last
    /// month lacks ends early in the month after and lies between the two.
    fn reach(self) -> (u64, u64) {
        let Some(months) = self.months() else { return (self.fixed_seconds(), self.fixed_seconds()) };
        // The calendar repeats after 400 years, 4800 months.
        let lengths = (0..4_800).map(|start| u64::from(first_of(start + months).abs_diff(first_of(start))));
        let (longest, shortest) =
            lengths.fold((0, u64::MAX), |(long, short), days| (long.max(days), short.min(days)));
        (longest * DAY_SECONDS, shortest * DAY_SECONDS)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.count, self.unit.name(), if self.count == 1 { "" } else { "s" })
    }
}

/// Day number of the first of a month, counted in months from January 2000.
fn first_of(month: u32) -> i32 {
    let year = 2000 + i32::try_from(month / 12).expect("a period has at most 1200 months, so 6000 in all");
    NaiveDate::from_ymd_opt(year, month % 12 + 1, 1).expect("every month has a first").num_days_from_ce()
}

fn plus_months(start: Timestamp, months: u32) -> Option<Timestamp> {
    let start = start.to_utc();
    let first = start.date_naive().with_day(1)?.checked_add_months(Months::new(months))?;
    let end = match first.with_day(start.day()) {
        Some(date) => date.and_time(start.time()),
        None => first.checked_add_months(Months::new(1))?.and_hms_opt(0, 0, 0)?,
    };
    Some(Timestamp::from_utc(end.and_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_order(small: &str, great: &str) {
        let (small, great) = (Period::parse(small).expect("small"), Period::parse(great).expect("great"));
        assert_eq!(small.cmp_length(great), Ordering::Less, "{small} < {great}");
        assert!(great.covers(small) && !small.covers(great), "{small} < {great}");
    }

    #[test]
    fn periods_are_read_and_written() {
        for text in ["1 second", "59 minutes", "100 hours", "1 day", "36 months", "100 years"] {
            assert_eq!(Period::parse(text).map(|p| p.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Period::parse("1 years"), Period::parse("1 year"));
        for text in [
            "",
            "3",
            "years",
            "0 days",
            "03 years",
            "+3 years",
            "3  years",
            "3 weeks",
            "3 Years",
            "3.5 years",
            "-1 days",
            "101 years",
            "1201 months",
            "36526 days",
            "3 years ",
            "3yearss",
            "99999999999 seconds",
        ] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }

    #[test]
    fn lengths_are_ordered_over_units() {
        check_order("5 seconds", "1 minute");
        check_order("59 minutes", "1 hour");
        check_order("23 hours", "1 day");
        check_order("28 days", "1 month");
        check_order("1 month", "31 days");
        check_order("11 months", "1 year");
        check_order("1095 days", "3 years");
        check_order("3 years", "1096 days");
        check_order("5 years", "6 years");
        assert_eq!(
            Period::parse("36 months").map(Period::reach),
            Period::parse("3 years").map(Period::reach),
            "the same length in two units"
        );
    }

    #[test]
    fn order_that_depends_on_the_date_is_told() {
        let month = Period::parse("1 month").expect("valid");
        for days in ["29 days", "30 days"] {
            let days = Period::parse(days).expect("valid");
            assert!(!month.has_order_with(days) && !month.covers(days) && !days.covers(month));
        }
    }
}
