//! Goal: every write of a commit may fail in every way, before and after it was applied.
//! Method: one table over writes, outcomes and how often they happen; each row is played with the same and with
//! another batch afterwards, and everything is checked after each step.

use piperoll_engine::{Engine, EngineError, Receipt};
use piperoll_format::SubmissionGroup;
use piperoll_store::ObjectKey;
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{TestArchive, check_receipt, message};

/// A write of DESIGN.md section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Pack,
    Keys,
    Segment,
    Checkpoint,
    Tile,
}

/// How often a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Often {
    Once,
    Always,
    /// Always, and what was written cannot be read back either.
    AlwaysUnreadable,
}

/// What the sender is told while the fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Receipt,
    Unavailable,
    /// Unavailable, but the events are there.
    UnavailableThoughCommitted,
}

/// What is sent once the fault is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    SameBatch,
    OtherBatch,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    write: Write,
    outcome: Outcome,
    often: Often,
    next: Next,
}

const CREATES: [Write; 3] = [Write::Pack, Write::Keys, Write::Segment];
const OUTCOMES: [Outcome; 6] = [
    Outcome::Lost,
    Outcome::AppliedButReportedFailed,
    Outcome::AppliedButReportedExists,
    Outcome::Unavailable,
    Outcome::Full,
    Outcome::Denied,
];

impl Write {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Pack => "payloads/",
            Self::Keys => "keys/",
            Self::Segment => "log/",
            Self::Checkpoint => "checkpoint",
            Self::Tile => "tile/",
        }
    }

    const fn operation(self) -> Operation {
        match self {
            Self::Pack | Self::Keys | Self::Segment => Operation::Create,
            Self::Checkpoint | Self::Tile => Operation::PutDerived,
        }
    }
}

/// The specification in one place.
fn expected(write: Write, outcome: Outcome, often: Often) -> Answer {
    match (write, outcome, often) {
        // Publishing never fails a receipt.
        (Write::Checkpoint | Write::Tile, ..) => Answer::Receipt,
        // Tried again under the same name.
        (_, Outcome::Lost, Often::Once) => Answer::Receipt,
        // Read back and found to be our own.
        (
            _,
            Outcome::AppliedButReportedFailed | Outcome::AppliedButReportedExists,
            Often::Once | Often::Always,
        ) => Answer::Receipt,
        (
            Write::Segment,
            Outcome::AppliedButReportedFailed | Outcome::AppliedButReportedExists,
            Often::AlwaysUnreadable,
        ) => Answer::UnavailableThoughCommitted,
        _ => Answer::Unavailable,
    }
}

async fn play(row: Row) {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    let mut acknowledged: Vec<(Receipt, String)> = Vec::new();
    submit(&engine, "before", 1, &mut acknowledged).await.unwrap();
    archive.check_everything(Some(&engine)).await;

    inject(&archive, row);
    // A full tile has 256 events.
    let events = if row.write == Write::Tile { 300 } else { 1 };
    let answer = submit(&engine, "during", events, &mut acknowledged).await;
    if row.write.operation() == Operation::Create {
        assert!(row.often != Often::Once || !archive.store.has_faults(), "the fault was met");
    }
    archive.store.heal();
    let expected = expected(row.write, row.outcome, row.often);
    match (&answer, expected) {
        (Ok(()), Answer::Receipt)
        | (Err(EngineError::Unavailable { .. }), Answer::Unavailable | Answer::UnavailableThoughCommitted) => {
        }
        _ => panic!("expected {expected:?}, found {answer:?}"),
    }
    assert_eq!(engine.trouble().borrow().is_some(), answer.is_err(), "trouble lasts while commits fail");
    let stored = archive.check_everything(None).await;
    let is_stored = stored.iter().any(|event| event.source_id.as_deref() == Some("during-0"));
    assert_eq!(is_stored, expected != Answer::Unavailable);

    let (id, events) = if row.next == Next::SameBatch { ("during", events) } else { ("after", 1) };
    let from = acknowledged.len();
    submit(&engine, id, events, &mut acknowledged).await.unwrap();
    let is_repeat = row.next == Next::SameBatch && is_stored;
    assert!(acknowledged[from..].iter().all(|(receipt, _)| receipt.repeated == is_repeat));
    check(&archive, &engine, &acknowledged).await;
    engine.close().await;

    let engine = archive.open().await;
    submit(&engine, "reopened", 1, &mut acknowledged).await.unwrap();
    check(&archive, &engine, &acknowledged).await;
    engine.close().await;
    check_published(&archive).await;
}

async fn check(archive: &TestArchive, engine: &Engine, acknowledged: &[(Receipt, String)]) {
    let events = archive.check_everything(Some(engine)).await;
    acknowledged.iter().for_each(|(receipt, text)| check_receipt(&events, receipt, text));
}

/// What could not be published is published by the next start.
async fn check_published(archive: &TestArchive) {
    let reader = archive.reader().await;
    let newest = reader.segment(reader.head().unwrap().segment).await.unwrap();
    let checkpoint = ObjectKey::new(archive.prefix("checkpoint")).unwrap();
    assert_eq!(archive.backing().get(&checkpoint).await.unwrap(), newest.checkpoint().as_bytes());
    let has_tile = archive.list().await.contains_key("tile/0/000");
    assert_eq!(has_tile, reader.size() >= 256);
}

fn inject(archive: &TestArchive, row: Row) {
    let prefix = archive.prefix(row.write.prefix());
    let (operation, outcome) = (row.write.operation(), row.outcome);
    archive.store.inject(match row.often {
        Often::Once => Fault::once(operation, &prefix, outcome),
        Often::Always | Often::AlwaysUnreadable => Fault::always(operation, &prefix, outcome),
    });
    if row.often == Often::AlwaysUnreadable {
        archive.store.inject(Fault::always(Operation::Get, &prefix, Outcome::Unavailable));
    }
}

/// Submits a group of messages of one new person, so that every group writes a key object.
async fn submit(
    engine: &Engine,
    name: &str,
    events: usize,
    acknowledged: &mut Vec<(Receipt, String)>,
) -> Result<(), EngineError> {
    let ids: Vec<String> = (0..events).map(|n| format!("{name}-{n}")).collect();
    let items = ids.iter().map(|id| message(id, id)).map(|mut submission| {
        submission.payload.facts.subject = Some(format!("wa:{name}"));
        submission
    });
    let group = SubmissionGroup { delivery: None, items: items.collect() };
    let receipts = engine.submit(group).await?;
    acknowledged.extend(receipts.into_iter().zip(ids));
    Ok(())
}

async fn play_all(writes: &[Write], oftens: &[Often]) {
    for write in writes {
        for outcome in OUTCOMES {
            for often in oftens {
                for next in [Next::SameBatch, Next::OtherBatch] {
                    let row = Row { write: *write, outcome, often: *often, next };
                    let played = tokio::spawn(play(row)).await;
                    assert!(played.is_ok(), "{row:?}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_create_of_a_commit_may_fail_in_each_way() {
    play_all(&CREATES, &[Often::Once, Often::Always, Often::AlwaysUnreadable]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_may_fail_in_each_way_without_failing_a_receipt() {
    play_all(&[Write::Checkpoint, Write::Tile], &[Often::Once, Often::Always]).await;
}
