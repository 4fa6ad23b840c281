//! Checkpoint texts and signed checkpoints.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use proptest::prelude::*;

use super::*;
use crate::hash::leaf_hash;
use crate::testing::{FUZZ_ITERATIONS, hostile_bytes, signer};

const ORIGIN: &str = "archive.example/ledger";
const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

fn checkpoint() -> Checkpoint {
    Checkpoint::new(ORIGIN, 7, leaf_hash(b"entry"))
}

#[test]
fn example_of_the_specification_parses() {
    let text = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
    let checkpoint = Checkpoint::parse(&text).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), text);
}

#[test]
fn extension_lines_are_kept() {
    let text = format!("a\n1\n{ROOT}\nfirst\nsecond line\n");
    let checkpoint = Checkpoint::parse(&text).unwrap();
    assert_eq!(checkpoint.extensions, ["first", "second line"]);
    assert_eq!(checkpoint.to_string(), text);
}

#[test]
fn malformed_texts_are_refused() {
    for text in [
        String::new(),
        "\n".into(),
        "a\n1\n".into(),
        format!("a\n1\n{ROOT}"),
        format!("\n1\n{ROOT}\n"),
        format!("a\n01\n{ROOT}\n"),
        format!("a\n+1\n{ROOT}\n"),
        format!("a\n\n{ROOT}\n"),
        format!("a\n1 \n{ROOT}\n"),
        format!("a\n18446744073709551616\n{ROOT}\n"),
        format!("a\n1\n{ROOT}\n\n"),
        format!("a\n1\n{ROOT}\nx\n\n"),
        format!("a\n1\n{ROOT}=\n"),
        format!("a\n1\n{}\n", &ROOT[..40]),
        "a\n1\nAAAA\n".into(),
        format!("a\r\n1\n{ROOT}\n"),
        format!("a\n1\n\n{ROOT}\n"),
    ] {
        assert!(Checkpoint::parse(&text).is_err(), "accepted {text:?}");
    }
    let error = Checkpoint::parse(&format!("a\n01\n{ROOT}\n")).unwrap_err();
    assert_eq!(error.to_string(), "expected a decimal tree size in line 2 of the checkpoint");
}

#[test]
fn empty_tree_has_the_empty_root() {
    assert!(Checkpoint::parse(&Checkpoint::new("a", 0, empty_root()).to_string()).is_ok());
    let error = Checkpoint::parse(&format!("a\n0\n{ROOT}\n")).unwrap_err();
    assert_eq!(error, CheckpointError::EmptyTreeRoot { found: NodeHash::from_base64(ROOT).unwrap() });
}

#[test]
fn signed_checkpoint_opens_with_its_key_only() {
    let (signer, other) = (signer(ORIGIN, 1), signer(ORIGIN, 2));
    let note = checkpoint().sign(&signer).unwrap();
    let open = |key: &NoteSigner| Checkpoint::open(note.as_bytes(), &[key.verifier_key().clone()]);
    assert_eq!(open(&signer), Ok(checkpoint()));
    assert_eq!(open(&other), Err(NoteError::NoKnownSignature { known: 1 }.into()));
}

#[test]
fn key_of_the_origin_must_have_signed() {
    let (signer, witness) = (signer(ORIGIN, 1), signer("witness.example", 2));
    let not_signed = Err(CheckpointError::OriginNotSigned { origin: ORIGIN.to_owned() });
    assert_eq!(checkpoint().sign(&witness).map(drop), not_signed);
    let keys = [witness.verifier_key().clone(), signer.verifier_key().clone()];
    let note = Note::sign(&checkpoint().to_string(), &[&witness]).unwrap().to_string();
    assert_eq!(Checkpoint::open(note.as_bytes(), &keys).map(drop), not_signed);
    let note = Note::sign(&checkpoint().to_string(), &[&witness, &signer]).unwrap().to_string();
    assert_eq!(Checkpoint::open(note.as_bytes(), &keys), Ok(checkpoint()));
}

#[test]
fn checkpoint_that_would_not_open_is_not_signed() {
    let signer = signer(ORIGIN, 1);
    let mut smuggled = checkpoint();
    smuggled.extensions = vec!["one\ntwo".to_owned()];
    assert!(smuggled.sign(&signer).is_err());
    smuggled.extensions = vec![String::new()];
    assert!(smuggled.sign(&signer).is_err());
    assert!(Checkpoint::new(ORIGIN, 0, leaf_hash(b"")).sign(&signer).is_err());
}

/// Harness: any bytes are refused or write back unchanged, without a panic.
fn what_parses_writes_back(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(checkpoint) = Checkpoint::parse(&text) {
        assert_eq!(checkpoint.to_string(), text);
    }
}

#[test]
fn fuzz_checkpoint() {
    bolero::check!().with_iterations(FUZZ_ITERATIONS).for_each(what_parses_writes_back);
}

proptest! {
    #[test]
    fn what_parses_as_a_checkpoint_writes_back(bytes in hostile_bytes(
        vec![checkpoint().to_string(), format!("a\n1\n{ROOT}\nextension\n")],
        &["\n", "a", "0", "1", "9", " ", ROOT, "=", "\r", "\u{2014}"],
    )) {
        what_parses_writes_back(&bytes);
    }

    #[test]
    fn any_changed_byte_of_a_signed_checkpoint_is_noticed(place: prop::sample::Index, mask in 1_u8..) {
        let signer = signer(ORIGIN, 1);
        let mut note = checkpoint().sign(&signer).unwrap().into_bytes();
        let place = place.index(note.len());
        note[place] ^= mask;
        prop_assert!(Checkpoint::open(&note, &[signer.verifier_key().clone()]).is_err());
    }
}
