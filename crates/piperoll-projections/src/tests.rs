//! Tests of what is computed from facts: events are fed as the follower feeds them, and questions are asked.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

mod consent;
mod media;
mod person;
mod send;
mod thread;

use piperoll_format::{Facts, Kind, LedgerId, Payload, Provenance, Timestamp};
use piperoll_sources::{Captured, Sender, project};
use serde_json::{Value, json};

use crate::{Observed, Projections, Rows, fold};

/// 2026-11-22T00:00:00Z in seconds.
pub(crate) const DAY: i64 = 1_795_305_600;
/// The business number.
pub(crate) const NUMBER: &str = "9001";

/// A ledger's projections, fed event by event.
pub(crate) struct Feed {
    pub(crate) projections: Projections,
    next: u64,
    _dir: tempfile::TempDir,
}

impl Feed {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("projections.redb");
        let projections = Projections::open(&path, LedgerId([7; 16]), 1 << 20).unwrap();
        Self { projections, next: 0, _dir: dir }
    }

    /// Feeds a webhook with one change; returns the `seq` of its first item.
    pub(crate) fn webhook(&mut self, field: &str, mut value: Value) -> u64 {
        value["messaging_product"] = "whatsapp".into();
        value["metadata"] = json!({"display_phone_number": "15550100000", "phone_number_id": NUMBER});
        let body = json!({"object": "whatsapp_business_account",
            "entry": [{"id": "700", "changes": [{"field": field, "value": value}]}]});
        let body = body.to_string();
        let first = self.next;
        let items = Sender::Meta.split(body.as_bytes()).items;
        for item in &items {
            let parts: Vec<Vec<u8>> = if items.len() == 1 {
                vec![body.clone().into_bytes()]
            } else {
                item.ranges.iter().map(|range| body.as_bytes()[range.clone()].to_vec()).collect()
            };
            let facts = Facts {
                subject: item.subject.clone(),
                number: item.number.clone(),
                occurred_at: item.occurred_at,
                ..Facts::default()
            };
            self.event(item.kind, parts, facts, items.len() == 1);
        }
        first
    }

    /// Feeds a message of a customer.
    pub(crate) fn text(&mut self, from: &str, id: &str, at: i64, text: &str) -> u64 {
        let message = json!({"from": from, "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": text}});
        self.webhook("messages", json!({"messages": [message]}))
    }

    /// Feeds an event of the archive's own.
    pub(crate) fn own(&mut self, kind: Kind, at: i64, subject: Option<&str>, document: &Value) -> u64 {
        let facts = Facts {
            subject: subject.map(str::to_owned),
            number: document["number"].as_str().map(str::to_owned),
            occurred_at: Some(at * 1_000_000),
            ..Facts::default()
        };
        self.event(kind, vec![document.to_string().into_bytes()], facts, false)
    }

    fn event(&mut self, kind: Kind, parts: Vec<Vec<u8>>, facts: Facts, whole: bool) -> u64 {
        let seq = self.next;
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let (number, subject) = (facts.number.as_deref(), facts.subject.as_deref());
        let captured = Captured { whole, parts: &slices, number, subject, source: "whatsapp" };
        let message = project(kind, &captured);
        let payload =
            Payload { parts, provenance: Provenance::default(), facts, placement: None, skeleton: None };
        let recorded_at = Timestamp(u64::try_from((DAY + 30 * 86_400) * 1_000_000).unwrap() + seq);
        let bucket = "standard/2026-11";
        let observed = Observed { seq, kind, recorded_at, bucket, payload: &payload, message: &message };
        self.next += 1;
        let mut rows = Rows::default();
        fold(&observed, &mut rows);
        self.projections.add(&[rows], self.next, false).unwrap();
        seq
    }
}
