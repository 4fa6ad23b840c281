//! What is gone, against what was ordered to go.

use std::collections::HashMap;

use piperoll_format::{ObjectDigest, ObjectEntry, ObjectName, SegmentNo, Seq, Timestamp};

use super::examine::OrderFound;
use super::inventory::Inventory;
use crate::report::{Finding, FindingCode, Findings, Tombstones};

struct Ordered {
    digest: ObjectDigest,
    seq: Seq,
    /// When it was first said to be done.
    completed: Option<Timestamp>,
}

struct Absent {
    segment: SegmentNo,
    entry: ObjectEntry,
    events: u64,
}

/// Collects orders and absences; an order comes after what it is about, so both are compared when the run ends.
#[derive(Default)]
pub(super) struct Disposals {
    ordered: HashMap<String, Ordered>,
    absent: Vec<Absent>,
    /// Orders whose own payload is gone, so that nobody knows what they named.
    orders_gone: u64,
}

impl Disposals {
    /// Takes a disposal order.
    pub(super) fn order(&mut self, found: OrderFound, findings: &mut Findings) {
        let Some(order) = found.order else {
            self.orders_gone += 1;
            return;
        };
        for (name, digest) in order.objects {
            let is_in_bucket = match ObjectName::parse(&name) {
                Ok(ObjectName::Pack { bucket, .. } | ObjectName::Keys { bucket, .. }) => {
                    bucket == order.bucket
                }
                _ => false,
            };
            if !is_in_bucket {
                let expected = format!("objects of `{}`", order.bucket);
                findings.add(Finding::new(FindingCode::DisposalInvalid, expected, name).event(found.seq));
                continue;
            }
            let ordered =
                self.ordered.entry(name).or_insert(Ordered { digest, seq: found.seq, completed: None });
            if found.is_completion {
                ordered.completed = ordered.completed.or(Some(found.at));
            }
        }
    }

    /// Takes an object that a segment names but that is not there.
    pub(super) fn absent(&mut self, segment: SegmentNo, entry: ObjectEntry, events: u64) {
        self.absent.push(Absent { segment, entry, events });
    }

    /// Compares both.
    pub(super) fn finish(
        self,
        now: Timestamp,
        inventory: &Inventory,
        findings: &mut Findings,
        notes: &mut Vec<String>,
    ) -> Tombstones {
        let (mut tombstones, mut unexplained) = (Tombstones::default(), 0_u64);
        for Absent { segment, entry, events } in &self.absent {
            let name = entry.name(*segment).to_string();
            match self.ordered.get(&name).filter(|ordered| ordered.digest == entry.digest) {
                Some(ordered) => {
                    // What is gone before it was said to be done is gone by now.
                    let done = ordered.completed.unwrap_or(now);
                    if done < entry.retain_until.0 {
                        let expected = format!("a disposal after {}", entry.retain_until);
                        let finding = Finding::new(FindingCode::DisposalEarly, expected, done.to_string());
                        findings.add(finding.at(&name).event(ordered.seq));
                    }
                }
                None if self.orders_gone > 0 && entry.retain_until.0 <= now => unexplained += 1,
                None => {
                    let (expected, found) =
                        (format!("digest {}", entry.digest), "nothing, and no order to dispose");
                    findings.add(Finding::new(FindingCode::ObjectMissing, expected, found).at(&name));
                    continue;
                }
            }
            tombstones.objects += 1;
            tombstones.events += events;
        }
        if unexplained > 0 {
            let gone = self.orders_gone;
            notes.push(format!(
                "{unexplained} objects are gone, and so is the text of {gone} disposal orders"
            ));
        }
        let mut left: Vec<_> = self.ordered.iter().filter(|(name, _)| is_there(name, inventory)).collect();
        left.sort_by_key(|(name, _)| *name);
        for (name, ordered) in left {
            let finding = Finding::new(FindingCode::DisposalIncomplete, "nothing", "the object");
            findings.add(finding.at(name).event(ordered.seq));
        }
        tombstones
    }
}

fn is_there(name: &str, inventory: &Inventory) -> bool {
    ObjectName::parse(name).is_ok_and(|name| inventory.has(&name))
}
