//! Goal: whose key is whose cannot be wrong unnoticed, not even by a writer with the signing key.
//! Method: ledgers with spare keys, right and with one thing wrong, verified with keys, without, and quickly.

use std::collections::BTreeSet;
use std::sync::Arc;

use piperoll_format::{Bucket, EventCore, Kek, ObjectName, Pseudonym, SegmentNo};
use piperoll_store::WormStore as _;

use crate::StoreKeys;
use crate::report::Report;
use crate::testing::{START, TestLedger, bucket, message, short_lived};
use crate::verify::{VerifyOptions, verify_ledger};

/// A ledger whose key object of segment 1 has spares: `wa:2` and `wa:3` got theirs in segments without one.
async fn base() -> TestLedger {
    let mut built = TestLedger::new().await;
    built.spares = 3;
    built.commit(vec![message("wa:1", "a"), message("wa:1", "b")]).await;
    built.commit(vec![message("wa:2", "c"), message("wa:1", "d")]).await;
    built.commit(vec![message("wa:3", "e"), message("wa:2", "f"), message("wa:3", "g")]).await;
    built
}

async fn verify(built: &TestLedger, with_keys: bool, quick: bool) -> Report {
    let keys = StoreKeys::new(built.store.clone(), built.ledger, built.kek.clone());
    let options = VerifyOptions {
        vkeys: vec![built.signer().verifier_key().clone()],
        keys: if with_keys { Some(Arc::new(keys)) } else { None },
        quick,
        now: built.now,
        ..VerifyOptions::default()
    };
    verify_ledger(built.store.clone(), built.ledger, options).await.unwrap()
}

#[track_caller]
fn check(what: &str, report: &Report, expected: &[&str]) {
    let found: BTreeSet<&str> = report.finding_counts.keys().map(|code| code.as_str()).collect();
    assert_eq!(found, expected.iter().copied().collect(), "{what}: {:#?}", report.findings);
}

fn key_objects(built: &TestLedger, bucket: &Bucket) -> usize {
    let prefix = format!("/keys/{bucket}/");
    built.store.objects().iter().filter(|meta| meta.key.as_str().contains(&prefix)).count()
}

#[tokio::test]
async fn spares_are_used_from_later_segments_and_verify() {
    let mut built = base().await;
    assert_eq!(key_objects(&built, &bucket("demo-rest", built.now)), 1);
    for (with_keys, quick) in [(true, false), (false, false), (false, true)] {
        check("spares", &verify(&built, with_keys, quick).await, &[]);
    }
    // A bucket with spares goes whole.
    let expiring = bucket("demo", built.now);
    built.commit(vec![short_lived("wa:1", "a")]).await;
    built.commit(vec![short_lived("wa:2", "b")]).await;
    built.wait(30);
    built.dispose(&expiring).await;
    for (with_keys, quick) in [(true, false), (false, false), (false, true)] {
        check("disposed", &verify(&built, with_keys, quick).await, &[]);
    }
}

fn pseudonym(subject: &str) -> Pseudonym {
    Kek::new([9; 32]).link_secret().pseudonym(subject, &bucket("demo-rest", START), 0)
}

#[tokio::test]
async fn every_wrong_assignment_has_its_finding() {
    type Change = fn(&mut Vec<EventCore>);
    // The first event is of `wa:1`, which has a key, the second of `wa:4`, which gets the last spare.
    let rows: &[(&str, Change, &[&str], &[&str])] = &[
        ("not given", |cores| cores[1].payload.pseudonym = None, &["key-misassigned"], &[]),
        ("again", |cores| cores[0].payload.pseudonym = Some(pseudonym("wa:1")), &["key-misassigned"], &[]),
        (
            "to another as well",
            |cores| cores[0].payload.pseudonym = Some(pseudonym("wa:9")),
            &["key-misassigned"],
            &[],
        ),
        (
            "a second one",
            |cores| cores[1].payload.pseudonym = Some(pseudonym("wa:1")),
            &["key-misassigned"],
            &[],
        ),
        (
            "that of another",
            |cores| cores[1].payload.key = cores[0].payload.key,
            &["key-misassigned"],
            &["commitment-mismatch"],
        ),
        (
            "one that is nowhere",
            |cores| cores[1..].iter_mut().for_each(|core| core.payload.key.as_mut().unwrap().0[0] ^= 1),
            &["key-missing"],
            &[],
        ),
        (
            "before it was given",
            |cores| {
                let given = cores[1].payload.pseudonym.take();
                cores[2].payload.pseudonym = given;
            },
            &["key-misassigned"],
            &[],
        ),
    ];
    for (what, change, expected, with_keys) in rows {
        let mut built = base().await;
        let drafts = vec![message("wa:1", "a"), message("wa:4", "b"), message("wa:4", "c")];
        built.commit_with(drafts, change).await;
        let all: Vec<&str> = expected.iter().chain(*with_keys).copied().collect();
        check(what, &verify(&built, true, false).await, &all);
        check(what, &verify(&built, false, false).await, expected);
        check(what, &verify(&built, false, true).await, expected);
    }
}

#[tokio::test]
async fn key_in_two_key_objects_is_found() {
    let mut built = base().await;
    let bucket = bucket("demo-rest", built.now);
    let prefix = format!("{}/keys/{bucket}/", built.ledger);
    let first = built.store.list(&prefix, None, 1).await.unwrap().remove(0);
    built.again = Some((bucket, built.store.get(&first.key).await.unwrap().to_vec()));
    built.commit(vec![message("wa:1", "a")]).await;
    let report = verify(&built, true, false).await;
    check("copied", &report, &["key-misassigned"]);
    assert_eq!(report.findings.len(), 4, "one for each key: {:#?}", report.findings);
    assert!(report.findings[0].object.as_deref().unwrap().contains("/000000000004-"));
}

/// What cannot be known after a gap is not reported a second time.
#[tokio::test]
async fn missing_segment_gives_no_findings_about_keys() {
    for gone in 1..3 {
        let mut built = base().await;
        built.commit(vec![message("wa:2", "h"), message("wa:3", "i")]).await;
        drop(built.store.remove_unchecked(&built.key(&ObjectName::Segment(SegmentNo(gone)))));
        let report = verify(&built, true, false).await;
        check("gap", &report, &["segment-missing"]);
    }
}
