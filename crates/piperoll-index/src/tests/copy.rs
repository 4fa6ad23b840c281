//! Copies of an index answer as the index did, and forget as it does.

use std::fs;

use tempfile::TempDir;

use super::{Fixture, document, options};
use crate::{Check, Document, Options, SearchIndex};

/// Copies an index and puts the copy where none is.
fn copied(fixture: &Fixture) -> Fixture {
    let copy = TempDir::new_in(fixture.dir.path()).unwrap();
    fixture.writer.copy_to(copy.path()).unwrap();
    for entry in fs::read_dir(copy.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(SearchIndex::is_file_of_copy(&name), "{name}");
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(!SearchIndex::exists(dir.path()));
    SearchIndex::put_in_place(copy.path(), dir.path()).unwrap();
    assert!(SearchIndex::exists(dir.path()));
    let checked = Options { check: Check::Checksums, ..options() };
    let index = SearchIndex::open(dir.path(), checked).unwrap();
    Fixture { dir, writer: index.writer().unwrap(), index }
}

#[test]
fn a_copy_has_what_was_committed_and_goes_on_by_itself() {
    let mut fixture = Fixture::with_texts(&["first", "second"]);
    fixture.writer.apply([document(2, "uncommitted")]).unwrap();
    let mut copy = copied(&fixture);
    fixture.writer.commit(3).unwrap();
    assert_eq!((copy.index.cursor(), copy.index.len()), (Some(2), 2));
    copy.check("first OR second OR uncommitted", &[1, 0]);
    copy.add([document(2, "third")]);
    copy.check("third", &[2]);
    fixture.check("third", &[]);
    fixture.check("uncommitted", &[2]);
}

#[test]
fn a_copy_deletes_the_files_of_a_forgotten_bucket() {
    let mut fixture = Fixture::with_texts(&["kept"]);
    fixture.add([Document { bucket: "demo/2026-10".to_owned(), ..document(1, "forgotten") }]);
    let mut copy = copied(&fixture);
    assert_eq!(copy.writer.forget("demo/2026-10").unwrap(), 1);
    copy.check("forgotten", &[]);
    let names = fs::read_dir(copy.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let postings = names.filter(|name| name.to_str().unwrap().ends_with(".idx")).count();
    assert_eq!(postings, copy.index.shared_searcher().segment_readers().len());
}

#[test]
fn only_names_of_index_files_are_files_of_a_copy() {
    let stem = "0123456789abcdef0123456789abcdef";
    for name in ["meta.json".to_owned(), format!("{stem}.idx"), format!("{stem}.12.del")] {
        assert!(SearchIndex::is_file_of_copy(&name), "{name}");
        assert_eq!(SearchIndex::is_immutable_file(&name), name != "meta.json");
    }
    for name in [
        String::new(),
        ".managed.json".to_owned(),
        "../meta.json".to_owned(),
        "/meta.json".to_owned(),
        "projections.redb".to_owned(),
        stem.to_owned(),
        format!("{stem}."),
        format!("{stem}..idx"),
        format!("{stem}./../idx"),
        format!("{stem}.{}", "i".repeat(33)),
        format!("{}.idx", &stem[1..]),
        format!("{}.idx", stem.to_uppercase()),
    ] {
        assert!(!SearchIndex::is_file_of_copy(&name), "{name}");
    }
}
