//! Locks: what the store keeps against what the ledger records, and that against what the policies demand.

use std::collections::HashMap;

use piperoll_format::{Bucket, Genesis, ObjectEntry, ObjectName, RetainUntil, SegmentNo, Seq, Timestamp};
use piperoll_policy::{Policy, PolicySet, segment_retain_until};

use crate::report::{Finding, FindingCode, Findings};

/// Compares the store's locks with the recorded ones.
#[derive(Debug)]
pub(super) struct Locks {
    now: Timestamp,
    /// Objects whose lock is as long as recorded.
    pub(super) kept: u64,
    short: Findings,
}

impl Locks {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, kept: 0, short: Findings::default() }
    }

    /// Compares one lock. One that has ended by now needs none.
    pub(super) fn check(
        &mut self,
        name: impl FnOnce() -> ObjectName,
        recorded: RetainUntil,
        stored: Option<u64>,
    ) {
        if recorded.0 <= self.now {
            return;
        }
        if stored.is_some_and(|stored| stored >= recorded.0.0) {
            self.kept += 1;
            return;
        }
        let found = stored.map_or("no lock".to_owned(), |until| Timestamp(until).to_string());
        self.short.add(Finding::new(FindingCode::LockTooShort, recorded.to_string(), found).at(name()));
    }

    /// Hands over what was found. A store without any lock that holds is a copy, which is worth one note and not
    /// a finding for every object.
    pub(super) fn finish(self, findings: &mut Findings, notes: &mut Vec<String>) {
        let count: u64 = self.short.counts.values().sum();
        if self.kept == 0 && count > 0 {
            notes.push(format!("no lock record of {count} objects holds: this is a copy without its locks"));
            return;
        }
        for finding in self.short.listed {
            findings.add(finding);
        }
        let listed = findings.counts.get(&FindingCode::LockTooShort).copied().unwrap_or(0);
        if count > listed {
            findings.counts.insert(FindingCode::LockTooShort, count);
        }
    }
}

/// Compares recorded locks with what the policies in genesis demand.
#[derive(Debug)]
pub(super) struct Demands {
    set: Option<PolicySet>,
    /// The first event that changed the configuration; later locks follow policies that are not known here.
    pub(super) changed: Option<Seq>,
    buckets: HashMap<Bucket, Option<RetainUntil>>,
    /// Objects and segments compared.
    pub(super) compared: u64,
}

impl Demands {
    /// Reads the policies in genesis; policies that cannot be read are a finding.
    pub(super) fn new(genesis: Option<&Genesis>, findings: &mut Findings) -> Self {
        let read = |genesis: &Genesis| {
            let policies = genesis.policies.iter().map(|text| Policy::parse("genesis", text));
            PolicySet::new(policies.collect::<Result<_, _>>()?)
        };
        let set = match genesis.map(read).transpose() {
            Ok(set) => set,
            Err(error) => {
                let finding = Finding::new(FindingCode::PolicyInvalid, "a policy set", error.to_string());
                findings.add(finding.at(ObjectName::Genesis));
                None
            }
        };
        Self { set, changed: None, buckets: HashMap::new(), compared: 0 }
    }

    /// Compares the lock of a pack or key object.
    pub(super) fn check_object(&mut self, segment: SegmentNo, entry: &ObjectEntry, findings: &mut Findings) {
        let Some(set) = self.set.as_ref().filter(|_| self.changed.is_none()) else { return };
        // A label that names no time is no bucket that the policies know.
        let demand = *self
            .buckets
            .entry(entry.bucket.clone())
            .or_insert_with(|| set.keep_until(&entry.bucket).ok().flatten());
        self.compared += 1;
        let name = || entry.name(segment);
        match demand {
            Some(demand) => compare(name, demand, entry.retain_until, findings),
            None => {
                let expected = "a class and period of the policies in genesis";
                let finding =
                    Finding::new(FindingCode::RetentionTooShort, expected, entry.bucket.to_string());
                findings.add(finding.at(name()));
            }
        }
    }

    /// Compares the lock of a segment.
    pub(super) fn check_segment(
        &mut self,
        number: SegmentNo,
        recorded_at: Option<Timestamp>,
        recorded: RetainUntil,
        findings: &mut Findings,
    ) {
        let Some(set) = self.set.as_ref().filter(|_| self.changed.is_none()) else { return };
        let Some(recorded_at) = recorded_at else { return };
        self.compared += 1;
        compare(|| ObjectName::Segment(number), segment_retain_until(set, recorded_at), recorded, findings);
    }
}

fn compare(
    name: impl FnOnce() -> ObjectName,
    demand: RetainUntil,
    recorded: RetainUntil,
    findings: &mut Findings,
) {
    if recorded < demand {
        let expected = format!("a lock until {demand}");
        let finding = Finding::new(FindingCode::RetentionTooShort, expected, format!("until {recorded}"));
        findings.add(finding.at(name()));
    }
}
