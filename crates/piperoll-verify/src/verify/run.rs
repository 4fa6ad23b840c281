//! The state of a run: everything that is checked in the order of the segments.

use std::sync::Arc;

use bytes::Bytes;
use piperoll_format::{Genesis, ObjectDigest, ObjectName, SegmentNo, Seq, Timestamp};
use piperoll_tlog::hash::NodeHash;
use tokio::task::JoinSet;

use super::assign::Assignments;
use super::derived::{Seen, TileBuilder, check_tile};
use super::disposal::Disposals;
use super::examine::{Examined, ExaminedObject, ObjectState, Shared};
use super::inventory::Inventory;
use super::link::Link;
use super::retention::{Demands, Locks};
use super::segment::SegmentFacts;
use super::signatures::{SignatureQueue, SignedSegment, check_signatures};
use super::{Listed, Progress, VerifyOptions};
use crate::pool::compute;
use crate::reader::key;
use crate::report::{Check, Finding, FindingCode, Findings, Report, Tombstones};

/// Batches of signatures that are checked at the same time.
const SIGNATURE_TASKS: usize = 4;

/// Objects that a note names.
const NAMED_IN_NOTE: usize = 5;

pub(super) struct Run<'a> {
    shared: Arc<Shared>,
    options: &'a VerifyOptions<'a>,
    genesis: Option<Genesis>,
    inventory: Inventory,
    link: Link,
    assignments: Assignments,
    findings: Findings,
    unreadable: Vec<String>,
    notes: Vec<String>,
    locks: Locks,
    demands: Demands,
    disposals: Disposals,
    signatures: SignatureQueue,
    tasks: JoinSet<Vec<(String, Seq)>>,
    /// `None` once leaves are missing or wrong: then no tile can be compared any more.
    tiles: Option<TileBuilder>,
    pub(super) since: Option<Seen>,
    pub(super) derived: Option<Seen>,
    pub(super) progress: Progress,
    counts: Counts,
    end: Option<End>,
}

#[derive(Default)]
struct Counts {
    objects: u64,
    events: u64,
    signatures: u64,
    checkpoints: u64,
    opened: u64,
    unopened: u64,
    tiles: u64,
}

/// The newest segment that could be read.
struct End {
    size: u64,
    root: NodeHash,
    chain_head: String,
    recorded_at: Option<Timestamp>,
    checkpoint: String,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: &'a VerifyOptions<'a>,
        genesis: Option<Genesis>,
        inventory: Inventory,
        link: Link,
        mut findings: Findings,
        unreadable: Vec<String>,
    ) -> Self {
        let demands = Demands::new(genesis.as_ref(), &mut findings);
        Self {
            tiles: shared.context.wants_leaves.then(TileBuilder::default),
            shared,
            options,
            genesis,
            inventory,
            link,
            assignments: Assignments::default(),
            findings,
            unreadable,
            notes: Vec::new(),
            locks: Locks::new(options.now),
            demands,
            disposals: Disposals::default(),
            signatures: SignatureQueue::default(),
            tasks: JoinSet::new(),
            since: None,
            derived: None,
            progress: Progress::default(),
            counts: Counts::default(),
            end: None,
        }
    }

    /// Checks what stands beside the segments: genesis' lock and the dictionaries.
    pub(super) async fn check_fixed_objects(&mut self, genesis_bytes: Option<&Bytes>) {
        if let Some(bytes) = genesis_bytes {
            self.count_object(bytes.len());
        }
        let Some(genesis) = &self.genesis else { return };
        let until = genesis.retain_until;
        let dictionaries = genesis.dictionaries.clone();
        let stored = self.inventory.genesis.and_then(|lock| lock.retain_until);
        self.locks.check(|| ObjectName::Genesis, until, stored);
        for (number, digest) in dictionaries {
            let name = ObjectName::Dictionary { number };
            let stored = self.inventory.dictionaries.remove(&number);
            match self.get(&name).await {
                Some(bytes) => {
                    self.count_object(bytes.len());
                    let found = ObjectDigest::of(&bytes);
                    if found != digest {
                        let (expected, found) = (format!("digest {digest}"), format!("digest {found}"));
                        self.findings
                            .add(Finding::new(FindingCode::ObjectChanged, expected, found).at(&name));
                    }
                    self.locks.check(|| name, until, stored.and_then(|lock| lock.retain_until));
                }
                None if stored.is_none() => {
                    let finding =
                        Finding::new(FindingCode::ObjectMissing, format!("digest {digest}"), "nothing");
                    self.findings.add(finding.at(&name));
                }
                None => {}
            }
        }
        let others =
            self.inventory.dictionaries.keys().map(|number| ObjectName::Dictionary { number: *number });
        self.inventory.foreign.extend(others.map(|name| name.to_string()));
    }

    /// Reads an object; what cannot be read is noted.
    async fn get(&mut self, name: &ObjectName) -> Option<Bytes> {
        match self.shared.get(name).await {
            Ok(found) => found,
            Err(error) => {
                self.unreadable.push(format!("`{name}`: {error}"));
                None
            }
        }
    }

    fn count_object(&mut self, bytes: usize) {
        self.counts.objects += 1;
        self.progress.bytes += bytes as u64;
    }

    /// Takes over an examined segment, in the order of the numbers.
    pub(super) async fn settle(&mut self, listed: Listed, examined: Examined) {
        let number = examined.number;
        if number != self.link.next {
            self.missing(self.link.next, number);
        }
        self.counts.objects += 1;
        self.progress.bytes += examined.bytes_read;
        self.counts.opened += examined.opened;
        self.unreadable.extend(examined.unreadable);
        match examined.checked {
            Some(checked) => {
                let tree_fits =
                    !checked.findings.iter().any(|finding| finding.code == FindingCode::RootMismatch);
                checked.findings.into_iter().for_each(|finding| self.findings.add(finding));
                match checked.facts {
                    Some(mut facts) => {
                        let before = self.findings.counts.get(&FindingCode::FrontierMismatch).copied();
                        self.link.follow(number, checked.digest, &facts, &mut self.findings);
                        let after = self.findings.counts.get(&FindingCode::FrontierMismatch).copied();
                        self.compare_trees(&mut facts, tree_fits && before == after).await;
                        self.assignments.follow(number, &facts, &examined.objects, &mut self.findings);
                        self.retention(listed, &facts);
                        self.collect_signatures(number, examined.bytes, &mut facts).await;
                        self.counts.unopened += unopened(&facts, &self.shared);
                        self.advance(&facts);
                    }
                    None => self.break_link(number, Some(checked.digest)),
                }
            }
            None => self.break_link(number, None),
        }
        for object in examined.objects {
            self.object(number, object).await;
        }
        for order in examined.orders {
            self.disposals.order(order, &mut self.findings);
        }
        self.progress.segments += 1;
        self.report_progress();
    }

    fn missing(&mut self, first: SegmentNo, found: SegmentNo) {
        let count = found.0.saturating_sub(first.0);
        let expected = format!("{count} segments from {first} on");
        let finding = Finding::new(FindingCode::SegmentMissing, expected, format!("segment {found}"));
        self.findings.add(finding.at(ObjectName::Segment(first)));
        self.break_link(SegmentNo(found.0 - 1), None);
    }

    fn break_link(&mut self, number: SegmentNo, digest: Option<ObjectDigest>) {
        self.link.break_at(number.next(), digest);
        self.assignments.break_off();
        self.tiles = None;
    }

    async fn compare_trees(&mut self, facts: &mut SegmentFacts, tree_fits: bool) {
        if let Some(since) = &mut self.since {
            since.found(facts.since_root);
        }
        if !tree_fits {
            // One finding for the wrong tree is enough.
            (self.tiles, self.derived) = (None, None);
        }
        if let Some(derived) = &mut self.derived {
            derived.found(facts.derived_root);
        }
        let Some(mut tiles) = self.tiles.take() else { return };
        for leaf in std::mem::take(&mut facts.leaves) {
            for (tile, computed) in tiles.push(leaf) {
                if self.inventory.tiles.remove(&tile).is_none() {
                    continue;
                }
                if let Some(stored) = self.get(&ObjectName::Tile(tile.path())).await {
                    self.count_object(stored.len());
                    self.counts.tiles += 1;
                    check_tile(tile, &stored, &computed)
                        .into_iter()
                        .for_each(|finding| self.findings.add(finding));
                }
            }
        }
        self.tiles = Some(tiles);
    }

    fn retention(&mut self, listed: Listed, facts: &SegmentFacts) {
        let number = listed.number;
        self.demands.changed = self.demands.changed.or(facts.config_changed);
        self.demands.check_segment(number, facts.last_time, facts.retain_until, &mut self.findings);
        self.locks.check(|| ObjectName::Segment(number), facts.retain_until, listed.retain_until);
    }

    async fn collect_signatures(&mut self, number: SegmentNo, bytes: Bytes, facts: &mut SegmentFacts) {
        if facts.signed.is_empty() {
            return;
        }
        self.counts.signatures += facts.signed.len() as u64;
        let name = ObjectName::Segment(number).to_string();
        let cores = std::mem::take(&mut facts.signed);
        if let Some(work) = self.signatures.add(SignedSegment { name, bytes, cores }) {
            self.check_signatures(work).await;
        }
    }

    async fn check_signatures(&mut self, work: Vec<SignedSegment>) {
        while self.tasks.len() >= SIGNATURE_TASKS {
            self.finish_task().await;
        }
        let shared = self.shared.clone();
        self.tasks.spawn(compute(move || check_signatures(&work, &shared.context.vkeys)));
    }

    async fn finish_task(&mut self) {
        let Some(done) = self.tasks.join_next().await else { return };
        for (segment, seq) in done.expect("the checks do not panic, and nobody aborts them") {
            let finding = Finding::new(FindingCode::SignatureInvalid, "a signature of the core", "another");
            self.findings.add(finding.at(segment).event(seq));
        }
    }

    fn advance(&mut self, facts: &SegmentFacts) {
        let events = facts.end_seq.0 - facts.first_seq.0;
        self.counts.events += events;
        self.progress.events += events;
        self.counts.checkpoints += u64::from(!self.shared.context.vkeys.is_empty());
        self.end = Some(End {
            size: facts.end_seq.0,
            root: facts.root,
            chain_head: facts.chain_last.to_string(),
            recorded_at: facts.last_time,
            checkpoint: facts.checkpoint.clone(),
        });
    }

    async fn object(&mut self, number: SegmentNo, object: ExaminedObject) {
        let ExaminedObject { entry, state, events, keys: _ } = object;
        let listed = self.inventory.name(&entry, number);
        self.demands.check_object(number, &entry, &mut self.findings);
        match state {
            ObjectState::Present => {
                self.counts.objects += 1;
                let stored = match listed {
                    Some(listed) => listed.retain_until,
                    // Created after the listing.
                    None => {
                        let head =
                            self.shared.store.head(&key(self.shared.ledger, &entry.name(number))).await;
                        head.ok().and_then(|meta| meta.lock.retain_until)
                    }
                };
                self.locks.check(|| entry.name(number), entry.retain_until, stored);
            }
            ObjectState::Absent => self.disposals.absent(number, entry, events),
            ObjectState::Unreadable => {}
        }
    }

    fn report_progress(&mut self) {
        self.progress.findings = self.findings.counts.values().sum();
        if let Some(progress) = self.options.progress {
            progress(&self.progress);
        }
    }

    /// Checks what needs the whole ledger, and makes the report.
    pub(super) async fn finish(mut self) -> Report {
        let work = self.signatures.take();
        if !work.is_empty() {
            self.check_signatures(work).await;
        }
        while !self.tasks.is_empty() {
            self.finish_task().await;
        }
        if self.end.is_none() && self.progress.segments == 0 {
            if self.inventory.is_fresh() {
                self.notes.push("the ledger was created but has no events yet".to_owned());
            } else {
                let finding = Finding::new(FindingCode::SegmentMissing, "the first segment", "no segment");
                self.findings.add(finding.at(ObjectName::Segment(SegmentNo(0))));
            }
        }
        let disposals = std::mem::take(&mut self.disposals);
        let now = self.options.now;
        let tombstones = disposals.finish(now, &self.inventory, &mut self.findings, &mut self.notes);
        self.leftovers();
        let size = self.end.as_ref().map_or(0, |end| end.size);
        for seen in [self.since.take(), self.derived.take()].into_iter().flatten() {
            if !seen.finish(size, &mut self.findings) {
                self.unreadable.push(format!("the events at the size of the {}", seen.what));
            }
        }
        let locks = std::mem::replace(&mut self.locks, Locks::new(now));
        let kept = locks.kept;
        locks.finish(&mut self.findings, &mut self.notes);
        self.notes_at_end();
        self.report_progress();
        self.report(tombstones, kept)
    }

    /// Reports what is in the store but belongs to nothing.
    fn leftovers(&mut self) {
        let next = self.link.next;
        let mut unnamed = Vec::new();
        for (segment, name) in self.inventory.unnamed() {
            if segment > next {
                self.inventory.foreign.push(name.to_string());
            } else {
                unnamed.push(name.to_string());
            }
        }
        if !unnamed.is_empty() {
            let shown: Vec<&str> = unnamed.iter().take(NAMED_IN_NOTE).map(String::as_str).collect();
            let count = unnamed.len();
            self.notes.push(format!(
                "{count} objects that no segment names, as a crash leaves them: {}",
                shown.join(", ")
            ));
        }
        for name in std::mem::take(&mut self.inventory.foreign) {
            let finding = Finding::new(FindingCode::ForeignObject, "no such object", "the object");
            self.findings.add(finding.at(name));
        }
        for (key, shadow) in &self.shared.shadowed {
            let name = key.as_str().split_once('/').map_or(key.as_str(), |(_, name)| name);
            let finding =
                Finding::new(FindingCode::ObjectShadowed, "nothing over the object", shadow.to_string());
            self.findings.add(finding.at(name));
        }
        let size = self.end.as_ref().map_or(0, |end| end.size);
        for tile in self.inventory.tiles.keys() {
            let nodes = size.checked_shr(u32::from(tile.level()) * 8).unwrap_or(0);
            if tile.index().saturating_mul(256).saturating_add(u64::from(tile.width())) > nodes {
                let finding = Finding::new(FindingCode::DerivedWrong, "no tile behind the end", "a tile");
                self.findings.add(finding.at(tile.path()));
            }
        }
    }

    fn notes_at_end(&mut self) {
        if let Some(seq) = self.demands.changed {
            let note = "later locks were compared with what segments record, not with policies";
            self.notes.push(format!("the configuration changed at event {seq}; {note}"));
        }
        if self.options.vkeys.is_empty() {
            self.notes.push("no key was given; the key in genesis was believed".to_owned());
        }
    }

    fn report(self, tombstones: Tombstones, locks: u64) -> Report {
        let checked = self.checks(locks);
        let Self { shared, findings, unreadable, notes, progress, counts, end, .. } = self;
        Report {
            ledger: shared.ledger.to_string(),
            origin: shared.context.origin.clone(),
            vkeys: shared.context.vkeys.iter().map(ToString::to_string).collect(),
            size: end.as_ref().map_or(0, |end| end.size),
            root: end.as_ref().map(|end| end.root.to_base64()),
            chain_head: end.as_ref().map(|end| end.chain_head.clone()),
            recorded_at: end.as_ref().and_then(|end| end.recorded_at).map(|at| at.to_string()),
            checkpoint: end.map(|end| end.checkpoint),
            segments: progress.segments,
            objects: counts.objects,
            bytes: progress.bytes,
            tombstones,
            checked,
            findings: findings.listed,
            finding_counts: findings.counts,
            unreadable,
            notes,
        }
    }

    fn unremembered(&self) -> Option<String> {
        let text = "none was given: that the end was cut off cannot be excluded";
        self.options.since.is_none().then(|| text.to_owned())
    }

    fn checks(&self, locks: u64) -> Vec<Check> {
        let counts = &self.counts;
        let check =
            |what: &str, count, skipped: Option<String>| Check { what: what.to_owned(), count, skipped };
        let quick = |what: &str| self.shared.is_quick.then(|| what.to_owned());
        let has_keys = !self.shared.context.vkeys.is_empty();
        let no_vkey = || (!has_keys).then(|| "no key is known".to_owned());
        let unopened = counts.unopened;
        let commitments = (unopened > 0).then(|| match self.shared.is_quick {
            true => format!("{unopened} payloads: quick"),
            false => format!("{unopened} encrypted payloads: no keys were given"),
        });
        vec![
            check("chain", counts.events, None),
            check("tree", counts.events, None),
            check("checkpoints", counts.checkpoints, no_vkey()),
            check(
                "signatures",
                counts.signatures,
                no_vkey().or(quick("quick: only those of the newest segment")),
            ),
            check("objects", counts.objects, None),
            check("commitments", counts.opened, commitments),
            check("locks", locks, None),
            check("retention", self.demands.compared, None),
            check("tiles", counts.tiles, quick("quick")),
            check("remembered checkpoint", u64::from(self.options.since.is_some()), self.unremembered()),
        ]
    }
}

/// Counts the payloads that were not opened for want of keys or time.
fn unopened(facts: &SegmentFacts, shared: &Shared) -> u64 {
    let payloads = facts.payloads.iter().flatten();
    let skipped =
        payloads.filter(|(_, payload)| shared.is_quick || (shared.keys.is_none() && payload.key.is_some()));
    skipped.count() as u64
}
