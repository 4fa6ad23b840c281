//! Verification of whole ledgers: what is right is clean, and every way to damage every kind of object is found
//! under its exact code.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use piperoll_format::{DigestPrefix, Kind, LedgerId, ObjectName, SegmentNo, Seq};
use piperoll_store::{Lock, ObjectKey, WormStore};
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::frontier::Frontier;
use piperoll_tlog::hash::{NodeHash, leaf_hash};
use proptest::prelude::*;

use crate::remember::{Remembered, Update, file_name, update};
use crate::report::{FindingCode, Report};
use crate::testing::{Draft, START, TestLedger, bucket, message, own, short_lived};
use crate::verify::{VerifyError, VerifyOptions, verify_ledger};
use crate::{LedgerReader, StoreKeys};

/// A ledger with every kind of object: segments 0..=5, a disposed bucket, a derived checkpoint.
async fn base() -> TestLedger {
    let mut built = TestLedger::new().await;
    let expiring = bucket("demo", built.now);
    built.commit(vec![message("wa:1", "one"), short_lived("wa:2", "two"), message("wa:3", "three")]).await;
    built
        .commit(vec![message("wa:1", "four"), own(Kind::AccessView, vec![1]), message("wa:4", "five")])
        .await;
    built.wait(30);
    built.dispose(&expiring).await;
    built.commit(vec![message("wa:3", "six"), message("wa:5", "seven")]).await;
    let newest = built.checkpoints.last().unwrap().clone();
    built.store.put_derived(&built.key(&ObjectName::Checkpoint), newest.into()).await.unwrap();
    built
}

fn options(built: &TestLedger) -> VerifyOptions<'static> {
    VerifyOptions {
        vkeys: vec![built.signer().verifier_key().clone()],
        keys: Some(Arc::new(StoreKeys::new(built.store.clone(), built.ledger, built.kek.clone()))),
        now: built.now,
        ..VerifyOptions::default()
    }
}

async fn verify(built: &TestLedger, options: VerifyOptions<'_>) -> Report {
    verify_ledger(built.store.clone(), built.ledger, options).await.unwrap()
}

fn codes(report: &Report) -> BTreeSet<&'static str> {
    report.finding_counts.keys().map(|code| code.as_str()).collect()
}

#[track_caller]
fn check(what: &str, report: &Report, expected: &[&str]) {
    let listed: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        codes(report),
        expected.iter().copied().collect(),
        "{what}: {listed:#?} {:?}",
        report.unreadable
    );
    assert_eq!(report.is_clean(), expected.is_empty());
}

fn segment(number: u64) -> ObjectName {
    ObjectName::Segment(SegmentNo(number))
}

/// Returns the keys of the packs or key objects of a segment.
fn objects(built: &TestLedger, kind: &str, number: u64) -> Vec<ObjectKey> {
    let place = format!("/{}-", SegmentNo(number));
    let keys = built.store.objects().into_iter().map(|meta| meta.key);
    keys.filter(|key| key.as_str().contains(&format!("/{kind}/")) && key.as_str().contains(&place)).collect()
}

fn swap(built: &TestLedger, one: &ObjectKey, other: &ObjectKey) {
    let mut bytes = Vec::new();
    built.store.tamper(one, |found| bytes.clone_from(found));
    built.store.tamper(other, |found| std::mem::swap(found, &mut bytes));
    built.store.tamper(one, |found| *found = bytes);
}

/// Changes one byte at the first place where `text` stands.
fn flip_at(built: &TestLedger, name: &ObjectName, text: &[u8]) {
    built.store.tamper(&built.key(name), |bytes| {
        let at = bytes.windows(text.len()).position(|window| window == text).expect("the text is there");
        bytes[at] ^= 1;
    });
}

/// Returns a part of the signature of the first event of a segment.
async fn signature(built: &TestLedger, number: u64) -> Vec<u8> {
    let store: Arc<dyn WormStore> = built.store.clone();
    let reader = LedgerReader::open(store, built.ledger).await.unwrap();
    let segment = reader.segment(SegmentNo(number)).await.unwrap();
    segment.event(segment.first_seq()).unwrap().signature[..16].to_vec()
}

async fn commitment(built: &TestLedger, number: u64) -> Vec<u8> {
    let store: Arc<dyn WormStore> = built.store.clone();
    let reader = LedgerReader::open(store, built.ledger).await.unwrap();
    let segment = reader.segment(SegmentNo(number)).await.unwrap();
    segment.event(segment.first_seq()).unwrap().core.payload.commitment.0.to_vec()
}

#[tokio::test]
async fn undamaged_ledger_is_clean_and_fully_checked() {
    let built = base().await;
    let since = Some(built.checkpoints[0].clone());
    let report = verify(&built, VerifyOptions { since, ..options(&built) }).await;
    check("full", &report, &[]);
    assert!(report.is_complete() && report.notes.is_empty(), "{report:#?}");
    assert_eq!((report.size, report.segments), (built.seq.0, 6));
    assert_eq!((report.tombstones.objects, report.tombstones.events), (2, 1));
    assert_eq!(report.checkpoint.as_ref(), built.checkpoints.last());
    let count = |what: &str| report.checked.iter().find(|check| check.what == what).unwrap();
    assert_eq!(count("signatures").count, built.seq.0);
    assert_eq!(count("commitments").count, built.seq.0 - 1);
    assert!(report.checked.iter().all(|check| check.skipped.is_none()));
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);

    let quick = verify(&built, VerifyOptions { quick: true, ..options(&built) }).await;
    check("quick", &quick, &[]);
    assert_eq!((quick.size, quick.root, quick.chain_head), (report.size, report.root, report.chain_head));
    let without_keys = verify(&built, VerifyOptions { keys: None, ..options(&built) }).await;
    check("without keys", &without_keys, &[]);
    let believed = verify(&built, VerifyOptions { vkeys: Vec::new(), ..options(&built) }).await;
    check("key from genesis", &believed, &[]);
    assert_eq!(believed.notes, ["no key was given; the key in genesis was believed"]);
}

#[tokio::test]
async fn new_ledger_without_events_is_clean_but_one_without_its_events_is_not() {
    let built = TestLedger::new().await;
    built.store.remove_unchecked(&built.key(&segment(0)));
    check("events gone", &verify(&built, options(&built)).await, &["segment-missing"]);
    objects(&built, "payloads", 0).iter().for_each(|key| delete(&built, key));
    let report = verify(&built, options(&built)).await;
    check("new", &report, &[]);
    assert_eq!(report.notes, ["the ledger was created but has no events yet"]);
    let since = VerifyOptions { since: built.checkpoints.last().cloned(), ..options(&built) };
    check("everything gone", &verify(&built, since).await, &["rolled-back"]);
}

#[tokio::test]
async fn nothing_at_all_is_an_error() {
    let built = base().await;
    let result = verify_ledger(built.store.clone(), LedgerId([1; 16]), options(&built)).await;
    assert!(matches!(result, Err(VerifyError::NoLedger { .. })));
}

/// A ledger is damaged by this function and then has findings with exactly these codes.
type Damage = (&'static str, fn(&TestLedger), &'static [&'static str]);

/// What an attacker with the rights of the storage can do to genesis and segments.
const DAMAGED_LOG: &[Damage] = &[
    ("genesis deleted", |l| delete(l, &l.key(&ObjectName::Genesis)), &["object-missing"]),
    ("genesis truncated", |l| truncate(l, &l.key(&ObjectName::Genesis)), &["genesis-invalid"]),
    ("genesis of another ledger", |l| flip(l, &l.key(&ObjectName::Genesis), 6), &["genesis-invalid"]),
    (
        "policy in genesis changed",
        |l| flip_at(l, &ObjectName::Genesis, b"to show a disposal"),
        &["chain-broken", "segment-link"],
    ),
    ("dictionary flipped", |l| flip(l, &l.key(&DICTIONARY), 99), &["object-changed"]),
    ("dictionary deleted", |l| delete(l, &l.key(&DICTIONARY)), &["object-missing"]),
    ("segment deleted", |l| delete(l, &l.key(&segment(2))), &["segment-missing"]),
    ("first segment deleted", |l| delete(l, &l.key(&segment(0))), &["segment-missing"]),
    ("segment truncated", |l| truncate(l, &l.key(&segment(2))), &["segment-invalid", "segment-link"]),
    (
        "segment emptied",
        |l| l.store.tamper(&l.key(&segment(2)), Vec::clear),
        &["segment-invalid", "segment-link"],
    ),
    (
        "segments swapped",
        |l| swap(l, &l.key(&segment(1)), &l.key(&segment(2))),
        &["segment-link", "segment-misplaced"],
    ),
    ("segment replayed", |l| copy(l, &l.key(&segment(2)), &l.key(&segment(6))), &["segment-misplaced"]),
    (
        "segment replayed far away",
        |l| copy(l, &l.key(&segment(2)), &l.key(&segment(77))),
        &["segment-misplaced", "segment-missing"],
    ),
    ("newest segment deleted", |l| delete(l, &l.key(&segment(5))), &["rolled-back"]),
];

/// What the same attacker can do to everything else.
const DAMAGED_OBJECTS: &[Damage] = &[
    ("pack flipped", |l| flip(l, &objects(l, "payloads", 2)[0], 20), &["object-changed"]),
    ("pack truncated", |l| truncate(l, &objects(l, "payloads", 2)[0]), &["object-changed"]),
    ("pack extended", |l| l.store.tamper(&objects(l, "payloads", 2)[0], |b| b.push(0)), &["object-changed"]),
    ("pack deleted", |l| delete(l, &objects(l, "payloads", 2)[0]), &["object-missing"]),
    (
        "packs swapped",
        |l| swap(l, &objects(l, "payloads", 2)[0], &objects(l, "payloads", 5)[0]),
        &["object-changed"],
    ),
    ("keys flipped", |l| flip(l, &objects(l, "keys", 2)[0], 100), &["key-missing", "object-changed"]),
    ("keys truncated", |l| truncate(l, &objects(l, "keys", 2)[0]), &["key-missing", "object-changed"]),
    ("keys deleted", |l| delete(l, &objects(l, "keys", 2)[0]), &["key-missing", "object-missing"]),
    (
        "keys swapped",
        |l| swap(l, &objects(l, "keys", 1)[0], &objects(l, "keys", 2)[0]),
        &["key-missing", "object-changed"],
    ),
    ("lock of a pack shortened", |l| shorten(l, &objects(l, "payloads", 2)[0]), &["lock-too-short"]),
    ("lock of keys shortened", |l| shorten(l, &objects(l, "keys", 2)[0]), &["lock-too-short"]),
    ("lock of a segment shortened", |l| shorten(l, &l.key(&segment(3))), &["lock-too-short"]),
    ("lock of genesis shortened", |l| shorten(l, &l.key(&ObjectName::Genesis)), &["lock-too-short"]),
    ("lock of a dictionary removed", |l| unlock(l, &l.key(&DICTIONARY)), &["lock-too-short"]),
    ("foreign name", |l| plant(l, "notes/readme"), &["foreign-object"]),
    ("foreign name among segments", |l| plant(l, "log/000000000002.bak"), &["foreign-object"]),
    ("foreign tile", |l| plant(l, "tile/0/1"), &["foreign-object"]),
    ("tile behind the end", |l| plant(l, "tile/0/000"), &["derived-wrong"]),
    ("dictionary of nobody", |l| plant(l, "dictionaries/9.zdict"), &["foreign-object"]),
    (
        "pack of no segment",
        |l| plant(l, "payloads/demo-rest/2026-11/000000000099-0011223344556677.pack"),
        &["foreign-object"],
    ),
    ("derived checkpoint broken", |l| flip(l, &l.key(&ObjectName::Checkpoint), 70), &["derived-wrong"]),
];

/// Method: damage a fresh ledger behind the store's back.
#[tokio::test]
async fn every_damage_of_stored_objects_has_its_finding() {
    for (what, damage, expected) in DAMAGED_LOG.iter().chain(DAMAGED_OBJECTS) {
        let built = base().await;
        damage(&built);
        check(what, &verify(&built, options(&built)).await, expected);
    }
}

const DICTIONARY: ObjectName = ObjectName::Dictionary { number: 1 };

fn delete(built: &TestLedger, key: &ObjectKey) {
    built.store.remove_unchecked(key).expect("it was there");
}

fn truncate(built: &TestLedger, key: &ObjectKey) {
    built.store.tamper(key, |bytes| bytes.truncate(bytes.len() - 1));
}

fn flip(built: &TestLedger, key: &ObjectKey, at: usize) {
    built.store.tamper(key, |bytes| bytes[at] ^= 1);
}

fn copy(built: &TestLedger, from: &ObjectKey, to: &ObjectKey) {
    let mut bytes = Vec::new();
    built.store.tamper(from, |found| bytes.clone_from(found));
    built.store.insert_unchecked(to, bytes.into(), Lock::until(u64::MAX));
}

fn shorten(built: &TestLedger, key: &ObjectKey) {
    let until = built.store.objects().into_iter().find(|meta| meta.key == *key).unwrap().lock.retain_until;
    built.store.tamper_lock(key, Lock::until(until.unwrap() - 1));
}

fn unlock(built: &TestLedger, key: &ObjectKey) {
    built.store.tamper_lock(key, Lock::NONE);
}

fn plant(built: &TestLedger, name: &str) {
    let key = ObjectKey::new(format!("{}/{name}", built.ledger)).unwrap();
    built.store.insert_unchecked(&key, Bytes::from_static(b"planted"), Lock::until(u64::MAX));
}

#[tokio::test]
async fn findings_name_object_and_event() {
    let built = base().await;
    flip_at(&built, &segment(2), &signature(&built, 2).await);
    let report = verify(&built, options(&built)).await;
    check("signature", &report, &["segment-link", "signature-invalid"]);
    let finding = |code| report.findings.iter().find(|finding| finding.code == code).unwrap();
    let bad = finding(FindingCode::SignatureInvalid);
    assert_eq!((bad.object.as_deref(), bad.event), (Some("log/000000000002.seg"), Some(4)));
    assert_eq!(finding(FindingCode::SegmentLink).object.as_deref(), Some("log/000000000003.seg"));
    let quick = verify(&built, VerifyOptions { quick: true, ..options(&built) }).await;
    check("signature, quick", &quick, &["segment-link"]);

    let built = base().await;
    flip_at(&built, &segment(5), &signature(&built, 5).await);
    for quick in [false, true] {
        check(
            "newest",
            &verify(&built, VerifyOptions { quick, ..options(&built) }).await,
            &["signature-invalid"],
        );
    }

    let built = base().await;
    flip_at(&built, &segment(2), &commitment(&built, 2).await);
    let expected = [
        "chain-broken",
        "commitment-mismatch",
        "frontier-mismatch",
        "root-mismatch",
        "segment-link",
        "signature-invalid",
    ];
    check("core", &verify(&built, options(&built)).await, &expected);
}

/// Goal: what a wrong or malicious writer with the signing key can do is found as well.
/// Method: commit with one thing wrong, all the rest of it consistent.
#[tokio::test]
async fn every_wrong_commit_has_its_finding() {
    type Change = fn(&mut Vec<piperoll_format::EventCore>);
    let rows: &[(&str, Change, &[&str])] = &[
        ("commitment", |cores| cores[0].payload.commitment.0[0] ^= 1, &["commitment-mismatch"]),
        ("length", |cores| cores[0].payload.length += 1, &["commitment-mismatch"]),
        ("pack", |cores| cores[0].payload.pack = DigestPrefix([0; 8]), &["payload-unplaced"]),
        ("class", |cores| cores[0].class = "operations".parse().unwrap(), &["payload-unplaced"]),
        ("overlap", |cores| cores[1].payload.offset -= 1, &["commitment-mismatch", "pack-layout"]),
        ("outside", |cores| cores[1].payload.offset = 1 << 62, &["commitment-mismatch", "pack-layout"]),
        ("key", |cores| cores[1].payload.key.as_mut().unwrap().0[0] ^= 1, &["key-missing"]),
        ("seq", |cores| cores[1].seq.0 += 1, &["commitment-mismatch", "segment-misplaced"]),
        ("ledger", |cores| cores[1].ledger.0[0] ^= 1, &["segment-misplaced"]),
        ("writer", |cores| cores[1].writer.0[0] ^= 1, &["key-unknown"]),
        ("time", |cores| cores[1].recorded_at.0 -= 1, &["time-backwards"]),
        ("time before the segment", |cores| cores[0].recorded_at = START, &["time-backwards"]),
        ("kind", |cores| cores[1].kind = Kind::LedgerStarted, &["sealing-wrong"]),
        ("opening", |cores| cores[1].kind = Kind::LedgerOpened, &["opening-invalid", "sealing-wrong"]),
        (
            "month",
            |cores| cores[1].recorded_at.0 += 31 * 86_400_000_000,
            &["period-mismatch", "retention-too-short"],
        ),
        ("order", |cores| cores.swap(0, 1), &["pack-layout", "segment-misplaced"]),
    ];
    for (what, change, expected) in rows {
        let mut built = base().await;
        built.commit_with(vec![message("wa:1", "a"), message("wa:7", "b")], change).await;
        check(what, &verify(&built, options(&built)).await, expected);
    }
}

#[tokio::test]
async fn every_wrong_segment_has_its_finding() {
    type Change = fn(&mut TestLedger);
    let rows: &[(&str, Change, &[&str])] = &[
        ("chain", |l| l.chain.0[0] ^= 1, &["chain-broken"]),
        ("previous", |l| l.previous.0[0] ^= 1, &["segment-link"]),
        (
            "frontier",
            |l| {
                let roots = vec![NodeHash([1; 32]); l.seq.0.count_ones() as usize];
                l.frontier = Frontier::from_parts(l.seq.0, roots).unwrap();
            },
            &["frontier-mismatch"],
        ),
        (
            "gap",
            |l| {
                l.frontier.append(leaf_hash(b"nothing"));
                l.seq = Seq(l.frontier.size());
            },
            &["seq-gap"],
        ),
        ("retention", |l| l.cut_locks = 1, &["retention-too-short"]),
        (
            "kind",
            |l| l.edit = |core| replace(core, b"whatsapp.message", b"whatsapp.massage"),
            &["kind-unknown"],
        ),
        ("core", |l| l.edit = |core| core.push(0), &["core-invalid"]),
    ];
    for (what, change, expected) in rows {
        let mut built = base().await;
        change(&mut built);
        built.commit(vec![message("wa:1", "a"), message("wa:7", "b")]).await;
        check(what, &verify(&built, options(&built)).await, expected);
    }
    let built = TestLedger::signed_by([7; 32], Kind::LedgerStarted).await;
    check("opening", &verify(&built, options(&built)).await, &["opening-invalid"]);
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    if let Some(at) = bytes.windows(old.len()).position(|window| window == old) {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
}

#[tokio::test]
async fn ledger_signed_by_another_key_is_not_believed() {
    let (trusted, mut built) = (base().await, TestLedger::signed_by([8; 32], Kind::LedgerOpened).await);
    built.commit(vec![message("wa:1", "a")]).await;
    let options = VerifyOptions { vkeys: options(&trusted).vkeys, ..options(&built) };
    check("another key", &verify(&built, options).await, &["checkpoint-invalid", "key-unknown"]);
}

#[tokio::test]
async fn rolled_back_and_forked_ledgers_are_found_by_a_remembered_checkpoint() {
    let mut built = TestLedger::new().await;
    for text in ["a", "b", "c"] {
        built.commit(vec![message("wa:1", text)]).await;
    }
    for remembered in built.checkpoints.clone() {
        let since = VerifyOptions { since: Some(remembered), ..options(&built) };
        check("same history", &verify(&built, since).await, &[]);
    }
    let remembered = built.checkpoints.last().unwrap().clone();
    let since = |built: &TestLedger| VerifyOptions { since: Some(remembered.clone()), ..options(built) };
    built.store.remove_unchecked(&built.key(&segment(3)));
    check("tail gone", &verify(&built, since(&built)).await, &["rolled-back"]);
    check("tail gone, nothing remembered", &verify(&built, options(&built)).await, &[]);

    let mut forked = TestLedger::new().await;
    for text in ["a", "b", "other", "more"] {
        forked.commit(vec![message("wa:1", text)]).await;
    }
    check("forked", &verify(&forked, since(&forked)).await, &["forked"]);

    let stranger = TestLedger::signed_by([8; 32], Kind::LedgerOpened).await;
    let since = VerifyOptions { since: stranger.checkpoints.last().cloned(), ..options(&forked) };
    check("of another key", &verify(&forked, since).await, &["checkpoint-invalid"]);
    let since = VerifyOptions { since: Some("nonsense".to_owned()), ..options(&forked) };
    check("no note", &verify(&forked, since).await, &["checkpoint-invalid"]);
}

#[tokio::test]
async fn disposal_must_be_ordered_complete_and_not_early() {
    let mut built = TestLedger::new().await;
    let expiring = bucket("demo", built.now);
    built.commit(vec![short_lived("wa:1", "a")]).await;
    built.wait(30);
    let ordered = built.order_disposal(&expiring).await;
    check("not carried out", &verify(&built, options(&built)).await, &["disposal-incomplete"]);
    built.store.delete(&ordered[0]).await.unwrap();
    check(
        "half done",
        &verify(&built, VerifyOptions { keys: None, ..options(&built) }).await,
        &["disposal-incomplete"],
    );
    built.store.delete(&ordered[1]).await.unwrap();
    let report = verify(&built, options(&built)).await;
    check("done", &report, &[]);
    assert_eq!(report.tombstones.objects, 2);

    let mut built = TestLedger::new().await;
    let locked = bucket("demo-rest", built.now);
    built.commit(vec![message("wa:1", "a")]).await;
    for key in built.order_disposal(&locked).await {
        built.store.remove_unchecked(&key);
    }
    check("before its time", &verify(&built, options(&built)).await, &["disposal-early"]);

    let mut built = TestLedger::new().await;
    let order = piperoll_format::DisposalOrder {
        bucket: bucket("demo", built.now),
        reason: String::new(),
        ordered_by: String::new(),
        objects: vec![("genesis".to_owned(), piperoll_format::ObjectDigest([0; 32]))],
    };
    built.commit(vec![own(Kind::DisposalOrdered, order.encode())]).await;
    built.commit(vec![own(Kind::DisposalOrdered, b"burn it all".to_vec())]).await;
    let report = verify(&built, options(&built)).await;
    check("of something else", &report, &["disposal-invalid"]);
    assert_eq!(report.findings.iter().map(|finding| finding.event).collect::<Vec<_>>(), [Some(1), Some(2)]);
}

#[tokio::test]
async fn crash_leaves_a_note_and_a_copy_without_locks_another() {
    let built = base().await;
    plant(&built, "payloads/demo-rest/2026-11/000000000006-0011223344556677.pack");
    plant(&built, "keys/demo-rest/2026-11/000000000002-0011223344556677.keys");
    let report = verify(&built, options(&built)).await;
    check("crash", &report, &[]);
    assert_eq!(report.notes.len(), 1);
    assert!(report.notes[0].starts_with("2 objects that no segment names"), "{:?}", report.notes);

    let built = base().await;
    for meta in built.store.objects() {
        built.store.tamper_lock(&meta.key, Lock::NONE);
    }
    let report = verify(&built, options(&built)).await;
    check("copy", &report, &[]);
    assert_eq!(report.notes.len(), 1);
    assert!(report.notes[0].ends_with("this is a copy without its locks"), "{:?}", report.notes);
}

#[tokio::test]
async fn tiles_are_compared_with_the_events() {
    let mut built = TestLedger::new().await;
    for size in [100, 200, 300] {
        let drafts: Vec<Draft> = (0..size).map(|i| message("wa:1", &format!("{i}"))).collect();
        built.commit(drafts).await;
    }
    let store: Arc<dyn WormStore> = built.store.clone();
    let reader = LedgerReader::open(store, built.ledger).await.unwrap();
    for tile in piperoll_tlog::tile::layout::tiles(built.seq.0).filter(|tile| !tile.is_partial()) {
        let bytes = reader.tile(tile).await.unwrap();
        let key = built.key(&ObjectName::Tile(tile.path()));
        built.store.put_derived(&key, bytes.into()).await.unwrap();
    }
    let report = verify(&built, options(&built)).await;
    check("tiles", &report, &[]);
    assert_eq!(report.checked.iter().find(|check| check.what == "tiles").unwrap().count, 2);
    let tile = built.key(&ObjectName::Tile("tile/0/001".to_owned()));
    built.store.tamper(&tile, |bytes| bytes[31] ^= 1);
    check("wrong tile", &verify(&built, options(&built)).await, &["derived-wrong"]);
}

#[tokio::test]
async fn derived_checkpoint_of_a_longer_or_other_history_is_found() {
    let mut built = base().await;
    let sign =
        |size, root| Checkpoint::new(crate::testing::ORIGIN, size, root).sign(&built.signer()).unwrap();
    let longer = sign(built.seq.0 + 1, NodeHash([1; 32]));
    let other = sign(built.seq.0, NodeHash([1; 32]));
    let key = built.key(&ObjectName::Checkpoint);
    for (note, expected) in [(longer, "rolled-back"), (other, "forked")] {
        built.store.put_derived(&key, note.into()).await.unwrap();
        check(expected, &verify(&built, options(&built)).await, &[expected]);
    }
    let old = built.checkpoints[2].clone();
    built.store.put_derived(&key, old.into()).await.unwrap();
    built.commit(vec![message("wa:1", "a")]).await;
    check("an old one", &verify(&built, options(&built)).await, &[]);
}

#[tokio::test]
async fn many_findings_are_counted_and_few_are_listed() {
    let mut built = TestLedger::new().await;
    let drafts = (0..300).map(|i| message("wa:1", &format!("{i}"))).collect();
    built.commit_with(drafts, |cores| cores.iter_mut().for_each(|core| core.writer.0[0] ^= 1)).await;
    let report = verify(&built, options(&built)).await;
    assert_eq!(report.finding_counts[&FindingCode::KeyUnknown], 300);
    assert_eq!(report.findings.len(), 100);
}

#[tokio::test]
async fn remembered_checkpoint_moves_only_forward_and_only_when_believed() {
    let mut built = base().await;
    let report = verify(&built, options(&built)).await;
    let newest = built.checkpoints.last().unwrap().clone();
    assert_eq!(update(None, &report), Update::Replace(newest.clone()));
    let remembered = Remembered::parse(&newest).unwrap();
    assert_eq!((remembered.as_str(), remembered.checkpoint().size), (newest.as_str(), built.seq.0));
    assert_eq!(update(Some(&remembered), &report), Update::Keep);
    built.commit(vec![message("wa:1", "a")]).await;
    let report = verify(&built, VerifyOptions { since: Some(newest), ..options(&built) }).await;
    assert_eq!(
        update(Some(&remembered), &report),
        Update::Replace(built.checkpoints.last().unwrap().clone())
    );
    built.store.remove_unchecked(&built.key(&segment(2)));
    assert_eq!(update(None, &verify(&built, options(&built)).await), Update::Keep);
    assert!(Remembered::parse("nonsense").is_err());
    assert_ne!(file_name("a/b"), file_name("a_b"));
    assert!(file_name("archive.example/a b+ü").starts_with("archive.example_a_b__-"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Goal: one changed byte in anything that is kept is found, whichever and wherever.
    #[test]
    fn any_changed_byte_is_found(object in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u32, quick: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let built = base().await;
            let kept: Vec<_> = built.store.objects().into_iter().filter(|meta| !meta.key.as_str().ends_with("checkpoint")).collect();
            let meta = object.get(&kept);
            let at = at.index(usize::try_from(meta.size).unwrap());
            built.store.tamper(&meta.key, |bytes| bytes[at] ^= 1 << bit);
            let report = verify(&built, VerifyOptions { quick, ..options(&built) }).await;
            prop_assert!(!report.is_clean(), "bit {} of byte {} in {}", bit, at, meta.key);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn progress_counts_to_the_end() {
    let built = base().await;
    let seen = std::sync::Mutex::new(Vec::new());
    let progress = |progress: &crate::verify::Progress| seen.lock().unwrap().push(*progress);
    let report = verify(&built, VerifyOptions { progress: Some(&progress), ..options(&built) }).await;
    let seen = seen.into_inner().unwrap();
    let last = seen.last().unwrap();
    assert_eq!((last.segments, last.segments_total, last.events), (6, 6, report.size));
    assert!(seen.windows(2).all(|pair| pair[0].events <= pair[1].events && pair[0].bytes <= pair[1].bytes));
}

#[test]
fn codes_have_one_text() {
    for code in FindingCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
}
