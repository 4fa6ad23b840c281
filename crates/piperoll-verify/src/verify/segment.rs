//! The checks of one segment that need nothing but its bytes; they run on all cores.

use std::ops::Range;

use bytes::Bytes;
use piperoll_format::{
    ChainHash, DecodeError, EventCore, Kind, LedgerId, ObjectDigest, ObjectEntry, ObjectName, PayloadRef,
    RetainUntil, SIGNATURE_LEN, Segment, SegmentNo, Seq, Timestamp, chain_hash,
};
use piperoll_policy::{BucketPeriod, bucket_label};
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::frontier::Frontier;
use piperoll_tlog::hash::{NodeHash, leaf_hash};
use piperoll_tlog::note::key::VerifierKey;

use crate::report::{Finding, FindingCode};
use crate::segment::is_pack_of;

/// What the checks need to know.
#[derive(Debug)]
pub(super) struct SegmentContext {
    pub(super) ledger: LedgerId,
    /// The keys that are trusted; empty when there is none, and signatures cannot be checked.
    pub(super) vkeys: Vec<VerifierKey>,
    pub(super) origin: Option<String>,
    /// The size at which the root is wanted, of a remembered checkpoint.
    pub(super) since_size: Option<u64>,
    /// The size at which the root is wanted, of the derived checkpoint.
    pub(super) derived_size: Option<u64>,
    /// Whether leaf hashes are wanted, for tiles.
    pub(super) wants_leaves: bool,
}

/// What a segment says and what follows from its bytes.
#[derive(Debug)]
pub(super) struct SegmentFacts {
    pub(super) first_seq: Seq,
    pub(super) end_seq: Seq,
    pub(super) previous: ObjectDigest,
    pub(super) retain_until: RetainUntil,
    pub(super) frontier_before: Vec<[u8; 32]>,
    pub(super) frontier_after: Vec<[u8; 32]>,
    pub(super) root: NodeHash,
    pub(super) checkpoint: String,
    pub(super) first_prev: Option<ChainHash>,
    pub(super) chain_last: ChainHash,
    pub(super) first_time: Option<Timestamp>,
    pub(super) last_time: Option<Timestamp>,
    pub(super) first_kind: Option<Kind>,
    pub(super) config_changed: Option<Seq>,
    pub(super) since_root: Option<NodeHash>,
    pub(super) derived_root: Option<NodeHash>,
    pub(super) objects: Vec<ObjectEntry>,
    /// For each of `objects` the payloads in it.
    pub(super) payloads: Vec<Vec<(Seq, PayloadRef)>>,
    /// Disposal orders and completions.
    pub(super) orders: Vec<OrderPlace>,
    pub(super) leaves: Vec<NodeHash>,
    pub(super) signed: Vec<SignedCore>,
}

impl SegmentFacts {
    /// Tells whether every core could be decoded and has a pack, so that `payloads` are all that there are.
    pub(super) fn has_all_payloads(&self) -> bool {
        let found: usize = self.payloads.iter().map(Vec::len).sum();
        found as u64 == self.end_seq.0 - self.first_seq.0
    }
}

/// Where a disposal order or its completion is.
#[derive(Clone, Debug)]
pub(super) struct OrderPlace {
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    /// Position of its pack in `objects`.
    pub(super) position: usize,
    pub(super) payload: PayloadRef,
    pub(super) is_completion: bool,
}

/// A core with its signature, as places in the segment's bytes.
#[derive(Clone, Debug)]
pub(super) struct SignedCore {
    pub(super) seq: Seq,
    pub(super) core: Range<usize>,
    pub(super) signature: [u8; SIGNATURE_LEN],
    /// Position of the key among those that are trusted.
    pub(super) key: usize,
}

/// The result of the checks: facts unless the bytes are no segment of this number.
#[derive(Debug)]
pub(super) struct SegmentChecked {
    pub(super) digest: ObjectDigest,
    pub(super) facts: Option<SegmentFacts>,
    pub(super) findings: Vec<Finding>,
}

/// Checks a segment's bytes. Signatures are only collected, when `wants_signatures`.
pub(super) fn check_segment(
    context: &SegmentContext,
    number: SegmentNo,
    bytes: &Bytes,
    wants_signatures: bool,
) -> SegmentChecked {
    let digest = ObjectDigest::of(bytes);
    let name = ObjectName::Segment(number);
    let refuse = |finding: Finding| SegmentChecked { digest, facts: None, findings: vec![finding.at(&name)] };
    let segment = match Segment::decode(bytes) {
        Ok(segment) => segment,
        Err(error) => {
            return refuse(Finding::new(FindingCode::SegmentInvalid, "a segment", error.to_string()));
        }
    };
    if (segment.ledger, segment.number) != (context.ledger, number) {
        let expected = format!("segment {number} of ledger {}", context.ledger);
        let found = format!("segment {} of ledger {}", segment.number, segment.ledger);
        return refuse(Finding::new(FindingCode::SegmentMisplaced, expected, found));
    }
    let hashes = segment.frontier.iter().copied().map(NodeHash).collect();
    let frontier = match Frontier::from_parts(segment.first_seq.0, hashes) {
        Ok(frontier) if segment.first_seq.0 < u64::MAX / 2 => frontier,
        Ok(_) => {
            return refuse(Finding::new(FindingCode::SegmentInvalid, "a possible seq", "one beyond 2^63"));
        }
        Err(error) => {
            return refuse(Finding::new(FindingCode::SegmentInvalid, "a frontier", error.to_string()));
        }
    };
    let mut checker = Checker { context, name, period: None, segment: &segment, bytes, findings: Vec::new() };
    let facts = checker.events(frontier, wants_signatures);
    checker.check_ends(&facts);
    SegmentChecked { digest, facts: Some(facts), findings: checker.findings }
}

struct Checker<'a> {
    context: &'a SegmentContext,
    name: ObjectName,
    /// The entry and time that were last found to be of one period: events of one commit share both.
    period: Option<(usize, Timestamp)>,
    segment: &'a Segment<'a>,
    bytes: &'a Bytes,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn find(&mut self, finding: Finding) {
        self.findings.push(finding.at(&self.name));
    }

    /// Goes through the events: place, chain, time, class, leaf.
    fn events(&mut self, mut frontier: Frontier, wants_signatures: bool) -> SegmentFacts {
        let segment = self.segment;
        let mut facts = self.start();
        let mut prev: Option<ChainHash> = None;
        for (index, bytes) in segment.cores.iter().enumerate() {
            let seq = Seq(segment.first_seq.0 + index as u64);
            let leaf = leaf_hash(bytes);
            frontier.append(leaf);
            if self.context.wants_leaves {
                facts.leaves.push(leaf);
            }
            // The two sizes are of checkpoints seen earlier; their roots are compared when the run ends.
            if self.context.since_size == Some(frontier.size()) {
                facts.since_root = Some(frontier.root());
            }
            if self.context.derived_size == Some(frontier.size()) {
                facts.derived_root = Some(frontier.root());
            }
            if let Some(core) = self.core(seq, bytes) {
                match prev {
                    None if index == 0 => {
                        (facts.first_prev, facts.first_kind) = (Some(core.prev), Some(core.kind));
                        facts.first_time = Some(core.recorded_at);
                    }
                    Some(prev) if prev != core.prev => {
                        let finding =
                            Finding::new(FindingCode::ChainBroken, prev.to_string(), core.prev.to_string());
                        self.find(finding.event(seq));
                    }
                    _ => {}
                }
                self.core_in_place(&mut facts, &core);
                self.check_kind(&core);
                if wants_signatures {
                    self.collect_signature(&mut facts, index, &core);
                }
            }
            let chain = chain_hash(bytes);
            (prev, facts.chain_last) = (Some(chain), chain);
        }
        facts.frontier_after = frontier.hashes().iter().map(|hash| hash.0).collect();
        facts.root = frontier.root();
        facts
    }

    fn start(&self) -> SegmentFacts {
        let segment = self.segment;
        SegmentFacts {
            first_seq: segment.first_seq,
            end_seq: segment.end_seq(),
            previous: segment.previous,
            retain_until: segment.retain_until,
            frontier_before: segment.frontier.clone(),
            frontier_after: Vec::new(),
            root: NodeHash([0; 32]),
            checkpoint: segment.checkpoint.to_owned(),
            first_prev: None,
            chain_last: segment.chain_head,
            first_time: None,
            last_time: None,
            first_kind: None,
            config_changed: None,
            since_root: None,
            derived_root: None,
            objects: segment.objects.clone(),
            payloads: vec![Vec::new(); segment.objects.len()],
            orders: Vec::new(),
            leaves: Vec::new(),
            signed: Vec::new(),
        }
    }

    fn core(&mut self, seq: Seq, bytes: &[u8]) -> Option<EventCore> {
        let core = match EventCore::decode(bytes) {
            Ok(core) => core,
            Err(error @ DecodeError::UnknownKind { .. }) => {
                self.find(
                    Finding::new(FindingCode::KindUnknown, "a known kind", error.to_string()).event(seq),
                );
                return None;
            }
            Err(error) => {
                self.find(Finding::new(FindingCode::CoreInvalid, "a core", error.to_string()).event(seq));
                return None;
            }
        };
        if (core.ledger, core.seq) != (self.context.ledger, seq) {
            let expected = format!("event {seq} of ledger {}", self.context.ledger);
            let found = format!("event {} of ledger {}", core.seq, core.ledger);
            self.find(Finding::new(FindingCode::SegmentMisplaced, expected, found).event(seq));
        }
        Some(core)
    }

    fn core_in_place(&mut self, facts: &mut SegmentFacts, core: &EventCore) {
        let seq = core.seq;
        if let Some(last) = facts.last_time.filter(|last| *last > core.recorded_at) {
            let expected = format!("{last} or later");
            self.find(
                Finding::new(FindingCode::TimeBackwards, expected, core.recorded_at.to_string()).event(seq),
            );
        }
        facts.last_time = facts.last_time.max(Some(core.recorded_at));
        match self.segment.objects.iter().position(|entry| is_pack_of(entry, core)) {
            Some(position) => {
                self.check_period(position, core);
                facts.payloads[position].push((seq, core.payload.clone()));
                if matches!(core.kind, Kind::DisposalOrdered | Kind::DisposalCompleted) {
                    let is_completion = core.kind == Kind::DisposalCompleted;
                    let (at, payload) = (core.recorded_at, core.payload.clone());
                    facts.orders.push(OrderPlace { seq, at, position, payload, is_completion });
                }
            }
            None => {
                let expected = format!("a pack of class `{}` in the segment", core.class);
                let found = format!("none with digest {}", core.payload.pack);
                self.find(Finding::new(FindingCode::PayloadUnplaced, expected, found).event(seq));
            }
        }
        if core.kind == Kind::ConfigChanged {
            facts.config_changed = facts.config_changed.or(Some(seq));
        }
    }

    fn check_period(&mut self, position: usize, core: &EventCore) {
        if self.period == Some((position, core.recorded_at)) {
            return;
        }
        let label = self.segment.objects[position].bucket.label();
        let expected = bucket_label(period_of(label), core.recorded_at);
        if expected == label {
            self.period = Some((position, core.recorded_at));
        } else {
            let finding = Finding::new(FindingCode::PeriodMismatch, format!("a pack of `{expected}`"), label);
            self.find(finding.event(core.seq));
        }
    }

    fn check_kind(&mut self, core: &EventCore) {
        if core.payload.key.is_none() != core.kind.is_clear() {
            let text = |is_clear| if is_clear { "a payload in clear" } else { "a sealed payload" };
            let (expected, found) = (text(core.kind.is_clear()), text(core.payload.key.is_none()));
            self.find(Finding::new(FindingCode::SealingWrong, expected, found).event(core.seq));
        }
        if core.kind == Kind::LedgerOpened && core.seq.0 != 0 {
            let finding = Finding::new(FindingCode::OpeningInvalid, "another kind", core.kind.to_string());
            self.find(finding.event(core.seq));
        }
    }

    fn collect_signature(&mut self, facts: &mut SegmentFacts, index: usize, core: &EventCore) {
        let Some(key) = self.context.vkeys.iter().position(|key| key.id().0 == core.writer.0) else {
            if !self.context.vkeys.is_empty() {
                let known: Vec<_> = self.context.vkeys.iter().map(|key| key.id().to_string()).collect();
                let expected = format!("key id {}", known.join(" or "));
                let finding = Finding::new(FindingCode::KeyUnknown, expected, core.writer.to_string());
                self.find(finding.event(core.seq));
            }
            return;
        };
        let bytes = self.segment.cores[index];
        let start = bytes.as_ptr().addr() - self.bytes.as_ptr().addr();
        let signature = *self.segment.signature(index).expect("a segment has a signature for every core");
        facts.signed.push(SignedCore { seq: core.seq, core: start..start + bytes.len(), signature, key });
    }

    /// Checks what the segment says about its own end.
    fn check_ends(&mut self, facts: &SegmentFacts) {
        if self.segment.chain_head != facts.chain_last {
            let (expected, found) = (facts.chain_last.to_string(), self.segment.chain_head.to_string());
            self.find(Finding::new(FindingCode::ChainBroken, expected, found));
        }
        let (checkpoint, problem) = open(self.segment.checkpoint, &self.context.vkeys);
        if let Some(problem) = problem {
            self.find(Finding::new(FindingCode::CheckpointInvalid, "a checkpoint of a trusted key", problem));
        }
        let Some(checkpoint) = checkpoint else { return };
        if let Some(origin) = self.context.origin.as_ref().filter(|origin| **origin != checkpoint.origin) {
            self.find(Finding::new(FindingCode::OriginMismatch, origin, &checkpoint.origin));
        }
        if (checkpoint.size, checkpoint.root) != (facts.end_seq.0, facts.root) {
            let expected = format!("size {}, root {}", facts.end_seq, facts.root.to_base64());
            let found = format!("size {}, root {}", checkpoint.size, checkpoint.root.to_base64());
            self.find(Finding::new(FindingCode::RootMismatch, expected, found));
        }
    }
}

/// Returns the period that a label of this form names.
pub(super) const fn period_of(label: &str) -> BucketPeriod {
    match label.len() {
        10 => BucketPeriod::Day,
        13 => BucketPeriod::Hour,
        15 => BucketPeriod::Minute,
        17 => BucketPeriod::Second,
        _ => BucketPeriod::Month,
    }
}

/// Opens a checkpoint as far as possible: what it says, and what is wrong with it.
pub(super) fn open(note: &str, vkeys: &[VerifierKey]) -> (Option<Checkpoint>, Option<String>) {
    let unsigned = || note.rfind("\n\n").and_then(|end| Checkpoint::parse(&note[..=end]).ok());
    if vkeys.is_empty() {
        return (unsigned(), None);
    }
    match Checkpoint::open(note.as_bytes(), vkeys) {
        Ok(checkpoint) => (Some(checkpoint), None),
        Err(error) => (unsigned(), Some(error.to_string())),
    }
}
