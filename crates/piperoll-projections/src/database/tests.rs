//! Tests of the database of facts.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use piperoll_format::{Kind, Payload, Timestamp};
use piperoll_sources::Message;

use super::*;
use crate::fact::{Facts, Observed};

const LEDGER: LedgerId = LedgerId([7; 16]);
const CACHE: usize = 1 << 20;

fn rows(seq: u64, bucket: &str, puts: &[(Table, &str, i64, &str)]) -> Vec<Row> {
    let (payload, message) = (Payload::default(), Message::default());
    let observed = Observed {
        seq,
        kind: Kind::WhatsappMessage,
        recorded_at: Timestamp(0),
        bucket,
        payload: &payload,
        message: &message,
    };
    let mut facts = Facts::of(&observed);
    for (table, entity, at, value) in puts {
        facts.put(*table, entity, *at, value);
    }
    facts.into_rows()
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
    db.add(all.concat(), 10, true).unwrap();
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
    db.add(rows(1, "a/2026-11", &[(Table::Person, "wa:1", 1, secret)]), 2, true).unwrap();
    db.add(rows(2, "b/2026-11", &[(Table::Person, "wa:1", 2, "kept")]), 3, true).unwrap();
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
