//! Tests of policies: property.

use chrono::{Datelike as _, Months};
use piperoll_format::{Kind, RetainUntil, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::policy;
use crate::{
    BucketPeriod, Facts, Period, Policy, PolicySet, StoredBucket, StoredObject, Unit, bucket_end,
    bucket_label, bucket_of, keep_until, plan_disposal, segment_retain_until,
};

/// Moments from 1970 to about the year 9500, so that no sum leaves what a label can say.
fn moments() -> impl Strategy<Value = Timestamp> {
    (0u64..237_000_000_000_000_000).prop_map(Timestamp)
}

fn periods() -> impl Strategy<Value = Period> {
    let units = vec![Unit::Second, Unit::Minute, Unit::Hour, Unit::Day, Unit::Month, Unit::Year];
    (1u32..=100, select(units)).prop_map(|(count, unit)| Period::new(count, unit).unwrap())
}

fn bucket_periods() -> impl Strategy<Value = BucketPeriod> {
    select(BucketPeriod::ALL.to_vec())
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    let rule = select(vec![
        "[[match]]",
        "[[match]]\nkinds = [\"whatsapp.*\"]",
        "[[match]]\nkinds = [\"consent.*\", \"delivery\"]\nsources = [\"api\"]",
        "[[match]]\nnumbers = [\"1\", \"2\"]",
        "[[match]]\nexcept_numbers = [\"2\"]",
    ]);
    let one = (1u32..9, 0u32..3, bucket_periods(), rule);
    vec(one, 1..6).prop_map(|all| {
        let mut policies = vec![policy("all", "1 year", "1 year", "[[match]]")];
        policies.extend(all.into_iter().enumerate().map(|(index, (keep, more, bucket, rule))| {
            let rest = format!("bucket = \"{bucket}\"\n{rule}");
            let dispose_after = format!("{} years", keep + more);
            policy(&format!("p{index}"), &format!("{keep} years"), &dispose_after, &rest)
        }));
        policies
    })
}

fn any_facts() -> impl Strategy<Value = Facts<'static>> {
    let numbers = vec![None, Some("1"), Some("2"), Some("3")];
    (select(Kind::ALL.to_vec()), select(numbers), select(vec!["whatsapp", "api", "import", ""]))
        .prop_map(|(kind, number, source)| Facts { kind, number, source })
}

proptest! {
    #[test]
    fn bucket_holds_its_moment(moment in moments(), period in bucket_periods()) {
        let label = bucket_label(period, moment);
        let end = bucket_end(&label).unwrap();
        prop_assert!(end > moment);
        prop_assert_eq!(bucket_label(period, Timestamp(end.0 - 1)), label.clone());
        prop_assert_ne!(bucket_label(period, end), label.clone());
        prop_assert!(bucket_label(period, end) > label, "labels sort by time");
    }

    #[test]
    fn lock_is_never_shorter_than_keep(moment in moments(), keep in periods(), bucket in bucket_periods()) {
        let rest = format!("bucket = \"{bucket}\"\n[[match]]");
        let policy = policy("p", &keep.to_string(), &keep.to_string(), &rest);
        let until = keep_until(&policy, &bucket_label(bucket, moment)).unwrap();
        prop_assert!(until.0 >= keep.after(moment));
        let set = PolicySet::new(vec![policy]).unwrap();
        prop_assert!(segment_retain_until(&set, moment) >= until);
    }

    /// Compared with chrono's own month arithmetic, which ends early where the day does not exist.
    #[test]
    fn months_are_never_shorter_than_the_calendar(moment in moments(), months in 1u32..=1200) {
        let end = Period::new(months, Unit::Month).unwrap().after(moment).to_utc();
        let clamped = moment.to_utc().checked_add_months(Months::new(months)).unwrap();
        if clamped.day() == moment.to_utc().day() {
            prop_assert_eq!(end, clamped);
        } else {
            prop_assert!(end > clamped && (end.day(), end.month0()) == (1, (clamped.month0() + 1) % 12));
        }
    }

    #[test]
    fn later_start_never_ends_earlier(a in moments(), distance in 0u64..400_000_000_000, period in periods()) {
        prop_assert!(period.after(a) <= period.after(Timestamp(a.0 + distance)));
    }

    #[test]
    fn order_of_lengths_holds_on_every_date(moment in moments(), a in periods(), b in periods()) {
        if a.covers(b) {
            prop_assert!(a.after(moment) >= b.after(moment), "{} covers {}", a, b);
        }
        prop_assert!(a.has_order_with(b) == b.has_order_with(a));
        prop_assert!(!a.has_order_with(b) || a.covers(b) || b.covers(a));
        prop_assert_eq!(Period::parse(&a.to_string()), Some(a));
    }

    /// The table, built once, agrees with asking every policy, and with the policies in any order.
    #[test]
    fn longest_wins_whatever_the_order_of_files(
        (policies, shuffled) in policies().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        facts in any_facts(),
    ) {
        let matching: Vec<&Policy> = policies.iter().filter(|policy| policy.matches(&facts)).collect();
        let longest = matching.iter().map(|policy| policy.keep()).max_by(|a, b| a.cmp_length(*b)).unwrap();
        let (set, other) = (PolicySet::new(policies.clone()).unwrap(), PolicySet::new(shuffled).unwrap());
        let decision = set.decide(&facts);
        prop_assert_eq!(decision, other.decide(&facts));
        prop_assert_eq!(decision.keep, longest);
        prop_assert_eq!(decision.reasons.len(), matching.len());
        prop_assert_eq!(&decision.reasons[0].policy, &decision.class);
    }

    /// Locks are drawn at random, as after any number of policy changes.
    #[test]
    fn plan_lists_nothing_before_its_lock_or_date(
        policies in policies(),
        recorded in vec((0u64..20, vec(0u64..20, 0..4)), 1..8),
        now in 0u64..20,
    ) {
        const YEAR: u64 = 31_556_952 * Timestamp::SECOND;
        let set = PolicySet::new(policies).unwrap();
        let count = set.policies().len();
        let buckets = recorded.iter().enumerate().map(|(index, (years, locks))| {
            let policy = &set.policies()[index % count];
            let object = |(n, lock): (usize, &u64)| StoredObject {
                key: format!("{index}-{n}"),
                size: 1,
                retain_until: RetainUntil(Timestamp(lock * YEAR)),
            };
            StoredBucket {
                bucket: bucket_of(policy.id(), policy.bucket(), Timestamp(years * YEAR)),
                objects: locks.iter().enumerate().map(object).collect(),
            }
        });
        let now = Timestamp(now * YEAR);
        let plan = plan_disposal(buckets, &set, now);
        for entry in &plan.entries {
            let (due, _) = set.dispose_at(&entry.bucket).unwrap().unwrap();
            prop_assert!(due <= now && entry.due_since == due && !entry.objects.is_empty());
            prop_assert!(entry.objects.iter().all(|object| object.retain_until.0 < now));
        }
        for skipped in &plan.skipped {
            prop_assert!(skipped.due_at.is_none_or(|due_at| due_at >= now));
        }
    }

    #[test]
    fn any_title_survives_the_canonical_text(title in "[^\\p{Cc}]{1,100}|.{1,100}", lines in "[a-z\"\\\\\n#']{1,60}") {
        let text = format!(
            "{}title = {}\nsummary = {}\n[[match]]\n",
            super::policy_text("p", "1 day", "1 day", "").replace("title = \"T\"\n", "").replace("summary = \"S\"\n", ""),
            serde_json::Value::from(title),
            serde_json::Value::from(lines),
        );
        if let Ok(policy) = Policy::parse("p.toml", &text) {
            let again = Policy::parse("p.toml", &policy.canonical()).unwrap();
            prop_assert_eq!(again.canonical(), policy.canonical());
            prop_assert_eq!(again.title(), policy.title());
            prop_assert_eq!(again.summary(), policy.summary());
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", cut in 0usize..700) {
        let valid = super::policy_text("p", "1 day", "1 day", "[[match]]\nkinds = [\"*\"]");
        let start: String = valid.chars().take(cut).collect();
        drop(Policy::parse("p.toml", &format!("{start}{text}")));
        drop(bucket_end(&text));
    }
}
