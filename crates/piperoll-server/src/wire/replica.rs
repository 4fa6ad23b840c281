//! The replica and the passes over all objects, as JSON.

use piperoll_format::Timestamp;
use piperoll_replica::End;
use piperoll_replica::scrub::{Problem, Tally};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the second copy does.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ReplicaView {
    /// Where it is: a path or an address.
    pub location: String,
    /// Whether its store `detects` or `prevents` early deletion.
    pub enforcement: String,
    /// Whether this process copies.
    pub is_following: bool,
    /// After so many seconds an event that is not copied is recorded as `replica.behind`.
    pub behind_after_seconds: u64,
    /// Where the writer's store ends; absent when it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<ReplicaEndView>,
    /// Where the copy ends; absent when it has not been begun or did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaEndView>,
    /// Events that the copy lacks; absent when a store did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_behind: Option<u64>,
    /// Events that the copy has and the writer's store lacks.
    pub events_ahead: u64,
    /// Whether the newest segment that both have is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agree: Option<bool>,
    /// Events that the follower has not copied yet.
    pub lag_events: u64,
    /// For how many seconds the oldest of them has waited.
    pub lag_seconds: u64,
    /// Since when it has waited (RFC 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_since: Option<String>,
    /// Why copying does not go on at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Whether somebody must look: the stores contradict each other.
    pub is_stopped: bool,
    /// What could not be copied as it was committed, at most a hundred.
    pub findings: Vec<String>,
    /// How much could not be copied.
    pub findings_count: u64,
    /// Objects that were disposed of and that the copy did not give up.
    pub disposed_left: u64,
}

/// The end of a ledger in one store.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ReplicaEndView {
    /// Segments.
    pub segments: u64,
    /// Events.
    pub events: u64,
    /// When the newest event was recorded (RFC 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<String>,
}

impl From<End> for ReplicaEndView {
    fn from(end: End) -> Self {
        let recorded_at = end.recorded_at.map(|at: Timestamp| at.to_string());
        Self { segments: end.segments, events: end.events, recorded_at }
    }
}

/// A pass over all objects that was ordered, as far as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ScrubView {
    /// Whether it is under way.
    pub is_running: bool,
    /// Whether everything so far is as it should be, or was made so.
    pub is_sound: bool,
    /// Segments that were looked at, each with everything that it names.
    pub segments: u64,
    /// Segments in all when it began.
    pub segments_total: u64,
    /// Objects that were made good.
    pub repaired: u64,
    /// What was found in the writer's store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<ScrubSideView>,
    /// What was found in the replica, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<ScrubSideView>,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What a pass found in one store.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ScrubSideView {
    /// Objects that belong there, without those that were disposed of.
    pub objects: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Objects that are as they were committed, also those that were made good.
    pub sound: u64,
    /// Objects that are gone because a disposal was ordered.
    pub disposed: u64,
    /// Objects with other bytes, at most a thousand.
    pub damaged: Vec<ProblemView>,
    /// How many they are.
    pub damaged_count: u64,
    /// Objects that are gone without an order, at most a thousand.
    pub missing: Vec<ProblemView>,
    /// How many they are.
    pub missing_count: u64,
    /// Objects whose lock is shorter than recorded, at most a thousand.
    pub unlocked: Vec<ProblemView>,
    /// How many they are.
    pub unlocked_count: u64,
}

/// An object that is not as it should be and stays so.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ProblemView {
    /// The object, without the ledger's prefix.
    pub object: String,
    /// What was found, and why it stays so.
    pub detail: String,
    /// The store that has a good copy: `primary` or `replica`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_copy: Option<String>,
}

impl From<&Tally> for ScrubSideView {
    fn from(tally: &Tally) -> Self {
        let view = |problem: &Problem| ProblemView {
            object: problem.object.clone(),
            detail: problem.detail.clone(),
            good_copy: problem.good_copy.clone(),
        };
        let views = |problems: &[Problem]| problems.iter().map(view).collect();
        Self {
            objects: tally.objects,
            bytes: tally.bytes,
            sound: tally.sound,
            disposed: tally.disposed,
            damaged: views(&tally.damaged),
            damaged_count: tally.damaged_count,
            missing: views(&tally.missing),
            missing_count: tally.missing_count,
            unlocked: views(&tally.unlocked),
            unlocked_count: tally.unlocked_count,
        }
    }
}
