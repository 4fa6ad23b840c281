//! The writer's view of the end of a ledger.

use std::sync::Arc;

use bytes::Bytes;
use piperoll_format::{ChainHash, LedgerId, ObjectDigest, ObjectName, SegmentNo, Seq, Timestamp};
use piperoll_store::{ObjectKey, StoreError, WormStore};
use piperoll_tlog::frontier::Frontier;

/// Where the next commit attaches. One task owns it; it changes only when a segment has been created.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    /// The number of the next segment.
    pub(crate) segment: SegmentNo,
    /// The position of the next event.
    pub(crate) seq: Seq,
    /// Chain hash of the last event, or of the genesis object.
    pub(crate) chain: ChainHash,
    /// Digest of the last segment, or of the genesis object.
    pub(crate) previous: ObjectDigest,
    /// The tree over all events so far.
    pub(crate) frontier: Frontier,
    /// Time of the last event.
    pub(crate) recorded_at: Timestamp,
}

/// The committed end of a ledger, as told to followers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many events are committed; the newest is one less.
    pub size: u64,
    /// The segment that holds the newest; `None` before the first commit.
    pub segment: Option<SegmentNo>,
    /// When the newest was recorded.
    pub recorded_at: Timestamp,
    /// The signed checkpoint over them (C2SP note).
    pub checkpoint: Arc<str>,
}

impl Head {
    pub(crate) fn of(tail: &Tail, checkpoint: Arc<str>) -> Self {
        let segment = tail.segment.0.checked_sub(1).map(SegmentNo);
        Self { size: tail.seq.0, segment, recorded_at: tail.recorded_at, checkpoint }
    }
}

/// The objects of one ledger in a store.
#[derive(Clone, Debug)]
pub(crate) struct LedgerStore {
    pub(crate) store: Arc<dyn WormStore>,
    pub(crate) ledger: LedgerId,
}

impl LedgerStore {
    pub(crate) fn key(&self, name: &ObjectName) -> ObjectKey {
        ObjectKey::new(name.key(self.ledger)).expect("names of this format are valid object keys")
    }

    pub(crate) async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        self.store.get(&self.key(name)).await
    }

    /// Whether an object exists.
    pub(crate) async fn has(&self, name: &ObjectName) -> Result<bool, StoreError> {
        match self.store.head(&self.key(name)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
