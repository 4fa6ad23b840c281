//! What ties a segment to the one before it.

use piperoll_format::{ChainHash, Kind, ObjectDigest, ObjectName, SegmentNo, Seq, Timestamp, chain_hash};

use super::segment::SegmentFacts;
use crate::report::{Finding, FindingCode, Findings};

/// The end of the ledger so far. What is `None` could not be read and ties nothing.
#[derive(Debug, Default)]
pub(super) struct Link {
    previous: Option<ObjectDigest>,
    chain: Option<ChainHash>,
    end: Option<Seq>,
    frontier: Option<Vec<[u8; 32]>>,
    time: Option<Timestamp>,
    /// The greatest number that was linked, and what is expected next.
    pub(super) next: SegmentNo,
}

impl Link {
    /// Starts at genesis.
    pub(super) fn at_genesis(bytes: &[u8]) -> Self {
        Self {
            previous: Some(ObjectDigest::of(bytes)),
            chain: Some(chain_hash(bytes)),
            end: Some(Seq(0)),
            frontier: Some(Vec::new()),
            time: None,
            next: SegmentNo(0),
        }
    }

    /// Forgets the end: the segment that should follow cannot be tied.
    pub(super) fn break_at(&mut self, next: SegmentNo, digest: Option<ObjectDigest>) {
        *self = Self { next, previous: digest, ..Self::default() };
    }

    /// Checks a segment against the end so far and makes it the new end.
    pub(super) fn follow(
        &mut self,
        number: SegmentNo,
        digest: ObjectDigest,
        facts: &SegmentFacts,
        findings: &mut Findings,
    ) {
        let name = ObjectName::Segment(number);
        let mut find = |code, expected: String, found: String| {
            findings.add(Finding::new(code, expected, found).at(&name));
        };
        if let Some(previous) = self.previous.filter(|previous| *previous != facts.previous) {
            find(FindingCode::SegmentLink, previous.to_string(), facts.previous.to_string());
        }
        if let Some(end) = self.end.filter(|end| *end != facts.first_seq) {
            find(
                FindingCode::SeqGap,
                format!("first event {end}"),
                format!("first event {}", facts.first_seq),
            );
        } else if self.frontier.as_ref().is_some_and(|frontier| *frontier != facts.frontier_before) {
            find(
                FindingCode::FrontierMismatch,
                "the tree of the events before".to_owned(),
                "another tree".to_owned(),
            );
        }
        let mut find = |code, expected: String, found: String| {
            findings.add(Finding::new(code, expected, found).at(&name).event(facts.first_seq));
        };
        if let (Some(chain), Some(found)) = (self.chain, facts.first_prev)
            && chain != found
        {
            find(FindingCode::ChainBroken, chain.to_string(), found.to_string());
        }
        if let (Some(time), Some(found)) = (self.time, facts.first_time)
            && time > found
        {
            find(FindingCode::TimeBackwards, format!("{time} or later"), found.to_string());
        }
        if let Some(kind) = facts.first_kind.filter(|kind| number.0 == 0 && *kind != Kind::LedgerOpened) {
            find(FindingCode::OpeningInvalid, Kind::LedgerOpened.to_string(), kind.to_string());
        }
        *self = Self {
            previous: Some(digest),
            chain: Some(facts.chain_last),
            end: Some(facts.end_seq),
            frontier: Some(facts.frontier_after.clone()),
            time: self.time.max(facts.last_time),
            next: number.next(),
        };
    }
}
