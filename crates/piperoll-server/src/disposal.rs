//! Disposal: a plan of what is due now, and carrying it out.

use std::collections::BTreeMap;

use piperoll_format::{Bucket, Kind, Seq};
use piperoll_policy::{DisposalPlan, StoredBucket, StoredObject, plan_disposal};

use crate::access::Access;
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::tokens::Caller;
use crate::wire::{DisposalPlanView, DisposalView, DisposedView};

impl Archive {
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
