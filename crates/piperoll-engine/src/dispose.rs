//! Carrying a disposal out: snapshots go first, then the order is committed, then the objects go, then the completion
//! is committed.
//!
//! A crash in between leaves an order without completion; the objects that are still there stay in the inventory,
//! so the next plan lists them again.

use piperoll_format::{Bucket, DisposalOrder, Kind, ObjectName, Seq, Submission, SubmissionGroup};
use piperoll_store::StoreError;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::snapshot;
use crate::state::InventoryObject;
use crate::watch::ClockJump;

/// What became of a disposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposed {
    /// The bucket.
    pub bucket: Bucket,
    /// The event that orders it.
    pub ordered: Seq,
    /// The event that completes it; `None` while objects are left.
    pub completed: Option<Seq>,
    /// How many objects went.
    pub objects: usize,
    /// How many bytes went.
    pub bytes: u64,
    /// The objects that the store did not give up, with its reason.
    pub left: Vec<(String, String)>,
}

impl Engine {
    /// Lists the objects of all buckets that can be disposed of one day: without those that are gone, and without the
    /// buckets that hold disposal orders, which account for them.
    ///
    /// # Errors
    /// [`EngineError::Fatal`] when the local state cannot be read.
    pub fn inventory(&self) -> Result<Vec<InventoryObject>, EngineError> {
        self.state().inventory()
    }

    /// Destroys a whole bucket: every object that the inventory has for it.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] while the clock has jumped ahead or when the bucket has no objects, any other when a
    /// snapshot cannot be deleted or the order cannot be committed; nothing but snapshots was deleted then. Objects that
    /// the store keeps are not an error but listed as left.
    pub async fn dispose(
        &self,
        bucket: &Bucket,
        reason: &str,
        ordered_by: &str,
    ) -> Result<Disposed, EngineError> {
        if let Some(jump) = self.clock_jump().borrow().filter(ClockJump::is_ahead) {
            let ClockJump { before, after, .. } = jump;
            let reason = format!(
                "the clock stands at {after} and should stand at {before}: nothing is disposed of until it is right, \
                 or until somebody who has checked it starts the archive with --confirm-clock"
            );
            return Err(EngineError::Invalid { reason });
        }
        let objects: Vec<InventoryObject> =
            self.inventory()?.into_iter().filter(|object| object.bucket == *bucket).collect();
        if objects.is_empty() {
            return Err(EngineError::Invalid { reason: format!("bucket `{bucket}` has no objects") });
        }
        // They hold what index and projections knew. Derived, so they go without an order, and before there is one.
        snapshot::delete_all(self.store()).await.map_err(EngineError::unavailable)?;
        let order = DisposalOrder {
            bucket: bucket.clone(),
            reason: reason.to_owned(),
            ordered_by: ordered_by.to_owned(),
            objects: objects.iter().map(|object| (object.name.clone(), object.digest)).collect(),
        };
        let ordered = self.commit_order(Kind::DisposalOrdered, &order).await?;
        let mut disposed = Disposed {
            bucket: bucket.clone(),
            ordered,
            completed: None,
            objects: 0,
            bytes: 0,
            left: Vec::new(),
        };
        let mut gone = Vec::new();
        for object in &objects {
            let name = ObjectName::parse(&object.name)
                .map_err(|error| EngineError::fatal_from("the local state names a foreign object", error))?;
            match self.store().store.delete(&self.store().key(&name)).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => {
                    disposed.objects += 1;
                    disposed.bytes += object.size;
                    gone.push(object.name.clone());
                }
                Err(error) => disposed.left.push((object.name.clone(), error.to_string())),
            }
        }
        self.keyring().lock().await.forget(bucket);
        self.state().forget(&gone, Some(bucket))?;
        if disposed.left.is_empty() {
            disposed.completed = Some(self.commit_order(Kind::DisposalCompleted, &order).await?);
        }
        Ok(disposed)
    }

    async fn commit_order(&self, kind: Kind, order: &DisposalOrder) -> Result<Seq, EngineError> {
        let submission = Submission::own(kind, "application/cbor", order.encode());
        let receipts = self.submit(SubmissionGroup::single(submission)).await?;
        receipts
            .first()
            .map(|receipt| receipt.seq)
            .ok_or_else(|| EngineError::fatal("a commit without a receipt"))
    }
}
