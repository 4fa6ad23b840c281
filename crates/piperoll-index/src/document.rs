//! What gets indexed: one item as people read it, with the facts of its event.

use piperoll_format::{Kind, Timestamp};
use piperoll_sources::Message;

/// One event, as the index sees it.
#[derive(Clone, Debug)]
pub struct Document {
    /// The event's position in its ledger.
    pub seq: u64,
    /// What the event records.
    pub kind: Kind,
    /// When the archive recorded it.
    pub recorded_at: Timestamp,
    /// Its retention class.
    pub class: String,
    /// Its retention bucket, as named to [`SearchWriter::forget`](crate::SearchWriter::forget).
    pub bucket: String,
    /// What a reader sees in it.
    pub message: Message,
}

/// Moments before this one (1990-01-01T00:00:00Z) are taken for a sender's error.
const OCCURRED_SECONDS_MIN: i64 = 631_152_000;
/// How far a sender's clock may run ahead of ours.
const OCCURRED_AHEAD_SECONDS_MAX: i64 = 86_400;

impl Document {
    /// Returns the moment that date searches go by, in whole seconds since the epoch: when it occurred if that is
    /// plausible, else when it was recorded.
    pub(crate) fn time_seconds(&self) -> u64 {
        let recorded = self.recorded_at.0 / Timestamp::SECOND;
        let latest = i64::try_from(recorded).unwrap_or(i64::MAX).saturating_add(OCCURRED_AHEAD_SECONDS_MAX);
        self.message
            .occurred_at
            .map(|micros| micros.div_euclid(1_000_000))
            .filter(|seconds| (OCCURRED_SECONDS_MIN..=latest).contains(seconds))
            .and_then(|seconds| u64::try_from(seconds).ok())
            .unwrap_or(recorded)
    }
}
