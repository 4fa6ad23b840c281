//! Fuzzing with a bounded number of inputs: no decoder panics, and none accepts what it would not write.
//!
//! `cargo bolero test` runs the same harnesses without a bound. Random bytes exercise the first few branches;
//! the deep ones are reached by damaging the golden vectors.

use bolero::check;

use super::{Encoded, sample};
use crate::{
    Bucket, Class, Codec, Commitment, DigestPrefix, Kind, LedgerId, ObjectName, PayloadRef, Seq, SubjectKey,
    open_payload,
};

const ITERATIONS: usize = 20_000;

#[test]
fn random_bytes_never_break_a_decoder() {
    check!().with_iterations(ITERATIONS).for_each(|bytes: &[u8]| {
        for object in Encoded::ALL {
            object.check_canonical(bytes);
        }
    });
}

#[test]
fn damaged_vectors_never_break_a_decoder() {
    let seeds = sample::encoded_vectors();
    check!().with_iterations(ITERATIONS).with_type::<(u8, Vec<Edit>)>().for_each(|(seed, edits)| {
        let (object, bytes) = &seeds[usize::from(*seed) % seeds.len()];
        let mut bytes = bytes.clone();
        for edit in edits.iter().take(8) {
            edit.apply(&mut bytes);
        }
        object.check_canonical(&bytes);
    });
}

#[test]
fn damaged_names_are_refused_or_spelled_the_same() {
    check!().with_iterations(ITERATIONS).for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        for prefix in ["", "log/", "tile/", "tile/entries/", "payloads/a/2026-11/", "keys/", "dictionaries/"]
        {
            let name = format!("{prefix}{text}");
            if let Ok(parsed) = ObjectName::parse(&name) {
                assert_eq!(parsed.to_string(), name);
            }
        }
        let _ = (text.parse::<Bucket>(), text.parse::<Class>(), text.parse::<Kind>());
    });
}

#[test]
fn random_stored_payloads_never_break_the_reader() {
    let (mut codec, key, place) = (Codec::default(), SubjectKey::new([7; 32]), (LedgerId([1; 16]), Seq(1)));
    let mut salted = vec![0; 32];
    check!().with_iterations(ITERATIONS / 4).with_type::<(u8, u16, Vec<u8>)>().for_each(
        |(method, length, bytes)| {
            salted.truncate(32);
            salted.push(method % 4);
            salted.extend_from_slice(bytes);
            let reference = PayloadRef {
                commitment: Commitment([9; 32]),
                length: u64::from(*length),
                pack: DigestPrefix([0; 8]),
                offset: 0,
                stored: 0,
                key: None,
                pseudonym: None,
            };
            if let Ok((_, payload)) = open_payload(&mut codec, &salted, &reference, None, place) {
                assert_eq!(payload.len(), usize::from(*length));
            }
            assert!(open_payload(&mut codec, bytes, &reference, Some(&key), place).is_err());
        },
    );
}

/// One change to a byte string.
#[derive(Clone, Copy, Debug, bolero::TypeGenerator)]
enum Edit {
    Change { at: u16, by: u8 },
    Insert { at: u16, byte: u8 },
    Remove { at: u16 },
    Repeat { at: u16, count: u8 },
    Truncate { at: u16 },
}

impl Edit {
    fn apply(self, bytes: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) % bytes.len().max(1);
        match self {
            _ if bytes.is_empty() => {}
            Self::Change { at, by } => {
                let at = place(at);
                bytes[at] ^= by;
            }
            Self::Insert { at, byte } => bytes.insert(place(at), byte),
            Self::Remove { at } => {
                bytes.remove(place(at));
            }
            Self::Repeat { at, count } => {
                let at = place(at);
                let end = bytes.len().min(at + usize::from(count));
                let slice = bytes[at..end].to_vec();
                bytes.splice(at..at, slice);
            }
            Self::Truncate { at } => bytes.truncate(place(at)),
        }
    }
}
