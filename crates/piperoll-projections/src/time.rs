//! Times as texts.

use chrono::{DateTime, SecondsFormat};

/// Reads RFC 3339 in microseconds since the epoch.
pub(crate) fn micros(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

/// Writes microseconds since the epoch as RFC 3339 in UTC; a number where the calendar ends.
#[must_use]
pub fn utc(at: i64) -> String {
    DateTime::from_timestamp_micros(at)
        .map_or_else(|| at.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// Returns the day (UTC) of a time, as `2026-11-22`.
#[must_use]
pub fn day(at: i64) -> String {
    utc(at).chars().take(10).collect()
}
