//! Goal: a clock that jumps neither turns the ledger's time back nor frees an object before its lock ends.

use std::collections::BTreeMap;

use piperoll_engine::Engine;
use piperoll_format::Timestamp;
use piperoll_policy::{DisposalPlan, StoredBucket, StoredObject, plan_disposal};
use piperoll_store::Clock as _;
use piperoll_tests::{NOW, TestArchive, numbered_message, submit_one};

const DAY: u64 = 86_400_000_000;
const TEN_YEARS: u64 = 3_653 * DAY;

fn plan(archive: &TestArchive, engine: &Engine) -> DisposalPlan {
    let mut buckets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for object in engine.inventory().unwrap() {
        let stored = StoredObject { key: object.name, size: object.size, retain_until: object.retain_until };
        buckets.entry(object.bucket).or_default().push(stored);
    }
    let stored = buckets.into_iter().map(|(bucket, objects)| StoredBucket { bucket, objects });
    plan_disposal(stored, &archive.policies, Timestamp(archive.clock.now_micros()))
}

#[tokio::test(flavor = "multi_thread")]
async fn time_of_the_ledger_never_decreases() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    let times = [NOW, NOW - DAY, NOW - TEN_YEARS, 0, NOW + 1, NOW + TEN_YEARS, NOW + 2, NOW + TEN_YEARS + 1];
    let mut latest = 0;
    for (n, time) in times.into_iter().enumerate() {
        archive.clock.set(time);
        let id = n.to_string();
        let receipt = submit_one(&engine, numbered_message("999", &id, &id)).await.unwrap();
        latest = latest.max(time);
        // Findings that depend on the time of the check are for the times of the check.
        archive.clock.set(latest);
        let events = archive.check_everything(Some(&engine)).await;
        let event = &events[usize::try_from(receipt.seq.0).unwrap()];
        assert_eq!(event.recorded_at, Timestamp(latest), "clock at {time}");
    }
    engine.close().await;
    // A start with a clock that is behind goes on from the ledger's time.
    archive.clock.set(NOW);
    let engine = archive.open().await;
    let receipt = submit_one(&engine, numbered_message("999", "last", "last")).await.unwrap();
    let events = archive.events().await;
    assert_eq!(events[usize::try_from(receipt.seq.0).unwrap()].recorded_at, Timestamp(latest));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_disposable_before_its_lock_ends() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    let _receipt = submit_one(&engine, numbered_message("999", "a", "a")).await.unwrap();
    archive.check_everything(Some(&engine)).await;
    // The clock jumps ahead: what is recorded then is locked from then on.
    archive.clock.set(NOW + TEN_YEARS);
    let _receipt = submit_one(&engine, numbered_message("999", "b", "b")).await.unwrap();
    archive.check_everything(Some(&engine)).await;
    for (time, due) in [
        (NOW, 0),
        (NOW - DAY, 0),
        // A bucket of one second, kept for five: free when the sixth has passed.
        (NOW + 6_000_000, 0),
        (NOW + 6_000_001, 1),
        (NOW + TEN_YEARS, 1),
        (NOW + TEN_YEARS + 6_000_001, 2),
    ] {
        archive.clock.set(time);
        let plan = plan(&archive, &engine);
        let brief = plan.entries.iter().filter(|entry| entry.bucket.class().as_str() == "brief");
        assert_eq!(brief.count(), due, "at {time}: {plan}");
        for object in plan.entries.iter().flat_map(|entry| &entry.objects) {
            assert!(object.retain_until.0.0 < time, "{} is locked", object.key);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_keeps_what_is_locked_whatever_the_engine_is_told() {
    let archive = TestArchive::in_directory().await;
    let engine = archive.open().await;
    let _receipt = submit_one(&engine, numbered_message("999", "a", "a")).await.unwrap();
    archive.check_everything(Some(&engine)).await;
    let inventory = engine.inventory().unwrap();
    let bucket = &inventory.iter().find(|o| o.bucket.class().as_str() == "brief").unwrap().bucket;
    let disposed = engine.dispose(bucket, "too early", "test").await.unwrap();
    assert_eq!((disposed.objects, disposed.left.len(), disposed.completed), (0, 2, None));
    let events = archive.events().await;
    assert_eq!(events[1].bytes.as_deref(), Some(&b"a"[..]), "it is still there and can be read");
}
