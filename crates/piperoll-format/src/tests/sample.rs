//! The golden ledger: one segment of six events, built from fixed keys and salts.
//!
//! What is not deterministic by nature, zstd's choice of a frame, is read from the committed vectors; readers must
//! understand it for ever, writers may choose another one. Encryption, signatures, tree and checkpoint are made
//! here from `FORMAT.md`, not by the code under test.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use aes_gcm::aead::{Aead, KeyInit, Payload as Plain};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::{Encoded, repository};
use crate::*;

/// Set to any value to write the vectors anew. Only for a format that no release has written yet.
pub(super) const REGENERATE: &str = "PIPEROLL_REGENERATE_VECTORS";

pub(super) const LEDGER: LedgerId = LedgerId([
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
]);
pub(super) const ORIGIN: &str = "archive.example/golden";
pub(super) const SIGNING_SEED: [u8; 32] = [0x01; 32];
pub(super) const NEXT_SIGNING_SEED: [u8; 32] = [0x02; 32];
pub(super) const KEK: [u8; 32] = [0x03; 32];
const CUSTOMER: &str = "wa:15550100001";
const NOBODY: &str = "ledger";

/// 2026-11-21T21:37:45Z.
const CREATED_AT: Timestamp = Timestamp(1_795_297_065_000_000);
/// 2032-12-01T00:00:00Z: the end of November 2026 and six years.
const SIX_YEARS: RetainUntil = RetainUntil(Timestamp(1_985_472_000_000_000));
/// 2036-12-01T00:00:00Z: the end of November 2026 and ten years.
const TEN_YEARS: RetainUntil = RetainUntil(Timestamp(2_111_702_400_000_000));

const WHOLE_BODY: &str = r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},"messages":[{"from":"15550100001","id":"wamid.GOLDEN1","timestamp":"1795297060","type":"text","text":{"body":"Zażółć gęślą jaźń 👋"}}]},"field":"messages"}]}]}"#;
const WHOLE_ITEM: &str = r#"{"from":"15550100001","id":"wamid.GOLDEN1","timestamp":"1795297060","type":"text","text":{"body":"Zażółć gęślą jaźń 👋"}}"#;

pub(super) const CUT_BODY: &str = r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},"contacts":[{"profile":{"name":"Ada"},"wa_id":"15550100001"}],"messages":[{"from":"15550100001","id":"wamid.GOLDEN2","timestamp":"-1","type":"text","text":{"body":"tak tak tak tak tak tak tak tak tak tak tak tak"}}],"statuses":[{"id":"wamid.GOLDEN0","status":"read","timestamp":"1795297062","recipient_id":"15550100001"}]},"field":"messages"}]}]}"#;
const CUT_CONTACT: &str = r#"{"profile":{"name":"Ada"},"wa_id":"15550100001"}"#;
const CUT_MESSAGE: &str = r#"{"from":"15550100001","id":"wamid.GOLDEN2","timestamp":"-1","type":"text","text":{"body":"tak tak tak tak tak tak tak tak tak tak tak tak"}}"#;
const CUT_STATUS: &str =
    r#"{"id":"wamid.GOLDEN0","status":"read","timestamp":"1795297062","recipient_id":"15550100001"}"#;

/// How a stored payload is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Clear,
    Sealed,
    /// Sealed, with one zstd frame of this method inside; the bytes are the committed ones.
    SealedFrame(u8),
}

/// An event before it has a place.
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) payload: Payload,
    pub(super) stored: Stored,
}

/// One event of the golden ledger.
pub(super) struct Sample {
    pub(super) plan: Plan,
    pub(super) core: EventCore,
    pub(super) encoded: Vec<u8>,
    pub(super) signature: [u8; SIGNATURE_LEN],
    pub(super) stored: Vec<u8>,
}

/// The golden ledger.
pub(super) struct Golden {
    pub(super) genesis: Genesis,
    pub(super) events: Vec<Sample>,
    pub(super) packs: BTreeMap<&'static str, Vec<u8>>,
    pub(super) keys: KeyObject,
    pub(super) order: DisposalOrder,
    pub(super) segment: Vec<u8>,
}

impl Golden {
    /// Returns every file of the golden ledger but the list of expected values.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::from([
            ("genesis.cbor".to_owned(), self.genesis.encode()),
            ("keys.cbor".to_owned(), self.keys.encode()),
            ("disposal.cbor".to_owned(), self.order.encode()),
            ("segment-0.cbor".to_owned(), self.segment.clone()),
        ]);
        for (name, pack) in &self.packs {
            files.insert((*name).to_owned(), pack.clone());
        }
        for event in &self.events {
            let name = event.plan.name;
            files.insert(format!("core-{name}.cbor"), event.encoded.clone());
            files.insert(format!("payload-{name}.cbor"), event.plan.payload.encode());
            files.insert(format!("stored-payload-{name}.bin"), event.stored.clone());
        }
        files
    }
}

/// Returns where the vectors are.
pub(super) fn folder() -> PathBuf {
    repository().join("tests/fixtures/format-v1")
}

/// Returns every CBOR vector with its type.
pub(super) fn encoded_vectors() -> Vec<(Encoded, Vec<u8>)> {
    let typed = |(name, bytes): (String, Vec<u8>)| {
        let object = match name.split_once(['.', '-'])?.0 {
            "core" => Encoded::Core,
            "disposal" => Encoded::DisposalOrder,
            "genesis" => Encoded::Genesis,
            "keys" => Encoded::KeyObject,
            "payload" => Encoded::Payload,
            "segment" => Encoded::Segment,
            _ => return None,
        };
        Some((object, bytes))
    };
    build().files().into_iter().filter_map(typed).collect()
}

pub(super) fn bucket(class: &str) -> Bucket {
    Bucket::new(class.parse().expect("a class"), "2026-11").expect("a month")
}

const fn class_of(stored: Stored) -> &'static str {
    match stored {
        Stored::Clear => "archive",
        Stored::Sealed | Stored::SealedFrame(_) => "messages-6y",
    }
}

/// Returns whose key seals a payload: the delivery is about nobody.
pub(super) fn subject(payload: &Payload) -> &str {
    payload.facts.subject.as_deref().unwrap_or(NOBODY)
}

/// Returns the subject's key, which the key object wraps.
pub(super) fn subject_key(subject: &str) -> [u8; 32] {
    [if subject == NOBODY { 0x04 } else { 0x05 }; 32]
}

/// Returns the id of the subject's key.
fn key_id(subject: &str) -> KeyId {
    KeyId([if subject == NOBODY { 0x64 } else { 0x65 }; 16])
}

/// Returns the salt of a payload: fixed in clear, otherwise derived from the subject's key.
pub(super) fn salt(plan: &Plan, seq: u64) -> [u8; SALT_LEN] {
    if plan.stored == Stored::Clear {
        return [0x40 + seq as u8; SALT_LEN];
    }
    let key = subject_key(subject(&plan.payload));
    let material = [&key[..], &LEDGER.0, &seq.to_be_bytes()].concat();
    blake3::derive_key("piperoll v1 payload salt", &material)
}

fn commitment(plan: &Plan, seq: u64) -> [u8; 32] {
    Sha256::digest([&salt(plan, seq)[..], &plan.payload.encode()].concat()).into()
}

/// Builds the golden ledger.
pub(super) fn build() -> Golden {
    let genesis = genesis();
    let plans = plans();
    let stored: Vec<Vec<u8>> = plans.iter().zip(0..).map(|(plan, seq)| stored(plan, seq)).collect();
    let mut builders: BTreeMap<&str, PackBuilder> = BTreeMap::new();
    let offsets: Vec<u64> = plans
        .iter()
        .zip(&stored)
        .map(|(plan, stored)| builders.entry(class_of(plan.stored)).or_default().push(stored))
        .collect();
    let packs: BTreeMap<&str, Vec<u8>> =
        builders.into_iter().map(|(class, builder)| (class, builder.into_bytes())).collect();

    let key = SigningKey::from_bytes(&SIGNING_SEED);
    let mut prev = chain_hash(&genesis.encode());
    let mut events = Vec::new();
    for (((plan, stored), offset), seq) in plans.into_iter().zip(stored).zip(offsets).zip(0..) {
        let class = class_of(plan.stored);
        let pack = ObjectDigest::of(&packs[class]).prefix();
        let mut core = core(&plan, seq, prev, (pack, offset, stored.len() as u64));
        let is_first = |key| events.iter().all(|earlier: &Sample| earlier.core.payload.key != Some(key));
        if core.payload.key.is_some_and(is_first) {
            let secret = Kek::new(KEK).link_secret();
            core.payload.pseudonym = Some(secret.pseudonym(subject(&plan.payload), &bucket(class), 0));
        }
        let encoded = core.encode();
        prev = chain_hash(&encoded);
        let signature = key.sign(&sig_structure(&encoded)).to_bytes();
        events.push(Sample { plan, core, encoded, signature, stored });
    }
    let keys = key_object();
    let segment = segment(&genesis, &events, &packs, &keys);
    let packs = packs.into_iter().map(|(class, pack)| (pack_file(class), pack)).collect();
    Golden { genesis, events, packs, keys, order: disposal_order(), segment }
}

fn pack_file(class: &str) -> &'static str {
    if class == "archive" { "pack-archive.bin" } else { "pack.bin" }
}

fn genesis() -> Genesis {
    let public = |seed| SigningKey::from_bytes(seed).verifying_key().to_bytes();
    Genesis {
        ledger: LEDGER,
        origin: ORIGIN.to_owned(),
        public_key: public(&SIGNING_SEED),
        next_key_digest: Sha256::digest(public(&NEXT_SIGNING_SEED)).into(),
        created_at: CREATED_AT,
        kek: Kek::new(KEK).id(),
        policies: vec!["id = \"archive\"\n".to_owned(), "id = \"messages-6y\"\n".to_owned()],
        dictionaries: vec![(1, Dictionary::ALL[0].digest())],
        retain_until: TEN_YEARS,
    }
}

fn plans() -> Vec<Plan> {
    let own = |part: Vec<u8>, media_type: &str| Payload {
        parts: vec![part],
        provenance: Provenance {
            source: "piperoll".to_owned(),
            media_type: media_type.to_owned(),
            ..Provenance::default()
        },
        ..Payload::default()
    };
    vec![
        Plan {
            name: "opened",
            kind: Kind::LedgerOpened,
            payload: own(b"{}".to_vec(), "application/json"),
            stored: Stored::Clear,
        },
        Plan { name: "message", kind: Kind::WhatsappMessage, payload: message(), stored: Stored::Sealed },
        Plan { name: "delivery", kind: Kind::Delivery, payload: delivery(), stored: Stored::Sealed },
        Plan { name: "reply", kind: Kind::WhatsappMessage, payload: reply(), stored: Stored::SealedFrame(1) },
        Plan {
            name: "status",
            kind: Kind::WhatsappStatus,
            payload: status(),
            stored: Stored::SealedFrame(2),
        },
        Plan {
            name: "disposal",
            kind: Kind::DisposalOrdered,
            payload: own(disposal_order().encode(), "application/cbor"),
            stored: Stored::Clear,
        },
    ]
}

fn provenance() -> Provenance {
    Provenance {
        source: "whatsapp".to_owned(),
        received_at: Some(CREATED_AT),
        media_type: "application/json".to_owned(),
        signature: Some(format!("sha256={}", "0f".repeat(32))),
        signature_key: Some("app-1".to_owned()),
    }
}

fn ranges(body: &str, pieces: &[&str]) -> Vec<Range<u64>> {
    let range = |piece: &&str| {
        let start = body.find(*piece).expect("the piece is in the body") as u64;
        start..start + piece.len() as u64
    };
    pieces.iter().map(range).collect()
}

fn message() -> Payload {
    Payload {
        parts: vec![WHOLE_BODY.into()],
        provenance: provenance(),
        facts: Facts {
            subject: Some(CUSTOMER.to_owned()),
            source_id: Some("wamid.GOLDEN1".to_owned()),
            number: Some("106540352242922".to_owned()),
            occurred_at: Some(1_795_297_060_000_000),
            class_reason: Some("messages-6y: rule 1".to_owned()),
            ..Facts::default()
        },
        placement: Some(Placement { delivery: None, ranges: ranges(WHOLE_BODY, &[WHOLE_ITEM]) }),
        skeleton: None,
    }
}

fn delivery() -> Payload {
    let items = vec![
        SkeletonItem { seq: Seq(3), ranges: ranges(CUT_BODY, &[CUT_CONTACT, CUT_MESSAGE]) },
        SkeletonItem { seq: Seq(4), ranges: ranges(CUT_BODY, &[CUT_STATUS]) },
    ];
    let rest = [CUT_CONTACT, CUT_MESSAGE, CUT_STATUS]
        .iter()
        .fold(CUT_BODY.to_owned(), |rest, piece| rest.replace(piece, ""));
    Payload {
        parts: vec![rest.into_bytes()],
        provenance: provenance(),
        facts: Facts::default(),
        placement: None,
        skeleton: Some(Skeleton { body_length: CUT_BODY.len() as u64, items }),
    }
}

fn reply() -> Payload {
    Payload {
        parts: vec![CUT_CONTACT.into(), CUT_MESSAGE.into()],
        provenance: provenance(),
        facts: Facts {
            subject: Some(CUSTOMER.to_owned()),
            source_id: Some("wamid.GOLDEN2".to_owned()),
            number: Some("106540352242922".to_owned()),
            occurred_at: Some(-1_000_000),
            flags: vec!["time-implausible".to_owned()],
            class_reason: Some("messages-6y: rule 1".to_owned()),
            conflicts_with: Some(Seq(1)),
        },
        placement: Some(Placement {
            delivery: Some(Seq(2)),
            ranges: ranges(CUT_BODY, &[CUT_CONTACT, CUT_MESSAGE]),
        }),
        skeleton: None,
    }
}

fn status() -> Payload {
    Payload {
        parts: vec![CUT_STATUS.into()],
        provenance: provenance(),
        facts: Facts { subject: Some(CUSTOMER.to_owned()), ..Facts::default() },
        placement: Some(Placement { delivery: Some(Seq(2)), ranges: ranges(CUT_BODY, &[CUT_STATUS]) }),
        skeleton: None,
    }
}

fn disposal_order() -> DisposalOrder {
    let digest = ObjectDigest([0xaa; 32]);
    let bucket = Bucket::new("demo".parse().expect("a class"), "2026-11-21T2137").expect("a minute");
    let (segment, prefix) = (SegmentNo(0), digest.prefix());
    let pack = ObjectName::Pack { bucket: bucket.clone(), segment, digest: prefix };
    let keys = ObjectName::Keys { bucket: bucket.clone(), segment, digest: prefix };
    DisposalOrder {
        bucket,
        reason: "demo version 1: dispose after 1 minute".to_owned(),
        ordered_by: "officer-1".to_owned(),
        objects: vec![(pack.to_string(), digest), (keys.to_string(), digest)],
    }
}

/// Makes a stored payload as `FORMAT.md` section 5.2 says.
fn stored(plan: &Plan, seq: u64) -> Vec<u8> {
    let payload = plan.payload.encode();
    let raw = [&[0], &payload[..]].concat();
    match plan.stored {
        Stored::Clear => [&salt(plan, seq)[..], &raw].concat(),
        Stored::Sealed => seal(plan, seq, &raw),
        Stored::SealedFrame(method) if std::env::var_os(REGENERATE).is_some() => {
            let dictionary = if method == 2 { Dictionary::ALL[0].bytes } else { &[] };
            let mut compressor =
                zstd::bulk::Compressor::with_dictionary(3, dictionary).expect("a zstd dictionary");
            compressor.include_dictid(false).expect("a parameter of zstd");
            compressor.include_contentsize(false).expect("a parameter of zstd");
            let frame = compressor.compress(&payload).expect("zstd needs only memory");
            // Without the magic number.
            seal(plan, seq, &[&[method], &frame[4..]].concat())
        }
        Stored::SealedFrame(_) => fs::read(folder().join(format!("stored-payload-{}.bin", plan.name)))
            .expect("the committed vector is readable"),
    }
}

fn seal(plan: &Plan, seq: u64, data: &[u8]) -> Vec<u8> {
    let key = subject_key(subject(&plan.payload));
    let aad = [&LEDGER.0[..], &seq.to_be_bytes()].concat();
    let nonce = Nonce::try_from(&commitment(plan, seq)[..NONCE_LEN]).expect("12 bytes");
    Aes256Gcm::new(&key.into()).encrypt(&nonce, Plain { msg: data, aad: &aad }).expect("a short message")
}

fn core(plan: &Plan, seq: u64, prev: ChainHash, place: (DigestPrefix, u64, u64)) -> EventCore {
    let payload = plan.payload.encode();
    let secret = Kek::new(KEK).link_secret();
    let class = class_of(plan.stored);
    let facts = &plan.payload.facts;
    EventCore {
        ledger: LEDGER,
        seq: Seq(seq),
        prev,
        recorded_at: Timestamp(CREATED_AT.0 + seq),
        kind: plan.kind,
        class: class.parse().expect("a class"),
        payload: PayloadRef {
            commitment: Commitment(commitment(plan, seq)),
            length: payload.len() as u64,
            pack: place.0,
            offset: place.1,
            stored: place.2,
            key: (plan.stored != Stored::Clear).then(|| key_id(subject(&plan.payload))),
            pseudonym: None,
        },
        source_digest: facts.source_id.as_deref().map(|id| secret.source_id(plan.kind, id)),
        writer: writer_key_id(),
    }
}

/// Computes the C2SP key id of the golden signing key.
pub(super) fn writer_key_id() -> WriterKeyId {
    let public = SigningKey::from_bytes(&SIGNING_SEED).verifying_key().to_bytes();
    let digest = Sha256::digest([ORIGIN.as_bytes(), b"\n\x01", &public].concat());
    WriterKeyId::from_slice(&digest[..4]).expect("four bytes")
}

/// Encodes the COSE `Sig_structure` of an event with ciborium.
fn sig_structure(core: &[u8]) -> Vec<u8> {
    use ciborium::Value::{Array, Bytes, Text};
    let value = Array(vec![
        Text("Signature1".to_owned()),
        Bytes(vec![0xa1, 0x01, 0x27]),
        Bytes(Vec::new()),
        Bytes(core.to_vec()),
    ]);
    let mut out = Vec::new();
    ciborium::into_writer(&value, &mut out).expect("writing to memory");
    out
}

fn key_object() -> KeyObject {
    let (kek, bucket) = (Kek::new(KEK), bucket("messages-6y"));
    let wrap = |id: KeyId, key: [u8; 32], nonce: u8| {
        let binding = KeyBinding { ledger: LEDGER, bucket: &bucket, key: id };
        (id, kek.wrap(&SubjectKey::new(key), [nonce; NONCE_LEN], &binding))
    };
    // The third is a spare: of nobody yet.
    let keys = vec![
        wrap(key_id(NOBODY), subject_key(NOBODY), 0x70),
        wrap(key_id(CUSTOMER), subject_key(CUSTOMER), 0x71),
        wrap(KeyId([0x66; 16]), [0x06; 32], 0x72),
    ];
    KeyObject { ledger: LEDGER, bucket, kek: kek.id(), keys }
}

fn segment(
    genesis: &Genesis,
    events: &[Sample],
    packs: &BTreeMap<&str, Vec<u8>>,
    keys: &KeyObject,
) -> Vec<u8> {
    let entry = |object, class: &str, bytes: &[u8], retain_until| ObjectEntry {
        object,
        bucket: bucket(class),
        digest: ObjectDigest::of(bytes),
        size: bytes.len() as u64,
        retain_until,
    };
    let signatures: Vec<u8> = events.iter().flat_map(|event| event.signature).collect();
    let cores: Vec<&[u8]> = events.iter().map(|event| &event.encoded[..]).collect();
    let checkpoint = checkpoint(&cores);
    Segment {
        ledger: LEDGER,
        number: SegmentNo(0),
        first_seq: Seq(0),
        previous: ObjectDigest::of(&genesis.encode()),
        retain_until: TEN_YEARS,
        frontier: Vec::new(),
        chain_head: chain_hash(cores.last().expect("a core")),
        cores,
        signatures: &signatures,
        objects: vec![
            entry(ObjectType::Pack, "archive", &packs["archive"], TEN_YEARS),
            entry(ObjectType::Pack, "messages-6y", &packs["messages-6y"], SIX_YEARS),
            entry(ObjectType::Keys, "messages-6y", &keys.encode(), SIX_YEARS),
        ],
        checkpoint: &checkpoint,
    }
    .encode()
}

/// Makes the signed note over the tree of `cores`.
pub(super) fn checkpoint(cores: &[&[u8]]) -> String {
    let text = format!("{ORIGIN}\n{}\n{}\n", cores.len(), STANDARD.encode(root(cores)));
    let signature = SigningKey::from_bytes(&SIGNING_SEED).sign(text.as_bytes()).to_bytes();
    let line = STANDARD.encode([&writer_key_id().0[..], &signature].concat());
    format!("{text}\n\u{2014} {ORIGIN} {line}\n")
}

/// Computes the RFC 6962 tree hash.
pub(super) fn root(cores: &[&[u8]]) -> [u8; 32] {
    match cores {
        [] => Sha256::digest(b"").into(),
        [core] => leaf(core),
        _ => {
            let (left, right) = cores.split_at(cores.len().next_power_of_two() / 2);
            Sha256::digest([&[1], &root(left)[..], &root(right)].concat()).into()
        }
    }
}

pub(super) fn leaf(core: &[u8]) -> [u8; 32] {
    Sha256::digest([&[0], core].concat()).into()
}
