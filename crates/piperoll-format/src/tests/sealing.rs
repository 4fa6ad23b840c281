//! Properties of stored payloads and wrapped keys.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::strategy;
use crate::compress::ZSTD_MAGIC;
use crate::*;

fn config() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }
}

/// Payload bytes that compress, and such that do not.
fn payload_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..2_000), "(\"type\":\"text\",){0,80}".prop_map(String::into_bytes)]
}

fn place() -> impl Strategy<Value = (LedgerId, Seq)> {
    (any::<[u8; 16]>(), 0..u64::MAX).prop_map(|(ledger, seq)| (LedgerId(ledger), Seq(seq)))
}

/// What a core says of a payload, as far as opening it needs.
fn reference(commitment: Commitment, length: u64) -> PayloadRef {
    PayloadRef {
        commitment,
        length,
        pack: DigestPrefix([0; 8]),
        offset: 0,
        stored: 0,
        key: None,
        pseudonym: None,
    }
}

fn open_clear(codec: &mut Codec, stored: &[u8], length: u64) -> Result<([u8; 32], Vec<u8>), DecodeError> {
    open_payload(codec, stored, &reference(Commitment([0; 32]), length), None, (LedgerId([1; 16]), Seq(0)))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sealed_payloads_open_only_unchanged_in_their_place_with_their_key(
        payload in payload_bytes(),
        key in any::<[u8; 32]>(),
        place in place(),
        at in any::<Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut codec = Codec::default();
        let sealing = Sealing::Key(&SubjectKey::new(key));
        let SealedPayload { commitment, stored } = seal_payload(&mut codec, &payload, sealing, place);
        let reference = reference(commitment, payload.len() as u64);
        let mut open = |stored: &[u8], key: [u8; 32], place, reference: &PayloadRef| {
            open_payload(&mut codec, stored, reference, Some(&SubjectKey::new(key)), place)
        };
        let (salt, opened) = open(&stored, key, place, &reference).expect("the payload opens");
        prop_assert_eq!(crate::commitment(&salt, &opened), commitment);
        prop_assert_eq!(opened, payload);

        let refused = Err(DecodeError::Sealed);
        let mut changed = stored.clone();
        changed[at.index(stored.len())] ^= change;
        prop_assert_eq!(open(&changed, key, place, &reference), refused.clone());
        prop_assert!(open(&stored[..at.index(stored.len())], key, place, &reference).is_err(), "truncated");
        let mut other_key = key;
        other_key[at.index(32)] ^= change;
        prop_assert_eq!(open(&stored, other_key, place, &reference), refused.clone());
        prop_assert_eq!(open(&stored, key, (place.0, place.1.next()), &reference), refused.clone());
        let mut other_ledger = place.0;
        other_ledger.0[at.index(16)] ^= change;
        prop_assert_eq!(open(&stored, key, (other_ledger, place.1), &reference), refused.clone());
        let mut other = reference;
        other.commitment.0[at.index(NONCE_LEN)] ^= change;
        prop_assert_eq!(open(&stored, key, place, &other), refused);
    }

    /// A batch is sealed again after a lost race: whatever shares a nonce is the same ciphertext.
    #[test]
    fn equal_nonces_under_a_key_mean_equal_ciphertexts(
        (payload, other) in (payload_bytes(), payload_bytes()),
        key in any::<[u8; 32]>(),
        place in place(),
    ) {
        let key = SubjectKey::new(key);
        let mut used = Codec::default();
        let mut seal = |payload: &[u8], place| seal_payload(&mut used, payload, Sealing::Key(&key), place);
        let first = seal(&payload, place);
        let elsewhere = seal(&payload, (place.0, place.1.next()));
        prop_assert_ne!(&first.commitment.0[..NONCE_LEN], &elsewhere.commitment.0[..NONCE_LEN]);
        if other != payload {
            let other = seal(&other, place);
            prop_assert_ne!(&first.commitment.0[..NONCE_LEN], &other.commitment.0[..NONCE_LEN]);
        }
        prop_assert_eq!(&seal(&payload, place), &first, "after other payloads");
        let fresh = seal_payload(&mut Codec::default(), &payload, Sealing::Key(&key), place);
        prop_assert_eq!(fresh, first, "by another codec");
    }

    /// Without a tag, damage is refused or changes what the commitment covers. A frame that says the same in other
    /// bytes remains; the digest of the pack covers that.
    #[test]
    fn clear_payloads_are_bound_by_their_commitment(
        payload in payload_bytes(),
        salt in any::<[u8; 32]>(),
        place in place(),
        at in any::<Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut codec = Codec::default();
        let sealed = seal_payload(&mut codec, &payload, Sealing::Clear { salt }, place);
        let (stored, reference) = (sealed.stored, reference(sealed.commitment, payload.len() as u64));
        let opened = (salt, payload);
        prop_assert_eq!(open_payload(&mut codec, &stored, &reference, None, place), Ok(opened.clone()));
        prop_assert_eq!(commitment(&salt, &opened.1), reference.commitment);
        let mut changed = stored.clone();
        changed[at.index(stored.len())] ^= change;
        if let Ok((other_salt, other)) = open_payload(&mut codec, &changed, &reference, None, place) {
            let same = commitment(&other_salt, &other) == reference.commitment;
            prop_assert_eq!(same, (other_salt, other) == opened);
        }
        prop_assert_ne!(ObjectDigest::of(&changed), ObjectDigest::of(&stored));
    }

    #[test]
    fn wrapped_keys_open_only_unchanged_in_their_place(
        (kek, key, nonce) in (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 12]>()),
        (ledger, key_id) in (any::<[u8; 16]>(), any::<[u8; 16]>()),
        (bucket, other_bucket) in (strategy::bucket(), strategy::bucket()),
        at in any::<Index>(),
        change in 1..=u8::MAX,
    ) {
        prop_assume!(bucket != other_bucket);
        let kek = Kek::new(kek);
        let binding = KeyBinding { ledger: LedgerId(ledger), bucket: &bucket, key: KeyId(key_id) };
        let wrapped = kek.wrap(&SubjectKey::new(key), nonce, &binding);
        let unwrapped = kek.unwrap(&wrapped, &binding).expect("the key unwraps");

        // A key shows nothing of itself, so it is known by what it opens.
        let mut codec = Codec::default();
        let place = (LedgerId(ledger), Seq(1));
        let sealed = seal_payload(&mut codec, b"{}", Sealing::Key(&SubjectKey::new(key)), place);
        let reference = reference(sealed.commitment, 2);
        prop_assert!(open_payload(&mut codec, &sealed.stored, &reference, Some(&unwrapped), place).is_ok());

        let mut changed = wrapped;
        changed[at.index(60)] ^= change;
        prop_assert!(kek.unwrap(&changed, &binding).is_err());
        let mut other_id = key_id;
        other_id[at.index(16)] ^= change;
        let mut other_ledger = ledger;
        other_ledger[at.index(16)] ^= change;
        for elsewhere in [
            KeyBinding { bucket: &other_bucket, ..binding.clone() },
            KeyBinding { key: KeyId(other_id), ..binding.clone() },
            KeyBinding { ledger: LedgerId(other_ledger), ..binding },
        ] {
            prop_assert!(kek.unwrap(&wrapped, &elsewhere).is_err());
        }
    }
}

/// Computes what `FORMAT.md` section 5.2 says.
#[test]
fn the_salt_follows_from_key_and_place() {
    let (ledger, seq) = (LedgerId([1; 16]), Seq(258));
    let key = SubjectKey::new([5; 32]);
    let sealed = seal_payload(&mut Codec::default(), b"{}", Sealing::Key(&key), (ledger, seq));
    let material = [&[5; 32][..], &[1; 16], &[0, 0, 0, 0, 0, 0, 1, 2]].concat();
    let salt = blake3::derive_key("piperoll v1 payload salt", &material);
    assert_eq!(sealed.commitment, commitment(&salt, b"{}"));
    assert_eq!(sealed.stored.len(), 1 + 2 + 16, "method, data and tag, and nothing else");
}

fn seal_clear(codec: &mut Codec, payload: &[u8]) -> Vec<u8> {
    seal_payload(codec, payload, Sealing::Clear { salt: [9; 32] }, (LedgerId([1; 16]), Seq(0))).stored
}

#[test]
fn long_payloads_need_no_dictionary() {
    let payload = "{\"type\":\"text\"},".repeat(5_000).into_bytes();
    let mut codec = Codec::default();
    let stored = seal_clear(&mut codec, &payload);
    assert_eq!(stored[32], 1, "the method of a zstd frame without a dictionary");
    assert!(stored.len() < payload.len() / 10);
    let frame = [&ZSTD_MAGIC[..], &stored[33..]].concat();
    assert_eq!(zstd::bulk::decompress(&frame, payload.len()).expect("zstd reads it"), payload);
    assert_eq!(open_clear(&mut codec, &stored, payload.len() as u64), Ok(([9; 32], payload)));
}

#[test]
fn what_does_not_shrink_is_stored_as_it_is() {
    // No two bytes of it repeat.
    let payload: Vec<u8> = (0..=u8::MAX).collect();
    for payload in [&payload[..], &[]] {
        let stored = seal_clear(&mut Codec::default(), payload);
        assert_eq!(stored, [&[9; 32][..], &[0], payload].concat());
    }
}

#[test]
fn payloads_that_are_given_away_are_sealed_as_others() {
    let key = SubjectKey::new([3; 32]);
    let place = (LedgerId([1; 16]), Seq(7));
    let mut bytes = vec![0; 300 * 1024];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    for payload in [bytes, vec![7; 300 * 1024], b"short".to_vec()] {
        let borrowed = seal_payload(&mut Codec::default(), &payload, Sealing::Key(&key), place);
        let given = seal_payload(&mut Codec::default(), payload, Sealing::Key(&key), place);
        assert!(borrowed == given);
    }
}

#[test]
fn lengths_and_methods_that_lie_are_refused() {
    let mut codec = Codec::default();
    let raw = [&[0; 32][..], &[0], b"four"].concat();
    assert!(open_clear(&mut codec, &raw, 4).is_ok());
    for length in [0, 3, 5, PAYLOAD_BYTES_MAX + 1, u64::MAX] {
        assert!(open_clear(&mut codec, &raw, length).is_err(), "{length}");
    }
    let unknown = [&[0; 32][..], &[3], b"four"].concat();
    for stored in [&unknown[..], &raw[..32], &raw[..31], &[]] {
        assert!(open_clear(&mut codec, stored, 4).is_err());
    }
    let frame = zstd::bulk::compress(&[7; 5_000], 3).expect("zstd needs only memory");
    let bomb = [&[0; 32][..], &[1], &frame[ZSTD_MAGIC.len()..]].concat();
    assert!(open_clear(&mut codec, &bomb, 5_000).is_ok());
    assert!(open_clear(&mut codec, &bomb, 4_999).is_err());
}

/// Computes what `FORMAT.md` section 7.2 says, with ciborium for the arrays.
#[test]
fn digests_are_keyed_hashes_of_arrays() {
    use ciborium::Value::{Array, Bytes, Text};
    let kek = Kek::new([3; 32]);
    let secret = blake3::derive_key("piperoll v1 link secret", &[3; 32]);
    let digest = |values: Vec<ciborium::Value>| {
        let mut message = Vec::new();
        ciborium::into_writer(&Array(values), &mut message).expect("writing to memory");
        blake3::keyed_hash(&secret, &message).as_bytes()[..16].to_vec()
    };
    let text = |text: &str| Text(text.to_owned());
    let bucket = Bucket::new("a".parse().expect("a class"), "2026-11").expect("a label");

    let key = vec![text("key"), text("a"), text("2026-11"), text("wa:1"), 300.into()];
    assert_eq!(kek.link_secret().pseudonym("wa:1", &bucket, 300).0, digest(key)[..]);
    let source = vec![text("source"), text("whatsapp.status"), text("wamid.1")];
    assert_eq!(kek.link_secret().source_id(Kind::WhatsappStatus, "wamid.1").0, digest(source)[..]);
    let content = vec![text("content"), text("unrecognised"), Bytes(b"{".to_vec()), Bytes(b"}".to_vec())];
    assert_eq!(kek.link_secret().content(Kind::Unrecognised, &[b"{", b"}"]).0, digest(content)[..]);
    assert_eq!(kek.id().0, blake3::derive_key("piperoll v1 kek id", &[3; 32])[..8]);
}

#[test]
fn digests_differ_by_everything_that_goes_in() {
    let bucket = |class: &str, label| Bucket::new(class.parse().expect("a class"), label).expect("a label");
    let (secret, other) = (Kek::new([1; 32]).link_secret(), Kek::new([2; 32]).link_secret());
    let digests = [
        secret.pseudonym("wa:1", &bucket("a", "2026-11"), 0).0,
        secret.pseudonym("wa:2", &bucket("a", "2026-11"), 0).0,
        secret.pseudonym("ledger", &bucket("a", "2026-11"), 0).0,
        secret.pseudonym("wa:1", &bucket("b", "2026-11"), 0).0,
        secret.pseudonym("wa:1", &bucket("a", "2026-12"), 0).0,
        secret.pseudonym("wa:1", &bucket("a", "2026-11"), 1).0,
        other.pseudonym("wa:1", &bucket("a", "2026-11"), 0).0,
        secret.source_id(Kind::WhatsappMessage, "wa:1").0,
        secret.source_id(Kind::WhatsappEcho, "wa:1").0,
        other.source_id(Kind::WhatsappMessage, "wa:1").0,
        secret.content(Kind::WhatsappMessage, &[b"wa:1"]).0,
        secret.content(Kind::WhatsappMessage, &[b"wa", b":1"]).0,
        secret.content(Kind::WhatsappEcho, &[b"wa:1"]).0,
    ];
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), digests.len());
}
