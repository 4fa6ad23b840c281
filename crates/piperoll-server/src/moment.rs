//! Moments as people give and read them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone as _};
use chrono_tz::Tz;

use crate::error::{ApiError, ErrorCode};
use crate::wire::MomentView;

/// Forms of a moment without an offset, in the asked time zone.
const LOCAL_FORMS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];

/// Reads RFC 3339, or a time of `zone`, or the beginning of a day there; in microseconds since the epoch.
pub(crate) fn moment(field: &str, text: &str, zone: Tz) -> Result<i64, ApiError> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_micros());
    }
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let local =
        LOCAL_FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).or_else(day);
    let time = local.and_then(|local| zone.from_local_datetime(&local).earliest());
    time.map(|time| time.timestamp_micros()).ok_or_else(|| {
        let found: String = text.chars().take(40).collect();
        let message = format!(
            "field `{field}`: expected a moment such as `2026-11-21T09:30:00+01:00`, `2026-11-21T09:30` or \
             `2026-11-21`, found `{found}`"
        );
        ApiError::new(ErrorCode::Invalid, message)
    })
}

/// Shows a moment in a time zone, with UTC beside.
pub(crate) fn shown(at: i64, zone: Tz) -> MomentView {
    let time = DateTime::from_timestamp_micros(at);
    let write = |form: fn(DateTime<chrono::Utc>, Tz) -> String| {
        time.map_or_else(|| at.to_string(), |time| form(time, zone))
    };
    MomentView {
        utc: write(|time, _| time.to_rfc3339_opts(SecondsFormat::Micros, true)),
        local: write(|time, zone| time.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false)),
    }
}
