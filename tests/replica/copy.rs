//! Goal: the copy is the archive again, in order, under the same locks, wherever the follower was stopped.

use std::sync::Arc;
use std::time::Duration;

use piperoll_replica::{Copier, Pair, ReplicaError, compare};
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_store::{FaultyStore, Lock, ObjectKey};
use piperoll_tests::{NOW, until};

use crate::pair::{Both, brief_buckets, locks, names, write, write_brief};

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_copies_what_is_written_meanwhile() {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    let (progress, following) = both.follow(&engine);
    write(&engine, 0, 300).await;
    let size = engine.head().borrow().size;
    until("the replica holds everything", || progress.borrow().copied == Some(size)).await;
    engine.close().await;
    drop(engine);
    following.await.unwrap();
    let last = progress.borrow().clone();
    assert_eq!((last.committed, last.events_behind(), last.behind_since), (size, 0, None), "{last:?}");
    assert_eq!((last.findings_count, last.trouble, last.left), (0, None, 0));
    both.check_equal().await;
    let report = both.verify_replica().await;
    assert_eq!(report.size, size);
    let comparison = compare(&both.pair).await.unwrap();
    assert_eq!((comparison.events_behind(), comparison.agree), (0, Some(true)));
    assert!(both.path("replica", "tile/0/000").exists(), "full tiles are published");
    assert!(both.path("replica", "checkpoint").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_stopped_anywhere_goes_on_where_the_replica_ends() {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    write(&engine, 0, 60).await;
    // Each round drops the future in the middle of its work, as an end of the process would.
    for round in 0..40_u64 {
        let copying = async {
            let mut copier = Copier::open(both.pair.clone(), both.archive.clock.clone()).await.unwrap();
            copier.catch_up(|_| {}).await.unwrap();
        };
        drop(tokio::time::timeout(Duration::from_micros(round * 700), copying).await);
        write(&engine, 60 + u32::try_from(round).unwrap(), 1).await;
    }
    both.copy().await;
    engine.close().await;
    both.copy().await;
    both.check_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_replica_stops_no_receipt_and_is_made_up_for() {
    let mut both = Both::new().await;
    let store = Arc::new(FaultyStore::new(both.pair.replica.clone()));
    let everything =
        Fault { key_prefix: String::new(), operation: None, outcome: Outcome::Unavailable, times: None };
    store.inject(everything);
    both.pair.replica = store.clone();
    let engine = both.archive.open().await;
    let (progress, following) = both.follow(&engine);
    write(&engine, 0, 20).await;
    until("the outage is noticed", || progress.borrow().trouble.is_some()).await;
    let behind = progress.borrow().clone();
    assert_eq!(behind.behind_since, Some(NOW));
    assert!(!behind.is_stopped && behind.events_behind() > 0, "{behind:?}");
    store.heal();
    let size = engine.head().borrow().size;
    until("the replica caught up", || progress.borrow().copied == Some(size)).await;
    until("the trouble is over", || progress.borrow().trouble.is_none()).await;
    assert_eq!(progress.borrow().behind_since, None);
    engine.close().await;
    drop(engine);
    following.await.unwrap();
    both.check_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_ambiguous_answer_of_the_replica_duplicates_and_loses_nothing() {
    let operations = [Operation::Create, Operation::Get, Operation::Head];
    let outcomes = [
        Outcome::Lost,
        Outcome::AppliedButReportedFailed,
        Outcome::AppliedButReportedExists,
        Outcome::Unavailable,
        Outcome::Full,
    ];
    for operation in operations {
        for outcome in outcomes {
            for kind in ["log/", "payloads/", "keys/", "genesis", "dictionaries/"] {
                let mut both = Both::new().await;
                let store = Arc::new(FaultyStore::new(both.pair.replica.clone()));
                store.inject(Fault::once(operation, &both.archive.prefix(kind), outcome));
                both.pair.replica = store.clone();
                let engine = both.archive.open().await;
                let (progress, following) = both.follow(&engine);
                write(&engine, 0, 2).await;
                let size = engine.head().borrow().size;
                let what = format!("the replica caught up after {operation:?} of {kind} was {outcome:?}");
                until(&what, || progress.borrow().copied == Some(size)).await;
                engine.close().await;
                drop(engine);
                following.await.unwrap();
                // Not every operation is needed for every kind of object.
                store.heal();
                both.check_equal().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_disposed_of_goes_from_the_replica_too() {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    write_brief(&engine, "wamid.copied").await;
    let mut copier = both.copy().await;
    both.archive.clock.set(NOW + 2_000_000);
    // This one is destroyed before it was ever copied.
    write_brief(&engine, "wamid.late").await;
    both.archive.clock.set(NOW + 60_000_000);
    let buckets = brief_buckets(&engine, 2).await;
    for bucket in &buckets {
        let disposed = engine.dispose(bucket, "due", "test").await.unwrap();
        assert!(disposed.completed.is_some());
    }
    assert!(names(&*both.pair.replica, "payloads/brief/").await.len() == 1);
    copier.catch_up(|_| {}).await.unwrap();
    assert_eq!(names(&*both.pair.replica, "payloads/brief/").await, Vec::<String>::new());
    assert_eq!(names(&*both.pair.replica, "keys/brief/").await, Vec::<String>::new());
    assert_eq!(copier.findings().1, 0);
    engine.close().await;
    both.copy().await;
    let report = both.verify_replica().await;
    assert!(report.is_clean() && report.is_complete(), "{:#?}", report.findings);
    assert_eq!(report.tombstones.events, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_lock_and_a_hold_are_copied() {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    write(&engine, 0, 3).await;
    let copier = both.copy().await;
    let pack = names(&*both.pair.primary, "payloads/rest/").await.remove(0);
    let key = ObjectKey::new(both.archive.prefix(&pack)).unwrap();
    let until = NOW + 10 * 365 * 24 * 3_600 * 1_000_000;
    both.pair.primary.extend_retention(&key, until).await.unwrap();
    both.pair.primary.set_hold(&key, true).await.unwrap();
    let locked = copier.copy_locks().await.unwrap();
    assert_eq!((locked.extended, locked.held), (1, 1));
    let found = locks(&*both.pair.replica).await[&pack].1;
    assert_eq!((found.retain_until, found.hold), (Some(until), true));
    // A hold that is released goes there too, when the identity may; otherwise it stays and is counted.
    both.pair.primary.set_hold(&key, false).await.unwrap();
    let refusing = Arc::new(FaultyStore::new(both.pair.replica.clone()));
    refusing.inject(Fault::once(Operation::SetHold, "", Outcome::Denied));
    let pair = Pair { replica: refusing, ..both.pair.clone() };
    let refused = Copier::open(pair, both.archive.clock.clone()).await.unwrap().copy_locks().await.unwrap();
    assert_eq!((refused.released, refused.still_held), (0, 1));
    let locked = copier.copy_locks().await.unwrap();
    assert_eq!((locked.released, locked.still_held), (1, 0));
    let found = locks(&*both.pair.replica).await[&pack].1;
    assert_eq!((found.retain_until, found.hold), (Some(until), false));
    engine.close().await;
    both.copy().await;
    both.check_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_holds_something_else_is_left_alone() {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    write(&engine, 0, 2).await;
    let _copier = both.copy().await;
    write(&engine, 2, 1).await;
    let newest = names(&*both.pair.primary, "log/").await.pop().unwrap();
    let key = ObjectKey::new(both.archive.prefix(&newest)).unwrap();
    both.pair.replica.create(&key, "another segment".into(), &Lock::until(NOW * 2)).await.unwrap();
    let conflict = Copier::open(both.pair.clone(), both.archive.clock.clone()).await.unwrap_err();
    assert!(matches!(conflict, ReplicaError::Conflict { .. }), "{conflict}");
    assert!(!conflict.is_transient() && conflict.to_string().contains(&newest), "{conflict}");
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_ends_before_its_replica_is_noticed() {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    write(&engine, 0, 2).await;
    engine.close().await;
    let _copier = both.copy().await;
    let newest = names(&*both.pair.primary, "log/").await.pop().unwrap();
    std::fs::remove_file(both.path("store", &newest)).unwrap();
    let conflict = Copier::open(both.pair.clone(), both.archive.clock.clone()).await.unwrap_err();
    assert!(conflict.to_string().contains("ends before the replica"), "{conflict}");
    assert_eq!(compare(&both.pair).await.unwrap().events_ahead(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_is_not_copied_and_does_not_stop_the_rest() {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    write(&engine, 0, 2).await;
    let pack = names(&*both.pair.primary, "payloads/rest/").await.remove(0);
    both.damage("store", &pack);
    write(&engine, 2, 2).await;
    let copier = both.copy().await;
    let (findings, count) = copier.findings();
    assert_eq!(count, 1);
    assert!(findings[0].contains(&pack), "{findings:?}");
    assert!(!both.path("replica", &pack).exists());
    assert_eq!(copier.size(), engine.head().borrow().size);
    engine.close().await;
}
