//! Goal: a snapshot makes an empty disk ready at once and never changes an answer; in any doubt everything comes from the
//! ledger; a disposal leaves none, and none brings back what was disposed of.
//! Method: an archive whose local state is deleted, with snapshots that are sound, damaged, forged, old or foreign.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use bytes::Bytes;
use piperoll_engine::{Shelf, local_end};
use piperoll_format::{Kek, LedgerId, PieceRole, Seq};
use piperoll_projections::Table;
use piperoll_server::{Origin, Role, SnapshotSettings, restore_from_snapshot};
use piperoll_store::ObjectKey;
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{KEK, NOW, Served, TestArchive, webhook, webhook_to};
use piperoll_verify::LedgerReader;
use tokio::sync::watch;

/// Snapshots only when a test asks for one by stopping in order.
const AT_THE_END: SnapshotSettings =
    SnapshotSettings { every: Duration::from_secs(86_400), every_events: u64::MAX, stop_events_min: 1 };

/// Objects by name.
type Objects = BTreeMap<String, Bytes>;

async fn say(served: &Served<'_>, id: &str, text: &str) {
    let from = format!("1555{:07}", id.len() + text.len());
    served.deliver(&webhook(&[(id, &from, text)])).await.is_status(200);
}

/// Stops in order, with a snapshot at the end.
async fn close_with_snapshot(served: Served<'_>) {
    served.archive.catch_up().await;
    served.archive.keep_snapshots(AT_THE_END);
    served.close().await;
}

/// An archive of three messages whose newest snapshot has all of them.
async fn with_snapshot(archive: &TestArchive) {
    let served = archive.serve().await;
    for (id, text) in [("wamid.1", "wombat one"), ("wamid.2", "wombat two"), ("wamid.3", "quokka")] {
        say(&served, id, text).await;
    }
    close_with_snapshot(served).await;
}

fn lose_local_state(archive: &TestArchive) {
    for folder in [archive.index_dir(), archive.state_dir()] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Returns the objects of snapshots, by their names in the ledger.
async fn snapshots(archive: &TestArchive) -> Objects {
    let store = archive.backing();
    let prefix = archive.prefix("snapshot/");
    let mut found = Objects::new();
    for meta in store.list(&prefix, None, 10_000).await.unwrap() {
        let name = meta.key.as_str()[archive.prefix("").len()..].to_owned();
        found.insert(name, store.get(&meta.key).await.unwrap());
    }
    found
}

fn key(archive: &TestArchive, name: &str) -> ObjectKey {
    ObjectKey::new(archive.prefix(name)).unwrap()
}

async fn put(archive: &TestArchive, name: &str, bytes: impl Into<Bytes>) {
    archive.backing().put_derived(&key(archive, name), bytes.into()).await.unwrap();
}

fn manifest_of(objects: &Objects) -> (String, Bytes) {
    let mut manifests = objects.iter().filter(|(name, _)| name.starts_with("snapshot/manifest/"));
    let (name, bytes) = manifests.next().expect("there is a manifest");
    assert_eq!(manifests.next(), None, "there is one manifest");
    (name.clone(), bytes.clone())
}

fn pieces_of(objects: &Objects) -> Vec<(String, Bytes)> {
    let pieces = objects.iter().filter(|(name, _)| name.starts_with("snapshot/piece/"));
    pieces.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
}

/// What an archive answers about its messages.
async fn answers(served: &Served<'_>) -> (Vec<u64>, Vec<u64>, Vec<String>) {
    let (wombats, quokkas) = (served.find("wombat").await, served.find("quokka").await);
    (wombats, quokkas, served.archive.projections().entities(Table::Person, None, 100).unwrap())
}

/// Opens an archive without local state and tells why no snapshot was used; answers must be those of the ledger.
async fn refusal(archive: &TestArchive, expected: &(Vec<u64>, Vec<u64>, Vec<String>)) -> String {
    lose_local_state(archive);
    let served = archive.serve().await;
    let Origin::Ledger { reason } = served.archive.origin().clone() else {
        panic!("expected a rebuild, found {:?}", served.archive.origin());
    };
    assert_eq!(&answers(&served).await, expected);
    assert!(!archive.state_dir().join("snapshot").exists(), "nothing is left of it");
    served.close().await;
    reason
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_disk_is_ready_from_a_snapshot() {
    for archive in [TestArchive::in_memory().await, TestArchive::in_directory().await] {
        with_snapshot(&archive).await;
        let served = archive.serve().await;
        assert_eq!(served.archive.origin(), &Origin::Local, "what is there is not replaced");
        let expected = answers(&served).await;
        assert_eq!((expected.0.len(), expected.1.len()), (2, 1));
        say(&served, "wamid.4", "wombat four").await;
        served.close().await;

        lose_local_state(&archive);
        let shelf = Shelf::new(archive.backing(), archive.ledger(), &Kek::new(KEK));
        let reader = LedgerReader::open(archive.backing(), archive.ledger()).await.unwrap();
        let places = (archive.state_dir(), archive.index_dir());
        let origin = restore_from_snapshot(&shelf, &reader, places, &watch::Sender::default()).await;
        assert!(matches!(origin, Origin::Snapshot { .. }), "{origin:?}");
        let end = local_end(&archive.state_dir(), archive.ledger()).unwrap();
        assert!(end.events_min >= 4, "local state comes with the others: {end:?}");

        lose_local_state(&archive);
        let served = archive.serve().await;
        let Origin::Snapshot { events, .. } = *served.archive.origin() else {
            panic!("expected a snapshot, found {:?}", served.archive.origin());
        };
        assert!(events >= 4 && events < served.size(), "{events} of {}", served.size());
        assert_eq!(served.find("wombat").await.len(), 3, "what came later is read from the ledger");
        assert_eq!(answers(&served).await.1, expected.1);
        served.check_everything().await;
        close_with_snapshot(served).await;
        assert!(!archive.state_dir().join("snapshot").exists());

        // One part alone comes back as well, beside the other.
        std::fs::remove_dir_all(archive.index_dir()).unwrap();
        let served = archive.serve().await;
        assert!(matches!(served.archive.origin(), Origin::Snapshot { .. }), "{:?}", served.archive.origin());
        assert_eq!(served.find("wombat").await.len(), 3);
        served.check_everything().await;
        served.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_snapshot_replaces_the_last_and_sends_only_what_is_new() {
    let archive = TestArchive::in_memory().await;
    with_snapshot(&archive).await;
    let first = snapshots(&archive).await;
    archive.store.clear_operations();
    let served = archive.serve().await;
    say(&served, "wamid.4", "wombat four").await;
    close_with_snapshot(served).await;
    let second = snapshots(&archive).await;
    assert_ne!(manifest_of(&first).0, manifest_of(&second).0);
    let kept = pieces_of(&second).into_iter().filter(|(name, _)| first.contains_key(name)).count();
    assert!(kept > 0, "files of the index that did not change are kept");
    let prefix = archive.prefix("snapshot/piece/");
    let sent = archive.store.operations().into_iter().filter(|operation| {
        operation.operation == Operation::PutDerived && operation.key.starts_with(&prefix)
    });
    assert_eq!(sent.count(), pieces_of(&second).len() - kept, "and not sent again");

    // Every object is needed: pieces without a manifest are deleted.
    let pieces = pieces_of(&second).len();
    put(&archive, &format!("snapshot/piece/{}", "ab".repeat(32)), "garbage").await;
    let served = archive.serve().await;
    say(&served, "wamid.5", "wombat five").await;
    close_with_snapshot(served).await;
    let third = snapshots(&archive).await;
    assert!(!third.contains_key(&format!("snapshot/piece/{}", "ab".repeat(32))));
    assert!(pieces_of(&third).len() < pieces + 30, "garbage does not grow");
    let served = archive.serve().await;
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_doubt_leaves_everything_to_the_ledger() {
    let archive = TestArchive::in_memory().await;
    with_snapshot(&archive).await;
    let served = archive.serve().await;
    let expected = answers(&served).await;
    served.close().await;
    let sound = snapshots(&archive).await;
    let (manifest, manifest_bytes) = manifest_of(&sound);
    let pieces = pieces_of(&sound);
    let (piece, piece_bytes) = pieces.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().clone();
    let other_piece = pieces.iter().find(|(name, _)| *name != piece).unwrap().1.clone();
    let flipped = |bytes: &Bytes, at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    let id = manifest.rsplit_once('-').unwrap().1;
    let half = piece_bytes.len() / 2;
    // What an outsider writes, under which name, and a word of the reason; nothing means that the object goes.
    let doubts: Vec<(&str, String, Option<Bytes>, &str)> = vec![
        ("piece missing", piece.clone(), None, "missing"),
        ("piece changed", piece.clone(), Some(flipped(&piece_bytes, half)), "not ours"),
        ("piece cut", piece.clone(), Some(piece_bytes.slice(..half)), "missing"),
        ("piece empty", piece.clone(), Some(Bytes::new()), "missing"),
        ("piece of another file", piece.clone(), Some(other_piece), "snapshot"),
        ("manifest changed", manifest.clone(), Some(flipped(&manifest_bytes, 20)), "not ours"),
        ("manifest empty", manifest.clone(), Some(Bytes::new()), "not ours"),
        (
            "manifest under a higher cursor",
            format!("snapshot/manifest/{:020}-{id}", 1_000_000),
            Some(manifest_bytes.clone()),
            "not ours",
        ),
        (
            "forged manifest",
            format!("snapshot/manifest/{:020}-{}", u64::MAX, "ab".repeat(32)),
            Some(Bytes::from_static(b"{}")),
            "not ours",
        ),
    ];
    for (name, object, bytes, word) in doubts {
        match bytes {
            Some(bytes) => put(&archive, &object, bytes).await,
            None => archive.backing().delete_derived(&key(&archive, &object)).await.unwrap(),
        }
        let reason = refusal(&archive, &expected).await;
        assert!(reason.contains(word), "{name}: {reason}");
        match sound.get(&object) {
            Some(bytes) => put(&archive, &object, bytes.clone()).await,
            None => archive.backing().delete_derived(&key(&archive, &object)).await.unwrap(),
        }
    }
    // Sound again, it is used: the doubts were about what was changed.
    lose_local_state(&archive);
    let served = archive.serve().await;
    assert!(matches!(served.archive.origin(), Origin::Snapshot { .. }), "{:?}", served.archive.origin());
    assert_eq!(answers(&served).await, expected);
    served.check_everything().await;
    served.close().await;
}

/// Changes how many segments the local state of a manifest is said to have.
fn with_segments(manifest: &str, segments: u64) -> String {
    let mut manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
    manifest["state"]["cursor"] = segments.into();
    manifest.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_promises_too_much_is_doubted() {
    let archive = TestArchive::in_memory().await;
    with_snapshot(&archive).await;
    let served = archive.serve().await;
    let expected = answers(&served).await;
    served.close().await;
    let (manifest, bytes) = manifest_of(&snapshots(&archive).await);
    let (cursor, id) = manifest.rsplit_once('/').unwrap().1.split_once('-').unwrap();
    let cursor = Seq(cursor.parse().unwrap());
    // Whoever has the KEK can write what he likes.
    let shelf = Shelf::new(archive.backing(), archive.ledger(), &Kek::new(KEK));
    let length = u32::try_from(bytes.len()).unwrap();
    let stored = piperoll_engine::StoredPiece { id: id.parse().unwrap(), length };
    let sealed = shelf.get(PieceRole::Manifest(cursor), stored).await.unwrap();
    let text = String::from_utf8(shelf.open(&sealed).unwrap()).unwrap();
    archive.backing().delete_derived(&key(&archive, &manifest)).await.unwrap();
    let shorter = text.replace(&format!("\"cursor\":{cursor}"), "\"cursor\":3");
    let swapped = text.replace("meta.json", &format!("{}.idx", "0".repeat(32)));
    for (forged, cursor, word) in [
        (text.replace("\"version\":2,\"ledger\"", "\"version\":9,\"ledger\""), cursor, "version"),
        (text.replace("meta.json", "../../meta.json"), cursor, "a file that no index has"),
        (with_segments(&text, 1), cursor, "expected local state to have segments"),
        (swapped, cursor, "expected the index to have"),
        (shorter, Seq(3), "event 2 of the ledger is another"),
        (text.replace(&format!("\"cursor\":{cursor}"), "\"cursor\":900"), Seq(900), "more events"),
        ("[]".to_owned(), cursor, "another form"),
    ] {
        assert_ne!(forged, text, "{word}");
        let sealed = shelf.seal(PieceRole::Manifest(cursor), forged.as_bytes());
        let id = shelf.put(sealed).await.unwrap().id;
        let reason = refusal(&archive, &expected).await;
        assert!(reason.contains(word), "{word}: {reason}");
        let name = format!("snapshot/manifest/{:020}-{id}", cursor.0);
        archive.backing().delete_derived(&key(&archive, &name)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_another_ledger_or_another_history_are_doubted() {
    let one = TestArchive::in_memory().await;
    with_snapshot(&one).await;
    let objects = snapshots(&one).await;
    // The same id and keys with fewer events, with other events, and another id with the same KEK.
    for (id, others, word) in
        [(7, 0, "more events than the ledger"), (7, 9, "of the ledger is another"), (8, 9, "not ours")]
    {
        let archive = TestArchive::in_memory_as(id).await;
        assert_eq!(archive.ledger(), LedgerId([id; 16]));
        let served = archive.serve().await;
        for n in 0..others {
            say(&served, &format!("wamid.other.{n}"), "wombat elsewhere").await;
        }
        for (name, bytes) in &objects {
            put(&archive, name, bytes.clone()).await;
        }
        served.close().await;
        lose_local_state(&archive);
        let served = archive.serve().await;
        let Origin::Ledger { reason } = served.archive.origin().clone() else {
            panic!("expected a rebuild, found {:?}", served.archive.origin());
        };
        assert!(reason.contains(word), "{word}: {reason}");
        assert_eq!(served.find("wombat").await.len(), others);
        served.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_interrupted_is_no_snapshot_and_leaves_nothing() {
    let archive = TestArchive::in_memory().await;
    // The pieces arrive, the manifest does not.
    let manifests = archive.prefix("snapshot/manifest/");
    archive.store.inject(Fault::always(Operation::PutDerived, &manifests, Outcome::Unavailable));
    with_snapshot(&archive).await;
    archive.store.heal();
    let left = snapshots(&archive).await;
    assert!(!left.is_empty() && left.keys().all(|name| name.starts_with("snapshot/piece/")), "{left:?}");
    let served = archive.serve().await;
    let expected = answers(&served).await;
    served.close().await;
    assert_eq!(refusal(&archive, &expected).await, "there is no snapshot");

    // A crash while a snapshot is put together or in place: no metadata is no index.
    let served = archive.serve().await;
    close_with_snapshot(served).await;
    lose_local_state(&archive);
    let staging = archive.state_dir().join("snapshot/index");
    std::fs::create_dir_all(&staging).unwrap();
    std::fs::write(staging.join("meta.json"), "half").unwrap();
    std::fs::create_dir_all(archive.index_dir()).unwrap();
    let half = archive.index_dir().join(format!("{}.idx", "0".repeat(32)));
    std::fs::write(&half, "half").unwrap();
    let served = archive.serve().await;
    assert!(matches!(served.archive.origin(), Origin::Snapshot { .. }), "{:?}", served.archive.origin());
    assert!(!staging.exists() && !half.exists());
    assert_eq!(answers(&served).await, expected);
    served.check_everything().await;
    served.close().await;
    let kept = snapshots(&archive).await;
    assert!(left.keys().all(|name| kept.contains_key(name)) || kept.len() < left.len() + 30);

    // A store that does not answer costs the snapshot and nothing else.
    archive.store.inject(Fault::always(Operation::List, &archive.prefix("snapshot/"), Outcome::Unavailable));
    let reason = refusal(&archive, &expected).await;
    assert!(reason.contains("store failed"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disposal_leaves_no_snapshot_and_none_brings_anything_back() {
    let archive = TestArchive::in_directory().await;
    let served = archive.serve().await;
    served.deliver(&webhook_to("999", &[("wamid.secret", "15550177", "numbatquokka")])).await.is_status(200);
    say(&served, "wamid.kept", "wombat").await;
    close_with_snapshot(served).await;
    let before = snapshots(&archive).await;
    assert!(!before.is_empty());

    let served = archive.serve().await;
    served.archive.keep_snapshots(AT_THE_END);
    archive.clock.set(NOW + 60_000_000);
    let done = served.send(Role::Admin, Method::POST, "/v1/dispose/execute", "").await.ok();
    assert!(done["disposed"][0]["completed"].is_u64(), "{done}");
    assert_eq!(snapshots(&archive).await, Objects::new());
    assert_eq!(served.find("numbatquokka").await, Vec::<u64>::new());
    served.close().await;
    let after = snapshots(&archive).await;
    assert!(!after.is_empty(), "the next one is taken from what has forgotten");
    assert!(after.keys().all(|name| !before.contains_key(name) || name.starts_with("snapshot/piece/")));

    // Somebody kept the old one and puts it in the place of the new one.
    for name in after.keys() {
        archive.backing().delete_derived(&key(&archive, name)).await.unwrap();
    }
    for (name, bytes) in &before {
        put(&archive, name, bytes.clone()).await;
    }
    lose_local_state(&archive);
    let served = archive.serve().await;
    let Origin::Ledger { reason } = served.archive.origin().clone() else {
        panic!("expected a rebuild, found {:?}", served.archive.origin());
    };
    assert!(reason.contains("is a disposal that it does not know of"), "{reason}");
    assert_eq!(served.find("numbatquokka").await, Vec::<u64>::new());
    assert_eq!(served.find("wombat").await.len(), 1);
    assert_eq!(snapshots(&archive).await, Objects::new(), "whoever reads the disposal deletes what is older");
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_under_way_ends_before_a_disposal_is_ordered() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    served.deliver(&webhook_to("999", &[("wamid.secret", "15550177", "numbatquokka")])).await.is_status(200);
    served.archive.catch_up().await;
    let gate = archive.store.gate(Operation::PutDerived, &archive.prefix("snapshot/piece/"));
    served.archive.keep_snapshots(SnapshotSettings { every_events: 1, ..AT_THE_END });
    say(&served, "wamid.kept", "wombat").await;
    gate.wait_for(1).await;
    archive.clock.set(NOW + 60_000_000);
    let mut disposing = Box::pin(served.send(Role::Admin, Method::POST, "/v1/dispose/execute", ""));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut disposing).await;
    assert!(early.is_err(), "a piece on its way could arrive after the deletion");
    gate.release();
    let done = disposing.await.ok();
    assert!(done["disposed"][0]["completed"].is_u64(), "{done}");
    let ordered = done["disposed"][0]["ordered"].as_u64().unwrap();
    for name in snapshots(&archive).await.into_keys() {
        let cursor = name.strip_prefix("snapshot/manifest/").and_then(|name| name.split_once('-'));
        let is_later = cursor.is_none_or(|(cursor, _)| cursor.parse::<u64>().unwrap() > ordered);
        assert!(is_later, "`{name}` is older than the disposal");
    }
    served.close().await;
    lose_local_state(&archive);
    let served = archive.serve().await;
    assert_eq!(served.find("numbatquokka").await, Vec::<u64>::new());
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_deleted_holds_up_the_disposal() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    served.deliver(&webhook_to("999", &[("wamid.secret", "15550177", "numbatquokka")])).await.is_status(200);
    close_with_snapshot(served).await;
    let served = archive.serve().await;
    archive.clock.set(NOW + 60_000_000);
    let prefix = archive.prefix("snapshot/");
    archive.store.inject(Fault::always(Operation::DeleteDerived, &prefix, Outcome::Unavailable));
    let refused = served.send(Role::Admin, Method::POST, "/v1/dispose/execute", "").await;
    refused.is_status(503);
    assert_eq!(archive.verify().await.tombstones.objects, 0, "nothing was deleted without the snapshots");
    archive.store.heal();
    let done = served.send(Role::Admin, Method::POST, "/v1/dispose/execute", "").await.ok();
    assert!(done["disposed"][0]["completed"].is_u64(), "{done}");
    assert_eq!(snapshots(&archive).await, Objects::new());
    served.check_everything().await;
    served.close().await;
}
