//! The committed vectors under `tests/fixtures/format-v1`: today's code writes them and reads them.
//!
//! To add a vector before the format is released, run the tests of this crate with
//! `PIPEROLL_REGENERATE_VECTORS=1`, look at the difference, and commit it. A released vector never changes.

use std::collections::BTreeSet;
use std::fs;

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use serde_json::{Value, json};

use super::sample::{self, Golden};
use super::{Encoded, sample::Stored};
use crate::*;

const EXPECTED: &str = "expected.json";

fn read(name: &str) -> Vec<u8> {
    fs::read(sample::folder().join(name)).unwrap_or_else(|error| panic!("cannot read `{name}`: {error}"))
}

#[test]
fn encoders_write_the_committed_vectors() {
    let golden = sample::build();
    let mut files = golden.files();
    let mut expected = serde_json::to_string_pretty(&expected(&golden)).expect("JSON to memory");
    expected.push('\n');
    files.insert(EXPECTED.to_owned(), expected.into_bytes());
    if std::env::var_os(sample::REGENERATE).is_some() {
        for (name, bytes) in &files {
            fs::write(sample::folder().join(name), bytes).expect("the folder is writable");
        }
    }
    let names: BTreeSet<String> = fs::read_dir(sample::folder())
        .expect("the folder is readable")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"))
        .collect();
    let fixed: BTreeSet<String> = files.keys().cloned().collect();
    assert_eq!(names, fixed, "the files of the vectors");
    for (name, bytes) in &files {
        assert!(read(name) == *bytes, "`{name}` is not what the encoder writes");
    }
}

#[test]
fn decoders_read_the_committed_vectors() {
    let golden = sample::build();
    assert_eq!(Genesis::decode(&read("genesis.cbor")), Ok(golden.genesis));
    assert_eq!(KeyObject::decode(&read("keys.cbor")), Ok(golden.keys));
    assert_eq!(DisposalOrder::decode(&read("disposal.cbor")), Ok(golden.order));
    for event in golden.events {
        let name = event.plan.name;
        assert_eq!(EventCore::decode(&read(&format!("core-{name}.cbor"))), Ok(event.core));
        assert_eq!(Payload::decode(&read(&format!("payload-{name}.cbor"))), Ok(event.plan.payload));
    }
}

/// Walks the committed ledger as `FORMAT.md` section 12 tells a verifier to.
#[test]
fn committed_ledger_verifies_from_its_bytes_alone() {
    let genesis_bytes = read("genesis.cbor");
    let genesis = Genesis::decode(&genesis_bytes).expect("a genesis object");
    let segment_bytes = read("segment-0.cbor");
    let segment = Segment::decode(&segment_bytes).expect("a segment");
    let key = VerifyingKey::from_bytes(&genesis.public_key).expect("a public key");
    assert_eq!(segment.previous, ObjectDigest::of(&genesis_bytes));

    let mut prev = chain_hash(&genesis_bytes);
    let mut ranges = [Vec::new(), Vec::new()];
    let packs = [read("pack-archive.bin"), read("pack.bin")];
    for (index, bytes) in segment.cores.iter().enumerate() {
        let core = EventCore::decode(bytes).expect("a core");
        assert_eq!((core.ledger, core.seq, core.prev), (genesis.ledger, Seq(index as u64), prev));
        prev = chain_hash(bytes);
        let signature = Signature::from_bytes(segment.signature(index).expect("a signature for each event"));
        key.verify(&signed_bytes(bytes), &signature).expect("the signature");
        let pack = packs.iter().position(|pack| ObjectDigest::of(pack).prefix() == core.payload.pack);
        ranges[pack.expect("a pack with this digest")]
            .push(core.payload.offset..core.payload.offset + core.payload.stored);
    }
    assert_eq!(prev, segment.chain_head);
    assert_eq!(segment.checkpoint, sample::checkpoint(&segment.cores));
    for (pack, ranges) in packs.iter().zip(ranges) {
        check_pack_layout(pack.len() as u64, ranges.into_iter()).expect("no gap and no overlap");
    }
    for (entry, bytes) in segment.objects.iter().zip([&packs[0], &packs[1], &read("keys.cbor")]) {
        assert_eq!((entry.digest, entry.size), (ObjectDigest::of(bytes), bytes.len() as u64));
        assert!(entry.retain_until <= segment.retain_until);
    }
}

#[test]
fn committed_payloads_open_and_the_body_is_whole_again() {
    let segment_bytes = read("segment-0.cbor");
    let segment = Segment::decode(&segment_bytes).expect("a segment");
    let keys = KeyObject::decode(&read("keys.cbor")).expect("a key object");
    let kek = Kek::new(sample::KEK);
    let packs = [read("pack-archive.bin"), read("pack.bin")];
    let mut codec = Codec::default();
    let mut payloads = Vec::new();
    for bytes in &segment.cores {
        let core = EventCore::decode(bytes).expect("a core");
        let pack = usize::from(core.payload.key.is_some());
        assert_eq!(core.payload.key.is_none(), core.kind.is_clear());
        let start = usize::try_from(core.payload.offset).expect("a small pack");
        let stored = &packs[pack][start..start + usize::try_from(core.payload.stored).expect("a small pack")];
        let key = core.payload.key.map(|id| {
            let at = keys.keys.binary_search_by_key(&id, |(id, _)| *id).expect("a key with this id");
            let binding = KeyBinding { ledger: core.ledger, bucket: &keys.bucket, key: id };
            kek.unwrap(&keys.keys[at].1, &binding).expect("the key unwraps")
        });
        let place = (core.ledger, core.seq);
        let (salt, payload) =
            open_payload(&mut codec, stored, &core.payload, key.as_ref(), place).expect("the payload opens");
        assert_eq!(commitment(&salt, &payload), core.payload.commitment);
        payloads.push(Payload::decode(&payload).expect("a payload"));
    }
    let skeleton = payloads[2].skeleton.as_ref().expect("a delivery has a skeleton");
    let items: Vec<Vec<&[u8]>> = skeleton
        .items
        .iter()
        .map(|item| payloads[usize::try_from(item.seq.0).expect("small")].item_slices().expect("slices"))
        .collect();
    let body = rebuild_body(skeleton, &payloads[2].parts[0], &items).expect("the body");
    assert_eq!(body, sample::CUT_BODY.as_bytes());
}

#[test]
fn every_changed_bit_of_a_vector_is_refused_or_canonical() {
    for (object, bytes) in sample::encoded_vectors() {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                object.check_canonical(&changed);
            }
            assert!(object.reencode(&bytes[..at]).is_err(), "{object:?} cut at {at}");
        }
        assert_eq!(object.reencode(&bytes), Ok(bytes));
    }
}

#[test]
fn vectors_of_every_type_exist() {
    let types: Vec<Encoded> = sample::encoded_vectors().into_iter().map(|(object, _)| object).collect();
    for object in Encoded::ALL {
        assert!(types.contains(&object), "{object:?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::disallowed_methods, reason = "`json!` unwraps what it has checked")]
fn expected(golden: &Golden) -> Value {
    let genesis = golden.genesis.encode();
    let cores: Vec<&[u8]> = golden.events.iter().map(|event| &event.encoded[..]).collect();
    let segment = Segment::decode(&golden.segment).expect("a segment");
    json!({
        "inputs": {
            "ledger": golden.genesis.ledger.to_string(),
            "origin": golden.genesis.origin,
            "signing_seed": hex(&sample::SIGNING_SEED),
            "next_signing_seed": hex(&sample::NEXT_SIGNING_SEED),
            "kek": hex(&sample::KEK),
        },
        "genesis": {
            "digest": ObjectDigest::of(&genesis).to_string(),
            "chain_hash": chain_hash(&genesis).to_string(),
            "public_key": hex(&golden.genesis.public_key),
            "next_key_digest": hex(&golden.genesis.next_key_digest),
            "kek_id": golden.genesis.kek.to_string(),
            "created_at": golden.genesis.created_at.to_string(),
            "retain_until": golden.genesis.retain_until.to_string(),
        },
        "events": golden.events.iter().map(expected_event).collect::<Vec<_>>(),
        "segment": {
            "name": ObjectName::Segment(segment.number).to_string(),
            "digest": ObjectDigest::of(&golden.segment).to_string(),
            "chain_head": segment.chain_head.to_string(),
            "retain_until": segment.retain_until.to_string(),
            "root": hex(&sample::root(&cores)),
            "checkpoint": segment.checkpoint,
            "objects": segment.objects.iter().map(|entry| json!({
                "name": entry.name(segment.number).to_string(),
                "digest": entry.digest.to_string(),
                "size": entry.size,
                "retain_until": entry.retain_until.to_string(),
            })).collect::<Vec<_>>(),
        },
    })
}

#[expect(clippy::disallowed_methods, reason = "`json!` unwraps what it has checked")]
fn expected_event(event: &sample::Sample) -> Value {
    let (core, seq) = (&event.core, event.core.seq.0);
    let subject = sample::subject(&event.plan.payload);
    let sealed = event.plan.stored != Stored::Clear;
    json!({
        "name": event.plan.name,
        "seq": seq,
        "prev": core.prev.to_string(),
        "recorded_at": core.recorded_at.to_string(),
        "kind": core.kind.as_str(),
        "class": core.class.as_str(),
        "payload": {
            "commitment": core.payload.commitment.to_string(),
            "length": core.payload.length,
            "pack": core.payload.pack.to_string(),
            "offset": core.payload.offset,
            "stored": core.payload.stored,
            "key": core.payload.key.map(|key| key.to_string()),
            "pseudonym": core.payload.pseudonym.map(|pseudonym| pseudonym.to_string()),
        },
        "source_digest": core.source_digest.map(|digest| digest.to_string()),
        "writer": core.writer.to_string(),
        "chain_hash": chain_hash(&event.encoded).to_string(),
        "leaf_hash": hex(&sample::leaf(&event.encoded)),
        "signature": hex(&event.signature),
        "salt": hex(&sample::salt(&event.plan, seq)),
        "nonce": sealed.then(|| hex(&core.payload.commitment.0[..NONCE_LEN])),
        "key_subject": sealed.then_some(subject),
        "subject_key": sealed.then(|| hex(&sample::subject_key(subject))),
        "method": match event.plan.stored {
            Stored::SealedFrame(method) => method,
            Stored::Clear | Stored::Sealed => 0,
        },
    })
}
