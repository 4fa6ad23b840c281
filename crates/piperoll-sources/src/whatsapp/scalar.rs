//! Scalars as senders write them: an id may be a string or a number, and may be something else altogether.

use std::borrow::Cow;
use std::fmt;

use chrono::DateTime;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::item::Flag;

/// A string or integer, or nothing where any other value stands. Reading it never fails on a well-formed value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scalar<'a>(pub(super) Option<Cow<'a, str>>);

impl<'a> Scalar<'a> {
    /// Returns the text unless it is absent or empty.
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    /// Returns the text unless it is absent or empty.
    pub(super) fn take(self) -> Option<Cow<'a, str>> {
        self.0.filter(|text| !text.is_empty())
    }

    /// Returns an owned copy of the text unless it is absent or empty.
    pub(super) fn owned(&self) -> Option<String> {
        self.get().map(str::to_owned)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Scalar)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;
/// 2200-01-01T00:00:00Z in seconds.
const FAR_FUTURE: i64 = 7_258_118_400;
/// Thirteen digits are milliseconds: as seconds they would be past the year 33,000.
const MILLISECONDS: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;

/// Reads a time in seconds since the epoch, or in RFC 3339 as senders other than Meta write it, and returns
/// microseconds, with a flag when it is absent or absurd.
pub(super) fn time(text: Option<&str>) -> (Option<i64>, Option<Flag>) {
    let Some(text) = text.map(str::trim) else { return (None, Some(Flag::TimeMissing)) };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let Some(micros) = micros_of_date(text) else { return (None, Some(Flag::TimeMissing)) };
        let is_plausible = (0..FAR_FUTURE * SECOND).contains(&micros);
        return (Some(micros), (!is_plausible).then_some(Flag::TimeImplausible));
    }
    // Only digits are left, so the sole failure is a number that does not fit.
    let seconds = text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX });
    if MILLISECONDS.contains(&seconds) {
        (Some(seconds * 1_000), Some(Flag::TimeImplausible))
    } else if (0..FAR_FUTURE).contains(&seconds) {
        (Some(seconds * SECOND), None)
    } else {
        (Some(seconds.saturating_mul(SECOND)), Some(Flag::TimeImplausible))
    }
}

/// Reads RFC 3339, also with an offset that lacks its colon.
fn micros_of_date(text: &str) -> Option<i64> {
    let date = DateTime::parse_from_rfc3339(text);
    let date = date.or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    date.ok().map(|date| date.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_seconds_unless_absurd() {
        #[track_caller]
        fn check(text: &str, expected: Option<i64>, flag: Option<Flag>) {
            assert_eq!(time(Some(text)), (expected, flag), "{text}");
        }
        check("1739321024", Some(1_739_321_024_000_000), None);
        check("0", Some(0), None);
        check("1739321024123", Some(1_739_321_024_123_000), Some(Flag::TimeImplausible));
        check("-5", Some(-5_000_000), Some(Flag::TimeImplausible));
        check("7258118400", Some(7_258_118_400_000_000), Some(Flag::TimeImplausible));
        check("99999999999999999999999", Some(i64::MAX), Some(Flag::TimeImplausible));
        check("-99999999999999999999999", Some(i64::MIN), Some(Flag::TimeImplausible));
        check("2025-02-12T01:17:04.123456Z", Some(1_739_323_024_123_456), None);
        check("2025-02-12T02:17:04.000+0100", Some(1_739_323_024_000_000), None);
        check("2025-02-12T02:17:04+01:00", Some(1_739_323_024_000_000), None);
        check("2201-01-01T00:00:00Z", Some(7_289_654_400_000_000), Some(Flag::TimeImplausible));
        check("1969-01-01T00:00:00Z", Some(-31_536_000_000_000), Some(Flag::TimeImplausible));
        check("2025-02-12", None, Some(Flag::TimeMissing));
        check("soon", None, Some(Flag::TimeMissing));
        check("1.5", None, Some(Flag::TimeMissing));
        check("", None, Some(Flag::TimeMissing));
        assert_eq!(time(None), (None, Some(Flag::TimeMissing)));
    }

    #[test]
    fn scalar_takes_any_value() {
        #[track_caller]
        fn check(json: &str, expected: Option<&str>) {
            let scalar: Scalar<'_> = serde_json::from_str(json).expect("the table holds JSON");
            assert_eq!(scalar.get(), expected, "{json}");
        }
        check("\"a\"", Some("a"));
        check("\"\\u0061\"", Some("a"));
        check("\"\"", None);
        check("12", Some("12"));
        check("-12", Some("-12"));
        for other in ["1.5", "true", "null", "[1,{}]", "{\"a\":[1]}"] {
            check(other, None);
        }
    }
}
