//! Following right behind the writer: each commit is read with as few questions to the store as it has objects.

use std::sync::Arc;

use futures::TryStreamExt as _;
use piperoll_format::{SegmentNo, Seq};
use piperoll_store::{MeteredStore, WormStore};

use crate::testing::{TestLedger, message};
use crate::{Head, LedgerReader, StoreKeys};

#[tokio::test]
async fn commit_that_the_reader_was_told_of_is_read_without_looking_for_it() {
    let mut built = TestLedger::new().await;
    let metered = Arc::new(MeteredStore::new(built.store.clone()));
    let meter = metered.meter();
    let store: Arc<dyn WormStore> = metered;
    let plain = LedgerReader::open(store.clone(), built.ledger).await.unwrap();
    let reader = plain
        .with_keys(Arc::new(StoreKeys::new(store.clone(), built.ledger, built.kek.clone())))
        .through(store);
    let mut next = 0;
    for round in 0..12 {
        // Somebody new each time, and somebody who was there before.
        built.commit(vec![message(&format!("wa:{round}"), "first"), message("wa:0", "again")]).await;
        let segment = SegmentNo(built.segment.0 - 1);
        let size = built.seq.0;
        reader.advance(Head { segment, size, recorded_at: built.now });
        assert_eq!(plain.size(), size, "what shares the cache knows, too");
        let before = meter.read();
        let read: Vec<_> = reader.stream(Seq(next), Seq(size)).try_collect().await.unwrap();
        assert!(read.iter().flatten().all(|read| read.payload.is_ok()));
        let after = meter.read();
        next = size;
        if round > 0 {
            // Segment and pack; and segment and key object for the new key.
            let found = [after.gets - before.gets, after.heads - before.heads, after.lists - before.lists];
            assert_eq!(found, [4, 0, 0], "in round {round}");
        }
    }
    let known = reader.head();
    reader.advance(Head { segment: SegmentNo(1), size: 2, recorded_at: built.now });
    assert_eq!(reader.head(), known, "an older end is ignored");
}
