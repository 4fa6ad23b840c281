//! Goal: a store that is slow or full makes senders wait or come again, and nothing else.

use std::sync::Arc;

use piperoll_engine::{EngineError, Entropy, Settings};
use piperoll_format::SubmissionGroup;
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{TestArchive, check_receipt, message, quick_settings, submit_one, until};

#[tokio::test(flavor = "multi_thread")]
async fn full_pool_refuses_and_takes_again_when_it_has_room() {
    let archive = TestArchive::in_memory().await;
    let settings = Settings { pool_events_max: 4, ..quick_settings() };
    let engine = Arc::new(archive.try_open(settings).await.unwrap());
    let gate = archive.store.gate(Operation::Create, &archive.prefix("log/"));
    let submit = |text: String| {
        let engine = engine.clone();
        tokio::spawn(async move { (submit_one(&engine, message(&text, &text)).await, text) })
    };
    // One is in flight, four wait.
    let mut tasks = vec![submit("in flight".to_owned())];
    gate.wait_for(1).await;
    tasks.extend((0..4).map(|n| submit(format!("waits {n}"))));
    until("four events wait", || engine.waiting() == 4).await;
    for _ in 0..3 {
        let refused = submit_one(&engine, message("too many", "too many")).await;
        assert!(matches!(refused, Err(EngineError::Busy { events: 4 })), "{refused:?}");
    }
    gate.release();
    let mut acknowledged = Vec::new();
    for task in tasks {
        let (receipt, text) = task.await.unwrap();
        acknowledged.push((receipt.unwrap(), text));
    }
    acknowledged
        .push((submit_one(&engine, message("too many", "too many")).await.unwrap(), "too many".into()));
    let events = archive.check_everything(Some(&engine)).await;
    acknowledged.iter().for_each(|(receipt, text)| check_receipt(&events, receipt, text));
    assert_eq!(
        events.len(),
        1 + acknowledged.len(),
        "what was refused was not stored behind the sender's back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn full_store_is_trouble_until_it_has_room_again() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    archive.store.inject(Fault::always(Operation::Create, "", Outcome::Full));
    for n in 0..3 {
        let refused = submit_one(&engine, message(&n.to_string(), "text")).await;
        assert!(matches!(refused, Err(EngineError::Unavailable { .. })), "{refused:?}");
        assert!(engine.trouble().borrow().is_some());
    }
    archive.store.heal();
    let receipt = submit_one(&engine, message("0", "text")).await.unwrap();
    assert!(!receipt.repeated);
    assert_eq!(*engine.trouble().borrow(), None);
    archive.check_everything(Some(&engine)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_cannot_be_read_after_an_open_outcome_stops_commits_but_not_the_engine() {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    // Nothing can be read: neither the segment that may exist, nor the end of the ledger after it.
    archive.store.inject(Fault::always(Operation::Get, "", Outcome::Unavailable));
    archive.store.inject(Fault::always(Operation::Head, "", Outcome::Unavailable));
    let segments = archive.prefix("log/");
    archive.store.inject(Fault::always(Operation::Create, &segments, Outcome::AppliedButReportedFailed));
    for n in 0..3 {
        let refused = submit_one(&engine, message(&n.to_string(), "text")).await;
        assert!(matches!(refused, Err(EngineError::Unavailable { .. })), "{refused:?}");
    }
    archive.store.heal();
    assert!(submit_one(&engine, message("0", "text")).await.unwrap().repeated, "the first one was applied");
    assert!(!submit_one(&engine, message("1", "text")).await.unwrap().repeated);
    archive.check_everything(Some(&engine)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn group_that_is_given_up_by_its_sender_is_committed_all_the_same() {
    let archive = TestArchive::in_memory().await;
    let engine = Arc::new(archive.open().await);
    let gate = archive.store.gate(Operation::Create, &archive.prefix("log/"));
    let sender = tokio::spawn({
        let engine = engine.clone();
        async move { engine.submit(SubmissionGroup::single(message("gone", "gone"))).await }
    });
    gate.wait_for(1).await;
    sender.abort();
    assert!(sender.await.unwrap_err().is_cancelled());
    gate.release();
    assert!(submit_one(&engine, message("gone", "gone")).await.unwrap().repeated);
    archive.check_everything(Some(&engine)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writer_that_panics_answers_everybody_and_the_next_start_recovers() {
    let archive = TestArchive::in_memory().await;
    // The opening of the ledger draws once, the first message once.
    let engine = Arc::new(archive.open_with(Box::new(ExhaustedEntropy { fills_left: 4 })).await);
    let mut acknowledged = Vec::new();
    let mut stopped = None;
    for n in 0..10 {
        let text = format!("text {n}");
        match submit_one(&engine, message(&text, &text)).await {
            Ok(receipt) => acknowledged.push((receipt, text)),
            Err(error) => stopped = Some(error),
        }
    }
    assert!(matches!(stopped, Some(EngineError::Fatal { .. })), "{stopped:?}");
    // The writer may still be unwinding.
    drop(engine.trouble().wait_for(Option::is_some).await.unwrap());
    engine.close().await;
    let engine = archive.open().await;
    acknowledged.push((submit_one(&engine, message("later", "later")).await.unwrap(), "later".to_owned()));
    let events = archive.check_everything(Some(&engine)).await;
    acknowledged.iter().for_each(|(receipt, text)| check_receipt(&events, receipt, text));
}

/// Randomness that ends in a panic, as an operating system without any would.
#[derive(Debug)]
struct ExhaustedEntropy {
    fills_left: u32,
}

impl Entropy for ExhaustedEntropy {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.fills_left = self.fills_left.checked_sub(1).expect("there is randomness left");
        buffer.fill(u8::try_from(self.fills_left).unwrap());
    }
}
