//! Tests of policies: bucket.

use super::{at, bucket_named, policy, shipped_set};
use crate::{
    BucketPeriod, PolicySet, bucket_end, bucket_label, bucket_of, dispose_at, keep_until, longest_keep,
    segment_retain_until,
};

#[track_caller]
fn check_bucket(period: BucketPeriod, recorded_at: &str, label: &str, end: &str) {
    assert_eq!(bucket_label(period, at(recorded_at)), label);
    assert_eq!(bucket_end(label), Ok(at(end)), "end of {label}");
}

#[test]
fn labels_and_ends_of_every_period() {
    let time = "2026-11-21T21:37:45.999999Z";
    check_bucket(BucketPeriod::Month, time, "2026-11", "2026-12-01T00:00:00Z");
    check_bucket(BucketPeriod::Day, time, "2026-11-21", "2026-11-22T00:00:00Z");
    check_bucket(BucketPeriod::Hour, time, "2026-11-21T21", "2026-11-21T22:00:00Z");
    check_bucket(BucketPeriod::Minute, time, "2026-11-21T2137", "2026-11-21T21:38:00Z");
    check_bucket(BucketPeriod::Second, time, "2026-11-21T213745", "2026-11-21T21:37:46Z");
}

#[test]
fn labels_and_ends_at_the_edges_of_the_calendar() {
    let last = "2027-12-31T23:59:59.999999Z";
    check_bucket(BucketPeriod::Month, last, "2027-12", "2028-01-01T00:00:00Z");
    check_bucket(BucketPeriod::Day, last, "2027-12-31", "2028-01-01T00:00:00Z");
    check_bucket(BucketPeriod::Hour, last, "2027-12-31T23", "2028-01-01T00:00:00Z");
    check_bucket(BucketPeriod::Minute, last, "2027-12-31T2359", "2028-01-01T00:00:00Z");
    check_bucket(BucketPeriod::Second, last, "2027-12-31T235959", "2028-01-01T00:00:00Z");
    check_bucket(BucketPeriod::Day, "2028-02-29T00:00:00Z", "2028-02-29", "2028-03-01T00:00:00Z");
    check_bucket(BucketPeriod::Month, "2028-02-29T12:00:00Z", "2028-02", "2028-03-01T00:00:00Z");
    check_bucket(BucketPeriod::Month, "1970-01-01T00:00:00Z", "1970-01", "1970-02-01T00:00:00Z");
    // In local time this hour happens twice or never in many zones; in UTC it is an hour like any other.
    check_bucket(BucketPeriod::Hour, "2026-10-25T01:30:00Z", "2026-10-25T01", "2026-10-25T02:00:00Z");
    check_bucket(BucketPeriod::Hour, "2026-03-29T01:30:00Z", "2026-03-29T01", "2026-03-29T02:00:00Z");
    // What no label can say.
    assert_eq!(bucket_label(BucketPeriod::Second, piperoll_format::Timestamp(u64::MAX)), "9999-12-31T235959");
}

#[test]
fn wrong_labels_are_told() {
    for label in [
        "",
        "2026",
        "2026-13",
        "2026-00",
        "2026-1",
        "2026-11-31",
        "2027-02-29",
        "2026-11-21T24",
        "2026-11-21T2160",
        "2026-11-21T213760",
        "2026-11-21 21",
        "1969-12",
        "2026-11-21T21374",
        "+026-11",
        "2026-11-",
        "２０２６-11",
        "2026/11",
    ] {
        let error = bucket_end(label).unwrap_err();
        assert_eq!(error.found, label);
    }
    assert_eq!(
        bucket_end("2026-13").unwrap_err().to_string(),
        "bucket label `2026-13`: expected a date from 1970 on, written like `2026-11`, `2026-11-21`, `2026-11-21T21`, \
         `2026-11-21T2137` or `2026-11-21T213745`"
    );
}

#[track_caller]
fn check_keep(keep: &str, label: &str, expected: &str) {
    let policy = policy("p", keep, keep, "[[match]]");
    assert_eq!(keep_until(&policy, label).unwrap().0, at(expected), "{label} + {keep}");
    assert_eq!(dispose_at(&policy, label).unwrap(), at(expected), "{label} + {keep}");
}

#[test]
fn periods_count_from_the_end_of_the_bucket() {
    check_keep("3 years", "2026-11", "2029-12-01T00:00:00Z");
    check_keep("3 years", "2026-12", "2030-01-01T00:00:00Z");
    check_keep("36 months", "2026-12", "2030-01-01T00:00:00Z");
    check_keep("1 month", "2027-01", "2027-03-01T00:00:00Z");
    check_keep("30 days", "2027-01", "2027-03-03T00:00:00Z");
    check_keep("5 seconds", "2026-11-21T213745", "2026-11-21T21:37:51Z");
    check_keep("90 minutes", "2026-12-31T23", "2027-01-01T01:30:00Z");
    check_keep("100 years", "9999-12", "+10100-01-01T00:00:00Z");
}

#[test]
fn a_day_that_the_last_month_lacks_ends_with_that_month() {
    // 30 January's bucket ends on 31 January, and so on.
    check_keep("1 month", "2027-01-30", "2027-03-01T00:00:00Z");
    check_keep("1 month", "2027-01-28", "2027-03-01T00:00:00Z");
    check_keep("1 month", "2027-01-27", "2027-02-28T00:00:00Z");
    check_keep("1 month", "2028-01-28", "2028-02-29T00:00:00Z");
    check_keep("1 month", "2028-01-30T13", "2028-03-01T00:00:00Z");
    check_keep("1 year", "2028-02-28", "2029-03-01T00:00:00Z");
    check_keep("4 years", "2028-02-28", "2032-02-29T00:00:00Z");
    check_keep("6 months", "2026-08-30", "2027-03-01T00:00:00Z");
}

#[test]
fn segment_outlives_every_pack() {
    let recorded_at = at("2026-11-21T21:37:45Z");
    let set = shipped_set(&["demo", "demo-rest", "operations"]);
    assert_eq!(longest_keep(&set).to_string(), "6 years");
    assert_eq!(segment_retain_until(&set, recorded_at).0, at("2032-12-01T00:00:00Z"));
    // The shorter keep ends later, because its bucket does.
    let days = PolicySet::new(vec![
        policy("long", "20 days", "20 days", "bucket = \"day\"\n[[match]]"),
        policy("short", "19 days", "19 days", "[[match]]"),
    ])
    .unwrap();
    assert_eq!(segment_retain_until(&days, recorded_at).0, at("2026-12-20T00:00:00Z"));
}

#[test]
fn extension_moves_the_dates_of_the_extended_class() {
    let bucket = bucket_named("mifid-ii/2021-05");
    let until = |set: &PolicySet| set.keep_until(&bucket).unwrap().map(|until| until.0);
    let due = |set: &PolicySet| set.dispose_at(&bucket).unwrap().map(|(due, p)| (due, p.id().to_string()));
    let five = shipped_set(&["mifid-ii", "operations"]);
    assert_eq!(until(&five), Some(at("2026-06-01T00:00:00Z")));
    assert_eq!(due(&five), Some((at("2026-06-01T00:00:00Z"), "mifid-ii".to_owned())));
    for ids in [&["mifid-ii-7y", "mifid-ii", "operations"][..], &["mifid-ii-7y", "operations"]] {
        let seven = shipped_set(ids);
        assert_eq!(until(&seven), Some(at("2028-06-01T00:00:00Z")));
        assert_eq!(due(&seven), Some((at("2028-06-01T00:00:00Z"), "mifid-ii-7y".to_owned())));
    }
    let other = shipped_set(&["finra-4511"]);
    assert_eq!((until(&other), due(&other)), (None, None));
    // A segment outlives a pack whose lock is extended by a policy with shorter buckets.
    let mixed = PolicySet::new(vec![
        policy("base", "5 days", "5 days", "[[match]]"),
        policy("more", "9 days", "9 days", "bucket = \"day\"\nextends = [\"base\"]\n[[match]]"),
    ])
    .unwrap();
    assert_eq!(segment_retain_until(&mixed, at("2026-11-01T00:00:00Z")).0, at("2026-12-10T00:00:00Z"));
}

#[test]
fn bucket_of_a_class() {
    let bucket = bucket_of(&"demo".parse().unwrap(), BucketPeriod::Second, at("2026-11-21T21:37:45Z"));
    assert_eq!(bucket.to_string(), "demo/2026-11-21T213745");
}
