//! Properties of the encodings: what is written reads back, and nothing else is read.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::strategy;
use crate::*;

fn config() -> ProptestConfig {
    ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_core_reads_back(core in strategy::core()) {
        prop_assert_eq!(EventCore::decode(&core.encode()), Ok(core));
    }

    #[test]
    fn every_payload_reads_back(payload in strategy::payload()) {
        let bytes = payload.encode();
        let (length, bound) = (bytes.len() as u64, payload.encoded_len_max());
        prop_assert!((length..length + 2_000).contains(&bound), "{length} bytes, expected at most {bound}");
        prop_assert_eq!(Payload::decode(&bytes), Ok(payload));
    }

    #[test]
    fn every_segment_reads_back(parts in strategy::segment()) {
        let segment = parts.segment();
        let bytes = segment.encode();
        prop_assert_eq!(Segment::decode(&bytes), Ok(segment));
    }

    #[test]
    fn every_key_object_reads_back(keys in strategy::key_object()) {
        prop_assert_eq!(KeyObject::decode(&keys.encode()), Ok(keys));
    }

    #[test]
    fn every_genesis_reads_back(genesis in strategy::genesis()) {
        prop_assert_eq!(Genesis::decode(&genesis.encode()), Ok(genesis));
    }

    #[test]
    fn every_disposal_order_reads_back(order in strategy::disposal_order()) {
        prop_assert_eq!(DisposalOrder::decode(&order.encode()), Ok(order));
    }

    #[test]
    fn damage_is_refused_or_is_another_canonical_value(
        (object, bytes) in strategy::encoded(),
        at in any::<Index>(),
        change in 1..=u8::MAX,
    ) {
        let at = at.index(bytes.len());
        let mut changed = bytes.clone();
        changed[at] ^= change;
        object.check_canonical(&changed);
        let mut removed = bytes.clone();
        removed.remove(at);
        object.check_canonical(&removed);
        let mut added = bytes.clone();
        added.insert(at, change);
        object.check_canonical(&added);
        prop_assert!(object.reencode(&bytes[..at]).is_err(), "a truncated object must be refused");
        added = bytes;
        added.push(change);
        prop_assert!(object.reencode(&added).is_err(), "bytes after the end must be refused");
    }

    #[test]
    fn changed_core_changes_the_chain(core in strategy::core(), at in any::<Index>(), change in 1..=u8::MAX) {
        let bytes = core.encode();
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= change;
        prop_assert_ne!(chain_hash(&changed), chain_hash(&bytes));
    }

    #[test]
    fn independent_reader_sees_the_same_bytes((_, bytes) in strategy::encoded()) {
        let value: ciborium::Value = ciborium::from_reader(&bytes[..]).expect("ciborium reads it");
        let mut again = Vec::new();
        ciborium::into_writer(&value, &mut again).expect("writing to memory");
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn object_names_read_back(name in strategy::object_name()) {
        prop_assert_eq!(ObjectName::parse(&name.to_string()), Ok(name));
    }

    #[test]
    fn only_the_written_spelling_is_a_name(name in strategy::object_name(), at in any::<Index>(), c in any::<char>()) {
        let mut text: Vec<char> = name.to_string().chars().collect();
        let at = at.index(text.len());
        text[at] = c;
        let text = String::from_iter(text);
        if let Ok(parsed) = ObjectName::parse(&text) {
            prop_assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn pack_layout_has_no_gap_and_no_overlap(
        payloads in vec(vec(any::<u8>(), 1..40), 1..8),
        at in any::<Index>(),
        by in 1..3_u64,
    ) {
        let mut builder = PackBuilder::default();
        let ranges: Vec<Range<u64>> = payloads.iter().map(|payload| {
            let start = builder.push(payload);
            start..start + payload.len() as u64
        }).collect();
        let pack = builder.into_bytes();
        let size = pack.len() as u64;
        prop_assert!(pack.starts_with(PACK_MAGIC));
        for (range, payload) in ranges.iter().zip(&payloads) {
            prop_assert_eq!(&pack[range.start as usize..range.end as usize], &payload[..]);
        }
        prop_assert_eq!(check_pack_layout(size, ranges.iter().cloned()), Ok(()));
        prop_assert!(check_pack_layout(size + by, ranges.iter().cloned()).is_err());
        let mut shifted = ranges;
        let at = at.index(shifted.len());
        shifted[at] = shifted[at].start + by..shifted[at].end + by;
        prop_assert!(check_pack_layout(size, shifted.into_iter()).is_err());
    }

    #[test]
    fn slices_and_skeleton_rebuild_the_body(
        body in vec(any::<u8>(), 0..400),
        cuts in vec(any::<Index>(), 0..16),
        owners in vec(0..3_usize, 8),
        drop in any::<Index>(),
    ) {
        let (skeleton, rest, slices) = cut(&body, &cuts, &owners);
        prop_assert_eq!(rebuild_body(&skeleton, &rest, &slices), Ok(body.clone()));
        let longer = [&rest[..], &[0]].concat();
        prop_assert!(rebuild_body(&skeleton, &longer, &slices).is_err(), "a longer rest must be noticed");
        let mut short = slices;
        let at = drop.index(short.len());
        if short[at].pop().is_some() {
            prop_assert!(rebuild_body(&skeleton, &rest, &short).is_err(), "a missing slice must be noticed");
        }
    }
}

/// Cuts pairs of `cuts` out of `body` and deals them to three items.
fn cut<'a>(body: &'a [u8], cuts: &[Index], owners: &[usize]) -> (Skeleton, Vec<u8>, Vec<Vec<&'a [u8]>>) {
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    bounds.sort_unstable();
    let mut items: Vec<SkeletonItem> =
        (0..3).map(|seq| SkeletonItem { seq: Seq(seq), ranges: Vec::new() }).collect();
    let mut slices = vec![Vec::new(); 3];
    let (mut rest, mut at) = (Vec::new(), 0);
    for ([start, end], owner) in bounds.as_chunks().0.iter().zip(owners) {
        items[*owner].ranges.push(*start as u64..*end as u64);
        slices[*owner].push(&body[*start..*end]);
        rest.extend_from_slice(&body[at..*start]);
        at = *end;
    }
    rest.extend_from_slice(&body[at..]);
    (Skeleton { body_length: body.len() as u64, items }, rest, slices)
}

#[test]
fn empty_slice_stands_before_the_one_that_starts_where_it_does() {
    let item = |seq, ranges| SkeletonItem { seq: Seq(seq), ranges };
    let skeleton =
        Skeleton { body_length: 6, items: vec![item(1, vec![2..4, 5..5]), item(2, vec![2..2, 5..6])] };
    let slices: [Vec<&[u8]>; 2] = [vec![b"cd", b""], vec![b"", b"f"]];
    assert_eq!(rebuild_body(&skeleton, b"abe", &slices), Ok(b"abcdef".to_vec()));
}

#[test]
fn item_slices_are_the_same_whichever_way_the_item_is_stored() {
    let body = br#"{"a":[1,2],"b":3}"#.to_vec();
    let whole = Payload {
        parts: vec![body.clone()],
        placement: Some(Placement { delivery: None, ranges: vec![5..10, 15..16] }),
        ..Payload::default()
    };
    let item = Payload {
        parts: vec![b"[1,2]".to_vec(), b"3".to_vec()],
        placement: Some(Placement { delivery: Some(Seq(7)), ranges: vec![5..10, 15..16] }),
        ..Payload::default()
    };
    assert_eq!(whole.item_slices(), Ok(vec![&b"[1,2]"[..], b"3"]));
    assert_eq!(whole.item_slices(), item.item_slices());
    let ranges = vec![5..10, 15..body.len() as u64 + 1];
    let outside = Payload { placement: Some(Placement { delivery: None, ranges }), ..whole };
    assert!(outside.item_slices().is_err());
}

#[test]
fn tile_names_are_spelled_as_c2sp_says() {
    for name in [
        "tile/0/000",
        "tile/63/001",
        "tile/0/x001/x234/067",
        "tile/0/x001/x234/067.p/1",
        "tile/entries/999.p/255",
        "tile/entries/x001/000",
    ] {
        assert_eq!(ObjectName::parse(name), Ok(ObjectName::Tile(name.to_owned())));
    }
    for name in [
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/00/000",
        "tile/64/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/leaf/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/001/067",
        "tile/0/x001",
        "tile/0/x000/001",
        "tile/0/x001/../067",
        "tile/0/x001//067",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/../genesis",
    ] {
        assert!(ObjectName::parse(name).is_err(), "{name}");
    }
}

#[test]
fn names_of_snapshots_are_derived_and_have_one_spelling() {
    let id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    for name in [format!("snapshot/piece/{id}"), format!("snapshot/manifest/00000000000000000012-{id}")] {
        let parsed = ObjectName::parse(&name).expect("it is a name");
        assert!(parsed.is_derived(), "{name}");
        assert_eq!(parsed.to_string(), name);
    }
    for name in [
        "snapshot".to_owned(),
        "snapshot/".to_owned(),
        "snapshot/piece/".to_owned(),
        format!("snapshot/{id}"),
        format!("snapshot/piece/{id}/"),
        format!("snapshot/piece/../piece/{id}"),
        format!("snapshot/piece/{}", id.to_uppercase()),
        format!("snapshot/piece/{}", &id[2..]),
        format!("snapshot/manifest/{id}"),
        format!("snapshot/manifest/12-{id}"),
        format!("snapshot/manifest/+0000000000000000012-{id}"),
        format!("snapshot/manifest/99999999999999999999-{id}"),
        format!("snapshot/manifest/00000000000000000012-{id}.json"),
    ] {
        assert!(ObjectName::parse(&name).is_err(), "{name}");
    }
}

#[test]
fn names_of_other_formats_are_refused() {
    for name in [
        "",
        "Genesis",
        "genesis/",
        "/genesis",
        "log/1.seg",
        "log/1000000000000.seg",
        "log/+00000000001.seg",
        "log/000000000001.SEG",
        "dictionaries/0.zdict",
        "dictionaries/01.zdict",
        "dictionaries/255.zdict",
        "dictionaries/256.zdict",
        "payloads/a/2026-11/000000000001-0011223344556677.keys",
        "payloads/a/2026-11/000000000001-001122334455667.pack",
        "payloads/a/2026-11/000000000001-00112233445566AA.pack",
        "payloads/A/2026-11/000000000001-0011223344556677.pack",
        "payloads/a/2026/000000000001-0011223344556677.pack",
        "payloads/a/b/2026-11/000000000001-0011223344556677.pack",
        "keys/a/2026-11/1-0011223344556677.keys",
    ] {
        assert!(ObjectName::parse(name).is_err(), "{name}");
    }
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let core = |offset| {
        let payload = PayloadRef {
            commitment: Commitment([0; 32]),
            length: 1,
            pack: DigestPrefix([0; 8]),
            offset,
            stored: 2,
            key: None,
            pseudonym: None,
        };
        EventCore {
            ledger: LedgerId([0; 16]),
            seq: Seq(0),
            prev: ChainHash([0; 32]),
            recorded_at: Timestamp(0),
            kind: Kind::LedgerOpened,
            class: "a".parse().expect("a class"),
            payload,
            source_digest: None,
            writer: WriterKeyId([0; 4]),
        }
        .encode()
    };
    assert!(EventCore::decode(&core(u64::MAX - 2)).is_ok());
    assert!(EventCore::decode(&core(u64::MAX - 1)).is_err(), "its payload ends past 2^64");

    let bytes = core(0);
    let segment = |number, first_seq| {
        Segment {
            ledger: LedgerId([0; 16]),
            number,
            first_seq: Seq(first_seq),
            previous: ObjectDigest([0; 32]),
            retain_until: RetainUntil(Timestamp(0)),
            frontier: Vec::new(),
            cores: vec![&bytes],
            signatures: &[0; SIGNATURE_LEN],
            objects: Vec::new(),
            chain_head: ChainHash([0; 32]),
            checkpoint: "",
        }
        .encode()
    };
    assert!(Segment::decode(&segment(SegmentNo::MAX, u64::MAX - 1)).is_ok());
    assert!(Segment::decode(&segment(SegmentNo::MAX, u64::MAX)).is_err(), "it ends past 2^64");
    assert!(Segment::decode(&segment(SegmentNo::MAX.next(), 0)).is_err(), "thirteen digits");
}
