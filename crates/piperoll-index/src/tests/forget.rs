//! Forgetting a bucket leaves no word of it in any file.

use std::fs;

use super::{Fixture, document, options};
use crate::{Document, SearchIndex};

const OLD: &str = "demo/2026-10";

fn old(seq: u64, text: &str) -> Document {
    let mut document = Document { bucket: OLD.to_owned(), ..document(seq, text) };
    document.message.from.as_mut().unwrap().name = Some("Xenophon Quillfeather".to_owned());
    document.message.conversation = Some("106540352242922:491777000111".to_owned());
    document
}

/// Whether any file of the directory holds the bytes, in either direction: term dictionaries are written backwards.
fn holds(fixture: &Fixture, needle: &str) -> bool {
    let forwards = needle.as_bytes().to_vec();
    let backwards: Vec<u8> = needle.bytes().rev().collect();
    fs::read_dir(fixture.dir.path()).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == forwards || window == backwards)
    })
}

/// Whether a file is left of a tantivy segment that is no longer part of the index.
fn has_stale_files(fixture: &Fixture) -> bool {
    let searcher = fixture.index.shared_searcher();
    let live: Vec<String> =
        searcher.segment_readers().iter().map(|segment| segment.segment_id().uuid_string()).collect();
    let names = fs::read_dir(fixture.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).any(|name| match name.split_once('.') {
        Some((stem, _)) if stem.len() == 32 => !live.contains(&stem.to_owned()),
        _ => false,
    })
}

#[track_caller]
fn check_forgotten(fixture: &Fixture) {
    assert!(!has_stale_files(fixture));
    for word in WORDS {
        assert!(!knows(fixture, word), "{word}");
        assert!(!holds(fixture, word), "{word}");
    }
}

/// Whether a term dictionary has a word with these letters; dictionaries share prefixes and suffixes, so their bytes
/// alone prove nothing.
fn knows(fixture: &Fixture, word: &str) -> bool {
    let searcher = fixture.index.shared_searcher();
    let (_, fields) = crate::fields::schema();
    searcher.segment_readers().iter().any(|segment| {
        [fields.text, fields.exact].into_iter().any(|field| {
            let dictionary = segment.inverted_index(field).unwrap();
            let mut stream = dictionary.terms().stream().unwrap();
            let mut found = false;
            while stream.advance() {
                found |= std::str::from_utf8(stream.key()).unwrap().contains(word);
            }
            found
        })
    })
}

const WORDS: [&str; 4] = ["zyxwvutsecret", "quillfeather", "491777000111", "demo/2026"];

fn mixed() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.add([old(0, "zyxwvutsecret payment"), document(1, "ordinary payment")]);
    fixture.add([old(2, "zyxwvutsecret only")]);
    fixture.add([document(3, "ordinary"), old(4, "zyxwvutsecret"), document(5, "last payment")]);
    fixture
}

#[test]
fn no_file_holds_a_forgotten_word() {
    let mut fixture = mixed();
    for word in WORDS {
        assert!(knows(&fixture, word), "{word}");
    }
    assert_eq!(fixture.writer.forget(OLD).unwrap(), 3);
    check_forgotten(&fixture);
    fixture.check("payment", &[5, 1]);
    fixture.check("zyxwvutsecret OR from:quillfeather", &[]);
    assert_eq!((fixture.index.cursor(), fixture.index.len()), (Some(6), 3));
}

#[test]
fn forgetting_during_a_merge_forgets_as_well() {
    let mut fixture = Fixture::new();
    for seq in 0..8 {
        fixture.add([if seq % 2 == 0 { old(seq, "zyxwvutsecret") } else { document(seq, "kept") }]);
    }
    assert_eq!(fixture.writer.forget(OLD).unwrap(), 4);
    check_forgotten(&fixture);
    fixture.check("kept", &[7, 5, 3, 1]);
}

#[test]
fn what_was_applied_is_committed_and_forgotten_too() {
    let mut fixture = mixed();
    fixture.writer.apply([old(6, "zyxwvutsecret again"), document(7, "kept")]).unwrap();
    assert_eq!(fixture.writer.forget(OLD).unwrap(), 4);
    check_forgotten(&fixture);
    fixture.check("kept", &[7]);
    assert_eq!(fixture.index.cursor(), Some(8));
}

#[test]
fn forgetting_everything_or_nothing_works() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.writer.forget(OLD).unwrap(), 0);
    fixture.add([old(0, "zyxwvutsecret")]);
    assert_eq!(fixture.writer.forget("demo/2026-09").unwrap(), 0);
    assert_eq!(fixture.writer.forget(OLD).unwrap(), 1);
    check_forgotten(&fixture);
    assert!(fixture.index.is_empty());
    fixture.add([document(1, "fresh start")]);
    fixture.check("fresh", &[1]);
}

#[test]
fn an_interrupted_forgetting_is_finished_by_the_next_writer() {
    let mut fixture = mixed();
    fixture.writer.delete_without_rewriting(OLD).unwrap();
    assert!(knows(&fixture, "zyxwvutsecret"));
    let Fixture { dir, index, writer } = fixture;
    drop((index, writer));
    let index = SearchIndex::open(dir.path(), options()).unwrap();
    let fixture = Fixture { dir, writer: index.writer().unwrap(), index };
    check_forgotten(&fixture);
    fixture.check("payment", &[5, 1]);
}
