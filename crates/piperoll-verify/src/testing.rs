//! A ledger built by hand for tests: every byte as `FORMAT.md` says, without the engine.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use ed25519_dalek::{Signer as _, SigningKey};
use piperoll_format::{
    Bucket, ChainHash, Class, Codec, Dictionary, DisposalOrder, EventCore, Facts, Genesis, Kek, KeyBinding,
    KeyId, KeyObject, Kind, LedgerId, ObjectDigest, ObjectEntry, ObjectName, ObjectType, PackBuilder,
    Payload, PayloadRef, Provenance, Pseudonym, RetainUntil, SealedPayload, Sealing, Segment, SegmentNo, Seq,
    SubjectKey, Timestamp, WriterKeyId, chain_hash, seal_payload, signed_bytes,
};
use piperoll_policy::{Policy, PolicySet, bucket_label, segment_retain_until};
use piperoll_store::{Lock, ManualClock, MemoryStore, ObjectKey, WormStore};
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::frontier::Frontier;
use piperoll_tlog::hash::leaf_hash;
use piperoll_tlog::note::key::NoteSigner;

use crate::reader::key;

/// 2026-11-02T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_793_577_600_000_000);

pub(crate) const ORIGIN: &str = "archive.example/test";

/// Three policies of which one lets go after seconds.
const POLICIES: [&str; 3] = [
    include_str!("../../../retention-policies/demo.toml"),
    include_str!("../../../retention-policies/demo-rest.toml"),
    include_str!("../../../retention-policies/operations.toml"),
];

static POLICY_SET: LazyLock<PolicySet> = LazyLock::new(|| {
    PolicySet::new(POLICIES.iter().map(|text| Policy::parse("policy", text).unwrap()).collect()).unwrap()
});

/// An event to be.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) class: &'static str,
    pub(crate) subject: Option<String>,
    pub(crate) payload: Payload,
}

pub(crate) struct TestLedger {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ledger: LedgerId,
    pub(crate) signing: SigningKey,
    pub(crate) kek: Kek,
    pub(crate) segment: SegmentNo,
    pub(crate) seq: Seq,
    pub(crate) now: Timestamp,
    pub(crate) previous: ObjectDigest,
    pub(crate) chain: ChainHash,
    pub(crate) frontier: Frontier,
    keys: HashMap<KeyId, SubjectKey>,
    subjects: HashMap<Pseudonym, KeyId>,
    /// Keys that are in the store and that nobody has.
    free: HashMap<Bucket, Vec<KeyId>>,
    /// How many keys more each key object gets.
    pub(crate) spares: usize,
    /// A key object that the next segment names as well.
    pub(crate) again: Option<(Bucket, Vec<u8>)>,
    counter: u64,
    codec: Codec,
    /// Changes encoded cores before they are chained and signed.
    pub(crate) edit: fn(&mut Vec<u8>),
    /// Seconds by which locks are recorded too short.
    pub(crate) cut_locks: u64,
    /// The newest disposal order.
    order: Vec<u8>,
    pub(crate) checkpoints: Vec<String>,
}

/// A message with some text.
pub(crate) fn message(subject: &str, text: &str) -> Draft {
    Draft {
        kind: Kind::WhatsappMessage,
        class: "demo-rest",
        subject: Some(subject.to_owned()),
        payload: Payload {
            parts: vec![format!("{{\"text\":\"{text}\"}}").into_bytes()],
            provenance: Provenance {
                source: "whatsapp".to_owned(),
                media_type: "application/json".to_owned(),
                ..Provenance::default()
            },
            facts: Facts { subject: Some(subject.to_owned()), ..Facts::default() },
            ..Payload::default()
        },
    }
}

/// An event of the archive itself.
pub(crate) fn own(kind: Kind, content: Vec<u8>) -> Draft {
    let provenance = Provenance {
        source: "piperoll".to_owned(),
        media_type: "application/cbor".to_owned(),
        ..Provenance::default()
    };
    let payload = Payload { parts: vec![content], provenance, ..Payload::default() };
    Draft { kind, class: "operations", subject: None, payload }
}

/// A message in the class that may be disposed of after seconds.
pub(crate) fn short_lived(subject: &str, text: &str) -> Draft {
    Draft { class: "demo", ..message(subject, text) }
}

impl TestLedger {
    /// Creates a ledger with genesis, dictionary and the first event.
    pub(crate) async fn new() -> Self {
        Self::signed_by([7; 32], Kind::LedgerOpened).await
    }

    /// The same with another key or another first event.
    pub(crate) async fn signed_by(signing: [u8; 32], first: Kind) -> Self {
        let clock = Arc::new(ManualClock::new(START.0));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let signing = SigningKey::from_bytes(&signing);
        let kek = Kek::new([9; 32]);
        let ledger = LedgerId([0x42; 16]);
        let genesis = Genesis {
            ledger,
            origin: ORIGIN.to_owned(),
            public_key: signing.verifying_key().to_bytes(),
            next_key_digest: [3; 32],
            created_at: START,
            kek: kek.id(),
            policies: POLICIES.map(str::to_owned).to_vec(),
            dictionaries: Dictionary::ALL.iter().map(|one| (one.number, one.digest())).collect(),
            retain_until: segment_lock(START),
        };
        let genesis = genesis.encode();
        let mut built = Self {
            store,
            clock,
            ledger,
            signing,
            kek,
            segment: SegmentNo(0),
            seq: Seq(0),
            now: START,
            previous: ObjectDigest::of(&genesis),
            chain: chain_hash(&genesis),
            frontier: Frontier::new(),
            keys: HashMap::new(),
            subjects: HashMap::new(),
            free: HashMap::new(),
            spares: 0,
            again: None,
            counter: 0,
            codec: Codec::default(),
            edit: |_| (),
            cut_locks: 0,
            order: Vec::new(),
            checkpoints: Vec::new(),
        };
        for dictionary in Dictionary::ALL {
            let name = ObjectName::Dictionary { number: dictionary.number };
            built.create(&name, dictionary.bytes.to_vec(), segment_lock(START)).await;
        }
        built.create(&ObjectName::Genesis, genesis, segment_lock(START)).await;
        built.commit(vec![own(first, b"opened".to_vec())]).await;
        built
    }

    pub(crate) fn key(&self, name: &ObjectName) -> ObjectKey {
        key(self.ledger, name)
    }

    pub(crate) fn signer(&self) -> NoteSigner {
        NoteSigner::new(ORIGIN, self.signing.clone()).unwrap()
    }

    async fn create(&self, name: &ObjectName, bytes: Vec<u8>, until: RetainUntil) {
        self.store.create(&self.key(name), bytes.into(), &Lock::until(until.0.0)).await.unwrap();
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        self.counter += 1;
        let mut bytes = [0; N];
        for (index, chunk) in bytes.chunks_mut(32).enumerate() {
            let digest = ObjectDigest::of(&[self.counter.to_be_bytes(), index.to_be_bytes()].concat());
            chunk.copy_from_slice(&digest.0[..chunk.len()]);
        }
        bytes
    }

    /// Moves the time on by seconds.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus_seconds(seconds);
        self.clock.set(self.now.0);
    }

    /// Commits events as one segment: packs and keys first, then the segment.
    pub(crate) async fn commit(&mut self, drafts: Vec<Draft>) -> SegmentNo {
        self.commit_with(drafts, |_| ()).await
    }

    /// Commits events whose cores are changed before they are chained and signed: a writer that does wrong.
    pub(crate) async fn commit_with(
        &mut self,
        drafts: Vec<Draft>,
        change: impl FnOnce(&mut Vec<EventCore>),
    ) -> SegmentNo {
        let prepared = self.seal(&drafts);
        let mut packs: BTreeMap<Bucket, PackBuilder> = BTreeMap::new();
        let mut new_keys: BTreeMap<Bucket, Vec<(KeyId, [u8; 60])>> = BTreeMap::new();
        let mut offsets = Vec::new();
        for sealed in &prepared {
            offsets.push(packs.entry(sealed.bucket.clone()).or_default().push(&sealed.stored));
            if let Some(wrapped) = sealed.new_key {
                new_keys.entry(sealed.bucket.clone()).or_default().push(wrapped);
            }
        }
        let mut objects = Vec::new();
        let mut pack_of = HashMap::new();
        for (bucket, pack) in packs {
            let entry = self.put_object(ObjectType::Pack, &bucket, pack.into_bytes()).await;
            pack_of.insert(bucket, entry.digest.prefix());
            objects.push(entry);
        }
        for (bucket, mut keys) in new_keys {
            for _ in 0..self.spares {
                let (id, wrapped) = self.new_key(&bucket);
                self.free.entry(bucket.clone()).or_default().push(id);
                keys.push((id, wrapped));
            }
            keys.sort();
            let object = KeyObject { ledger: self.ledger, bucket: bucket.clone(), kek: self.kek.id(), keys };
            objects.push(self.put_object(ObjectType::Keys, &bucket, object.encode()).await);
        }
        if let Some((bucket, bytes)) = self.again.take() {
            objects.push(self.put_object(ObjectType::Keys, &bucket, bytes).await);
        }
        let cores = prepared.iter().zip(offsets).map(|(sealed, offset)| {
            let payload = PayloadRef { pack: pack_of[&sealed.bucket], offset, ..sealed.reference.clone() };
            EventCore { payload, ..sealed.core.clone() }
        });
        let mut cores: Vec<EventCore> = cores.collect();
        change(&mut cores);
        self.put_segment(cores, objects).await
    }

    fn seal(&mut self, drafts: &[Draft]) -> Vec<Sealed> {
        let mut sealed = Vec::new();
        for (index, draft) in drafts.iter().enumerate() {
            let seq = Seq(self.seq.0 + index as u64);
            let bucket = bucket(draft.class, self.now);
            let (mut id, mut new_key, mut first_use) = (None, None, None);
            // What concerns nobody is sealed under a key of the whole bucket.
            let of_bucket = (!draft.kind.is_clear()).then(String::new);
            if let Some(subject) = draft.subject.as_ref().or(of_bucket.as_ref()) {
                let pseudonym = self.kek.link_secret().pseudonym(subject, &bucket, 0);
                if !self.subjects.contains_key(&pseudonym) {
                    let free = self.free.get_mut(&bucket).and_then(Vec::pop);
                    let given = free.unwrap_or_else(|| {
                        let made = self.new_key(&bucket);
                        new_key = Some(made);
                        made.0
                    });
                    self.subjects.insert(pseudonym, given);
                    first_use = Some(pseudonym);
                }
                id = Some(self.subjects[&pseudonym]);
            }
            let salt = self.random();
            let bytes = draft.payload.encode();
            let sealing = id.map_or(Sealing::Clear { salt }, |id| Sealing::Key(&self.keys[&id]));
            let SealedPayload { commitment, stored } =
                seal_payload(&mut self.codec, &bytes, sealing, (self.ledger, seq));
            let reference = PayloadRef {
                commitment,
                length: bytes.len() as u64,
                pack: piperoll_format::DigestPrefix([0; 8]),
                offset: 0,
                stored: stored.len() as u64,
                key: id,
                pseudonym: first_use,
            };
            let core = EventCore {
                ledger: self.ledger,
                seq,
                prev: self.chain,
                recorded_at: self.now,
                kind: draft.kind,
                class: draft.class.parse().unwrap(),
                payload: reference.clone(),
                source_digest: None,
                writer: WriterKeyId(self.signer().id().0),
            };
            sealed.push(Sealed { bucket, stored, reference, core, new_key });
        }
        sealed
    }

    fn new_key(&mut self, bucket: &Bucket) -> (KeyId, [u8; 60]) {
        let (id, key, nonce) = (KeyId(self.random()), SubjectKey::new(self.random()), self.random());
        let binding = KeyBinding { ledger: self.ledger, bucket, key: id };
        let wrapped = self.kek.wrap(&key, nonce, &binding);
        self.keys.insert(id, key);
        (id, wrapped)
    }

    /// Returns the key that a subject has in a bucket.
    pub(crate) fn key_of(&self, subject: &str, bucket: &Bucket) -> KeyId {
        self.subjects[&self.kek.link_secret().pseudonym(subject, bucket, 0)]
    }

    async fn put_object(&mut self, object: ObjectType, bucket: &Bucket, bytes: Vec<u8>) -> ObjectEntry {
        let digest = ObjectDigest::of(&bytes);
        let mut retain_until = bucket_lock(bucket);
        retain_until.0.0 -= self.cut_locks * Timestamp::SECOND;
        let entry =
            ObjectEntry { object, bucket: bucket.clone(), digest, size: bytes.len() as u64, retain_until };
        self.create(&entry.name(self.segment), bytes, retain_until).await;
        entry
    }

    /// Chains, signs and stores a segment with these cores; their `prev` is set here.
    pub(crate) async fn put_segment(
        &mut self,
        cores: Vec<EventCore>,
        objects: Vec<ObjectEntry>,
    ) -> SegmentNo {
        let frontier = self.frontier.hashes().iter().map(|hash| hash.0).collect();
        let first_seq = self.seq;
        let (mut encoded, mut signatures) = (Vec::new(), Vec::new());
        for core in cores {
            let mut core = EventCore { prev: self.chain, ..core }.encode();
            (self.edit)(&mut core);
            self.chain = chain_hash(&core);
            self.frontier.append(leaf_hash(&core));
            signatures.extend_from_slice(&self.signing.sign(&signed_bytes(&core)).to_bytes());
            encoded.push(core);
        }
        self.seq = Seq(self.frontier.size());
        let checkpoint = Checkpoint::new(ORIGIN, self.seq.0, self.frontier.root());
        let checkpoint = checkpoint.sign(&self.signer()).unwrap();
        let segment = Segment {
            ledger: self.ledger,
            number: self.segment,
            first_seq,
            previous: self.previous,
            retain_until: RetainUntil(Timestamp(
                segment_lock(self.now).0.0 - self.cut_locks * Timestamp::SECOND,
            )),
            frontier,
            cores: encoded.iter().map(Vec::as_slice).collect(),
            signatures: &signatures,
            objects,
            chain_head: self.chain,
            checkpoint: &checkpoint,
        };
        let bytes = segment.encode();
        self.previous = ObjectDigest::of(&bytes);
        self.create(&ObjectName::Segment(self.segment), bytes, segment_lock(self.now)).await;
        self.checkpoints.push(checkpoint);
        let number = self.segment;
        self.segment = number.next();
        number
    }

    /// Orders the disposal of a bucket without carrying it out, and returns its objects.
    pub(crate) async fn order_disposal(&mut self, bucket: &Bucket) -> Vec<ObjectKey> {
        let mut objects = Vec::new();
        let mut keys = Vec::new();
        for kind in ["keys", "payloads"] {
            let prefix = format!("{}/{kind}/{bucket}/", self.ledger);
            for meta in self.store.list(&prefix, None, 10_000).await.unwrap() {
                let bytes = self.store.get(&meta.key).await.unwrap();
                let name = meta.key.as_str().split_once('/').unwrap().1.to_owned();
                objects.push((name, ObjectDigest::of(&bytes)));
                keys.push(meta.key);
            }
        }
        let order = DisposalOrder {
            bucket: bucket.clone(),
            reason: "time is over".to_owned(),
            ordered_by: "officer".to_owned(),
            objects,
        };
        self.commit(vec![own(Kind::DisposalOrdered, order.encode())]).await;
        self.order = order.encode();
        keys
    }

    /// Orders and carries out the disposal of a bucket.
    pub(crate) async fn dispose(&mut self, bucket: &Bucket) {
        for key in self.order_disposal(bucket).await {
            self.store.delete(&key).await.unwrap();
        }
        self.commit(vec![own(Kind::DisposalCompleted, self.order.clone())]).await;
    }
}

struct Sealed {
    bucket: Bucket,
    stored: Vec<u8>,
    reference: PayloadRef,
    core: EventCore,
    new_key: Option<(KeyId, [u8; 60])>,
}

/// Returns the bucket of a class at a time.
pub(crate) fn bucket(class: &str, at: Timestamp) -> Bucket {
    let class: Class = class.parse().unwrap();
    let period = POLICY_SET.policy(&class).unwrap().bucket();
    Bucket::new(class, &bucket_label(period, at)).unwrap()
}

fn bucket_lock(bucket: &Bucket) -> RetainUntil {
    POLICY_SET.keep_until(bucket).unwrap().unwrap()
}

pub(crate) fn segment_lock(at: Timestamp) -> RetainUntil {
    segment_retain_until(&POLICY_SET, at)
}
