//! Building a commit in memory: sequence, encrypt, chain, sign (DESIGN.md section 5, step 1).
//!
//! Nothing here writes. A batch that is not committed leaves no trace and is built again under other numbers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ed25519_dalek::Signer;
use piperoll_format::{
    Bucket, Class, Codec, EventCore, KeyId, Kind, ObjectDigest, ObjectEntry, ObjectType, PAYLOAD_BYTES_MAX,
    PackBuilder, Payload, PayloadRef, RetainUntil, SALT_LEN, SealedPayload, Sealing, Segment, SegmentNo, Seq,
    SourceDigest, Submission, SubmissionGroup, Timestamp, WriterKeyId, chain_hash, seal_payload,
    signed_bytes,
};
use piperoll_policy::{Facts, PolicySet, bucket_label, segment_retain_until};
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::hash::{NodeHash, leaf_hash};
use piperoll_tlog::note::key::NoteSigner;
use rayon::prelude::*;

use crate::components::Entropy;
use crate::error::EngineError;
use crate::keyring::{Keyring, NewKeys, Obtained};
use crate::ledger::{LedgerStore, Tail};
use crate::repeat::{BatchSources, Verdict, content_digest, judge_committed, source_digest};
use crate::state::{Known, State};

/// Below this many events a second thread costs more than it gains.
const PARALLEL_EVENTS_MIN: usize = 8;

/// From this many bytes on, two events are enough to gain.
const PARALLEL_BYTES_MIN: usize = 1024 * 1024;

/// Room in a payload for what the writer adds: the reason for its class, and positions.
const ADDED_BYTES_MAX: u64 = 64 * 1024;

/// What a batch is built with.
pub(crate) struct Builder<'a> {
    pub(crate) store: &'a LedgerStore,
    pub(crate) state: &'a State,
    pub(crate) known: Known,
    pub(crate) policies: &'a PolicySet,
    pub(crate) keyring: &'a mut Keyring,
    pub(crate) entropy: &'a mut dyn Entropy,
    pub(crate) codec: &'a mut Codec,
    pub(crate) signing: &'a ed25519_dalek::SigningKey,
    pub(crate) signer: &'a NoteSigner,
    pub(crate) now: Timestamp,
}

/// One object to be written under its lock.
#[derive(Debug)]
pub(crate) struct NewObject {
    pub(crate) entry: ObjectEntry,
    pub(crate) bytes: Bytes,
}

/// A commit, ready to be written.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) number: SegmentNo,
    pub(crate) first_seq: Seq,
    pub(crate) segment: Bytes,
    pub(crate) retain_until: RetainUntil,
    pub(crate) objects: Vec<NewObject>,
    pub(crate) cores: Vec<EventCore>,
    pub(crate) leaves: Vec<NodeHash>,
    pub(crate) new_keys: NewKeys,
    /// The keys in its key objects.
    pub(crate) stored_keys: Vec<(Bucket, Vec<KeyId>)>,
    pub(crate) checkpoint: Arc<str>,
    pub(crate) tail: Tail,
}

/// What becomes of one group: the answer for each of its items.
#[derive(Clone, Debug)]
pub(crate) struct GroupPlan {
    pub(crate) items: Vec<(Seq, Answer)>,
}

/// Where the event hash of an item is found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    New,
    RepeatInBatch,
    Repeat([u8; 32]),
}

struct Draft {
    kind: Kind,
    payload: Vec<u8>,
    length: u64,
    place: usize,
    key: Option<Obtained>,
    source_digest: Option<SourceDigest>,
}

/// A bucket that the batch writes to.
struct Place {
    bucket: Bucket,
    retain_until: RetainUntil,
}

/// Sequenced submissions that are not yet encrypted.
pub(crate) struct Drafts {
    recorded_at: Timestamp,
    places: Vec<Place>,
    classes: HashMap<String, usize>,
    events: Vec<Draft>,
    new_keys: NewKeys,
    sources: BatchSources,
}

impl Drafts {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl Builder<'_> {
    /// Starts a batch after `tail`.
    pub(crate) fn start(&self, tail: &Tail) -> Drafts {
        Drafts {
            // The clock of the host may jump back; the ledger's time does not.
            recorded_at: tail.recorded_at.max(self.now),
            places: Vec::new(),
            classes: HashMap::new(),
            events: Vec::new(),
            new_keys: NewKeys::default(),
            sources: BatchSources::default(),
        }
    }

    /// Sequences a group: decides repeats, classes and keys, and fills in every position.
    pub(crate) async fn sequence(
        &mut self,
        drafts: &mut Drafts,
        tail: &Tail,
        group: &SubmissionGroup,
    ) -> Result<GroupPlan, EngineError> {
        // Before anything of the group is drafted, because it is committed as a whole or not at all.
        group.delivery.iter().chain(&group.items).try_for_each(check_length)?;
        let is_opening = |item: &Submission| item.kind == Kind::LedgerOpened;
        if group.items.iter().any(is_opening) && (tail.seq > Seq(0) || !drafts.is_empty()) {
            return Err(EngineError::Invalid { reason: "the ledger has been opened already".to_owned() });
        }
        let verdicts = self.judge(drafts, &group.items).await?;
        let fresh = verdicts.iter().any(|(verdict, ..)| matches!(verdict, Verdict::New { .. }));
        let mut next = Seq(tail.seq.0 + drafts.events.len() as u64);
        let delivery = group.delivery.as_ref().filter(|_| fresh).map(|delivery| {
            let seq = next;
            next = next.next();
            (seq, delivery)
        });
        let mut plan = GroupPlan { items: Vec::with_capacity(verdicts.len()) };
        let mut conflicts = Vec::with_capacity(verdicts.len());
        let mut in_group = BatchSources::default();
        for (verdict, digest, content) in &verdicts {
            let mut conflict = None;
            let answer = match verdict {
                Verdict::Repeat { seq, event_hash } => (*seq, Answer::Repeat(*event_hash)),
                Verdict::RepeatInBatch { seq } => (*seq, Answer::RepeatInBatch),
                Verdict::New { conflicts_with } => {
                    let earlier = digest.map_or(&[][..], |digest| in_group.find(digest));
                    if let Some((seq, _)) = earlier.iter().find(|(_, other)| other == content) {
                        (*seq, Answer::RepeatInBatch)
                    } else {
                        conflict = conflicts_with.or_else(|| earlier.first().map(|(seq, _)| *seq));
                        if let Some(digest) = digest {
                            in_group.note(*digest, next, *content);
                        }
                        let seq = next;
                        next = next.next();
                        (seq, Answer::New)
                    }
                }
            };
            plan.items.push(answer);
            conflicts.push(conflict);
        }
        if let Some((_, delivery)) = delivery {
            self.draft_delivery(drafts, delivery, &plan).await?;
        }
        for (((item, (_, digest, content)), (seq, answer)), conflicts_with) in
            group.items.iter().zip(&verdicts).zip(plan.items.clone()).zip(conflicts)
        {
            if matches!(answer, Answer::New) {
                let mut payload = item.payload.clone_without_parts();
                payload.facts.conflicts_with = conflicts_with;
                if let (Some((delivery, _)), Some(placement)) = (delivery, &mut payload.placement) {
                    placement.delivery = Some(delivery);
                }
                if let Some(digest) = digest {
                    drafts.sources.note(*digest, seq, *content);
                }
                self.draft(drafts, item, payload, *digest).await?;
            }
        }
        Ok(plan)
    }

    async fn draft_delivery(
        &mut self,
        drafts: &mut Drafts,
        delivery: &Submission,
        plan: &GroupPlan,
    ) -> Result<(), EngineError> {
        let mut payload = delivery.payload.clone_without_parts();
        let skeleton = payload.skeleton.as_mut().filter(|s| s.items.len() == plan.items.len());
        let skeleton = skeleton.ok_or_else(|| EngineError::Invalid {
            reason: "a delivery's skeleton lists each of its items".into(),
        })?;
        for (item, (seq, _)) in skeleton.items.iter_mut().zip(&plan.items) {
            item.seq = *seq;
        }
        self.draft(drafts, delivery, payload, None).await
    }

    /// Compares items with what was committed before and with what is already in the batch.
    async fn judge(
        &mut self,
        drafts: &Drafts,
        items: &[Submission],
    ) -> Result<Vec<(Verdict, Option<SourceDigest>, [u8; 32])>, EngineError> {
        let secret = self.keyring.secret.clone();
        let digests =
            items.iter().map(|item| source_digest(&secret, item)).collect::<Result<Vec<_>, EngineError>>()?;
        let committed = self.known.sources(&digests)?;
        let mut verdicts = Vec::with_capacity(items.len());
        for ((item, digest), candidates) in items.iter().zip(digests).zip(committed) {
            // Without a source digest nothing is ever compared with it.
            let content = digest.map(|_| content_digest(item)).transpose()?.unwrap_or_default();
            let in_batch = digest.map_or(&[][..], |digest| drafts.sources.find(digest));
            let verdict = if let Some((seq, _)) = in_batch.iter().find(|(_, other)| *other == content) {
                Verdict::RepeatInBatch { seq: *seq }
            } else if candidates.is_empty() {
                Verdict::New { conflicts_with: in_batch.first().map(|(seq, _)| *seq) }
            } else {
                let places = (self.store, self.state);
                judge_committed(places, self.keyring, self.codec, &candidates, content).await?
            };
            verdicts.push((verdict, digest, content));
        }
        Ok(verdicts)
    }

    async fn draft(
        &mut self,
        drafts: &mut Drafts,
        submission: &Submission,
        mut payload: Payload,
        source_digest: Option<SourceDigest>,
    ) -> Result<(), EngineError> {
        let facts = Facts {
            kind: submission.kind,
            number: payload.facts.number.as_deref(),
            source: &payload.provenance.source,
        };
        let decision = self.policies.decide(&facts);
        let class = decision.class.as_str();
        let place = match drafts.classes.get(class) {
            Some(place) => *place,
            None => {
                drafts.places.push(self.place(class, &bucket_label(decision.bucket, drafts.recorded_at))?);
                let _ = drafts.classes.insert(class.to_owned(), drafts.places.len() - 1);
                drafts.places.len() - 1
            }
        };
        payload.facts.class_reason = Some(decision.brief());
        let key = if submission.kind.is_clear() {
            None
        } else {
            let subject = match (&payload.facts.subject, &payload.facts.number) {
                (Some(subject), _) => subject.clone(),
                (None, Some(number)) => format!("number:{number}"),
                (None, None) => "ledger".to_owned(),
            };
            let at = (&*subject, &drafts.places[place].bucket);
            let places = ((self.store, self.state), &self.known);
            Some(self.keyring.obtain(places, &mut drafts.new_keys, self.entropy, at).await?)
        };
        let payload = payload.encode_with(&submission.payload.parts);
        let (kind, length) = (submission.kind, payload.len() as u64);
        drafts.events.push(Draft { kind, payload, length, place, key, source_digest });
        Ok(())
    }

    fn place(&self, class: &str, label: &str) -> Result<Place, EngineError> {
        let bad = |reason: String| EngineError::Fatal { reason, cause: None };
        let name: Class = class.parse().map_err(|error| bad(format!("class of a policy: {error}")))?;
        let bucket = Bucket::new(name, label).map_err(|error| bad(format!("bucket of a policy: {error}")))?;
        let keep = self.policies.keep_until(&bucket).map_err(|error| bad(error.to_string()))?;
        let retain_until = keep.ok_or_else(|| bad(format!("no policy has the class `{class}`")))?;
        Ok(Place { bucket, retain_until })
    }

    /// Encrypts, packs, chains and signs what was sequenced.
    pub(crate) fn build(&mut self, tail: &Tail, mut drafts: Drafts) -> Result<Batch, EngineError> {
        let sealed = self.seal(tail, &mut drafts);
        let (packs, references) = pack(&drafts, &sealed);
        let mut objects = packs;
        let mut stored_keys = Vec::new();
        for object in self.keyring.wrap(self.store, &mut drafts.new_keys, self.entropy) {
            stored_keys.push((object.bucket.clone(), object.keys.iter().map(|(id, _)| *id).collect()));
            let place = drafts.places.iter().find(|place| place.bucket == object.bucket);
            let place = place.expect("a key is made for an event of the batch, whose bucket is a place");
            objects.push(new_object(ObjectType::Keys, place, object.encode()));
        }
        let (cores, encoded, chain) = self.chain(tail, &drafts, references);
        let leaves: Vec<NodeHash> = encoded.iter().map(|core| leaf_hash(core)).collect();
        let signatures = self.sign(&encoded);
        let mut frontier = tail.frontier.clone();
        leaves.iter().for_each(|leaf| frontier.append(*leaf));
        let checkpoint = Checkpoint::new(self.signer.name().as_str(), frontier.size(), frontier.root())
            .sign(self.signer)
            .map_err(|error| EngineError::fatal_from("the checkpoint cannot be signed", error))?;
        let retain_until = segment_retain_until(self.policies, drafts.recorded_at);
        let segment = Segment {
            ledger: self.store.ledger,
            number: tail.segment,
            first_seq: tail.seq,
            previous: tail.previous,
            retain_until,
            frontier: tail.frontier.hashes().iter().map(|hash| hash.0).collect(),
            cores: encoded.iter().map(Vec::as_slice).collect(),
            signatures: &signatures,
            objects: objects.iter().map(|object| object.entry.clone()).collect(),
            chain_head: chain,
            checkpoint: &checkpoint,
        }
        .encode();
        let tail = Tail {
            segment: tail.segment.next(),
            seq: Seq(tail.seq.0 + cores.len() as u64),
            chain,
            previous: ObjectDigest::of(&segment),
            frontier,
            recorded_at: drafts.recorded_at,
        };
        Ok(Batch {
            number: SegmentNo(tail.segment.0 - 1),
            first_seq: Seq(tail.seq.0 - cores.len() as u64),
            segment: segment.into(),
            retain_until,
            objects,
            cores,
            leaves,
            new_keys: drafts.new_keys,
            stored_keys,
            checkpoint: checkpoint.into(),
            tail,
        })
    }

    fn seal(&mut self, tail: &Tail, drafts: &mut Drafts) -> Vec<SealedPayload> {
        let payloads: Vec<_> = drafts.events.iter_mut().map(|it| std::mem::take(&mut it.payload)).collect();
        let clear = drafts.events.iter().filter(|draft| draft.key.is_none()).count();
        let mut salts = vec![[0; SALT_LEN]; clear];
        self.entropy.fill(salts.as_flattened_mut());
        let mut salts = salts.into_iter();
        let sealings: Vec<Sealing<'_>> = drafts
            .events
            .iter()
            .map(|draft| match &draft.key {
                Some(obtained) => Sealing::Key(&obtained.key),
                None => Sealing::Clear { salt: salts.next().expect("one for each event without a key") },
            })
            .collect();
        let ledger = self.store.ledger;
        let one = |codec: &mut Codec, (index, (payload, sealing)): (usize, (Vec<u8>, Sealing<'_>))| {
            seal_payload(codec, payload, sealing, (ledger, Seq(tail.seq.0 + index as u64)))
        };
        let bytes: usize = payloads.iter().map(Vec::len).sum();
        if payloads.len() < PARALLEL_EVENTS_MIN && bytes < PARALLEL_BYTES_MIN {
            let pairs = payloads.into_iter().zip(sealings).enumerate();
            return pairs.map(|pair| one(self.codec, pair)).collect();
        }
        let pairs = payloads.into_par_iter().zip(sealings).enumerate();
        pairs.map_init(CodecGuard::default, |codec, pair| one(codec.get(), pair)).collect()
    }

    fn chain(
        &self,
        tail: &Tail,
        drafts: &Drafts,
        references: Vec<PayloadRef>,
    ) -> (Vec<EventCore>, Vec<Vec<u8>>, piperoll_format::ChainHash) {
        let mut chain = tail.chain;
        let writer = WriterKeyId(self.signer.id().0);
        let mut cores = Vec::with_capacity(references.len());
        let mut encoded = Vec::with_capacity(references.len());
        for (index, (draft, payload)) in drafts.events.iter().zip(references).enumerate() {
            let core = EventCore {
                ledger: self.store.ledger,
                seq: Seq(tail.seq.0 + index as u64),
                prev: chain,
                recorded_at: drafts.recorded_at,
                kind: draft.kind,
                class: drafts.places[draft.place].bucket.class().clone(),
                payload,
                source_digest: draft.source_digest,
                writer,
            };
            let bytes = core.encode();
            chain = chain_hash(&bytes);
            cores.push(core);
            encoded.push(bytes);
        }
        (cores, encoded, chain)
    }

    fn sign(&self, encoded: &[Vec<u8>]) -> Vec<u8> {
        let sign = |core: &Vec<u8>| self.signing.sign(&signed_bytes(core)).to_bytes();
        if encoded.len() < PARALLEL_EVENTS_MIN {
            return encoded.iter().flat_map(sign).collect();
        }
        let signatures: Vec<[u8; 64]> = encoded.par_iter().map(sign).collect();
        signatures.concat()
    }
}

/// Refuses what no reader would open.
fn check_length(submission: &Submission) -> Result<(), EngineError> {
    let length = submission.payload.encoded_len_max();
    if length > PAYLOAD_BYTES_MAX - ADDED_BYTES_MAX {
        let reason = format!("a payload is about {length} bytes long, expected at most {PAYLOAD_BYTES_MAX}");
        return Err(EngineError::Invalid { reason });
    }
    Ok(())
}

/// Lays the stored payloads into one pack for each bucket.
fn pack(drafts: &Drafts, sealed: &[SealedPayload]) -> (Vec<NewObject>, Vec<PayloadRef>) {
    let mut lengths = vec![0; drafts.places.len()];
    drafts.events.iter().zip(sealed).for_each(|(draft, sealed)| lengths[draft.place] += sealed.stored.len());
    let mut builders: Vec<PackBuilder> = lengths.into_iter().map(PackBuilder::with_room).collect();
    let offsets: Vec<u64> = drafts
        .events
        .iter()
        .zip(sealed)
        .map(|(draft, sealed)| builders[draft.place].push(&sealed.stored))
        .collect();
    let objects: Vec<NewObject> = builders
        .into_iter()
        .zip(&drafts.places)
        .map(|(builder, place)| new_object(ObjectType::Pack, place, builder.into_bytes()))
        .collect();
    let references =
        drafts.events.iter().zip(sealed).zip(offsets).map(|((draft, sealed), offset)| PayloadRef {
            commitment: sealed.commitment,
            length: draft.length,
            pack: objects[draft.place].entry.digest.prefix(),
            offset,
            stored: sealed.stored.len() as u64,
            key: draft.key.as_ref().map(|key| key.id),
            pseudonym: draft.key.as_ref().and_then(|key| key.first_use),
        });
    let references = references.collect();
    (objects, references)
}

fn new_object(object: ObjectType, place: &Place, bytes: Vec<u8>) -> NewObject {
    let entry = ObjectEntry {
        object,
        bucket: place.bucket.clone(),
        digest: ObjectDigest::of(&bytes),
        size: bytes.len() as u64,
        retain_until: place.retain_until,
    };
    NewObject { entry, bytes: bytes.into() }
}

/// A codec borrowed from a small shelf, because making one digests the dictionary.
struct CodecGuard {
    codec: Option<Codec>,
}

static SHELF: std::sync::Mutex<Vec<Codec>> = std::sync::Mutex::new(Vec::new());

impl Default for CodecGuard {
    fn default() -> Self {
        let codec = SHELF.lock().ok().and_then(|mut shelf| shelf.pop()).unwrap_or_default();
        Self { codec: Some(codec) }
    }
}

impl CodecGuard {
    const fn get(&mut self) -> &mut Codec {
        self.codec.as_mut().expect("taken only when dropped")
    }
}

impl Drop for CodecGuard {
    fn drop(&mut self) {
        if let (Some(codec), Ok(mut shelf)) = (self.codec.take(), SHELF.lock()) {
            shelf.push(codec);
        }
    }
}
