//! Tests of the database of facts.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use piperoll_format::{Kind, Payload, Timestamp};
use piperoll_sources::Message;

use super::*;
use crate::fact::{Daily, Facts, Observed};

const LEDGER: LedgerId = LedgerId([7; 16]);
const CACHE: usize = 1 << 20;

fn rows(seq: u64, bucket: &str, puts: &[(Table, &str, i64, &str)]) -> Rows {
    let (payload, message) = (Payload::default(), Message::default());
    let observed = Observed {
        seq,
        kind: Kind::WhatsappMessage,
        recorded_at: Timestamp(0),
        bucket,
        payload: &payload,
        message: &message,
    };
    let mut rows = Rows::default();
    let mut facts = Facts::of(&observed, &mut rows);
    for (table, entity, at, value) in puts {
        facts.put(*table, entity, *at, value);
    }
    rows.sort();
    rows
}

fn values(facts: Vec<Fact<String>>) -> Vec<(i64, u64, String)> {
    facts.into_iter().map(|fact| (fact.at, fact.seq, fact.value)).collect()
}

#[test]
fn facts_come_back_by_entity_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let db = Projections::open(&dir.path().join("p.redb"), LEDGER, CACHE).unwrap();
    let all = [
        rows(5, "a/2026-11", &[(Table::Consent, "wa:1", 30, "c"), (Table::Consent, "wa:12", 10, "other")]),
        rows(3, "a/2026-11", &[(Table::Consent, "wa:1", -5, "a"), (Table::Person, "wa:1", 10, "person")]),
        rows(9, "b/2026-11", &[(Table::Consent, "wa:1", 20, "b")]),
    ];
    db.add(&all, 10, true).unwrap();
    let read = |span, limit| values(db.facts(Table::Consent, "wa:1", span, limit).unwrap());
    let expected = [(-5, 3, "a".to_owned()), (20, 9, "b".to_owned()), (30, 5, "c".to_owned())];
    assert_eq!(read(i64::MIN..=i64::MAX, 9), expected);
    assert_eq!(read(-5..=20, 9), expected[..2]);
    assert_eq!(read(i64::MIN..=i64::MAX, 1), expected[..1]);
    let newest = values(db.newest(Table::Consent, "wa:1", i64::MIN..=29, 1).unwrap());
    assert_eq!(newest, expected[1..2]);
    assert_eq!(db.entities(Table::Consent, None, 9).unwrap(), ["wa:1", "wa:12"]);
    assert_eq!(db.entities(Table::Consent, Some("wa:1"), 9).unwrap(), ["wa:12"]);
    assert_eq!(db.cursor().unwrap(), 10);
}

#[test]
fn forgetting_a_bucket_leaves_no_byte_of_it_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.redb");
    let db = Projections::open(&path, LEDGER, CACHE).unwrap();
    let secret = "very recognisable words";
    db.add(&[rows(1, "a/2026-11", &[(Table::Person, "wa:1", 1, secret)])], 2, true).unwrap();
    db.add(&[rows(2, "b/2026-11", &[(Table::Person, "wa:1", 2, "kept")])], 3, true).unwrap();
    let holds = |needle: &str| {
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    assert!(holds(secret));
    assert_eq!(db.forget("a/2026-11").unwrap(), 1);
    assert!(!holds(secret) && holds("kept"));
    let left = values(db.facts(Table::Person, "wa:1", i64::MIN..=i64::MAX, 9).unwrap());
    assert_eq!(left, [(2, 2, "kept".to_owned())]);
    assert_eq!(db.cursor().unwrap(), 3);
    drop(db);
    let again = Projections::open(&path, LEDGER, CACHE).unwrap();
    assert_eq!(again.entities(Table::Person, None, 9).unwrap(), ["wa:1"]);
}

#[test]
fn what_is_not_of_this_ledger_must_be_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.redb");
    drop(Projections::open(&path, LEDGER, CACHE).unwrap());
    let other = Projections::open(&path, LedgerId([8; 16]), CACHE);
    assert!(matches!(other, Err(ProjectionError::NeedsRebuild { .. })), "{other:?}");
    std::fs::write(&path, b"no database").unwrap();
    let foreign = Projections::open(&path, LEDGER, CACHE);
    assert!(matches!(foreign, Err(ProjectionError::NeedsRebuild { .. })), "{foreign:?}");
    Projections::reset(&path).unwrap();
    assert_eq!(Projections::open(&path, LEDGER, CACHE).unwrap().cursor().unwrap(), 0);
}

#[test]
fn of_facts_that_repeat_on_a_day_the_first_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let db = Projections::open(&dir.path().join("p.redb"), LEDGER, CACHE).unwrap();
    let (payload, message) = (Payload::default(), Message::default());
    let daily = |seqs: &[u64]| {
        let mut rows = Rows::default();
        for seq in seqs {
            let observed = Observed {
                seq: *seq,
                kind: Kind::WhatsappMessage,
                recorded_at: Timestamp(0),
                bucket: "a/2026-11",
                payload: &payload,
                message: &message,
            };
            let at = i64::try_from(*seq).unwrap();
            Facts::of(&observed, &mut rows).put_daily(Table::Person, "wa:1", at, &"same");
        }
        rows.sort();
        rows
    };
    db.add(&[daily(&[1, 2]), daily(&[3])], 4, false).unwrap();
    db.add(&[daily(&[4])], 5, false).unwrap();
    let facts = db.facts::<Daily<String>>(Table::Person, "wa:1", i64::MIN..=i64::MAX, 9).unwrap();
    let found: Vec<_> = facts.into_iter().map(|fact| (fact.at, fact.value)).collect();
    assert_eq!(found, [(0, Daily { at: 1, seq: 1, said: "same".to_owned() })]);
}

#[test]
fn a_copy_has_what_was_on_the_disk_and_takes_the_place_of_a_missing_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.redb");
    let db = Projections::open(&path, LEDGER, CACHE).unwrap();
    db.add(&[rows(3, "a/2026-11", &[(Table::Person, "wa:1", 10, "person")])], 4, true).unwrap();
    db.add(&[rows(4, "a/2026-11", &[(Table::Person, "wa:2", 10, "in memory only")])], 5, false).unwrap();
    let copy = dir.path().join("copy");
    assert_eq!(db.copy_to(&copy).unwrap(), 4);
    db.add(&[rows(5, "a/2026-11", &[(Table::Person, "wa:3", 10, "later")])], 6, true).unwrap();
    assert_eq!(db.entities(Table::Person, None, 9).unwrap(), ["wa:1", "wa:2", "wa:3"]);
    drop(db);
    Projections::reset(&path).unwrap();
    Projections::put_in_place(&copy, &path).unwrap();
    assert!(!copy.exists());
    let db = Projections::open(&path, LEDGER, CACHE).unwrap();
    assert_eq!(
        (db.cursor().unwrap(), db.entities(Table::Person, None, 9).unwrap()),
        (4, vec!["wa:1".to_owned()])
    );
}
