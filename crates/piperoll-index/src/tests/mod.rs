//! Tests of the whole index: documents in, queries out.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

mod copy;
mod fields;
mod forget;
mod language;
mod lifecycle;
mod paging;

use chrono_tz::Tz;
use piperoll_format::{Kind, Timestamp};
use piperoll_sources::{BusinessNumber, Direction, Message, Party};
use tempfile::TempDir;

use crate::{Document, Hits, Options, Page, Query, SearchIndex, SearchWriter};

/// 2026-11-21T12:00:00Z.
const NOON: u64 = 1_795_262_400_000_000;

/// An index in a temporary directory with its writer.
struct Fixture {
    dir: TempDir,
    index: SearchIndex,
    writer: SearchWriter,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let index = SearchIndex::open(dir.path(), options()).unwrap();
        let writer = index.writer().unwrap();
        Self { dir, index, writer }
    }

    /// An index with one message per text, from seq 0.
    fn with_texts(texts: &[&str]) -> Self {
        let mut fixture = Self::new();
        fixture.add((0..).zip(texts).map(|(seq, text)| document(seq, text)));
        fixture
    }

    fn add(&mut self, documents: impl IntoIterator<Item = Document>) {
        let mut next = self.writer.cursor().unwrap_or(0);
        for document in documents {
            next = document.seq + 1;
            self.writer.apply([document]).unwrap();
        }
        self.writer.commit(next).unwrap();
        self.writer.merge().unwrap();
    }

    /// The seqs that a query finds, newest first.
    #[track_caller]
    fn find(&self, query: &str) -> Vec<u64> {
        self.find_in(query, Tz::UTC)
    }

    #[track_caller]
    fn find_in(&self, query: &str, zone: Tz) -> Vec<u64> {
        let parsed = Query::parse(query, zone).unwrap_or_else(|error| panic!("{}", error.render(query)));
        seqs(&self.index.search(&parsed, Page::newest(1_000)).unwrap())
    }

    #[track_caller]
    fn check(&self, query: &str, expected: &[u64]) {
        assert_eq!(self.find(query), expected, "{query}");
    }
}

fn seqs(hits: &Hits) -> Vec<u64> {
    hits.hits.iter().map(|hit| hit.seq).collect()
}

fn options() -> Options {
    Options { writer_heap_bytes: 15_000_000, ..Options::default() }
}

/// A customer's text message, recorded one second after the one before.
fn document(seq: u64, text: &str) -> Document {
    Document {
        seq,
        kind: Kind::WhatsappMessage,
        recorded_at: Timestamp(NOON + seq * 1_000_000),
        class: "finra-4511".to_owned(),
        bucket: "finra-4511/2026-11".to_owned(),
        message: Message {
            source_id: Some(format!("wamid.TEST{seq}")),
            message_type: "text".to_owned(),
            direction: Some(Direction::Inbound),
            from: Some(party("6281234567890", "Siti Rahayu")),
            number: Some(BusinessNumber {
                id: Some("106540352242922".to_owned()),
                phone: Some("15550783881".to_owned()),
            }),
            conversation: Some("106540352242922:6281234567890".to_owned()),
            texts: vec![text.to_owned()],
            ..Message::default()
        },
    }
}

fn party(phone: &str, name: &str) -> Party {
    Party { phone: Some(phone.to_owned()), name: Some(name.to_owned()), ..Party::default() }
}
