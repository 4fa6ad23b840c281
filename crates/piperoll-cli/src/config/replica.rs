//! The settings of the second copy, and of the passes over all objects.

use serde::{Deserialize, Serialize};

use super::store::{Mode, RecordsManager, Store};

/// The second copy: a store of its own, such as another bucket, region or disk. There is none unless `url` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Replica {
    /// `s3://bucket/prefix`, or the path of a directory, counted from the directory of the archive.
    pub(crate) url: Option<String>,
    /// Address of an S3 service that is not AWS, such as `https://s3.example.com`.
    pub(crate) endpoint: Option<String>,
    /// Region of the bucket; taken from the environment unless given.
    pub(crate) region: Option<String>,
    /// How objects are locked: `compliance` unless given.
    pub(crate) mode: Option<Mode>,
    /// Profile in the AWS configuration files whose credentials the copy is made with.
    pub(crate) profile: Option<String>,
    /// The identity that may delete there what was disposed of.
    pub(crate) records_manager: Option<RecordsManager>,
    /// When an event has waited so many seconds for its copy, `replica.behind` is recorded; 300 unless given.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) behind_after_seconds: Option<u64>,
    /// Every so many hours the locks and holds of both copies are compared; 24 unless given.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) compare_locks_hours: Option<u32>,
}

/// Passes over all objects while the archive is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Scrub {
    /// Days in which every object is read again; 0 for never, 30 with a replica and never without one unless given.
    pub(crate) over_days: Option<u32>,
}

impl Replica {
    /// Returns the settings of its store.
    pub(crate) fn store(&self) -> Store {
        Store {
            url: self.url.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            mode: self.mode,
            profile: self.profile.clone(),
            records_manager: self.records_manager.clone(),
        }
    }

    /// Checks what types cannot say; `self` has the values of all sources.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.behind_after_seconds == Some(0) {
            return Err("`replica.behind_after_seconds`: expected a number from 1, found 0".to_owned());
        }
        if self.compare_locks_hours == Some(0) {
            return Err("`replica.compare_locks_hours`: expected a number from 1, found 0".to_owned());
        }
        self.store().check().map_err(|error| error.replace("`store.", "`replica."))
    }

    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        let behind_after_seconds = self.behind_after_seconds.or(below.behind_after_seconds);
        let compare_locks_hours = self.compare_locks_hours.or(below.compare_locks_hours);
        let Store { url, endpoint, region, mode, profile, records_manager } =
            self.store().over(below.store());
        Self {
            url,
            endpoint,
            region,
            mode,
            profile,
            records_manager,
            behind_after_seconds,
            compare_locks_hours,
        }
    }
}

impl Scrub {
    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self { over_days: self.over_days.or(below.over_days) }
    }
}
