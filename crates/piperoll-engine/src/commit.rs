//! Writing a commit (DESIGN.md section 5, steps 2 and 3), with what each answer of the store means.

use std::time::Duration;

use futures::future::try_join_all;
use piperoll_format::ObjectName;
use piperoll_store::{Lock, ObjectKey, StoreError};
use tokio::time::Instant;

use crate::batch::{Batch, NewObject};
use crate::ledger::LedgerStore;

/// How a commit ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The segment is ours and durable.
    Committed,
    /// Another writer created the segment first: reload and sequence again.
    Lost,
    /// Ours lies over the segment of another writer, which somebody hid while we created it, and counts for nothing.
    Hidden,
    /// Nothing was committed and nothing will be: the batch can be tried again or given up.
    Refused(StoreError),
    /// The store does not say whether the segment exists: reload before the next commit.
    Unknown(StoreError),
}

/// When the end of the ledger was last known to be the writer's.
#[derive(Debug)]
pub(crate) struct KnownEnd {
    since: Instant,
    trust: Duration,
    /// Another writer was there lately.
    pub(crate) has_rival: bool,
}

impl KnownEnd {
    /// The end is known now, and for `trust` from now on.
    pub(crate) fn now(trust: Duration) -> Self {
        Self { since: Instant::now(), trust, has_rival: false }
    }

    /// The end is known from `since` on, and for as long as before.
    pub(crate) const fn renew(&mut self, since: Instant) {
        self.since = since;
    }

    /// Whether another writer may have committed meanwhile. Asked after the create, so that a pause of the whole
    /// process before it counts.
    fn is_doubtful(&self) -> bool {
        self.has_rival || self.since.elapsed() >= self.trust
    }
}

impl LedgerStore {
    /// Writes the packs and key objects, then the segment. A write whose outcome stays open is tried again after
    /// each of `pauses`.
    ///
    /// When another writer may have committed since the end was known, it makes sure that the number is free, and
    /// afterwards that the segment counts.
    pub(crate) async fn commit(&self, batch: &Batch, pauses: &[Duration], end: &KnownEnd) -> Outcome {
        if end.is_doubtful() {
            // Where versions are kept, an outsider's delete marker over a segment of another writer lets the name be
            // created again. The oldest version counts (`schemas/decisions/0015`), so ours above it would be none.
            match self.has(&ObjectName::Segment(batch.number)).await {
                Ok(false) => {}
                Ok(true) => return Outcome::Lost,
                Err(error) => return Outcome::Refused(error),
            }
        }
        // A crash or failure here leaves unreferenced objects, never a hole.
        let writes = batch.objects.iter().map(|object| self.put_object(batch, object, pauses));
        if let Err(error) = try_join_all(writes).await {
            return Outcome::Refused(error);
        }
        // This line is the commit, and the writer lock: of two writers one creates the next number.
        match self.put_segment(batch, pauses).await {
            // Asked again: the process may have been stopped in between.
            Outcome::Committed if end.is_doubtful() => self.confirm(batch).await,
            outcome => outcome,
        }
    }

    /// Makes sure that a segment that was created is the first version under its name.
    async fn confirm(&self, batch: &Batch) -> Outcome {
        let key = self.key(&ObjectName::Segment(batch.number));
        match self.store.get_original(&key).await {
            Ok(found) if found == batch.segment => Outcome::Committed,
            Ok(_) => Outcome::Hidden,
            Err(error) => Outcome::Unknown(error),
        }
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
