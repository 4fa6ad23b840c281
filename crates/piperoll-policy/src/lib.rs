//! Retention: which class an event belongs to, how long it is locked, when it is disposed of, and why.
//!
//! Everything here is a pure function of policy files, facts about an event and a moment that the caller passes
//! in: no clock, no I/O, no network. The crate decides and plans; it never locks, deletes or records anything
//! itself. The file format is explained in `retention-policies/README.md`, its JSON Schema is
//! `schemas/policy.schema.json`.
//!
//! Reading order: [`Policy`] (one file) → [`PolicySet`] (what an archive runs with) → [`PolicySet::decide`] →
//! [`bucket_label`] and [`PolicySet::keep_until`] → [`plan_disposal`]; [`compare`] tells what a change of the set
//! means.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests and schemars' derive may unwrap"))]

mod bucket;
mod change;
mod decision;
mod disposal;
mod error;
mod file;
mod period;
mod policy;
mod rule;
mod set;
mod shipped;
#[cfg(test)]
mod tests;

pub use bucket::{BucketPeriod, bucket_end, bucket_label, bucket_of};
pub use change::{Change, ChangeKind, compare};
pub use decision::{Decision, Facts, Reason};
pub use disposal::{
    DisposalEntry, DisposalPlan, SkipReason, SkippedBucket, StoredBucket, StoredObject, plan_disposal,
};
pub use error::{LabelError, PolicyError, Uncovered};
pub use period::{Period, Unit};
pub use policy::{Policy, dispose_at, keep_until};
pub use rule::Rule;
pub use set::{PolicySet, longest_keep, segment_retain_until};
pub use shipped::shipped;
