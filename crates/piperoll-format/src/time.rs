//! Times: microseconds since the Unix epoch, UTC.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

/// A moment in microseconds since 1970-01-01T00:00:00Z, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Microseconds in one second.
    pub const SECOND: u64 = 1_000_000;

    /// Converts from chrono; a moment before 1970 becomes 0.
    #[must_use]
    pub fn from_utc(time: DateTime<Utc>) -> Self {
        Self(u64::try_from(time.timestamp_micros()).unwrap_or(0))
    }

    /// Converts to chrono; a moment past its range (year 262142) becomes its greatest.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        i64::try_from(self.0)
            .ok()
            .and_then(DateTime::from_timestamp_micros)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Returns the moment `seconds` later, or the greatest one.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(Self::SECOND)))
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 with microseconds and `Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// A moment up to which the store must refuse to delete or change an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RetainUntil(pub Timestamp);

impl fmt::Display for RetainUntil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
