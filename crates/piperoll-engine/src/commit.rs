//! Writing a commit (DESIGN.md section 5, steps 2 and 3), with what each answer of the store means.

use std::time::Duration;

use futures::future::try_join_all;
use piperoll_format::ObjectName;
use piperoll_store::{Lock, ObjectKey, StoreError};

use crate::batch::{Batch, NewObject};
use crate::ledger::LedgerStore;

/// How a commit ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The segment is ours and durable.
    Committed,
    /// Another writer created the segment first: reload and sequence again.
    Lost,
    /// Nothing was committed and nothing will be: the batch can be tried again or given up.
    Refused(StoreError),
    /// The store does not say whether the segment exists: reload before the next commit.
    Unknown(StoreError),
}

impl LedgerStore {
    /// Writes the packs and key objects, then the segment. A write whose outcome stays open is tried again after
    /// each of `pauses`.
    pub(crate) async fn commit(&self, batch: &Batch, pauses: &[Duration]) -> Outcome {
        // A crash or failure here leaves unreferenced objects, never a hole.
        let writes = batch.objects.iter().map(|object| self.put_object(batch, object, pauses));
        if let Err(error) = try_join_all(writes).await {
            return Outcome::Refused(error);
        }
        // This line is the commit, and the writer lock: of two writers one creates the next number.
        self.put_segment(batch, pauses).await
    }

    async fn put_object(
        &self,
        batch: &Batch,
        object: &NewObject,
        pauses: &[Duration],
    ) -> Result<(), StoreError> {
        let key = self.key(&object.entry.name(batch.number));
        let lock = Lock::until(object.entry.retain_until.0.0);
        for pause in pauses {
            let Err(error) = self.store.create(&key, object.bytes.clone(), &lock).await else {
                return Ok(());
            };
            if !error.must_read_back() {
                return Err(error);
            }
            // The name carries the digest, so whatever is there under it is ours, or damaged. An earlier try of the
            // same batch has the same bytes, and may have been locked under an earlier policy.
            match self.read_back(&key, &object.bytes).await {
                ReadBack::Equal => return self.lock_at_least(&key, object.entry.retain_until.0.0).await,
                ReadBack::Other => return Err(error),
                ReadBack::Absent | ReadBack::Unknown(_) => tokio::time::sleep(*pause).await,
            }
        }
        self.store.create(&key, object.bytes.clone(), &lock).await
    }

    /// Extends a lock that ends before `until`.
    async fn lock_at_least(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        match self.store.extend_retention(key, until).await {
            // It ends later already.
            Err(StoreError::Retained { .. }) => Ok(()),
            result => result,
        }
    }

    async fn put_segment(&self, batch: &Batch, pauses: &[Duration]) -> Outcome {
        let key = self.key(&ObjectName::Segment(batch.number));
        let lock = Lock::until(batch.retain_until.0.0);
        let mut pauses = pauses.iter();
        let mut is_first = true;
        loop {
            let Err(error) = self.store.create(&key, batch.segment.clone(), &lock).await else {
                return Outcome::Committed;
            };
            if !error.must_read_back() {
                // An earlier try of ours may still have been applied.
                return if is_first { Outcome::Refused(error) } else { Outcome::Unknown(error) };
            }
            let error = match self.read_back(&key, &batch.segment).await {
                ReadBack::Equal => return Outcome::Committed,
                ReadBack::Other => return Outcome::Lost,
                ReadBack::Absent => error,
                ReadBack::Unknown(error) => error,
            };
            let Some(pause) = pauses.next() else { return Outcome::Unknown(error) };
            tokio::time::sleep(*pause).await;
            is_first = false;
        }
    }

    async fn read_back(&self, key: &ObjectKey, expected: &[u8]) -> ReadBack {
        match self.store.get(key).await {
            Ok(found) if found == expected => ReadBack::Equal,
            Ok(_) => ReadBack::Other,
            Err(error) if error.is_not_found() => ReadBack::Absent,
            Err(error) => ReadBack::Unknown(error),
        }
    }
}

enum ReadBack {
    Equal,
    Other,
    Absent,
    Unknown(StoreError),
}
