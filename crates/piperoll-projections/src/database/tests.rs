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
    std::fs::rename(&copy, &path).unwrap();
    assert!(!copy.exists());
    let db = Projections::open(&path, LEDGER, CACHE).unwrap();
    assert_eq!(
        (db.cursor().unwrap(), db.entities(Table::Person, None, 9).unwrap()),
        (4, vec!["wa:1".to_owned()])
    );
}

/// A few hundred facts of few entities and times, of which some repeat.
fn many(seed: u64) -> Vec<(u64, Table, String, i64, bool)> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let tables = [Table::Person, Table::Item, Table::Rhythm];
    let mut all = Vec::new();
    for nth in 0..300 {
        let table = tables[usize::try_from(next(3)).unwrap()];
        let (entity, at) = (format!("e{}", next(6)), i64::try_from(next(50)).unwrap() - 20);
        all.push((seed * 1_000 + nth, table, entity, at, table == Table::Person && next(2) == 0));
    }
    all
}

fn folded(facts: &[(u64, Table, String, i64, bool)], bucket: &str) -> Vec<Rows> {
    let (payload, message) = (Payload::default(), Message::default());
    let part = |facts: &[(u64, Table, String, i64, bool)]| {
        let mut rows = Rows::default();
        for (seq, table, entity, at, is_daily) in facts {
            let observed = Observed {
                seq: *seq,
                kind: Kind::WhatsappMessage,
                recorded_at: Timestamp(0),
                bucket,
                payload: &payload,
                message: &message,
            };
            let mut put = Facts::of(&observed, &mut rows);
            match is_daily {
                true => put.put_daily(*table, entity, *at, &"same"),
                // Long enough that a run has several blocks.
                false => put.put(*table, entity, *at, &"x".repeat(300)),
            }
        }
        rows.sort();
        rows
    };
    facts.chunks(70).map(part).collect()
}

#[test]
fn facts_read_the_same_whether_they_came_single_or_in_runs() {
    let dir = tempfile::tempdir().unwrap();
    let single = Projections::open(&dir.path().join("single.redb"), LEDGER, CACHE).unwrap();
    let mixed = Projections::open(&dir.path().join("mixed.redb"), LEDGER, CACHE).unwrap();
    // Enough for runs to be merged more than once.
    for nth in 0..25 {
        let parts = folded(&many(nth + 1), if nth % 2 == 0 { "a/2026-11" } else { "b/2026-11" });
        single.add_as(&parts, nth, nth == 24, false).unwrap();
        mixed.add_as(&parts, nth, nth == 24, nth % 6 != 5).unwrap();
        run::merge(&mixed.database(), run::mergeable, false).unwrap();
    }
    let runs = |db: &Projections| run::runs(&db.database().begin_read().unwrap()).unwrap().len();
    assert_eq!(runs(&single), 0);
    assert!((1..16).contains(&runs(&mixed)), "{}", runs(&mixed));
    let same = || {
        for table in [Table::Person, Table::Item, Table::Rhythm] {
            for entity in (0..7).map(|nth| format!("e{nth}")) {
                for (from, to) in [(i64::MIN, i64::MAX), (-5, 5), (3, 3), (40, 50)] {
                    for limit in [1, 10, usize::MAX] {
                        let oldest = |db: &Projections| {
                            db.facts::<serde_json::Value>(table, &entity, from..=to, limit)
                        };
                        assert_eq!(oldest(&single).unwrap(), oldest(&mixed).unwrap());
                        let newest = |db: &Projections| {
                            db.newest::<serde_json::Value>(table, &entity, from..=to, limit)
                        };
                        assert_eq!(newest(&single).unwrap(), newest(&mixed).unwrap());
                    }
                }
            }
        }
        let entities = |db: &Projections| db.entities(Table::Rhythm, Some("e1"), 9).unwrap();
        assert_eq!(entities(&single), ["e2", "e3", "e4", "e5"]);
        assert_eq!(entities(&single), entities(&mixed));
    };
    same();
    mixed.settle().unwrap();
    assert_eq!(runs(&mixed), 1, "runs of about one size become one");
    same();
    mixed.settle().unwrap();
    assert_eq!(runs(&mixed), 1);
    same();
    assert_eq!(single.forget("a/2026-11").unwrap(), mixed.forget("a/2026-11").unwrap());
    assert_eq!(mixed.forget("a/2026-11").unwrap(), 0);
    same();
}

#[test]
fn settling_leaves_a_large_run_alone_until_the_others_are_worth_it() {
    let chosen = |sizes: &[u64]| {
        let runs: Vec<(u32, u64)> = (0..).zip(sizes.iter().copied()).collect();
        run::settleable(&runs)
    };
    assert_eq!(chosen(&[]), None);
    assert_eq!(chosen(&[9]), None);
    assert_eq!(chosen(&[1_000, 10]), None, "a few new facts do not copy everything");
    assert_eq!(chosen(&[1_000, 300]), Some(vec![1, 0]));
    assert_eq!(chosen(&[100_000, 10, 1_000, 300, 20]), Some(vec![1, 4]));
    assert_eq!(chosen(&[131, 520, 32, 131, 8, 8, 32]).map(|chosen| chosen.len()), Some(7));
}
