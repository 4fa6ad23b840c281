//! Opening, cursors, versions, damage and rebuilding.

use std::fs;
use std::path::PathBuf;

use super::{Fixture, document, options};
use crate::{Check, IndexError, Options, SearchIndex};

#[test]
fn a_new_index_has_no_cursor() {
    let fixture = Fixture::new();
    assert_eq!(fixture.index.cursor(), None);
    assert!(fixture.index.is_empty());
    assert_eq!(fixture.index.conversation("x", crate::Page::newest(1)).unwrap().complete_to, 0);
}

#[test]
fn cursor_and_documents_move_together_and_survive_a_restart() {
    let mut fixture = Fixture::new();
    fixture.add([document(0, "first"), document(4, "second")]);
    fixture.writer.commit(10).unwrap();
    // Applied but never committed: a restart must show neither document nor cursor.
    fixture.writer.apply([document(12, "lost")]).unwrap();
    let Fixture { dir, index, writer } = fixture;
    drop((index, writer));
    let index = SearchIndex::open(dir.path(), options()).unwrap();
    assert_eq!((index.cursor(), index.len()), (Some(10), 2));
    let mut fixture = Fixture { dir, writer: index.writer().unwrap(), index };
    fixture.check("lost", &[]);
    fixture.add([document(12, "lost again")]);
    fixture.check("lost", &[12]);
    assert_eq!(fixture.index.cursor(), Some(13));
}

#[test]
fn documents_out_of_order_are_refused() {
    let mut fixture = Fixture::with_texts(&["a1", "b1"]);
    let refused = fixture.writer.apply([document(1, "again")]);
    assert!(matches!(refused, Err(IndexError::OutOfOrder { expected: 2, found: 1 })));
    assert!(matches!(fixture.writer.commit(1), Err(IndexError::OutOfOrder { .. })));
    fixture.writer.apply([document(5, "later")]).unwrap();
    assert!(matches!(fixture.writer.apply([document(5, "twice")]), Err(IndexError::OutOfOrder { .. })));
    fixture.writer.commit(6).unwrap();
    fixture.check("later", &[5]);
    fixture.check("again OR twice", &[]);
}

#[test]
fn there_is_one_writer_and_any_number_of_readers() {
    let mut fixture = Fixture::with_texts(&["shared"]);
    assert!(matches!(fixture.index.writer(), Err(IndexError::Locked { .. })));
    assert!(matches!(SearchIndex::reset(fixture.dir.path()), Err(IndexError::Locked { .. })));
    let other = SearchIndex::open(fixture.dir.path(), options()).unwrap();
    assert!(matches!(other.writer(), Err(IndexError::Locked { .. })));
    fixture.add([document(1, "more")]);
    assert_eq!((other.len(), other.cursor()), (1, Some(1)));
    other.refresh().unwrap();
    assert_eq!((other.len(), other.cursor()), (2, Some(2)));
}

fn files(fixture: &Fixture, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture.dir.path()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect()
}

fn replace_in_meta(fixture: &Fixture, from: &str, to: &str) {
    let path = fixture.dir.path().join("meta.json");
    let text = fs::read_to_string(&path).unwrap();
    let edited = text.replace(from, to);
    assert_ne!(edited, text);
    fs::write(path, edited).unwrap();
}

#[test]
fn every_kind_of_damage_asks_for_a_rebuild() {
    type Damage = fn(&Fixture);
    let damages: [(&str, Damage); 8] = [
        ("other version", |fixture| replace_in_meta(fixture, "version\\\":1", "version\\\":99")),
        ("other fields", |fixture| replace_in_meta(fixture, "\"exact\"", "\"exactly\"")),
        ("no cursor", |fixture| replace_in_meta(fixture, "\"payload\"", "\"unloaded\"")),
        ("unreadable cursor", |fixture| replace_in_meta(fixture, "cursor", "curse")),
        ("metadata cut off", |fixture| replace_in_meta(fixture, "}", "")),
        ("metadata empty", |fixture| fs::write(fixture.dir.path().join("meta.json"), "").unwrap()),
        ("file missing", |fixture| fs::remove_file(&files(fixture, ".term")[0]).unwrap()),
        ("file empty", |fixture| fs::write(&files(fixture, ".idx")[0], b"").unwrap()),
    ];
    for (name, damage) in damages {
        let fixture = Fixture::with_texts(&["some text"]);
        damage(&fixture);
        let opened = SearchIndex::open(fixture.dir.path(), options());
        assert!(matches!(opened, Err(IndexError::NeedsRebuild { .. })), "{name}: {:?}", opened.err());
    }
}

#[test]
fn a_flipped_byte_is_found_by_the_checksums() {
    let fixture = Fixture::with_texts(&["some text", "more text"]);
    let path = files(&fixture, ".pos").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    let checked = Options { check: Check::Checksums, ..options() };
    assert!(matches!(SearchIndex::open(fixture.dir.path(), checked), Err(IndexError::NeedsRebuild { .. })));
}

#[test]
fn resetting_deletes_the_index_and_nothing_else() {
    let fixture = Fixture::with_texts(&["some text"]);
    let Fixture { dir, index, writer } = fixture;
    drop((index, writer));
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    SearchIndex::reset(dir.path()).unwrap();
    let left: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    assert_eq!(left, ["notes.txt"]);
    let index = SearchIndex::open(dir.path(), options()).unwrap();
    assert_eq!(index.cursor(), None);
}

#[test]
fn a_rebuild_gives_the_same_results() {
    let texts = ["alpha beta", "beta gamma", "保密协议", "alpha gamma", "ประชุมวันนี้"];
    let queries =
        ["alpha", "beta OR gamma", "\"alpha gamma\"", "协议", "ประชุม", "-alpha", "from:siti", "gam*"];
    // Message by message with merges, against all in one commit.
    let mut followed = Fixture::new();
    for seq in 0..200 {
        followed.add([document(seq, texts[seq as usize % texts.len()])]);
    }
    followed.writer.finish_merge();
    let mut rebuilt = Fixture::new();
    rebuilt.add((0..200).map(|seq| document(seq, texts[seq as usize % texts.len()])));
    for query in queries {
        assert_eq!(followed.find(query), rebuilt.find(query), "{query}");
    }
    assert_eq!(followed.index.cursor(), rebuilt.index.cursor());
}
