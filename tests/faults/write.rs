//! Goal: every write of a commit may fail in every way, before and after it was applied.
//! Method: one table over writes, outcomes and how often they happen; each row is played with the same and with
//! another batch afterwards, and everything is checked after each step.

use std::path::Path;
use std::time::Duration;

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
    /// Always, and reads see the store as it was before the newest object.
    AlwaysStale,
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
/// Every fault that a single write can meet.
pub(crate) const OUTCOMES: [Outcome; 8] = [
    Outcome::Slow(Duration::from_millis(2)),
    Outcome::AppliedLate(Duration::from_millis(2)),
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
        (_, Outcome::Slow(_), _) => Answer::Receipt,
        // Tried again under the same name; whichever try comes first is ours.
        (_, Outcome::Lost | Outcome::AppliedLate(_), Often::Once) => Answer::Receipt,
        // Read back and found to be our own.
        (
            _,
            Outcome::AppliedButReportedFailed | Outcome::AppliedButReportedExists,
            Often::Once | Often::Always,
        ) => Answer::Receipt,
        (
            Write::Segment,
            Outcome::AppliedButReportedFailed | Outcome::AppliedButReportedExists,
            Often::AlwaysUnreadable | Often::AlwaysStale,
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
        _ => Fault::always(operation, &prefix, outcome),
    });
    let read = match row.often {
        Often::Once | Often::Always => return,
        Often::AlwaysUnreadable => Outcome::Unavailable,
        Often::AlwaysStale => Outcome::Stale,
    };
    for operation in [Operation::Get, Operation::Head] {
        archive.store.inject(Fault::always(operation, &prefix, read));
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

/// Plays every row and returns it as a line of the table.
async fn play_all(writes: &[Write], oftens: &[Often]) -> Vec<String> {
    let mut lines = Vec::new();
    for write in writes {
        for outcome in OUTCOMES {
            for often in oftens {
                // Whether a late one comes before the last try or after it is a matter of time.
                if matches!(outcome, Outcome::AppliedLate(_)) && *often != Often::Once {
                    continue;
                }
                for next in [Next::SameBatch, Next::OtherBatch] {
                    let row = Row { write: *write, outcome, often: *often, next };
                    let played = tokio::spawn(play(row)).await;
                    assert!(played.is_ok(), "{row:?}");
                }
                let told = expected(*write, outcome, *often);
                lines.push(format!("| {write:?} | {} | {often:?} | {told:?} |", name(outcome)));
            }
        }
    }
    lines
}

fn name(outcome: Outcome) -> String {
    let text = format!("{outcome:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}

/// Every row is a run with the same batch afterwards and one with another; what is printed is what was played.
#[tokio::test(flavor = "multi_thread")]
async fn each_write_may_fail_in_each_way_and_the_table_says_what_senders_are_told() {
    let all = [Often::Once, Often::Always, Often::AlwaysUnreadable, Often::AlwaysStale];
    let mut table = "| write | fault | how often | the sender is told |\n|---|---|---|---|\n".to_owned();
    // Publishing fails no receipt.
    let derived = play_all(&[Write::Checkpoint, Write::Tile], &all[..2]).await;
    for line in play_all(&CREATES, &all).await.into_iter().chain(derived) {
        table.push_str(&line);
        table.push('\n');
    }
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fault-table.md");
    if std::env::var_os("PIPEROLL_UPDATE_GOLDEN").is_some() {
        std::fs::write(&fixture, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&fixture).unwrap(), table);
}
