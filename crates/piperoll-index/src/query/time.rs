//! Moments and days in a query.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use piperoll_format::Timestamp;

/// Reads a day of `zone` (its first moment) or an RFC 3339 moment; `None` if it is neither.
pub(super) fn moment(text: &str, zone: Tz) -> Option<Timestamp> {
    match day(text) {
        Some(day) => start_of(day, zone),
        None => DateTime::parse_from_rfc3339(text).ok().map(|time| Timestamp::from_utc(time.to_utc())),
    }
}

/// Reads a day of `zone`, or `start/end` of two moments; `None` if it is neither or ends before it starts.
pub(super) fn span(text: &str, zone: Tz) -> Option<(Timestamp, Timestamp)> {
    let (start, end) = match text.split_once('/') {
        Some((start, end)) => (moment(start, zone)?, moment(end, zone)?),
        None => {
            let day = day(text)?;
            (start_of(day, zone)?, start_of(day.checked_add_days(Days::new(1))?, zone)?)
        }
    };
    (start < end).then_some((start, end))
}

/// Reads `2026-11-21`, with all its zeros, from 1970 on.
fn day(text: &str) -> Option<NaiveDate> {
    let is_shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    let day = is_shaped.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())??;
    (day >= DateTime::UNIX_EPOCH.date_naive()).then_some(day)
}

/// The first moment of a day. Some zones skip midnight when they change their clocks; their day starts later.
fn start_of(day: NaiveDate, zone: Tz) -> Option<Timestamp> {
    const QUARTERS: u32 = 24 * 4;
    let local = (0..QUARTERS).find_map(|quarter| {
        let time = NaiveTime::from_num_seconds_from_midnight_opt(quarter * 15 * 60, 0)?;
        zone.from_local_datetime(&day.and_time(time)).earliest()
    })?;
    Some(Timestamp::from_utc(local.with_timezone(&Utc)))
}
