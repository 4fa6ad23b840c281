//! Signed notes: the specification's examples, strictness, and what known and unknown keys mean.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use std::fs;

use ed25519_dalek::{SigningKey, VerifyingKey};
use proptest::prelude::*;

use super::*;
use crate::testing::{FUZZ_ITERATIONS, hostile_bytes, shared, signer};

const TEXT: &str = "Ognuno sta solo\n\ned è subito sera.\n";

fn signed(signers: &[&NoteSigner]) -> String {
    Note::sign(TEXT, signers).unwrap().to_string()
}

fn parse_error(note: &str) -> NoteError {
    Note::parse(note.as_bytes()).unwrap_err()
}

#[test]
fn example_of_the_specification_verifies() {
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi\
                2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let key = VerifierKey::parse(vkey).unwrap();
    assert_eq!(key.id().to_string(), "530d903a");
    assert_eq!(key.to_string(), vkey);
    let parsed = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(parsed.text(), "This is an example message.\n");
    assert_eq!(parsed.verify(std::slice::from_ref(&key)).unwrap(), [&parsed.signatures()[0]]);
    assert_eq!(parsed.to_string(), note);
    let Some(folder) = shared("vectors") else { return };
    assert_eq!(fs::read(folder.join("signed-note-example.note")).unwrap(), note.as_bytes());
    let line = fs::read_to_string(folder.join("signed-note-example.txt")).unwrap();
    assert!(line.contains(vkey));
}

#[test]
fn note_keeps_empty_lines_in_the_text() {
    let signer = signer("example.com/a", 1);
    for text in [TEXT, "\n", "\n\n\n", "a\n\n\n"] {
        let note = Note::sign(text, &[&signer]).unwrap().to_string();
        let parsed = Note::parse(note.as_bytes()).unwrap();
        assert_eq!(parsed.text(), text);
        parsed.verify(&[signer.verifier_key().clone()]).unwrap();
    }
}

#[test]
fn unknown_signatures_are_ignored_and_failing_known_ones_reject_the_note() {
    let (first, second) = (signer("example.com/a", 1), signer("example.com/b", 2));
    let same_name = signer("example.com/a", 3);
    let key = |signer: &NoteSigner| signer.verifier_key().clone();
    let note = Note::parse(signed(&[&first, &second]).as_bytes()).unwrap();
    assert_eq!(note.verify(&[key(&first)]).unwrap().len(), 1);
    assert_eq!(note.verify(&[key(&first), key(&second)]).unwrap().len(), 2);
    assert_eq!(note.verify(&[key(&same_name)]), Err(NoteError::NoKnownSignature { known: 1 }));
    assert_eq!(note.verify(&[]), Err(NoteError::NoKnownSignature { known: 0 }));
    let mut broken = note.clone();
    broken.signatures[1].bytes[5] ^= 1;
    let bad = NoteError::BadSignature { name: second.name().clone(), id: second.id() };
    assert_eq!(broken.verify(&[key(&first), key(&second)]), Err(bad));
    assert_eq!(broken.verify(&[key(&first)]).unwrap().len(), 1);
    let mut same_id = note.clone();
    same_id.signatures[1].name = first.name().clone();
    assert_eq!(same_id.verify(&[key(&first), key(&second)]).unwrap().len(), 1);
    let mut short = note.clone();
    short.signatures[0].bytes.truncate(63);
    assert!(matches!(short.verify(&[key(&first)]), Err(NoteError::BadSignature { .. })));
}

#[test]
fn every_changed_byte_of_the_text_is_noticed() {
    let signer = signer("example.com/a", 1);
    let note = signed(&[&signer]);
    for position in 0..TEXT.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[position] ^= 1;
        let opened =
            Note::parse(&bytes).and_then(|note| note.verify(&[signer.verifier_key().clone()]).map(drop));
        assert!(opened.is_err(), "byte {position}");
    }
}

#[test]
fn malformed_notes_are_refused() {
    let note = signed(&[&signer("example.com/a", 1)]);
    let (text, line) = note.rsplit_once("\n\n").unwrap();
    let with = |lines: &str| format!("{text}\n\n{lines}");
    assert_eq!(Note::parse(note.as_bytes()).unwrap().to_string(), note);
    for broken in [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        text.to_owned(),
        with(""),
        with("\n"),
        with(line.trim_end()),
        with(&format!("{line}\n")),
        with(&line.replace('\u{2014}', "-")),
        with(&line.replace('\n', " \n")),
        with(&line.replace("example.com/a ", "")),
        with(&line.replace("com/a", "com/+")),
        with(&line.replace("com/a", "com/\u{a0}")),
        with(&line.replace("com/a ", "com/a  ")),
        with(&line.replace('=', "")),
        with("\u{2014} a AAAA\n"),
        with("\u{2014} a AAAAAA==\n"),
        note.replace("sta", "\t"),
        note.replace('\n', "\r\n"),
        note.replace("solo", "\0"),
    ] {
        assert_ne!(broken, note);
        assert!(Note::parse(broken.as_bytes()).is_err(), "accepted {broken:?}");
    }
    assert!(Note::parse(&note.into_bytes()[..20]).is_err());
    assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::Malformed { expected: "UTF-8" }));
}

#[test]
fn limits_hold() {
    let signer = signer("example.com/a", 1);
    let note = |count| signed(&vec![&signer; count]);
    assert_eq!(Note::parse(note(SIGNATURES_MAX).as_bytes()).unwrap().signatures().len(), 64);
    let line = note(1).rsplit_once("\n\n").unwrap().1.to_owned();
    assert_eq!(parse_error(&(note(SIGNATURES_MAX) + &line)), NoteError::TooManySignatures { found: 65 });
    assert!(Note::sign(TEXT, &vec![&signer; SIGNATURES_MAX + 1]).is_err());
    assert_eq!(parse_error(&"a".repeat(1_000_001)), NoteError::TooLarge { found: 1_000_001 });
    assert!(Note::sign(&("a".repeat(NOTE_BYTES_MAX) + "\n"), &[&signer]).is_err());
    assert!(Note::sign(TEXT, &[]).is_err());
    assert!(Note::sign("no newline", &[&signer]).is_err());
    assert!(Note::sign("a\tb\n", &[&signer]).is_err());
}

#[test]
fn malformed_verifier_keys_are_refused() {
    let vkey = signer("example.com/a", 1).verifier_key().to_string();
    let (head, key) = vkey.rsplit_once('+').unwrap();
    let (name, id) = head.rsplit_once('+').unwrap();
    assert_eq!(VerifierKey::parse(&vkey).unwrap().to_string(), vkey);
    for broken in [
        String::new(),
        name.into(),
        head.into(),
        format!("+{id}+{key}"),
        format!("b{vkey}"),
        format!("{vkey}\n"),
        format!("{name}+00000000+{key}"),
        format!("{name}+{}+{key}", id.to_uppercase() + "g"),
        format!("{name}+{id}+"),
        format!("{name}+{id}+{}", &key[..40]),
        format!("{name}+{id}+{key}AAAA"),
        format!("{name}+{id}+B{}", &key[1..]),
        format!("a b+{id}+{key}"),
    ] {
        assert!(VerifierKey::parse(&broken).is_err(), "accepted {broken:?}");
    }
}

#[test]
fn verifier_key_with_plus_signs_in_base64_is_read() {
    let keys = (0..=u8::MAX).map(|seed| signer("example.com/a", seed).verifier_key().to_string());
    let with_plus: Vec<String> = keys.filter(|vkey| vkey.matches('+').count() > 2).collect();
    assert!(!with_plus.is_empty());
    with_plus.iter().for_each(|vkey| assert_eq!(VerifierKey::parse(vkey).unwrap().to_string(), *vkey));
}

#[test]
fn weak_key_is_refused_and_the_private_key_is_not_shown() {
    // The identity point: it accepts one signature for any text in lenient implementations.
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = VerifyingKey::from_bytes(&identity).unwrap();
    assert!(VerifierKey::new(KeyName::new("example.com/a").unwrap(), weak).is_err());
    let signer = NoteSigner::new("example.com/a", SigningKey::from_bytes(&[0xab; 32])).unwrap();
    let shown = format!("{signer:?}");
    assert!(shown.contains("example.com/a+") && !shown.contains("171") && !shown.contains("abab"));
    assert!(NoteSigner::new("example.com/ a", SigningKey::from_bytes(&[1; 32])).is_err());
}

/// Harness: any bytes are refused or write back unchanged, without a panic.
fn what_parses_writes_back(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
    }
}

#[test]
fn fuzz_note() {
    bolero::check!().with_iterations(FUZZ_ITERATIONS).for_each(what_parses_writes_back);
}

proptest! {
    #[test]
    fn what_parses_as_a_note_writes_back(bytes in hostile_bytes(
        vec![signed(&[&signer("example.com/a", 1)]), signed(&[&signer("b", 2), &signer("c", 3)])],
        &["\n", "\n\n", "\u{2014} ", "\u{2014}", " ", "a", "+", "AAAAAAA=", "AAAAAAAA", "=", "\u{a0}", "\t"],
    )) {
        what_parses_writes_back(&bytes);
    }

    #[test]
    fn what_parses_as_a_verifier_key_writes_back(bytes in hostile_bytes(
        vec![signer("example.com/a", 1).verifier_key().to_string(), signer("b", 2).verifier_key().to_string()],
        &["+", "a", "00000000", "AQ", "A", "=", "\n", " "],
    )) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(key) = VerifierKey::parse(&text) {
            prop_assert_eq!(key.to_string(), &*text);
        }
    }
}
