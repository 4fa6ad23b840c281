//! Disposal: a plan of what is due now, and carrying it out.

use std::collections::BTreeMap;

use piperoll_format::{Bucket, Kind, Seq};
use piperoll_policy::{DisposalPlan, StoredBucket, StoredObject, plan_disposal};
use piperoll_projections::utc;

use crate::access::Access;
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::tokens::Caller;
use crate::wire::{DisposalPlanView, DisposalView, DisposedView};

/// Disposals that are looked through; of more, the newest.
const DISPOSALS_MAX: usize = 10_000;
/// Disposals that are named in one sentence.
const NAMED_MAX: usize = 5;

/// What the ledger disposed of, the newest first: each bucket with the time at which nothing of it was left.
#[derive(Debug, Default)]
pub(crate) struct Disposals(Vec<(String, String)>);

impl Disposals {
    /// Tells when a bucket was disposed of.
    pub(crate) fn of(&self, bucket: &Bucket) -> Option<&str> {
        let bucket = bucket.to_string();
        self.0.iter().find(|(disposed, _)| *disposed == bucket).map(|(_, on)| on.as_str())
    }

    /// Names what was disposed of, `standard/2026-11 on …`; nothing if nothing was. Facts of what is gone are gone too,
    /// so nobody can tell any more what it was about.
    pub(crate) fn named(&self) -> Option<String> {
        let named = self.0.iter().take(NAMED_MAX).map(|(bucket, on)| format!("{bucket} on {on}"));
        let mut text = named.collect::<Vec<_>>().join(", ");
        let more = self.0.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        (!text.is_empty()).then_some(text)
    }
}

impl Archive {
    /// Tells which disposals are on record.
    ///
    /// # Errors
    /// Those of the projections.
    pub(crate) async fn disposals(&self) -> Result<Disposals, ApiError> {
        let found = self.ask(|projections| projections.disposals(DISPOSALS_MAX)).await?;
        Ok(Disposals(found.into_iter().map(|fact| (fact.value.bucket, utc(fact.at))).collect()))
    }

    /// Plans the disposal of everything that is due now. Nothing happens.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`].
    pub async fn plan_disposal(&self, caller: &Caller) -> Result<DisposalPlanView, ApiError> {
        let plan = self.disposal_plan()?;
        let access = Access { action: "plan", target: Some("disposal"), ..Access::default() };
        let _ = self.record_access(Kind::AccessView, caller, &access).await?;
        Ok(DisposalPlanView::from(&plan))
    }

    /// Disposes of due buckets, all of them or the ones named; returns when nothing of them can be found any more.
    ///
    /// # Errors
    /// [`ErrorCode::Conflict`] when a named bucket is not due; nothing was disposed of then. Those of a commit.
    pub async fn dispose(&self, caller: &Caller, named: Option<&[String]>) -> Result<DisposalView, ApiError> {
        let plan = self.disposal_plan()?;
        let wanted = named.map(|named| wanted(&plan, named)).transpose()?;
        let mut disposed = Vec::new();
        // No snapshot is taken until what is disposed of is forgotten here.
        let _quiet = self.snapshots.quiet().await;
        for entry in &plan.entries {
            if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&entry.bucket)) {
                continue;
            }
            disposed.push(self.engine.dispose(&entry.bucket, &entry.reason, &caller.name).await?);
        }
        if let Some(last) = disposed.iter().map(|one| one.completed.unwrap_or(one.ordered)).max() {
            self.searchable(Seq(last.0)).await;
            self.projected(Seq(last.0)).await;
        }
        Ok(DisposalView { disposed: disposed.into_iter().map(DisposedView::from).collect() })
    }

    fn disposal_plan(&self) -> Result<DisposalPlan, ApiError> {
        let mut buckets: BTreeMap<Bucket, Vec<StoredObject>> = BTreeMap::new();
        for object in self.engine.inventory()? {
            let stored =
                StoredObject { key: object.name, size: object.size, retain_until: object.retain_until };
            buckets.entry(object.bucket).or_default().push(stored);
        }
        let stored = buckets.into_iter().map(|(bucket, objects)| StoredBucket { bucket, objects });
        Ok(plan_disposal(stored, self.engine.policies(), self.now()))
    }
}

fn wanted(plan: &DisposalPlan, named: &[String]) -> Result<Vec<Bucket>, ApiError> {
    let find = |name: &String| {
        let bucket = name
            .parse::<Bucket>()
            .map_err(|error| ApiError::new(ErrorCode::Invalid, format!("bucket `{name}`: {error}")))?;
        if plan.entries.iter().any(|entry| entry.bucket == bucket) {
            return Ok(bucket);
        }
        let stays = plan.skipped.iter().find(|skipped| skipped.bucket == bucket);
        let reason =
            stays.map_or_else(|| "there is no such bucket".to_owned(), |stays| stays.reason.to_string());
        Err(ApiError::new(ErrorCode::Conflict, format!("bucket `{name}` is not due: {reason}")))
    };
    named.iter().map(find).collect()
}
