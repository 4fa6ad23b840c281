//! Goal: a clock that jumps neither turns the ledger's time back nor frees an object before its lock ends.

use std::collections::BTreeMap;
use std::time::Duration;

use piperoll_engine::{Engine, Settings};
use piperoll_format::{Kind, Timestamp};
use piperoll_policy::{DisposalPlan, StoredBucket, StoredObject, plan_disposal};
use piperoll_store::Clock as _;
use piperoll_tests::{NOW, TestArchive, numbered_message, quick_settings, submit_one};

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

const HOUR: u64 = 3_600_000_000;

/// Returns the documents of the events about jumps.
async fn jumps(archive: &TestArchive) -> Vec<String> {
    let events = archive.events().await;
    let jumps = events.into_iter().filter(|event| event.kind == Kind::ClockJumped);
    jumps.map(|event| String::from_utf8(event.bytes.unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jump_and_return_are_recorded_once_and_stop_disposals_while_they_last() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    let send = async |id: &str| {
        let _receipt = submit_one(&engine, numbered_message("999", id, id)).await.unwrap();
    };
    send("a").await;
    archive.check_everything(Some(&engine)).await;
    let inventory = engine.inventory().unwrap();
    let bucket = inventory.iter().find(|o| o.bucket.class().as_str() == "brief").unwrap().bucket.clone();
    // Time that passes and small corrections are no jump.
    let _now = archive.clock.advance(Duration::from_secs(7 * 86_400));
    let right = archive.clock.now_micros();
    archive.clock.set(right + HOUR / 2);
    archive.clock.set(right);
    send("b").await;
    assert_eq!(jumps(&archive).await, Vec::<String>::new());
    for (ahead, is_refused) in [(true, true), (false, false)] {
        archive.clock.set(if ahead { right + TEN_YEARS } else { right - TEN_YEARS });
        assert_eq!(engine.clock_jump().borrow().map(|jump| jump.is_ahead()), Some(ahead));
        if is_refused {
            let refused = engine.dispose(&bucket, "due", "test").await.unwrap_err();
            assert!(refused.to_string().contains("should stand at 2026-11-28T21:20:00"), "{refused}");
        }
        send(&format!("first {ahead}")).await;
        send(&format!("second {ahead}")).await;
        archive.clock.set(right);
        send(&format!("right again {ahead}")).await;
        assert_eq!(*engine.clock_jump().borrow(), None);
    }
    archive.clock.set(right + TEN_YEARS);
    archive.check_everything(Some(&engine)).await;
    let by: Vec<bool> = jumps(&archive).await.iter().map(|jump| jump.contains(r#""by_micros":-"#)).collect();
    assert_eq!(by, [false, true, true, false], "ahead, back, behind, back");
    let expected = r#"{"before":"2026-11-28T21:20:00.000000Z","after":"2036-11-28T21:20:00.000000Z","by_micros":315619200000000,"monotonic":true}"#;
    assert_eq!(jumps(&archive).await[0], expected);
    archive.clock.set(right);
    assert_eq!(engine.dispose(&bucket, "due", "test").await.unwrap().left, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_is_behind_the_ledger_at_a_start_is_recorded() {
    let archive = TestArchive::in_memory().await;
    archive.open().await.close().await;
    archive.clock.set(NOW - TEN_YEARS);
    let engine = archive.open().await;
    let _receipt = submit_one(&engine, numbered_message("999", "a", "a")).await.unwrap();
    archive.clock.set(NOW);
    archive.check_everything(Some(&engine)).await;
    let jumps = jumps(&archive).await;
    assert!(jumps.len() == 1 && jumps[0].contains(r#""monotonic":false"#), "{jumps:?}");
}

/// Opens an engine of an archive as a new process would, perhaps by somebody who has checked the clock.
async fn reopen(archive: &TestArchive, confirms_clock: bool) -> Engine {
    archive.try_open(Settings { confirms_clock, ..quick_settings() }).await.unwrap()
}

/// Ends an engine as a process ends: its local state is free for the next one.
async fn stop(engine: Engine) {
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_does_not_confirm_a_clock_that_was_seen_to_jump() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    archive.clock.set(NOW + TEN_YEARS);
    let _receipt = submit_one(&engine, numbered_message("999", "a", "a")).await.unwrap();
    stop(engine).await;
    for _ in 0..2 {
        let engine = reopen(&archive, false).await;
        let jump = engine.clock_jump().borrow().unwrap();
        assert_eq!((jump.is_ahead(), jump.is_by_store), (true, false));
        stop(engine).await;
    }
    assert_eq!(jumps(&archive).await.len(), 1, "it is on the record already");
    // Set right while nothing ran: the return is recorded.
    archive.clock.set(NOW + DAY);
    let engine = reopen(&archive, false).await;
    assert_eq!(*engine.clock_jump().borrow(), None);
    let _receipt = submit_one(&engine, numbered_message("999", "b", "b")).await.unwrap();
    stop(engine).await;
    assert_eq!(jumps(&archive).await.len(), 2);
    assert_eq!(*reopen(&archive, false).await.clock_jump().borrow(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_somebody_has_checked_or_that_the_store_agrees_with_is_right() {
    for by_store in [false, true] {
        let archive = TestArchive::in_memory().await;
        let engine = archive.open().await;
        archive.clock.set(NOW + TEN_YEARS);
        let _receipt = submit_one(&engine, numbered_message("999", "a", "a")).await.unwrap();
        stop(engine).await;
        archive.store.set_time(by_store.then_some(NOW + TEN_YEARS));
        let engine = reopen(&archive, !by_store).await;
        assert_eq!(*engine.clock_jump().borrow(), None, "{by_store}");
        let _receipt = submit_one(&engine, numbered_message("999", "b", "b")).await.unwrap();
        stop(engine).await;
        assert_eq!(jumps(&archive).await.len(), 2, "that it is over is on the record");
        archive.store.set_time(None);
        assert_eq!(*reopen(&archive, false).await.clock_jump().borrow(), None, "{by_store}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_with_a_clock_of_its_own_decides_at_a_start() {
    let archive = TestArchive::in_memory().await;
    stop(archive.open().await).await;
    // By itself a rest of a year is no jump.
    archive.clock.set(NOW + 365 * DAY);
    archive.store.set_time(Some(NOW + DAY));
    let engine = archive.open().await;
    let jump = engine.clock_jump().borrow().unwrap();
    assert!(jump.is_by_store && jump.is_ahead() && jump.before.0.abs_diff(NOW + DAY) < HOUR, "{jump:?}");
    let _receipt = submit_one(&engine, numbered_message("999", "a", "a")).await.unwrap();
    assert_eq!(jumps(&archive).await.len(), 1);
}
