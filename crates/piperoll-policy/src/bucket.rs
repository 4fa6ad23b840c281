//! Buckets: the stretch of time whose payloads share packs, keys and a disposal date.
//!
//! A bucket is named by a label in UTC, which sorts by time and is part of object names.

use std::fmt;

use chrono::{DateTime, Days, Months, NaiveDate, TimeDelta, Utc};
use piperoll_format::{Bucket, Class, Timestamp};

use crate::error::LabelError;

/// How long one bucket lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketPeriod {
    /// A calendar month, `2026-11`: the default.
    Month,
    /// A day, `2026-11-21`.
    Day,
    /// An hour, `2026-11-21T21`.
    Hour,
    /// A minute, `2026-11-21T2137`.
    Minute,
    /// A second, `2026-11-21T213745`.
    Second,
}

impl BucketPeriod {
    pub(crate) const ALL: [Self; 5] = [Self::Month, Self::Day, Self::Hour, Self::Minute, Self::Second];

    /// Returns the name, as written in a policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    const fn pattern(self) -> &'static str {
        match self {
            Self::Month => "%Y-%m",
            Self::Day => "%Y-%m-%d",
            Self::Hour => "%Y-%m-%dT%H",
            Self::Minute => "%Y-%m-%dT%H%M",
            Self::Second => "%Y-%m-%dT%H%M%S",
        }
    }
}

impl fmt::Display for BucketPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the label of the bucket that holds `recorded_at`.
///
/// Years past 9999 have no label; such a moment gets the last one there is.
#[must_use]
pub fn bucket_label(period: BucketPeriod, recorded_at: Timestamp) -> String {
    recorded_at.to_utc().min(last_moment()).format(period.pattern()).to_string()
}

/// Returns the bucket of a class that holds `recorded_at`.
#[must_use]
pub fn bucket_of(class: &Class, period: BucketPeriod, recorded_at: Timestamp) -> Bucket {
    Bucket::new(class.clone(), &bucket_label(period, recorded_at)).expect("the two crates write labels alike")
}

/// Returns the first moment after the bucket; the bucket's length is told by the label's shape.
///
/// # Errors
/// [`LabelError`] when the text is no label that [`bucket_label`] can write.
pub fn bucket_end(label: &str) -> Result<Timestamp, LabelError> {
    parse_end(label)
        .map(Timestamp::from_utc)
        .ok_or_else(|| LabelError { found: label.chars().take(40).collect() })
}

fn parse_end(label: &str) -> Option<DateTime<Utc>> {
    let shape: String = label.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let number =
        |range: std::ops::Range<usize>| label.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let year = i32::try_from(number(0..4)?).ok().filter(|year| *year >= 1970)?;
    let month_start = NaiveDate::from_ymd_opt(year, number(5..7)?, 1)?;
    let day = || NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?);
    let start = |minute, second| Some(day()?.and_hms_opt(number(11..13)?, minute, second)?.and_utc());
    match shape.as_str() {
        "0000-00" => Some(midnight(month_start.checked_add_months(Months::new(1))?)),
        "0000-00-00" => Some(midnight(day()?.checked_add_days(Days::new(1))?)),
        "0000-00-00T00" => start(0, 0)?.checked_add_signed(TimeDelta::hours(1)),
        "0000-00-00T0000" => start(number(13..15)?, 0)?.checked_add_signed(TimeDelta::minutes(1)),
        "0000-00-00T000000" => {
            start(number(13..15)?, number(15..17)?)?.checked_add_signed(TimeDelta::seconds(1))
        }
        _ => None,
    }
}

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_hms_opt(0, 0, 0).expect("every UTC day starts at midnight").and_utc()
}

fn last_moment() -> DateTime<Utc> {
    let date = NaiveDate::from_ymd_opt(9999, 12, 31).expect("the date exists");
    date.and_hms_opt(23, 59, 59).expect("the time exists").and_utc()
}
