//! Tests of policies: disposal.

use piperoll_format::{RetainUntil, Timestamp};

use super::{at, bucket_named, check_golden, shipped_set};
use crate::{SkipReason, StoredBucket, StoredObject, plan_disposal};

fn stored(bucket: &str, objects: &[(&str, &str)]) -> StoredBucket {
    let object = |(name, until): &(&str, &str)| StoredObject {
        key: format!("payloads/{bucket}/{name}"),
        size: 1_000,
        retain_until: RetainUntil(at(until)),
    };
    StoredBucket { bucket: bucket_named(bucket), objects: objects.iter().map(object).collect() }
}

/// A store with a bucket for every reason there is, given twice with its buckets in different order.
#[test]
fn plan_is_golden_and_does_not_depend_on_the_order() {
    let set = shipped_set(&["demo", "demo-rest", "operations", "gdpr-consent"]);
    let buckets = [
        stored(
            "demo/2026-11-21T213745",
            &[("b.pack", "2026-11-21T21:37:51Z"), ("a.keys", "2026-11-21T21:37:51Z")],
        ),
        stored("demo/2026-11-21T213755", &[("a.pack", "2026-11-21T21:38:01Z")]),
        stored(
            "demo-rest/2023-10",
            &[("a.pack", "2026-11-01T00:00:00Z"), ("b.pack", "2026-11-01T00:00:00Z")],
        ),
        stored("demo-rest/2026-11", &[("a.pack", "2029-12-01T00:00:00Z")]),
        // Recorded under a longer policy of the same id: the recorded lock wins.
        stored(
            "demo-rest/2023-09",
            &[("a.pack", "2026-10-01T00:00:00Z"), ("b.pack", "2029-10-01T00:00:00Z")],
        ),
        // Between keep and dispose_after: unlocked, but not due.
        stored("gdpr-consent/2022-01", &[("a.pack", "2025-02-01T00:00:00Z")]),
        stored("hipaa/2001-01", &[("a.pack", "2007-02-01T00:00:00Z")]),
        stored("operations/2020-13", &[("a.pack", "2007-02-01T00:00:00Z")]),
        stored("operations/2020-01", &[]),
    ];
    let now = at("2026-11-21T21:37:58Z");
    let plan = plan_disposal(buckets.clone(), &set, now);
    check_golden("disposal-plan.txt", &plan.to_string());
    assert_eq!((plan.object_count(), plan.byte_count()), (4, 4_000));
    let keys: Vec<&str> = plan.entries[0].objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["payloads/demo/2026-11-21T213745/a.keys", "payloads/demo/2026-11-21T213745/b.pack"]);
    // The other way round, and each object in a listing of its own.
    let single = buckets.into_iter().rev().flat_map(|stored| {
        let bucket = stored.bucket;
        let mut parts: Vec<StoredBucket> = stored
            .objects
            .into_iter()
            .rev()
            .map(|object| StoredBucket { bucket: bucket.clone(), objects: vec![object] })
            .collect();
        if parts.is_empty() {
            parts.push(StoredBucket { bucket, objects: vec![] });
        }
        parts
    });
    assert_eq!(plan_disposal(single, &set, now), plan);
}

#[test]
fn bucket_goes_only_after_its_date_and_its_locks() {
    let set = shipped_set(&["demo", "demo-rest", "operations"]);
    let due = at("2026-11-21T21:37:51Z");
    let plan = |now: Timestamp| {
        plan_disposal([stored("demo/2026-11-21T213745", &[("a", "2026-11-21T21:37:51Z")])], &set, now)
    };
    let before = plan(Timestamp(due.0 - 1));
    assert_eq!(before.skipped[0].reason, SkipReason::NotDue { policy: "demo".parse().unwrap() });
    assert_eq!(before.skipped[0].due_at, Some(due));
    assert!(matches!(plan(due).skipped[0].reason, SkipReason::Locked { locked: 1, objects: 1, .. }));
    let after = plan(Timestamp(due.0 + 1));
    assert_eq!((after.entries.len(), after.skipped.len()), (1, 0));
    assert_eq!(after.entries[0].due_since, due);
}

#[test]
fn extension_keeps_older_buckets_from_disposal() {
    let now = at("2026-11-21T00:00:00Z");
    let old = || [stored("mifid-ii/2021-05", &[("a.pack", "2026-06-01T00:00:00Z")])];
    assert_eq!(plan_disposal(old(), &shipped_set(&["mifid-ii", "operations"]), now).entries.len(), 1);
    let extended = plan_disposal(old(), &shipped_set(&["mifid-ii", "mifid-ii-7y", "operations"]), now);
    assert_eq!(extended.skipped[0].reason, SkipReason::NotDue { policy: "mifid-ii-7y".parse().unwrap() });
    assert_eq!(extended.skipped[0].due_at, Some(at("2028-06-01T00:00:00Z")));
}
