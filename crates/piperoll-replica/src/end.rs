//! Where a ledger ends in a store, found the way recovery finds it.

use piperoll_format::{ObjectName, SegmentNo};

use crate::error::ReplicaError;
use crate::place::Place;

/// Returns the first number from `start` on that has no segment: exponential, then binary search.
pub(crate) async fn find_end(place: &Place, start: SegmentNo) -> Result<SegmentNo, ReplicaError> {
    // All numbers from `start` up to and without `low` exist.
    let (mut low, mut step) = (start.0, 1);
    while has(place, low + step - 1).await? {
        (low, step) = (low + step, step * 2);
    }
    let mut high = low + step - 1;
    while low < high {
        let middle = low + (high - low) / 2;
        if has(place, middle).await? { low = middle + 1 } else { high = middle }
    }
    Ok(SegmentNo(low))
}

async fn has(place: &Place, number: u64) -> Result<bool, ReplicaError> {
    let number = SegmentNo(number);
    if number > SegmentNo::MAX {
        return Ok(false);
    }
    Ok(place.head(&ObjectName::Segment(number)).await?.is_some())
}
