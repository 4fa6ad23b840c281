//! Which key is whose: every key is in one key object, is given to one subject once, and is used from then on.
//!
//! Only buckets whose period lasts are remembered, with 8 bytes for each key and subject: fingerprints under a secret
//! of the run, so that nobody can choose two that meet. That two of ten million meet by chance has a probability of
//! less than one in 100,000, and would show as a finding.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use piperoll_format::{Bucket, KeyId, ObjectName, ObjectType, PayloadRef, Pseudonym, SegmentNo, Timestamp};
use piperoll_policy::bucket_label;

use super::examine::ExaminedObject;
use super::segment::{SegmentFacts, period_of};
use crate::report::{Finding, FindingCode, Findings};

/// The keys of the buckets that take payloads, as far as the segments were followed.
#[derive(Default)]
pub(super) struct Assignments {
    secret: RandomState,
    buckets: HashMap<Bucket, BucketKeys>,
    /// Something before the segment that comes next could not be read.
    is_broken: bool,
    /// Up to this time something could not be read.
    unseen: Option<Timestamp>,
}

#[derive(Default)]
struct BucketKeys {
    /// Keys that nobody has.
    spare: HashSet<u64>,
    given: HashSet<u64>,
    subjects: HashSet<u64>,
    /// Whether an event may have given a key unseen.
    misses_events: bool,
    /// Whether a key object could not be read.
    misses_keys: bool,
}

impl Assignments {
    /// Notes that a segment could not be followed.
    pub(super) const fn break_off(&mut self) {
        self.is_broken = true;
    }

    /// Checks the keys of a segment, in the order of the numbers.
    pub(super) fn follow(
        &mut self,
        number: SegmentNo,
        facts: &SegmentFacts,
        objects: &[ExaminedObject],
        findings: &mut Findings,
    ) {
        let Some(time) = facts.first_time else { return self.break_off() };
        self.buckets.retain(|bucket, _| bucket.label() >= &*label_at(bucket, time));
        if self.is_broken || !facts.has_all_payloads() {
            self.is_broken = false;
            self.unseen = self.unseen.max(facts.last_time);
            self.buckets.values_mut().for_each(BucketKeys::miss);
        }
        for object in objects.iter().filter(|object| object.entry.object == ObjectType::Keys) {
            let keys = self.bucket(&object.entry.bucket, time);
            let Some(ids) = &object.keys else {
                keys.0.misses_keys = true;
                continue;
            };
            for id in ids {
                let key = keys.1.hash_one(id);
                if keys.0.given.contains(&key) || !keys.0.spare.insert(key) {
                    let found = "one that another key object holds";
                    let finding = Finding::new(FindingCode::KeyMisassigned, format!("a new key {id}"), found);
                    findings.add(finding.at(object.entry.name(number)));
                }
            }
        }
        let name = ObjectName::Segment(number);
        for (entry, payloads) in facts.objects.iter().zip(&facts.payloads) {
            let (keys, secret) = self.bucket(&entry.bucket, time);
            for (seq, reference) in payloads {
                if let Some(finding) = keys.check(secret, reference) {
                    findings.add(finding.at(&name).event(*seq));
                }
            }
        }
    }

    /// Returns the keys of a bucket, which may be new at `time`.
    fn bucket(&mut self, bucket: &Bucket, time: Timestamp) -> (&mut BucketKeys, &RandomState) {
        if !self.buckets.contains_key(bucket) {
            let mut keys = BucketKeys::default();
            // A bucket whose period is over was there before and is forgotten.
            let begins_after = |time| *label_at(bucket, time) < *bucket.label();
            if *bucket.label() < *label_at(bucket, time) || !self.unseen.is_none_or(begins_after) {
                keys.miss();
            }
            let _new = self.buckets.insert(bucket.clone(), keys);
        }
        (self.buckets.get_mut(bucket).expect("it was just there"), &self.secret)
    }
}

impl BucketKeys {
    const fn miss(&mut self) {
        (self.misses_events, self.misses_keys) = (true, true);
    }

    fn check(&mut self, secret: &RandomState, reference: &PayloadRef) -> Option<Finding> {
        let id = reference.key?;
        let key = secret.hash_one(id);
        match reference.pseudonym {
            Some(pseudonym) => self.give((id, key), (pseudonym, secret.hash_one(pseudonym))),
            None if self.given.contains(&key) || self.misses_events => None,
            None => {
                let expected = format!("that key {id} was given to a subject before");
                Some(Finding::new(
                    FindingCode::KeyMisassigned,
                    expected,
                    "its first use, without a pseudonym",
                ))
            }
        }
    }

    fn give(&mut self, (id, key): (KeyId, u64), (who, subject): (Pseudonym, u64)) -> Option<Finding> {
        let misassigned =
            |expected: String, found: &str| Some(Finding::new(FindingCode::KeyMisassigned, expected, found));
        let is_spare = self.spare.remove(&key);
        if !self.given.insert(key) {
            return misassigned(format!("that nobody has key {id}"), "that it was given before");
        }
        if !self.subjects.insert(subject) {
            return misassigned(format!("that `{who}` has no key"), "that it was given one before");
        }
        if is_spare || self.misses_keys {
            return None;
        }
        let expected = format!("key {id} in a key object of this segment or an earlier one");
        Some(Finding::new(FindingCode::KeyMissing, expected, "no such key"))
    }
}

/// Returns the label of the period of a bucket's kind that contains a time.
fn label_at(bucket: &Bucket, time: Timestamp) -> String {
    bucket_label(period_of(bucket.label()), time)
}
