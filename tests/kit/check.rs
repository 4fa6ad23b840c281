//! `check_everything`: the whole ledger is read again and verified, and compared with what engines and senders know.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use piperoll_engine::{Engine, Receipt};
use piperoll_format::{Kind, ObjectName, SegmentNo, Seq, Timestamp};
use piperoll_store::{Clock as _, ObjectKey, ObjectMeta};
use piperoll_verify::ReadEvent;
use piperoll_verify::report::{FindingCode, Report};
use piperoll_verify::verify::{VerifyOptions, verify_ledger};

use crate::archive::TestArchive;
use crate::document::document_mistake;
use crate::wait::until;

/// An event as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its position.
    pub seq: Seq,
    /// What it records.
    pub kind: Kind,
    /// Its leaf hash in the tree.
    pub hash: [u8; 32],
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The sender's identity of it; `None` also when the payload is gone.
    pub source_id: Option<String>,
    /// The captured bytes of the item; `None` when the payload is gone.
    pub bytes: Option<Vec<u8>>,
}

impl TestArchive {
    /// Verifies the ledger with its keys.
    ///
    /// # Panics
    /// When it cannot be read at all.
    pub async fn verify(&self) -> Report {
        let options = VerifyOptions {
            keys: Some(self.keys()),
            now: Timestamp(self.clock.now_micros()),
            ..VerifyOptions::default()
        };
        verify_ledger(self.backing(), self.ledger(), options).await.unwrap()
    }

    /// Reads every event. The archive's own documents must be as `schemas/documents.schema.json` says.
    ///
    /// # Panics
    /// When one cannot be read, unless its payload was disposed of, or when a document has another form.
    pub async fn events(&self) -> Vec<Stored> {
        let reader = self.reader().await;
        let seqs: Vec<Seq> = (0..reader.size()).map(Seq).collect();
        reader.payload_many(&seqs).await.into_iter().map(|read| stored(read.unwrap())).collect()
    }

    /// Checks all that must hold at any moment: the ledger verifies, time does not run backwards, nothing is stored
    /// twice, and what is in the store is what the segments name and what the engine knows.
    ///
    /// # Panics
    /// When something does not hold.
    pub async fn check_everything(&self, engine: Option<&Engine>) -> Vec<Stored> {
        self.check_promises();
        let report = self.verify().await;
        assert!(report.is_clean() && report.is_complete(), "{:#?} {:#?}", report.findings, report.unreadable);
        let events = self.events().await;
        assert_eq!(report.size, events.len() as u64);
        check_order(&events);
        check_repeats(&events);
        if let Some(engine) = engine {
            assert_eq!(engine.head().borrow().size, report.size, "the engine's head is the ledger's end");
            self.check_inventory(engine).await;
        }
        events
    }

    /// Checks that the ledger has exactly these findings.
    ///
    /// # Panics
    /// When it has others.
    pub async fn check_findings(&self, expected: &[FindingCode]) -> Report {
        let report = self.verify().await;
        let found: Vec<FindingCode> = report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, expected, "{:#?}", report.findings);
        report
    }

    /// Compares the engine's inventory with what segments name and the store has. Receipts go out before the engine
    /// has brought its own state up to date, so it is given a moment.
    async fn check_inventory(&self, engine: &Engine) {
        let listed: BTreeMap<String, ObjectMeta> = self.list().await;
        let reader = self.reader().await;
        let (mut expected, mut with_orders) = (BTreeSet::new(), HashSet::new());
        let end = reader.head().map_or(0, |head| head.segment.0 + 1);
        for number in (0..end).map(SegmentNo) {
            let segment = reader.segment(number).await.unwrap();
            for object in segment.objects() {
                let name = object.name(number).to_string();
                if listed.contains_key(&name) {
                    expected.insert((object.bucket.clone(), name));
                }
            }
            for seq in (segment.first_seq().0..segment.end_seq().0).map(Seq) {
                let event = segment.event(seq).unwrap();
                if event.core.kind == Kind::DisposalOrdered {
                    with_orders.insert(event.pack.unwrap().bucket.clone());
                }
            }
        }
        expected.retain(|(bucket, _)| !with_orders.contains(bucket));
        let known = || -> BTreeSet<_> {
            let inventory = engine.inventory().unwrap();
            inventory.into_iter().map(|object| (object.bucket, object.name)).collect()
        };
        until("the engine's inventory is what the store has", || known() == expected).await;
        for object in engine.inventory().unwrap() {
            let meta = &listed[&object.name];
            assert_eq!(meta.size, object.size, "{}", object.name);
            assert!(meta.lock.retain_until >= Some(object.retain_until.0.0), "{}", object.name);
        }
    }

    /// Lists every object by its name in the ledger.
    ///
    /// # Panics
    /// When the store cannot be listed.
    pub async fn list(&self) -> BTreeMap<String, ObjectMeta> {
        let prefix = self.prefix("");
        let (store, mut all) = (self.backing(), BTreeMap::new());
        let mut after: Option<ObjectKey> = None;
        loop {
            let page = store.list(&prefix, after.as_ref(), 1_000).await.unwrap();
            after = page.last().map(|meta| meta.key.clone());
            if after.is_none() {
                return all;
            }
            all.extend(page.into_iter().map(|meta| (meta.key.as_str()[prefix.len()..].to_owned(), meta)));
        }
    }

    /// Returns the names of the packs and key objects that no segment names.
    ///
    /// # Panics
    /// When the ledger cannot be read.
    pub async fn unreferenced(&self) -> Vec<String> {
        let reader = self.reader().await;
        let mut names: BTreeSet<String> = self.list().await.into_keys().collect();
        names.retain(|name| {
            matches!(ObjectName::parse(name), Ok(ObjectName::Pack { .. } | ObjectName::Keys { .. }))
        });
        for number in (0..reader.head().map_or(0, |head| head.segment.0 + 1)).map(SegmentNo) {
            for object in reader.segment(number).await.unwrap().objects() {
                names.remove(&object.name(number).to_string());
            }
        }
        names.into_iter().collect()
    }
}

/// Checks that a receipt is about an event that is in the ledger with these captured bytes.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn check_receipt(events: &[Stored], receipt: &Receipt, text: &str) {
    let position = usize::try_from(receipt.seq.0).unwrap();
    let event = events.get(position).unwrap_or_else(|| panic!("no event {} for `{text}`", receipt.seq.0));
    assert_eq!(event.hash, receipt.event_hash.0, "event {} is the one that was acknowledged", receipt.seq.0);
    assert_eq!(event.bytes.as_deref(), Some(text.as_bytes()), "event {} has the bytes", receipt.seq.0);
}

fn stored(read: ReadEvent) -> Stored {
    let core = &read.event.core;
    let payload = match &read.payload {
        Ok(opened) => Some(&opened.payload),
        Err(error) if error.is_destroyed() => None,
        Err(error) => panic!("event {} cannot be read: {error}", core.seq.0),
    };
    if let Some(document) = payload.and_then(|payload| payload.parts.first()) {
        assert_eq!(document_mistake(core.kind, document), None, "event {}", core.seq.0);
    }
    Stored {
        seq: core.seq,
        kind: core.kind,
        hash: read.event.leaf_hash().0,
        recorded_at: core.recorded_at,
        source_id: payload.and_then(|payload| payload.facts.source_id.clone()),
        bytes: payload.map(|payload| payload.item_slices().unwrap().concat()),
    }
}

fn check_order(events: &[Stored]) {
    for (event, seq) in events.iter().zip(0..) {
        assert_eq!(event.seq, Seq(seq));
    }
    for pair in events.windows(2) {
        assert!(pair[0].recorded_at <= pair[1].recorded_at, "time runs backwards at event {}", pair[1].seq.0);
    }
}

fn check_repeats(events: &[Stored]) {
    let mut seen = HashSet::new();
    for event in events.iter().filter(|event| event.source_id.is_some()) {
        let is_new = seen.insert((event.kind, event.source_id.clone(), event.bytes.clone()));
        assert!(is_new, "event {} is stored twice: {:?}", event.seq.0, event.source_id);
    }
}
