//! Goal: a disposal that is interrupted between its order and its last delete goes on with the next plan; verification
//! names what is left in between, and nothing once all is gone.

use piperoll_engine::{Engine, EngineError};
use piperoll_format::{Bucket, Kind};
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{NOW, Stored, TestArchive, message, numbered_message, submit_one};
use piperoll_verify::report::FindingCode;

/// When everything about the number 999 may go.
const DUE: u64 = NOW + 60_000_000;

/// Commits messages that go and messages that stay, and waits until the first may go.
async fn due(archive: &TestArchive) -> Engine {
    let engine = archive.open().await;
    for n in 0..3 {
        let (id, text) = (format!("brief {n}"), format!("secret {n}"));
        let _receipt = submit_one(&engine, numbered_message("999", &id, &text)).await.unwrap();
        let _receipt = submit_one(&engine, message(&format!("kept {n}"), "kept")).await.unwrap();
    }
    archive.clock.set(DUE);
    archive.check_everything(Some(&engine)).await;
    engine
}

fn bucket(engine: &Engine) -> Option<Bucket> {
    let inventory = engine.inventory().unwrap();
    inventory.into_iter().map(|object| object.bucket).find(|bucket| bucket.class().as_str() == "brief")
}

async fn dispose(engine: &Engine) -> Result<piperoll_engine::Disposed, EngineError> {
    engine.dispose(&bucket(engine).unwrap(), "due", "test").await
}

/// Checks that what had to go is gone, what had to stay is there, and the ledger verifies.
async fn check_gone(archive: &TestArchive, engine: &Engine) {
    let events = archive.check_everything(Some(engine)).await;
    let gone = |event: &&Stored| event.kind == Kind::WhatsappMessage && event.bytes.is_none();
    assert_eq!(events.iter().filter(gone).count(), 3);
    assert_eq!(events.iter().filter(|event| event.bytes.as_deref() == Some(b"kept")).count(), 3);
    assert_eq!(bucket(engine), None);
    let report = archive.verify().await;
    // Three packs and the key object of the one person.
    assert_eq!((report.tombstones.events, report.tombstones.objects), (3, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn disposal_without_trouble_leaves_tombstones() {
    for archive in [TestArchive::in_memory().await, TestArchive::in_directory().await] {
        let engine = due(&archive).await;
        let disposed = dispose(&engine).await.unwrap();
        assert_eq!((disposed.objects, disposed.left.len()), (4, 0));
        assert!(disposed.completed.is_some());
        check_gone(&archive, &engine).await;
        // What comes again after its first was destroyed is a new event.
        let again = submit_one(&engine, numbered_message("999", "brief 0", "secret 0")).await.unwrap();
        assert!(!again.repeated);
        archive.check_everything(Some(&engine)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_disposal_goes_on_with_the_next_plan() {
    for outcome in [Outcome::Lost, Outcome::Unavailable, Outcome::Denied] {
        for prefix in ["payloads/brief/", "keys/brief/"] {
            for reopen in [Reopen::No, Reopen::WithState, Reopen::WithoutState] {
                interrupt(outcome, prefix, reopen).await;
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reopen {
    No,
    WithState,
    WithoutState,
}

async fn interrupt(outcome: Outcome, prefix: &str, reopen: Reopen) {
    let row = format!("{outcome:?} {prefix} {reopen:?}");
    let archive = TestArchive::in_memory().await;
    let mut engine = due(&archive).await;
    archive.store.inject(Fault::once(Operation::Delete, &archive.prefix(prefix), outcome));
    let disposed = dispose(&engine).await.unwrap();
    assert_eq!((disposed.objects, disposed.left.len(), disposed.completed), (3, 1, None), "{row}");
    let left = &disposed.left[0].0;
    check_left(&archive, left, &row).await;
    if reopen != Reopen::No {
        engine.close().await;
        if reopen == Reopen::WithoutState {
            std::fs::remove_file(archive.state_file()).unwrap();
        }
        engine = archive.open().await;
        check_left(&archive, left, &row).await;
    }
    let disposed = dispose(&engine).await.unwrap();
    assert_eq!((disposed.objects, disposed.left.len()), (1, 0), "{row}");
    assert!(disposed.completed.is_some(), "{row}");
    check_gone(&archive, &engine).await;
}

/// Checks that verification names the one object that is left, and that it can only be read if its key is there.
async fn check_left(archive: &TestArchive, left: &str, row: &str) {
    let report = archive.verify().await;
    let mut codes = Vec::new();
    for finding in &report.findings {
        assert_eq!(finding.object.as_deref(), Some(left), "{row}");
        codes.push(finding.code);
    }
    codes.retain(|code| *code != FindingCode::KeyMissing);
    assert_eq!(codes, [FindingCode::DisposalIncomplete], "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_that_was_applied_but_reported_failed_is_made_up_for() {
    let archive = TestArchive::in_memory().await;
    let engine = due(&archive).await;
    let prefix = archive.prefix("payloads/brief/");
    archive.store.inject(Fault::once(Operation::Delete, &prefix, Outcome::AppliedButReportedFailed));
    let disposed = dispose(&engine).await.unwrap();
    assert_eq!((disposed.left.len(), disposed.completed), (1, None));
    archive.check_findings(&[]).await;
    let disposed = dispose(&engine).await.unwrap();
    assert!(disposed.left.is_empty() && disposed.completed.is_some());
    check_gone(&archive, &engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn order_that_cannot_be_committed_destroys_nothing() {
    let archive = TestArchive::in_memory().await;
    let engine = due(&archive).await;
    archive.store.inject(Fault::once(Operation::Create, &archive.prefix("log/"), Outcome::Full));
    let error = dispose(&engine).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable { .. }), "{error:?}");
    let events = archive.check_everything(Some(&engine)).await;
    assert!(events.iter().all(|event| event.bytes.is_some()));
    let _disposed = dispose(&engine).await.unwrap();
    check_gone(&archive, &engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writer_that_stops_between_order_and_deletes_leaves_a_disposal_to_be_resumed() {
    let archive = TestArchive::in_memory().await;
    let engine = std::sync::Arc::new(due(&archive).await);
    let gate = archive.store.gate(Operation::Delete, &archive.prefix(""));
    let disposal = tokio::spawn({
        let engine = engine.clone();
        async move { dispose(&engine).await }
    });
    gate.wait_for(1).await;
    disposal.abort();
    assert!(disposal.await.unwrap_err().is_cancelled());
    gate.release();
    engine.close().await;
    let report = archive.verify().await;
    assert!(report.findings.iter().all(|finding| finding.code == FindingCode::DisposalIncomplete));
    assert_eq!(report.findings.len(), 4);
    let engine = archive.open().await;
    let _disposed = dispose(&engine).await.unwrap();
    check_gone(&archive, &engine).await;
}
