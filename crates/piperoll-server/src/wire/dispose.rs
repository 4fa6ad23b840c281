//! Disposals as JSON.

use piperoll_engine::Disposed;
use piperoll_policy::{DisposalEntry, DisposalPlan, SkippedBucket};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a disposal would do now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DisposalPlanView {
    /// The moment for which the plan was made (RFC 3339, UTC).
    pub now: String,
    /// The buckets that are due.
    pub due: Vec<DueBucketView>,
    /// The buckets that stay.
    pub stays: Vec<KeptBucketView>,
}

/// A bucket that is due.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DueBucketView {
    /// `<class>/<period>`.
    pub bucket: String,
    /// The policy that sets the date.
    pub policy: String,
    /// Its version.
    pub version: u32,
    /// Since when it is due (RFC 3339, UTC).
    pub due_since: String,
    /// Why it goes.
    pub reason: String,
    /// How many objects it has.
    pub objects: usize,
    /// How many bytes they have.
    pub bytes: u64,
}

/// A bucket that stays.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptBucketView {
    /// `<class>/<period>`.
    pub bucket: String,
    /// Why it stays.
    pub reason: String,
    /// When it can go (RFC 3339, UTC), as far as policies and locks tell today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
}

/// Which due buckets to dispose of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisposeRequest {
    /// `<class>/<period>` of each; every due bucket when absent.
    #[serde(default)]
    pub(crate) buckets: Option<Vec<String>>,
}

/// What was disposed of.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DisposalView {
    /// Each bucket.
    pub disposed: Vec<DisposedView>,
}

/// What became of one bucket.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DisposedView {
    /// `<class>/<period>`.
    pub bucket: String,
    /// The event that orders it.
    pub ordered: u64,
    /// The event that completes it; absent while objects are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
    /// How many objects went.
    pub objects: usize,
    /// How many bytes went.
    pub bytes: u64,
    /// Objects that the store did not give up, with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left: Vec<LeftObjectView>,
}

/// An object that is still there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LeftObjectView {
    /// Its name in the ledger.
    pub object: String,
    /// Why it is still there.
    pub reason: String,
}

impl From<&DisposalPlan> for DisposalPlanView {
    fn from(plan: &DisposalPlan) -> Self {
        Self {
            now: plan.now.to_string(),
            due: plan.entries.iter().map(DueBucketView::from).collect(),
            stays: plan.skipped.iter().map(KeptBucketView::from).collect(),
        }
    }
}

impl From<&DisposalEntry> for DueBucketView {
    fn from(entry: &DisposalEntry) -> Self {
        Self {
            bucket: entry.bucket.to_string(),
            policy: entry.policy.to_string(),
            version: entry.version,
            due_since: entry.due_since.to_string(),
            reason: entry.reason.clone(),
            objects: entry.objects.len(),
            bytes: entry.objects.iter().map(|object| object.size).sum(),
        }
    }
}

impl From<&SkippedBucket> for KeptBucketView {
    fn from(skipped: &SkippedBucket) -> Self {
        Self {
            bucket: skipped.bucket.to_string(),
            reason: skipped.reason.to_string(),
            due_at: skipped.due_at.map(|at| at.to_string()),
        }
    }
}

impl From<Disposed> for DisposedView {
    fn from(disposed: Disposed) -> Self {
        let left = disposed.left.into_iter();
        Self {
            bucket: disposed.bucket.to_string(),
            ordered: disposed.ordered.0,
            completed: disposed.completed.map(|seq| seq.0),
            objects: disposed.objects,
            bytes: disposed.bytes,
            left: left.map(|(object, reason)| LeftObjectView { object, reason }).collect(),
        }
    }
}
