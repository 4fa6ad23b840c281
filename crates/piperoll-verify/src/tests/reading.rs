//! Reading: every event is found, opened and in order; what is gone is told apart from what is damaged.

use std::sync::Arc;

use futures::TryStreamExt as _;
use piperoll_format::{
    Facts, Kek, KeyId, Kind, ObjectName, Payload, Placement, Provenance, SegmentNo, Seq, Skeleton,
    SkeletonItem,
};
use piperoll_store::{Lock, ObjectKey, WormStore};

use crate::testing::{Draft, TestLedger, bucket, message, own, short_lived};
use crate::{KeyRequest, KeySource, LedgerReader, NoKeys, ReadError, StoreKeys, find_ledgers};

async fn reader(built: &TestLedger) -> LedgerReader {
    let store: Arc<dyn WormStore> = built.store.clone();
    let reader = LedgerReader::open(store.clone(), built.ledger).await.unwrap();
    reader.with_keys(Arc::new(StoreKeys::new(store, built.ledger, built.kek.clone())))
}

/// Segments of many sizes, with three classes.
async fn grown() -> TestLedger {
    let mut built = TestLedger::new().await;
    for size in [1, 2, 7, 1, 1, 40, 3, 90, 1, 5] {
        let drafts = (0..size).map(|i| match i % 5 {
            0 => own(Kind::LedgerStarted, vec![i]),
            1 => short_lived("wa:1", &format!("short {i}")),
            _ => message(&format!("wa:{}", i % 3), &format!("text {i}")),
        });
        built.commit(drafts.collect()).await;
        built.wait(1);
    }
    built
}

#[tokio::test]
async fn every_event_is_located_and_opened_from_a_cold_start() {
    let built = grown().await;
    for seq in 0..built.seq.0 {
        let reader = reader(&built).await;
        let read = reader.read(Seq(seq)).await.unwrap();
        assert_eq!(read.event.seq(), Seq(seq));
        let opened = read.payload.unwrap();
        assert_eq!(opened.payload.encode(), opened.bytes);
    }
    let reader = reader(&built).await;
    assert_eq!(reader.size(), built.seq.0);
    let beyond = reader.read(built.seq).await.unwrap_err();
    assert!(matches!(beyond, ReadError::NoEvent { size, .. } if size == built.seq.0));
}

#[tokio::test]
async fn head_moves_with_the_ledger() {
    let mut built = TestLedger::new().await;
    let reader = reader(&built).await;
    assert_eq!(reader.head().unwrap().segment, SegmentNo(0));
    for round in 1..20 {
        for _ in 0..round {
            built.commit(vec![message("wa:1", "a")]).await;
        }
        let head = reader.refresh().await.unwrap().unwrap();
        assert_eq!((head.segment.next(), head.size), (built.segment, built.seq.0));
    }
    // Without being told, too.
    built.commit(vec![message("wa:1", "a")]).await;
    assert!(reader.read(Seq(built.seq.0 - 1)).await.unwrap().payload.is_ok());
}

#[tokio::test]
async fn stream_gives_what_single_reads_give() {
    let built = grown().await;
    let reader = reader(&built).await;
    for (from, to) in
        [(0, u64::MAX), (0, 1), (5, 5), (3, 60), (built.seq.0 - 1, built.seq.0), (9_999, 10_000)]
    {
        let batches: Vec<_> = reader.stream(Seq(from), Seq(to)).try_collect().await.unwrap();
        let events: Vec<_> = batches.into_iter().flatten().collect();
        let seqs: Vec<u64> = events.iter().map(|read| read.event.seq().0).collect();
        assert_eq!(seqs, (from..to.min(built.seq.0)).collect::<Vec<_>>());
        for streamed in events {
            let single = reader.read(streamed.event.seq()).await.unwrap();
            assert_eq!(streamed.payload.unwrap().bytes, single.payload.unwrap().bytes);
        }
    }
}

#[tokio::test]
async fn payloads_in_clear_need_no_key_and_others_do() {
    let built = grown().await;
    let reader = reader(&built).await.with_keys(Arc::new(NoKeys));
    let batches: Vec<_> = reader.stream(Seq(0), Seq(u64::MAX)).try_collect().await.unwrap();
    for read in batches.into_iter().flatten() {
        let single = reader.payload(&read.event).await;
        match read.event.core.payload.key {
            None => assert_eq!(read.payload.unwrap().bytes, single.unwrap().bytes),
            Some(_) => {
                assert!(matches!(read.payload, Err(ReadError::NoKey { seq }) if seq == read.event.seq()));
                assert!(matches!(single, Err(ReadError::NoKey { .. })));
            }
        }
    }
}

#[tokio::test]
async fn disposed_missing_and_damaged_payloads_are_told_apart() {
    let mut built = TestLedger::new().await;
    let expiring = bucket("demo", built.now);
    built.commit(vec![short_lived("wa:1", "gone"), message("wa:1", "deleted"), message("wa:2", "x")]).await;
    built.wait(30);
    built.dispose(&expiring).await;
    built.commit(vec![message("wa:1", "damaged")]).await;
    let reader = reader(&built).await;
    let damaged = reader.event(Seq(built.seq.0 - 1)).await.unwrap();
    let pack = damaged.pack.as_ref().unwrap().name(damaged.segment);
    built.store.tamper(&built.key(&pack), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let deleted = reader.event(Seq(2)).await.unwrap();
    let pack = deleted.pack.as_ref().unwrap().name(deleted.segment);
    built.store.remove_unchecked(&built.key(&pack));

    let all = reader.stream(Seq(0), Seq(u64::MAX)).try_concat().await.unwrap();
    let single = reader.payload_many(&[Seq(1), Seq(2), Seq(built.seq.0 - 1)]).await;
    let streamed = [1, 2, built.seq.0 as usize - 1].map(|seq| all[seq].payload.clone());
    for results in [streamed.to_vec(), single.into_iter().map(|read| read.unwrap().payload).collect()] {
        let [disposed, missing, damaged] = <[_; 3]>::try_from(results).unwrap();
        assert!(matches!(disposed, Err(ReadError::Disposed { seq: Seq(1), .. })));
        assert!(matches!(missing, Err(ReadError::Missing { .. })));
        assert!(matches!(damaged, Err(ReadError::Damaged { seq: Some(_), .. })));
    }
}

fn ranges(start: u64, end: u64) -> Vec<std::ops::Range<u64>> {
    std::iter::once(start..end).collect()
}

/// A delivery of two items, the first of them also present in an earlier body of its own.
async fn with_delivery() -> (TestLedger, &'static [u8]) {
    let body = br#"{"a":[{"m":"one"},{"m":"two"}]}"#;
    let part = |range: std::ops::Range<usize>| body[range].to_vec();
    let mut built = TestLedger::new().await;
    let whole = br#"[{"m":"one"}]"#;
    let mut earlier = message("wa:1", "");
    earlier.payload.parts = vec![whole.to_vec()];
    earlier.payload.placement = Some(Placement { delivery: None, ranges: ranges(1, 12) });
    built.commit(vec![earlier]).await;
    let delivery = built.seq;
    let provenance =
        Provenance { signature: Some("sha256=00".to_owned()), ..message("", "").payload.provenance };
    let skeleton = Skeleton {
        body_length: body.len() as u64,
        items: vec![
            SkeletonItem { seq: Seq(1), ranges: ranges(6, 17) },
            SkeletonItem { seq: Seq(delivery.0 + 1), ranges: ranges(18, 29) },
        ],
    };
    let payload = Payload {
        parts: vec![[part(0..6), part(17..18), part(29..body.len())].concat()],
        provenance,
        facts: Facts::default(),
        placement: None,
        skeleton: Some(skeleton),
    };
    let delivery_draft = Draft { kind: Kind::Delivery, class: "demo-rest", subject: None, payload };
    let mut item = short_lived("wa:2", "");
    item.payload.parts = vec![part(18..29)];
    item.payload.placement = Some(Placement { delivery: Some(delivery), ranges: ranges(18, 29) });
    built.commit(vec![delivery_draft, item]).await;
    (built, body)
}

#[tokio::test]
async fn bodies_are_rebuilt_exactly_from_their_pieces() {
    let (mut built, body) = with_delivery().await;
    let expiring = bucket("demo", built.now);
    let reader = reader(&built).await;
    assert_eq!(reader.body(Seq(1)).await.unwrap().bytes, br#"[{"m":"one"}]"#);
    for seq in [Seq(2), Seq(3)] {
        let rebuilt = reader.body(seq).await.unwrap();
        assert_eq!(rebuilt.bytes, body);
        assert_eq!(rebuilt.provenance.signature.as_deref(), Some("sha256=00"));
        assert_eq!((rebuilt.delivery, rebuilt.pieces), (Some(Seq(2)), vec![Seq(1), Seq(2), Seq(3)]));
    }
    built.wait(30);
    built.dispose(&expiring).await;
    reader.refresh().await.unwrap();
    let error = reader.body(Seq(2)).await.unwrap_err();
    assert!(matches!(&error, ReadError::Incomplete { destroyed, .. } if destroyed[..] == [Seq(3)]));
    assert_eq!(error.to_string(), "body of delivery 2 cannot be rebuilt: payloads of events 3 are destroyed");
}

#[tokio::test]
async fn forgotten_buckets_have_no_keys_left() {
    let mut built = TestLedger::new().await;
    let bucket = bucket("demo-rest", built.now);
    built.commit(vec![message("wa:1", "a")]).await;
    let id = built.key_of("wa:1", &bucket);
    let keys = StoreKeys::new(built.store.clone(), built.ledger, built.kek.clone());
    let request = [KeyRequest { id, segment: SegmentNo(1) }];
    let too_early = [KeyRequest { id, segment: SegmentNo(0) }];
    assert!(keys.keys(&bucket, &request).await.unwrap()[0].is_some());
    assert!(keys.keys(&bucket, &too_early).await.unwrap()[0].is_none());
    let names = built.store.objects().into_iter().map(|meta| meta.key);
    let names: Vec<_> = names.filter(|key| key.as_str().ends_with(".keys")).collect();
    names.iter().for_each(|key| drop(built.store.remove_unchecked(key)));
    assert!(keys.keys(&bucket, &request).await.unwrap()[0].is_some());
    keys.forget_bucket(&bucket).await;
    assert!(keys.keys(&bucket, &request).await.unwrap()[0].is_none());
}

/// A commit that failed leaves a key object under the number that the next commit takes; a reader that listed it must still
/// find the key object of that commit, whichever name comes first.
#[tokio::test]
async fn key_object_of_a_failed_commit_hides_none_of_the_next() {
    let mut built = TestLedger::new().await;
    let bucket = bucket("demo-rest", built.now);
    built.commit(vec![message("wa:1", "a")]).await;
    let keys = StoreKeys::new(built.store.clone(), built.ledger, built.kek.clone());
    let request = |built: &TestLedger, nth: u64| {
        let id = built.key_of(&format!("wa:{nth}"), &bucket);
        [KeyRequest { id, segment: SegmentNo(nth) }]
    };
    let unknown = [KeyRequest { id: KeyId([0; 16]), segment: SegmentNo(9) }];
    for nth in 2..4 {
        let name = format!("{}/keys/{bucket}/{nth:012}-ffffffffffffffff.keys", built.ledger);
        let leftover = ObjectKey::new(name).unwrap();
        built.store.create(&leftover, b"cut off".to_vec().into(), &Lock::NONE).await.unwrap();
        assert!(keys.keys(&bucket, &unknown).await.unwrap()[0].is_none(), "all that is there is listed");
        built.commit(vec![message(&format!("wa:{nth}"), "b")]).await;
        assert!(keys.keys(&bucket, &request(&built, nth)).await.unwrap()[0].is_some());
        assert!(keys.keys(&bucket, &request(&built, 1)).await.unwrap()[0].is_some());
    }
}

#[tokio::test]
async fn keys_under_another_kek_are_refused() {
    let mut built = TestLedger::new().await;
    built.commit(vec![message("wa:1", "a")]).await;
    let store: Arc<dyn WormStore> = built.store.clone();
    let keys = StoreKeys::new(store.clone(), built.ledger, Kek::new([1; 32]));
    let reader = LedgerReader::open(store, built.ledger).await.unwrap().with_keys(Arc::new(keys));
    assert!(matches!(reader.read(Seq(1)).await.unwrap().payload, Err(ReadError::Damaged { .. })));
}

#[tokio::test]
async fn ledgers_are_found_by_their_genesis() {
    let built = grown().await;
    assert_eq!(find_ledgers(built.store.as_ref()).await.unwrap(), [built.ledger]);
    built.store.remove_unchecked(&built.key(&ObjectName::Genesis));
    assert_eq!(find_ledgers(built.store.as_ref()).await.unwrap(), []);
    let store: Arc<dyn WormStore> = built.store.clone();
    assert!(matches!(LedgerReader::open(store, built.ledger).await, Err(ReadError::NoLedger { .. })));
}
