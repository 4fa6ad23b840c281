//! The section `[snapshot]`: copies of index and projections in the store.

use std::time::Duration;

use piperoll_server::SnapshotSettings;
use serde::{Deserialize, Serialize};

/// Seconds of an hour.
const HOUR: u64 = 3_600;

/// Sealed copies of search index and projections in the store, so that an empty disk need not wait for a rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    /// Whether a server takes them; unless given, it does where the store is a bucket.
    pub(crate) enabled: Option<bool>,
    /// Hours between two, 1 to 168; 6 unless given. One more is taken when the server stops.
    #[cfg_attr(test, schemars(range(min = 1, max = 168)))]
    pub(crate) every_hours: Option<u32>,
    /// Events after which the next one is taken earlier, at least 1,000; 1,000,000 unless given.
    #[cfg_attr(test, schemars(range(min = 1_000)))]
    pub(crate) every_events: Option<u64>,
}

impl Snapshot {
    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            enabled: self.enabled.or(below.enabled),
            every_hours: self.every_hours.or(below.every_hours),
            every_events: self.every_events.or(below.every_events),
        }
    }

    /// Checks what types cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(hours) = self.every_hours.filter(|hours| !(1..=168).contains(hours)) {
            return Err(format!("`snapshot.every_hours`: expected 1 to 168, found {hours}"));
        }
        match self.every_events.filter(|events| *events < 1_000) {
            Some(events) => Err(format!("`snapshot.every_events`: expected at least 1000, found {events}")),
            None => Ok(()),
        }
    }

    /// Returns what the server is told; nothing when it takes none.
    pub(crate) fn settings(&self, is_bucket: bool) -> Option<SnapshotSettings> {
        let default = SnapshotSettings::default();
        self.enabled.unwrap_or(is_bucket).then(|| SnapshotSettings {
            every: self
                .every_hours
                .map_or(default.every, |hours| Duration::from_secs(u64::from(hours) * HOUR)),
            every_events: self.every_events.unwrap_or(default.every_events),
            ..default
        })
    }
}
