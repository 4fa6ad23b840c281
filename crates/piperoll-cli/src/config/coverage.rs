//! The section `[coverage]`: how the capture is watched.

use std::time::Duration;

use piperoll_server::{Canary, CoverageSettings};
use serde::{Deserialize, Serialize};

/// Microseconds in a minute.
const MINUTE: i64 = 60_000_000;

/// How the capture is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Coverage {
    /// Minutes between two heartbeats in the ledger, 1 to 60; 15 unless given.
    #[cfg_attr(test, schemars(range(min = 1, max = 60)))]
    pub(crate) heartbeat_minutes: Option<u32>,
    /// The hour of the day (UTC) after which the findings of the day before are recorded, 0 to 23; 1 unless given.
    #[cfg_attr(test, schemars(range(max = 23)))]
    pub(crate) findings_hour: Option<u32>,
    /// Test messages that are expected, each as `<number's id> <test handset's phone number> <minutes>`: when none came
    /// for one and a half times as long, the number counts as degraded.
    #[serde(default)]
    pub(crate) canaries: Vec<String>,
}

impl Coverage {
    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            heartbeat_minutes: self.heartbeat_minutes.or(below.heartbeat_minutes),
            findings_hour: self.findings_hour.or(below.findings_hour),
            canaries: if self.canaries.is_empty() { below.canaries } else { self.canaries },
        }
    }

    /// Checks what types cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(minutes) = self.heartbeat_minutes.filter(|minutes| !(1..=60).contains(minutes)) {
            return Err(format!("`coverage.heartbeat_minutes`: expected 1 to 60, found {minutes}"));
        }
        if let Some(hour) = self.findings_hour.filter(|hour| *hour > 23) {
            return Err(format!("`coverage.findings_hour`: expected 0 to 23, found {hour}"));
        }
        self.canaries.iter().try_for_each(|text| canary(text).map(drop))
    }

    /// Returns what the server is told.
    pub(crate) fn settings(&self) -> CoverageSettings {
        let default = CoverageSettings::default();
        let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
        CoverageSettings {
            heartbeat_every: self.heartbeat_minutes.map_or(default.heartbeat_every, minutes),
            findings_hour: self.findings_hour.unwrap_or(default.findings_hour),
            canaries: self.canaries.iter().filter_map(|text| canary(text).ok()).collect(),
        }
    }
}

fn canary(text: &str) -> Result<Canary, String> {
    let expected = || {
        format!(
            "`coverage.canaries`: expected `<number> <phone> <minutes>` such as `100000000000001 15550100001 60`, found `{text}`"
        )
    };
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [number, from, minutes] = parts[..] else { return Err(expected()) };
    let minutes = minutes.parse::<u16>().ok().filter(|minutes| *minutes > 0).ok_or_else(expected)?;
    let from: String = from.trim_start_matches('+').to_owned();
    if from.is_empty() || !from.bytes().all(|c| c.is_ascii_digit()) {
        return Err(expected());
    }
    Ok(Canary { number: number.to_owned(), every: i64::from(minutes) * MINUTE, from })
}
