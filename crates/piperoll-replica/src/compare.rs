//! How far apart the two copies are.

use std::sync::Arc;

use piperoll_format::{LedgerId, ObjectName, SegmentNo, Timestamp};
use piperoll_store::WormStore;
use piperoll_verify::{LedgerReader, ReadError};

use crate::error::{ReplicaError, Side};
use crate::place::Pair;

/// The end of a ledger in one store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Segments, which is the number of the next one.
    pub segments: u64,
    /// Events.
    pub events: u64,
    /// When the newest event was recorded; `None` before the first one.
    pub recorded_at: Option<Timestamp>,
}

/// Both ends of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Where the writer's store ends; `None` when it has no such ledger.
    pub primary: Option<End>,
    /// Where the second copy ends; `None` when it has not been begun.
    pub replica: Option<End>,
    /// Whether the newest segment that both have is the same, byte for byte; `None` when they have none.
    pub agree: Option<bool>,
}

impl Comparison {
    /// Returns how many events the replica lacks.
    #[must_use]
    pub fn events_behind(&self) -> u64 {
        let events = |end: Option<End>| end.map_or(0, |end| end.events);
        events(self.primary).saturating_sub(events(self.replica))
    }

    /// Returns how many events the replica has that the primary lacks.
    #[must_use]
    pub fn events_ahead(&self) -> u64 {
        let events = |end: Option<End>| end.map_or(0, |end| end.events);
        events(self.replica).saturating_sub(events(self.primary))
    }
}

/// Finds both ends and compares the newest segment that both have.
///
/// # Errors
/// [`ReplicaError::Store`] and [`ReplicaError::Read`], naming the store.
pub async fn compare(pair: &Pair) -> Result<Comparison, ReplicaError> {
    let primary = end(&pair.primary, pair.ledger, Side::Primary).await?;
    let replica = end(&pair.replica, pair.ledger, Side::Replica).await?;
    let shared = primary.zip(replica).map_or(0, |(primary, replica)| primary.segments.min(replica.segments));
    let agree = match shared.checked_sub(1).map(SegmentNo) {
        None => None,
        Some(newest) => {
            let name = ObjectName::Segment(newest);
            let primary = pair.place(Side::Primary).get(&name).await?;
            Some(primary == pair.place(Side::Replica).get(&name).await?)
        }
    };
    Ok(Comparison { primary, replica, agree })
}

async fn end(store: &Arc<dyn WormStore>, ledger: LedgerId, side: Side) -> Result<Option<End>, ReplicaError> {
    match LedgerReader::open(store.clone(), ledger).await {
        Ok(reader) => Ok(Some(reader.head().map_or_else(End::default, |head| End {
            segments: head.segment.0 + 1,
            events: head.size,
            recorded_at: Some(head.recorded_at),
        }))),
        Err(ReadError::NoLedger { .. }) => Ok(None),
        Err(source) => Err(ReplicaError::Read { side, source }),
    }
}
