//! Goal: the local state is disposable. Whatever happens to it between two runs, the engine either makes it again or
//! stops with a clear error, and it never forgets what was committed.

use std::fs;
use std::path::Path;

use piperoll_engine::EngineError;
use piperoll_format::SubmissionGroup;
use piperoll_tests::{TestArchive, check_receipt, delivery, message, quick_settings, submit_one};

/// Commits a little of everything in several segments.
async fn fill(archive: &TestArchive) {
    let engine = archive.open().await;
    for n in 0..6 {
        let text = format!("text {n}");
        let _receipt = submit_one(&engine, message(&n.to_string(), &text)).await.unwrap();
    }
    let _receipts = engine.submit(delivery(&[("a", "slice a"), ("b", "slice b")])).await.unwrap();
    let _receipt = submit_one(&engine, message("0", "another text")).await.unwrap();
    engine.close().await;
}

/// Opens an engine on the state as it is, and checks that it knows all that was committed.
async fn check_recovery(archive: &TestArchive, what: &str) {
    let before = archive.events().await;
    let engine = archive.open().await;
    for (id, text) in [("0", "text 0"), ("5", "text 5"), ("0", "another text"), ("a", "slice a")] {
        let receipt = submit_one(&engine, message(id, text)).await.unwrap();
        assert!(receipt.repeated, "{what}: `{text}` is a repeat");
        check_receipt(&before, &receipt, text);
    }
    let again = engine.submit(delivery(&[("a", "slice a"), ("b", "slice b")])).await.unwrap();
    assert!(again.iter().all(|receipt| receipt.repeated), "{what}");
    assert_eq!(archive.events().await, before, "{what}: repeats are not stored");
    let receipt = submit_one(&engine, message(what, what)).await.unwrap();
    assert!(!receipt.repeated);
    archive.check_everything(Some(&engine)).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_made_again_when_it_is_gone_cut_short_or_foreign() {
    let archive = TestArchive::in_memory().await;
    fill(&archive).await;
    let state = archive.state_file();
    let whole = fs::read(&state).unwrap();
    fs::remove_file(&state).unwrap();
    check_recovery(&archive, "deleted").await;
    fs::remove_dir_all(archive.state_dir()).unwrap();
    check_recovery(&archive, "directory deleted").await;
    for length in [0, 1, 64, 4_096, whole.len() / 2, whole.len() - 1] {
        fs::write(&state, &whole[..length]).unwrap();
        check_recovery(&archive, &format!("cut to {length} bytes")).await;
    }
    fs::write(&state, b"not a database".repeat(1_000)).unwrap();
    check_recovery(&archive, "text").await;
    fs::write(&state, vec![0; whole.len()]).unwrap();
    check_recovery(&archive, "zeroes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_state_is_brought_up_to_date() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    let _receipt = submit_one(&engine, message("early", "early")).await.unwrap();
    engine.close().await;
    let old = fs::read(archive.state_file()).unwrap();
    fill(&archive).await;
    fs::write(archive.state_file(), old).unwrap();
    check_recovery(&archive, "a copy from before").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_with_damaged_pages_never_leads_to_a_wrong_answer() {
    let archive = TestArchive::in_memory().await;
    fill(&archive).await;
    let whole = fs::read(archive.state_file()).unwrap();
    let before = archive.events().await;
    for page in (0..whole.len()).step_by(4_096) {
        let mut damaged = whole.clone();
        let end = whole.len().min(page + 4_096);
        damaged[page..end].fill(0xa5);
        if damaged == whole {
            continue;
        }
        fs::write(archive.state_file(), &damaged).unwrap();
        match archive.try_open(quick_settings()).await {
            // Read only: a repeat that is not recognised would be stored twice.
            Ok(engine) => {
                let answer = submit_one(&engine, message("5", "text 5")).await;
                match answer {
                    Ok(receipt) => assert!(receipt.repeated, "page at {page}"),
                    Err(error) => check_says_what_to_do(&error),
                }
                engine.close().await;
            }
            Err(error) => check_says_what_to_do(&error),
        }
        assert_eq!(archive.events().await, before, "page at {page}");
    }
    fs::remove_file(archive.state_file()).unwrap();
    check_recovery(&archive, "deleted as the error says").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_cannot_be_written_stops_the_engine_with_a_clear_error() {
    let archive = TestArchive::in_memory().await;
    fill(&archive).await;
    fs::remove_file(archive.state_file()).unwrap();
    fs::create_dir(archive.state_file()).unwrap();
    let error = archive.try_open(quick_settings()).await.unwrap_err();
    check_says_what_to_do(&error);
    fs::remove_dir(archive.state_file()).unwrap();
    check_recovery(&archive, "a directory in its place, removed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_was_rolled_back_is_not_written_on() {
    let archive = TestArchive::in_memory().await;
    fill(&archive).await;
    let newest = archive.reader().await.head().unwrap().segment;
    let key = piperoll_store::ObjectKey::new(archive.prefix(&format!("log/{:012}.seg", newest.0))).unwrap();
    assert!(archive.memory().remove_unchecked(&key).is_some());
    let error = archive.try_open(quick_settings()).await.unwrap_err();
    assert!(error.to_string().contains("expected object `log/"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_another_ledger_is_not_believed() {
    let other = TestArchive::in_directory().await;
    fill(&other).await;
    let engine = other.open().await;
    for n in 0..20 {
        let group = SubmissionGroup::single(message(&format!("other {n}"), "other"));
        let _receipts = engine.submit(group).await.unwrap();
    }
    engine.close().await;
    let archive = TestArchive::in_memory_as(9).await;
    fill(&archive).await;
    copy(&other.state_file(), &archive.state_file());
    check_recovery(&archive, "state of another ledger").await;
}

fn copy(from: &Path, to: &Path) {
    let _bytes = fs::copy(from, to).unwrap();
}

#[track_caller]
fn check_says_what_to_do(error: &EngineError) {
    let EngineError::Fatal { reason, .. } = error else { panic!("expected a fatal error, found {error:?}") };
    assert!(reason.contains("local state") && reason.contains("delete it"), "{reason}");
}
