//! Goal: a pass finds every damaged, missing and unlocked object in either store, and makes good what can be.

use piperoll_replica::Side;
use piperoll_replica::scrub::{Pass, Repair, Scrubber};
use piperoll_store::{Lock, ObjectKey};
use piperoll_tests::NOW;

use crate::pair::{Both, brief_buckets, locks, names, write, write_brief};

async fn scrub(both: &Both) -> (Pass, Vec<Repair>) {
    let mut scrubber = Scrubber::new(&both.stores());
    let mut pass = scrubber.begin().await.unwrap();
    let mut repaired = Vec::new();
    while let Some(step) = scrubber.step(&mut pass).await.unwrap() {
        repaired.extend(step.repaired);
        // The pass is kept as text between two steps, and goes on in a new process.
        pass = serde_json::from_str(&serde_json::to_string(&pass).unwrap()).unwrap();
        scrubber = Scrubber::new(&both.stores());
    }
    assert_eq!(pass.repaired, repaired.len() as u64);
    (pass, repaired)
}

async fn written() -> Both {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    write(&engine, 0, 5).await;
    engine.close().await;
    both.copy().await;
    both
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_copies_are_found_sound() {
    let both = written().await;
    let (pass, repaired) = scrub(&both).await;
    assert!(pass.is_sound() && repaired.is_empty(), "{pass:#?}");
    let objects = locks(&*both.pair.primary).await.len() as u64;
    assert_eq!((pass.primary.objects, pass.primary.sound), (objects, objects));
    let replica = pass.replica.unwrap();
    assert_eq!((replica.objects, replica.sound), (objects, objects));
    let bytes: u64 = locks(&*both.pair.primary).await.values().map(|(size, _)| size).sum();
    assert_eq!((pass.primary.bytes, replica.bytes), (bytes, bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_missing_object_is_created_again_from_the_other_side() {
    for (store, side) in [("store", Side::Primary), ("replica", Side::Replica)] {
        let both = written().await;
        let before = locks(&*both.pair.primary).await;
        for name in before.keys() {
            // The newest segment of the replica is its end: without it there is nothing to miss.
            let is_newest =
                name.starts_with("log/") && before.keys().rfind(|n| n.starts_with("log/")) == Some(name);
            if side == Side::Replica && is_newest {
                continue;
            }
            std::fs::remove_file(both.path(store, name)).unwrap();
            let (pass, repaired) = scrub(&both).await;
            assert!(pass.is_sound(), "{name}: {pass:#?}");
            assert_eq!(repaired.len(), 1, "{name}: {repaired:?}");
            let Repair { object, store, from, was, .. } = &repaired[0];
            assert_eq!((object, store.as_str(), from.as_str()), (name, side.as_str(), side.other().as_str()));
            assert_eq!(was, "missing");
        }
        assert_eq!(locks(&*both.pair.primary).await, before);
        both.check_equal().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damaged_object_is_named_with_its_good_copy() {
    for (store, side) in [("store", Side::Primary), ("replica", Side::Replica)] {
        for name in locks(&*written().await.pair.primary).await.keys() {
            let both = written().await;
            both.damage(store, name);
            let (pass, repaired) = scrub(&both).await;
            assert!(repaired.is_empty(), "a locked object cannot be replaced: {repaired:?}");
            let (hurt, other) = match side {
                Side::Primary => (&pass.primary, pass.replica.as_ref().unwrap()),
                Side::Replica => (pass.replica.as_ref().unwrap(), &pass.primary),
            };
            assert_eq!((hurt.damaged_count, hurt.missing_count), (1, 0), "{name}: {pass:#?}");
            assert_eq!(hurt.damaged[0].object, *name);
            if hurt.damaged[0].good_copy.is_some() {
                assert_eq!(hurt.damaged[0].good_copy.as_deref(), Some(side.other().as_str()));
                assert_eq!(other.damaged_count, 0, "{name}: {pass:#?}");
            } else {
                // Two newest segments that both fit: nobody can say which one is right.
                assert!(name.starts_with("log/"), "{name}: {pass:#?}");
                assert_eq!(other.damaged_count, 1, "{name}: {pass:#?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_both_have_lost_stays_missing() {
    let both = written().await;
    let pack = names(&*both.pair.primary, "payloads/").await.remove(0);
    for store in ["store", "replica"] {
        std::fs::remove_file(both.path(store, &pack)).unwrap();
    }
    let (pass, repaired) = scrub(&both).await;
    assert!(!pass.is_sound() && repaired.is_empty());
    assert_eq!(pass.primary.missing[0].object, pack);
    assert_eq!(pass.replica.unwrap().missing[0].object, pack);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_lock_is_made_as_long_as_recorded() {
    let both = written().await;
    let pack = names(&*both.pair.primary, "payloads/").await.remove(0);
    let before = locks(&*both.pair.primary).await;
    let path = both.path("store", &pack);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let key = ObjectKey::new(both.archive.prefix(&pack)).unwrap();
    both.pair.primary.create(&key, bytes.into(), &Lock::until(NOW + 1)).await.unwrap();
    let (pass, repaired) = scrub(&both).await;
    assert!(pass.is_sound());
    assert_eq!(repaired[0].was, "unlocked");
    assert_eq!(locks(&*both.pair.primary).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ordered_to_go_is_not_missing_and_goes_everywhere() {
    let both = Both::new().await;
    let engine = both.archive.open().await;
    write_brief(&engine, "wamid.brief").await;
    write(&engine, 0, 2).await;
    both.copy().await;
    let brief = names(&*both.pair.replica, "payloads/brief/").await.remove(0);
    let kept = std::fs::read(both.path("replica", &brief)).unwrap();
    both.archive.clock.set(NOW + 60_000_000);
    let bucket = brief_buckets(&engine, 1).await.remove(0);
    engine.dispose(&bucket, "due", "test").await.unwrap();
    both.copy().await;
    // As if the replica had not given it up when the order was copied.
    let key = ObjectKey::new(both.archive.prefix(&brief)).unwrap();
    both.pair.replica.create(&key, kept.into(), &Lock::NONE).await.unwrap();
    let (pass, repaired) = scrub(&both).await;
    assert!(pass.is_sound() && repaired.is_empty(), "{pass:#?} {repaired:?}");
    assert_eq!(pass.primary.disposed, 2);
    assert!(!both.path("replica", &brief).exists(), "the scrub finished the disposal");
    // One that is gone without an order comes back, although its lock has ended.
    write_brief(&engine, "wamid.other").await;
    both.copy().await;
    both.archive.clock.set(NOW + 120_000_000);
    let other = names(&*both.pair.primary, "payloads/brief/").await.remove(0);
    std::fs::remove_file(both.path("store", &other)).unwrap();
    let (pass, repaired) = scrub(&both).await;
    assert!(pass.is_sound(), "{pass:#?}");
    assert_eq!((repaired.len(), &repaired[0].object), (1, &other));
    // And one that was damaged after its lock had ended is replaced.
    both.damage("store", &other);
    let (pass, repaired) = scrub(&both).await;
    assert!(pass.is_sound(), "{pass:#?}");
    assert_eq!(repaired[0].was, "damaged");
    engine.close().await;
}
