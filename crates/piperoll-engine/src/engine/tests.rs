//! Goal: what is acknowledged is in the store, once, and a reopened ledger goes on where it ended.
//! Method: a real engine on the memory store, which fails the test itself when a rule of the port is broken.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]
#![expect(clippy::single_range_in_vec_init, reason = "a placement with one range")]

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use piperoll_format::{
    Class, Codec, EventCore, Facts, Kek, Kind, LedgerId, PAYLOAD_BYTES_MAX, Payload, Placement, Provenance,
    Segment, SegmentNo, Seq, Skeleton, SkeletonItem, Submission, SubmissionGroup, Timestamp,
};
use piperoll_policy::{Policy, PolicySet};
use piperoll_store::{ManualClock, MemoryStore, ObjectKey, WormStore};

use crate::components::{Components, Entropy, Settings, WriterKeys};
use crate::create::{NewLedger, create_ledger};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::local::{STATE_FILE, local_end};
use crate::read::read_event;
use crate::ready::recover_local_state;

const NOW: u64 = 1_790_000_000_000_000;

/// Random-looking and different at every call, but the same in every run.
#[derive(Debug, Default)]
struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.0 += 1;
        let mut output = blake3::Hasher::new().update(&self.0.to_be_bytes()).finalize_xof();
        output.fill(buffer);
    }
}

struct Bench {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    dir: tempfile::TempDir,
    policies: Arc<PolicySet>,
}

impl Bench {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let text = policy("1 years");
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let bench = Self { store, clock, dir: tempfile::tempdir().unwrap(), policies: policies(&text) };
        let keys = keys();
        let new = NewLedger {
            ledger: LedgerId([7; 16]),
            origin: "piperoll.example/test",
            public_key: keys.signing.verifying_key().to_bytes(),
            next_key_digest: [0; 32],
            kek: &keys.kek,
            policies: vec![text.clone()],
            policy_set: &bench.policies,
            created_at: Timestamp(NOW),
        };
        create_ledger(bench.store.clone(), new).await.unwrap();
        bench
    }

    async fn open(&self) -> Engine {
        let components = Components {
            store: self.store.clone(),
            ledger: LedgerId([7; 16]),
            clock: self.clock.clone(),
            entropy: Box::new(Counter::default()),
            keys: keys(),
            policies: self.policies.clone(),
            state_dir: self.dir.path().to_owned(),
        };
        Engine::open(components, Settings::default()).await.unwrap()
    }

    /// Decodes every segment and returns the cores.
    async fn cores(&self) -> Vec<EventCore> {
        let mut cores = Vec::new();
        for number in 0.. {
            let key = ObjectKey::new(format!("{}/log/{number:012}.seg", LedgerId([7; 16]))).unwrap();
            let Ok(bytes) = self.store.get(&key).await else { break };
            let segment = Segment::decode(&bytes).unwrap();
            cores.extend(segment.cores.iter().map(|core| EventCore::decode(core).unwrap()));
        }
        cores
    }
}

fn policy(keep: &str) -> String {
    format!(
        r#"
            id = "all"
            version = 1
            title = "All"
            legal_basis = "test"
            summary = "test"
            keep = "{keep}"
            dispose_after = "{keep}"
            clock = "recorded"
            bucket = "month"
            [[match]]
        "#
    )
}

fn policies(text: &str) -> Arc<PolicySet> {
    Arc::new(PolicySet::new(vec![Policy::parse("all.toml", text).unwrap()]).unwrap())
}

fn keys() -> WriterKeys {
    WriterKeys { signing: SigningKey::from_bytes(&[1; 32]), kek: Kek::new([2; 32]) }
}

fn message(id: &str, text: &str) -> Submission {
    let payload = Payload {
        parts: vec![text.as_bytes().to_vec()],
        provenance: Provenance {
            source: "whatsapp".into(),
            received_at: Some(Timestamp(NOW)),
            media_type: "application/json".into(),
            ..Provenance::default()
        },
        facts: Facts { subject: Some("wa:15550100".into()), source_id: Some(id.into()), ..Facts::default() },
        placement: Some(Placement { delivery: None, ranges: vec![0..text.len() as u64] }),
        skeleton: None,
    };
    Submission { kind: Kind::WhatsappMessage, payload }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_name_events_that_are_in_the_store() {
    let bench = Bench::new().await;
    let engine = bench.open().await;
    let receipts = engine.submit(SubmissionGroup::single(message("a", "hello"))).await.unwrap();
    assert_eq!(receipts[0].seq, Seq(1));
    assert_eq!(engine.head().borrow().size, 2);
    engine.close().await;
    let cores = bench.cores().await;
    assert_eq!(cores.len(), 2);
    assert_eq!(cores[0].kind, Kind::LedgerOpened);
    assert_eq!(cores[1].class, "all".parse::<Class>().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_receipt_and_a_conflict_is_stored_and_marked_also_after_a_restart() {
    let bench = Bench::new().await;
    let engine = bench.open().await;
    let first = engine.submit(SubmissionGroup::single(message("a", "hello"))).await.unwrap()[0];
    let again = engine.submit(SubmissionGroup::single(message("a", "hello"))).await.unwrap()[0];
    assert_eq!((again.seq, again.event_hash, again.repeated), (first.seq, first.event_hash, true));
    let other = engine.submit(SubmissionGroup::single(message("a", "HELLO"))).await.unwrap()[0];
    assert!(!other.repeated);
    engine.close().await;
    drop(engine);
    // Without the local state everything is found again from the segments.
    for keep_state in [true, false] {
        if !keep_state {
            std::fs::remove_file(bench.dir.path().join("state.redb")).unwrap();
        }
        let engine = bench.open().await;
        for (text, seq) in [("hello", first.seq), ("HELLO", other.seq)] {
            let again = engine.submit(SubmissionGroup::single(message("a", text))).await.unwrap()[0];
            assert_eq!((again.seq, again.repeated), (seq, true), "state kept: {keep_state}");
        }
        engine.close().await;
    }
    assert_eq!(bench.cores().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_local_state_knows_what_was_committed_before_and_the_rest_is_replayed() {
    let bench = Bench::new().await;
    let engine = bench.open().await;
    let before = engine.submit(SubmissionGroup::single(message("a", "hello"))).await.unwrap()[0];
    let changed = Submission::own(Kind::ConfigChanged, "application/json", b"{}".to_vec());
    let changed = engine.submit(SubmissionGroup::single(changed)).await.unwrap()[0];
    // Local state has a commit when the next one begins.
    let _next = engine.submit(SubmissionGroup::single(message("c", "again"))).await.unwrap();
    let aside = tempfile::tempdir().unwrap();
    let lacks = engine.local_state().copy_to(aside.path()).unwrap();
    let later = engine.submit(SubmissionGroup::single(message("b", "world"))).await.unwrap()[0];
    let head = engine.head().borrow().clone();
    engine.close().await;
    drop(engine);
    let end = local_end(aside.path(), LedgerId([7; 16])).unwrap();
    assert_eq!(end.segments, lacks.0);
    assert!(end.events_min > changed.seq.0, "{end:?}");
    assert!(lacks.0 <= head.segment.unwrap().0, "the copy lacks the last segment");
    std::fs::copy(aside.path().join(STATE_FILE), bench.dir.path().join(STATE_FILE)).unwrap();
    let store = bench.store.clone();
    let (dir, settings) = (bench.dir.path(), Settings::default());
    let configured = recover_local_state(store, LedgerId([7; 16]), &keys(), dir, &settings).await.unwrap();
    assert_eq!(configured, [changed.seq]);
    let engine = bench.open().await;
    for (id, text, known) in [("a", "hello", before), ("b", "world", later)] {
        let again = engine.submit(SubmissionGroup::single(message(id, text))).await.unwrap()[0];
        assert_eq!((again.seq, again.event_hash, again.repeated), (known.seq, known.event_hash, true));
    }
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_points_at_its_items_and_at_earlier_repeats() {
    let bench = Bench::new().await;
    let engine = bench.open().await;
    let first = engine.submit(SubmissionGroup::single(message("a", "hello"))).await.unwrap()[0];
    let item = |id: &str, text: &str, start: u64| {
        let mut submission = message(id, text);
        submission.payload.placement =
            Some(Placement { delivery: None, ranges: vec![start..start + text.len() as u64] });
        // An item of a delivery holds its slices, so the ranges are positions in the delivery.
        submission.payload.placement.as_mut().unwrap().delivery = Some(Seq(0));
        submission
    };
    let mut delivery = message("delivery", "[,]");
    delivery.kind = Kind::Delivery;
    delivery.payload.placement = None;
    delivery.payload.skeleton = Some(Skeleton {
        body_length: 13,
        items: vec![
            SkeletonItem { seq: Seq(0), ranges: vec![1..6] },
            SkeletonItem { seq: Seq(0), ranges: vec![7..12] },
        ],
    });
    let group = SubmissionGroup {
        delivery: Some(delivery),
        items: vec![item("a", "hello", 1), item("b", "world", 7)],
    };
    let receipts = engine.submit(group.clone()).await.unwrap();
    assert_eq!(receipts[0].seq, first.seq);
    assert!(receipts[0].repeated);
    assert_eq!(receipts[1].seq, Seq(3));
    let again = engine.submit(group).await.unwrap();
    assert!(again.iter().all(|receipt| receipt.repeated));
    engine.close().await;
    let kinds: Vec<Kind> = bench.cores().await.iter().map(|core| core.kind).collect();
    let expected = [Kind::LedgerOpened, Kind::WhatsappMessage, Kind::Delivery, Kind::WhatsappMessage];
    assert_eq!(kinds, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_submitters_share_commits_and_every_seq_is_given_once() {
    let bench = Bench::new().await;
    let engine = Arc::new(bench.open().await);
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let engine = engine.clone();
            tokio::spawn(async move {
                engine
                    .submit(SubmissionGroup::single(message(&n.to_string(), &format!("text {n}"))))
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut seqs = Vec::new();
    for task in tasks {
        seqs.push(task.await.unwrap()[0].seq.0);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..201).collect::<Vec<_>>());
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_no_reader_would_open_is_refused_with_its_whole_group() {
    let bench = Bench::new().await;
    let engine = bench.open().await;
    let mut long = message("long", "");
    long.payload.parts[0] = vec![b' '; usize::try_from(PAYLOAD_BYTES_MAX).unwrap()];
    long.payload.placement = None;
    let group = SubmissionGroup { delivery: None, items: vec![message("short", "hello"), long] };
    let refused = engine.submit(group).await;
    assert!(matches!(refused, Err(EngineError::Invalid { .. })), "{refused:?}");
    let receipts = engine.submit(SubmissionGroup::single(message("short", "hello"))).await.unwrap();
    assert_eq!(receipts[0].seq, Seq(1), "the short one was not committed before");
    engine.close().await;
}

/// A batch that was not committed and is built again of the same events has the same packs, which are there already.
#[tokio::test(flavor = "multi_thread")]
async fn packs_of_an_earlier_try_are_taken_over_under_the_present_lock() {
    let mut bench = Bench::new().await;
    let engine = bench.open().await;
    engine.submit(SubmissionGroup::single(message("first", "makes the key"))).await.unwrap();
    engine.submit(SubmissionGroup::single(message("second", "is lost"))).await.unwrap();
    engine.close().await;
    let lost = ObjectKey::new(format!("{}/log/000000000002.seg", LedgerId([7; 16]))).unwrap();
    let bytes = bench.store.remove_unchecked(&lost).unwrap();
    let pack = Segment::decode(&bytes).unwrap().objects.remove(0);
    bench.dir = tempfile::tempdir().unwrap();
    bench.policies = policies(&policy("2 years"));

    let engine = bench.open().await;
    engine.submit(SubmissionGroup::single(message("second", "is lost"))).await.unwrap();
    engine.close().await;
    let again = Segment::decode(&bench.store.get(&lost).await.unwrap()).unwrap().objects.remove(0);
    assert_eq!(again.digest, pack.digest, "the same payload in the same place");
    assert!(again.retain_until > pack.retain_until);
    let key = ObjectKey::new(format!("{}/{}", LedgerId([7; 16]), again.name(SegmentNo(2)))).unwrap();
    let lock = bench.store.head(&key).await.unwrap().lock;
    assert_eq!(lock.retain_until, Some(again.retain_until.0.0));
}

/// The conflict of the first event is told by the payload, which only a reader with keys sees.
#[tokio::test(flavor = "multi_thread")]
async fn items_of_one_group_with_one_id_and_other_bytes_are_marked_as_a_conflict() {
    let bench = Bench::new().await;
    let engine = bench.open().await;
    let items = ["hello", "HELLO", "hello"].map(|text| message("a", text)).to_vec();
    let receipts = engine.submit(SubmissionGroup { delivery: None, items }).await.unwrap();
    let told: Vec<_> = receipts.iter().map(|receipt| (receipt.seq, receipt.repeated)).collect();
    assert_eq!(told, [(Seq(1), false), (Seq(2), false), (Seq(1), true)]);
    // The local state follows the receipts.
    engine.close().await;
    let mut conflicts = Vec::new();
    for seq in [Seq(1), Seq(2)] {
        let places = (engine.store(), engine.state());
        let mut keyring = engine.keyring().lock().await;
        let event = read_event(places, &mut keyring, &mut Codec::default(), seq).await.unwrap().unwrap();
        conflicts.push(event.payload.facts.conflicts_with);
    }
    assert_eq!(conflicts, [None, Some(Seq(1))]);
}
