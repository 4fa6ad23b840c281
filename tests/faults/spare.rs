//! Goal: spare keys save key objects, and whatever happens to a commit, no key seals payloads of two people.
//! Method: each message is of a new person; what the segments and key objects say is compared after every step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::{Engine, EngineError};
use piperoll_format::{KeyId, KeyObject, Pseudonym, SegmentNo, Seq, Submission};
use piperoll_store::ObjectKey;
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{TestArchive, message, numbered_message, submit_one};

/// The class of everything but the number 999. Its key objects give out after 1, 3, 7, 15 … people.
const KEYS: &str = "keys/rest/";
const PACKS: &str = "payloads/rest/";

fn of_person(person: &str, id: &str) -> Submission {
    let mut submission = message(id, &format!("{id} of {person}"));
    submission.payload.facts.subject = Some(format!("wa:{person}"));
    submission
}

async fn send(engine: &Engine, person: &str) {
    let _receipt = submit_one(engine, of_person(person, person)).await.unwrap();
}

/// Sends messages of so many new people, one commit each.
async fn send_many(engine: &Engine, name: &str, people: usize) {
    for n in 0..people {
        send(engine, &format!("{name}-{n}")).await;
    }
}

async fn count(archive: &TestArchive, prefix: &str) -> usize {
    archive.list().await.keys().filter(|name| name.starts_with(prefix)).count()
}

/// Returns the keys in all key objects of a class, also in those that no segment names: object by key.
async fn stored_keys(archive: &TestArchive, prefix: &str) -> BTreeMap<KeyId, String> {
    let mut keys = BTreeMap::new();
    for name in archive.list().await.into_keys().filter(|name| name.starts_with(prefix)) {
        let bytes = archive.backing().get(&ObjectKey::new(archive.prefix(&name)).unwrap()).await.unwrap();
        for (id, _) in KeyObject::decode(&bytes).unwrap().keys {
            assert_eq!(keys.insert(id, name.clone()), None, "key {id} is in one object");
        }
    }
    keys
}

/// Returns whose key is whose, and in which segment it was given.
async fn given_keys(archive: &TestArchive) -> HashMap<KeyId, (Pseudonym, SegmentNo)> {
    let reader = archive.reader().await;
    let mut given = HashMap::new();
    for seq in (0..reader.size()).map(Seq) {
        let event = reader.event(seq).await.unwrap();
        if let Some((id, who)) = event.core.payload.key.zip(event.core.payload.pseudonym) {
            assert_eq!(given.insert(id, (who, event.segment)), None, "key {id} is given once");
        }
    }
    given
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_commits_with_new_people_write_few_key_objects() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    send_many(&engine, "early", 1_024).await;
    // One for the first, and then as many spares as there were people.
    assert_eq!(count(&archive, KEYS).await, 11);
    send_many(&engine, "late", 1_024).await;
    assert_eq!(count(&archive, KEYS).await, 12, "from then on one for 1,025 people");
    assert_eq!(stored_keys(&archive, KEYS).await.len(), 3 * 1_024);
    archive.check_everything(Some(&engine)).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_archive_keeps_few_spares_and_each_bucket_has_its_own() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    send(&engine, "one").await;
    assert_eq!(stored_keys(&archive, KEYS).await.len(), 1, "none for the first");
    send_many(&engine, "people", 9).await;
    let (kept, given) = (stored_keys(&archive, KEYS).await.len(), given_keys(&archive).await.len());
    assert!(kept < 2 * given, "{kept} keys for {given} people");
    // A spare of one bucket is of no use to another.
    let brief = "keys/brief/";
    for n in 0..3 {
        let _now = archive.clock.advance(Duration::from_secs(1));
        let mut submission = numbered_message("999", &format!("brief {n}"), "brief");
        submission.payload.facts.subject = Some(format!("wa:brief-{n}"));
        let _receipt = submit_one(&engine, submission).await.unwrap();
        assert_eq!(count(&archive, brief).await, n + 1, "each second is a bucket");
    }
    assert_eq!(stored_keys(&archive, brief).await.len(), 3);
    archive.check_everything(Some(&engine)).await;
    engine.close().await;
}

/// The pack of a batch that failed is in the store. Its person must get that key later, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn spare_of_a_failed_batch_goes_to_nobody_else() {
    for outcome in [Outcome::Unavailable, Outcome::Lost, Outcome::Full] {
        let archive = TestArchive::in_memory().await;
        let engine = archive.open().await;
        send_many(&engine, "before", 4).await;
        let (keys, packs) = (count(&archive, KEYS).await, count(&archive, PACKS).await);
        archive.store.inject(Fault::always(Operation::Create, &archive.prefix("log/"), outcome));
        let failed = submit_one(&engine, of_person("failed", "failed")).await;
        assert!(matches!(failed, Err(EngineError::Unavailable { .. })), "{outcome:?}");
        archive.store.heal();
        assert_eq!(archive.unreferenced().await.len(), 1, "the pack; there was a spare");
        // In the same place the same payload under the same key is the same pack.
        send(&engine, "failed").await;
        assert_eq!(count(&archive, PACKS).await, packs + 1, "{outcome:?}");
        archive.store.inject(Fault::always(Operation::Create, &archive.prefix("log/"), outcome));
        let _failed = submit_one(&engine, of_person("gone", "gone")).await.unwrap_err();
        archive.store.heal();
        let of_gone = archive.unreferenced().await;
        send(&engine, "other").await;
        assert_eq!(count(&archive, KEYS).await, keys, "{outcome:?}: there were spares for all");
        // Who comes next in the place of the failed event has another key.
        assert_eq!(archive.unreferenced().await, of_gone);
        let given = given_keys(&archive).await;
        let spares: BTreeSet<KeyId> = stored_keys(&archive, KEYS).await.into_keys().collect();
        assert_eq!(spares.len() - given.len(), 1, "that of the one who is gone is left");
        send(&engine, "gone").await;
        assert_eq!(given_keys(&archive).await.len(), spares.len(), "and goes to that one only");
        assert_eq!(count(&archive, KEYS).await, keys, "{outcome:?}");
        archive.check_everything(Some(&engine)).await;
        engine.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_between_key_object_and_segment_leaves_unused_keys_only() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    send_many(&engine, "before", 7).await;
    archive.store.inject(Fault::always(Operation::Create, &archive.prefix("log/"), Outcome::Lost));
    let _failed = submit_one(&engine, of_person("next", "next")).await.unwrap_err();
    archive.store.heal();
    let leftover = archive.unreferenced().await;
    assert_eq!(leftover.len(), 2, "a pack and a key object with spares: {leftover:?}");
    drop(engine);
    let engine = archive.open().await;
    send_many(&engine, "next", 4).await;
    send(&engine, "next").await;
    let (given, stored) = (given_keys(&archive).await, stored_keys(&archive, KEYS).await);
    assert!(
        given.keys().all(|id| !leftover.contains(&stored[id])),
        "no spare was used that is not committed"
    );
    archive.check_everything(Some(&engine)).await;
    engine.close().await;
}

/// A segment that exists although nobody was told has given its keys, and the spares beside them are forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn commit_of_unknown_outcome_has_given_its_keys() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    send_many(&engine, "before", 5).await;
    for (person, has_spares) in [("with a spare", true), ("another", true), ("without", false)] {
        let keys = count(&archive, KEYS).await;
        let log = archive.prefix("log/");
        archive.store.inject(Fault::always(Operation::Create, &log, Outcome::AppliedButReportedFailed));
        archive.store.inject(Fault::always(Operation::Get, &log, Outcome::Unavailable));
        let _unknown = submit_one(&engine, of_person(person, person)).await.unwrap_err();
        archive.store.heal();
        assert_eq!(count(&archive, KEYS).await == keys, has_spares, "{person}");
        let again = submit_one(&engine, of_person(person, person)).await.unwrap();
        assert!(again.repeated, "{person}");
        let _receipt = submit_one(&engine, of_person(person, &format!("{person} later"))).await.unwrap();
        archive.check_everything(Some(&engine)).await;
    }
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_writer_leaves_the_spares_of_the_one_before() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    send_many(&engine, "first", 6).await;
    engine.close().await;
    let old = stored_keys(&archive, KEYS).await;
    for keeps_state in [true, false] {
        if !keeps_state {
            std::fs::remove_file(archive.state_file()).unwrap();
        }
        let before = given_keys(&archive).await.len();
        let engine = archive.open().await;
        // Who has a key keeps it.
        let _receipt =
            submit_one(&engine, of_person("first-2", &format!("again {keeps_state}"))).await.unwrap();
        assert_eq!(given_keys(&archive).await.len(), before);
        send_many(&engine, &format!("restarted-{keeps_state}"), 3).await;
        archive.check_everything(Some(&engine)).await;
        engine.close().await;
    }
    let given = given_keys(&archive).await;
    assert_eq!(old.keys().filter(|id| given.contains_key(id)).count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_give_each_person_one_key_and_no_key_twice() {
    let archive = TestArchive::in_directory().await;
    let first = Arc::new(archive.open().await);
    let (second, _) = archive.open_beside("second").await;
    let second = Arc::new(second);
    let mut tasks = Vec::new();
    for n in 0..150 {
        let engine = if n % 2 == 0 { first.clone() } else { second.clone() };
        // Each person writes to both writers.
        let (person, id) = (format!("person {}", n / 3), format!("message {n}"));
        tasks.push(tokio::spawn(async move { submit_one(&engine, of_person(&person, &id)).await.unwrap() }));
    }
    for task in tasks {
        let _receipt = task.await.unwrap();
    }
    let given = given_keys(&archive).await;
    let people: BTreeSet<Pseudonym> = given.values().map(|(who, _)| *who).collect();
    assert_eq!((given.len(), people.len()), (50, 50));
    let stored = stored_keys(&archive, KEYS).await;
    assert!(given.keys().all(|id| stored.contains_key(id)));
    archive.check_everything(None).await;
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spares_are_destroyed_with_their_bucket() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    for n in 0..6 {
        let mut submission = numbered_message("999", &format!("brief {n}"), "secret");
        submission.payload.facts.subject = Some(format!("wa:brief-{n}"));
        let _receipt = submit_one(&engine, submission).await.unwrap();
    }
    assert_eq!(stored_keys(&archive, "keys/brief/").await.len(), 7, "one spare");
    let _now = archive.clock.advance(Duration::from_secs(60));
    archive.check_everything(Some(&engine)).await;
    let inventory = engine.inventory().unwrap();
    let bucket = inventory.into_iter().map(|object| object.bucket);
    let bucket = bucket.into_iter().find(|bucket| bucket.class().as_str() == "brief").unwrap();
    let disposed = engine.dispose(&bucket, "due", "test").await.unwrap();
    assert!(disposed.completed.is_some());
    assert_eq!(stored_keys(&archive, "keys/brief/").await.len(), 0);
    // The same people in a later bucket have other pseudonyms and get other keys.
    let mut again = numbered_message("999", "brief 0", "secret");
    again.payload.facts.subject = Some("wa:brief-0".to_owned());
    assert!(!submit_one(&engine, again).await.unwrap().repeated);
    archive.check_everything(Some(&engine)).await;
    engine.close().await;
}
