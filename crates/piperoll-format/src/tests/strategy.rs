//! Arbitrary values of every type of the format.

use std::collections::BTreeMap;
use std::ops::Range;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::Encoded;
use crate::*;

fn class() -> impl Strategy<Value = Class> {
    "[a-z0-9-]{1,32}".prop_map(|text| text.parse().expect("the form of a class"))
}

pub(super) fn bucket() -> impl Strategy<Value = Bucket> {
    let label = select(&[7, 10, 13, 15, 17][..]);
    (class(), "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}", label).prop_map(|(class, period, length)| {
        Bucket::new(class, &period[..length]).expect("the form of a label")
    })
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

fn digest() -> impl Strategy<Value = ObjectDigest> {
    any::<[u8; 32]>().prop_map(ObjectDigest)
}

pub(super) fn segment_number() -> impl Strategy<Value = SegmentNo> {
    (0..=SegmentNo::MAX.0).prop_map(SegmentNo)
}

pub(super) fn ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
    vec(any::<u64>(), 0..12).prop_map(|mut bounds| {
        bounds.sort_unstable();
        bounds.as_chunks().0.iter().map(|[start, end]| *start..*end).collect()
    })
}

fn payload_ref() -> impl Strategy<Value = PayloadRef> {
    let pointer = (any::<u64>(), any::<u32>(), any::<u32>());
    let key = option::of((any::<[u8; 16]>(), option::of(any::<[u8; 16]>())));
    let names = (any::<[u8; 32]>(), any::<[u8; 8]>(), key);
    (pointer, names).prop_map(|((length, offset, stored), (commitment, pack, key))| PayloadRef {
        commitment: Commitment(commitment),
        length,
        pack: DigestPrefix(pack),
        offset: u64::from(offset),
        stored: u64::from(stored),
        key: key.map(|(id, _)| KeyId(id)),
        pseudonym: key.and_then(|(_, pseudonym)| pseudonym).map(Pseudonym),
    })
}

pub(super) fn core() -> impl Strategy<Value = EventCore> {
    let place = (any::<[u8; 16]>(), any::<u64>(), any::<[u8; 32]>(), timestamp());
    let what = (select(Kind::ALL), class(), payload_ref(), option::of(any::<[u8; 16]>()), any::<[u8; 4]>());
    (place, what).prop_map(|((ledger, seq, prev, recorded_at), (kind, class, payload, source, writer))| {
        EventCore {
            ledger: LedgerId(ledger),
            seq: Seq(seq),
            prev: ChainHash(prev),
            recorded_at,
            kind,
            class,
            payload,
            source_digest: source.map(SourceDigest),
            writer: WriterKeyId(writer),
        }
    })
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let optional = (option::of(timestamp()), option::of(any::<String>()), option::of(any::<String>()));
    (any::<String>(), any::<String>(), optional).prop_map(
        |(source, media_type, (received_at, signature, signature_key))| Provenance {
            source,
            received_at,
            media_type,
            signature,
            signature_key,
        },
    )
}

fn facts() -> impl Strategy<Value = Facts> {
    let text = || option::of(any::<String>());
    let other = (option::of(any::<i64>()), vec(any::<String>(), 0..4), option::of(any::<u64>()));
    (text(), text(), text(), text(), other).prop_map(
        |(subject, source_id, number, class_reason, (occurred_at, flags, conflict))| Facts {
            subject,
            source_id,
            number,
            occurred_at,
            flags,
            class_reason,
            conflicts_with: conflict.map(Seq),
        },
    )
}

pub(super) fn payload() -> impl Strategy<Value = Payload> {
    let placement = (option::of(any::<u64>()), ranges())
        .prop_map(|(delivery, ranges)| Placement { delivery: delivery.map(Seq), ranges });
    let item = (any::<u64>(), ranges()).prop_map(|(seq, ranges)| SkeletonItem { seq: Seq(seq), ranges });
    let skeleton =
        (any::<u64>(), vec(item, 0..4)).prop_map(|(body_length, items)| Skeleton { body_length, items });
    let parts = vec(vec(any::<u8>(), 0..300), 0..4);
    (parts, provenance(), facts(), option::of(placement), option::of(skeleton)).prop_map(
        |(parts, provenance, facts, placement, skeleton)| Payload {
            parts,
            provenance,
            facts,
            placement,
            skeleton,
        },
    )
}

fn object_entry() -> impl Strategy<Value = ObjectEntry> {
    let object = select(&[ObjectType::Pack, ObjectType::Keys][..]);
    (object, bucket(), digest(), any::<u64>(), timestamp()).prop_map(
        |(object, bucket, digest, size, retain_until)| ObjectEntry {
            object,
            bucket,
            digest,
            size,
            retain_until: RetainUntil(retain_until),
        },
    )
}

/// What a segment borrows, owned.
#[derive(Clone, Debug)]
pub(super) struct SegmentParts {
    cores: Vec<Vec<u8>>,
    signatures: Vec<u8>,
    checkpoint: String,
    ids: ([u8; 16], SegmentNo, u32),
    hashes: (ObjectDigest, ChainHash, Vec<[u8; 32]>),
    objects: Vec<ObjectEntry>,
    retain_until: Timestamp,
}

impl SegmentParts {
    pub(super) fn segment(&self) -> Segment<'_> {
        let (ledger, number, first_seq) = self.ids;
        Segment {
            ledger: LedgerId(ledger),
            number,
            first_seq: Seq(u64::from(first_seq)),
            previous: self.hashes.0,
            retain_until: RetainUntil(self.retain_until),
            frontier: self.hashes.2.clone(),
            cores: self.cores.iter().map(Vec::as_slice).collect(),
            signatures: &self.signatures,
            objects: self.objects.clone(),
            chain_head: self.hashes.1,
            checkpoint: &self.checkpoint,
        }
    }
}

pub(super) fn segment() -> impl Strategy<Value = SegmentParts> {
    let ids = (any::<[u8; 16]>(), segment_number(), any::<u32>());
    let hashes = (digest(), any::<[u8; 32]>().prop_map(ChainHash), vec(any::<[u8; 32]>(), 0..4));
    let cores = vec((core(), any::<u8>()), 1..5);
    (ids, hashes, cores, vec(object_entry(), 0..4), timestamp(), any::<String>()).prop_map(
        |(ids, hashes, cores, objects, retain_until, checkpoint)| SegmentParts {
            signatures: cores.iter().flat_map(|(_, fill)| [*fill; SIGNATURE_LEN]).collect(),
            cores: cores.iter().map(|(core, _)| core.encode()).collect(),
            checkpoint,
            ids,
            hashes,
            objects,
            retain_until,
        },
    )
}

pub(super) fn key_object() -> impl Strategy<Value = KeyObject> {
    let wrapped = (any::<[u8; 32]>(), any::<[u8; 28]>()).prop_map(|(left, right)| {
        let mut wrapped = [0; 60];
        wrapped[..32].copy_from_slice(&left);
        wrapped[32..].copy_from_slice(&right);
        wrapped
    });
    let keys = btree_map(any::<[u8; 16]>().prop_map(KeyId), wrapped, 0..5);
    (any::<[u8; 16]>(), bucket(), any::<[u8; 8]>(), keys).prop_map(
        |(ledger, bucket, kek, keys): (_, _, _, BTreeMap<_, _>)| KeyObject {
            ledger: LedgerId(ledger),
            bucket,
            kek: KekId(kek),
            keys: keys.into_iter().collect(),
        },
    )
}

pub(super) fn genesis() -> impl Strategy<Value = Genesis> {
    let keys = (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 8]>());
    let dictionaries = btree_set(1..=254_u8, 0..3).prop_flat_map(|numbers| {
        let digests = vec(digest(), numbers.len());
        digests.prop_map(move |digests| numbers.iter().copied().zip(digests).collect::<Vec<_>>())
    });
    let policies = vec(any::<String>(), 0..3);
    let times = (timestamp(), timestamp());
    (any::<[u8; 16]>(), any::<String>(), keys, policies, dictionaries, times).prop_map(
        |(ledger, origin, (public_key, next_key_digest, kek), policies, dictionaries, times)| Genesis {
            ledger: LedgerId(ledger),
            origin,
            public_key,
            next_key_digest,
            created_at: times.0,
            kek: KekId(kek),
            policies,
            dictionaries,
            retain_until: RetainUntil(times.1),
        },
    )
}

pub(super) fn disposal_order() -> impl Strategy<Value = DisposalOrder> {
    let objects = vec((any::<String>(), digest()), 0..4);
    (bucket(), any::<String>(), any::<String>(), objects).prop_map(|(bucket, reason, ordered_by, objects)| {
        DisposalOrder { bucket, reason, ordered_by, objects }
    })
}

pub(super) fn object_name() -> impl Strategy<Value = ObjectName> {
    let bucketed = || (bucket(), segment_number(), any::<[u8; 8]>().prop_map(DigestPrefix));
    prop_oneof![
        Just(ObjectName::Genesis),
        Just(ObjectName::Checkpoint),
        (1..=254_u8).prop_map(|number| ObjectName::Dictionary { number }),
        segment_number().prop_map(ObjectName::Segment),
        bucketed().prop_map(|(bucket, segment, digest)| ObjectName::Pack { bucket, segment, digest }),
        bucketed().prop_map(|(bucket, segment, digest)| ObjectName::Keys { bucket, segment, digest }),
        (any::<u64>(), any::<[u8; 32]>())
            .prop_map(|(cursor, id)| ObjectName::SnapshotManifest { cursor: Seq(cursor), id: PieceId(id) }),
        any::<[u8; 32]>().prop_map(|id| ObjectName::SnapshotPiece(PieceId(id))),
    ]
}

/// Any encoded object, with its type.
pub(super) fn encoded() -> impl Strategy<Value = (Encoded, Vec<u8>)> {
    prop_oneof![
        core().prop_map(|core| (Encoded::Core, core.encode())),
        disposal_order().prop_map(|order| (Encoded::DisposalOrder, order.encode())),
        genesis().prop_map(|genesis| (Encoded::Genesis, genesis.encode())),
        key_object().prop_map(|keys| (Encoded::KeyObject, keys.encode())),
        payload().prop_map(|payload| (Encoded::Payload, payload.encode())),
        segment().prop_map(|parts| (Encoded::Segment, parts.segment().encode())),
    ]
}
