//! Goal: two writers on one ledger never fork it, and neither of them hands out a receipt that does not hold.
//! Method: two engines with states of their own on one store; gates hold one of them back at the commit.

use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::{Engine, EngineError, Receipt, Settings};
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{TestArchive, check_receipt, message, quick_settings, submit_one};

type Acknowledged = Vec<(Receipt, String)>;

async fn send(engine: &Engine, text: &str, acknowledged: &mut Acknowledged) {
    acknowledged.push((submit_one(engine, message(text, text)).await.unwrap(), text.to_owned()));
}

async fn check(archive: &TestArchive, acknowledged: &Acknowledged) {
    let events = archive.check_everything(None).await;
    acknowledged.iter().for_each(|(receipt, text)| check_receipt(&events, receipt, text));
    // Event 0 opens the ledger.
    assert_eq!(events.len(), acknowledged.iter().filter(|(receipt, _)| !receipt.repeated).count() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_take_turns_and_the_loser_sequences_again() {
    let archive = TestArchive::in_memory().await;
    let first = archive.open().await;
    let (second, _) = archive.open_beside("second").await;
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        // Whoever comes second does not know yet what the other one has committed.
        send(&first, &format!("first {round}"), &mut acknowledged).await;
        send(&second, &format!("second {round}"), &mut acknowledged).await;
        check(&archive, &acknowledged).await;
    }
    // What the other one has committed is a repeat for both.
    for (engine, text) in [(&first, "second 3"), (&second, "first 4")] {
        send(engine, text, &mut acknowledged).await;
        assert!(acknowledged.last().unwrap().0.repeated, "{text}");
    }
    check(&archive, &acknowledged).await;
    first.close().await;
    second.close().await;
    let engine = archive.open().await;
    send(&engine, "later", &mut acknowledged).await;
    check(&archive, &acknowledged).await;
    archive.check_everything(Some(&engine)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_under_load_give_every_seq_once() {
    let archive = TestArchive::in_directory().await;
    let first = Arc::new(archive.open().await);
    let (second, _) = archive.open_beside("second").await;
    let second = Arc::new(second);
    let mut tasks = Vec::new();
    for n in 0..120 {
        let engine = if n % 2 == 0 { first.clone() } else { second.clone() };
        // Every third message goes to both.
        let text = if n % 3 == 0 { format!("both {}", n / 6) } else { format!("text {n}") };
        tasks.push(tokio::spawn(async move {
            let receipt = submit_one(&engine, message(&text, &text)).await.unwrap();
            (receipt, text)
        }));
    }
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.push(task.await.unwrap());
    }
    check(&archive, &acknowledged).await;
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_writer_that_wakes_up_late_sequences_its_batch_again() {
    let archive = TestArchive::in_memory().await;
    let slow = Arc::new(archive.open().await);
    let (quick, _) = archive.open_beside("quick").await;
    let mut acknowledged = Vec::new();
    // A fault of each kind may meet the late create, too.
    for outcome in [None, Some(Outcome::Lost), Some(Outcome::AppliedButReportedFailed)] {
        let gate = archive.store.gate(Operation::Create, &archive.prefix("log/"));
        let text = format!("slow {outcome:?}");
        let paused = tokio::spawn({
            let (slow, text) = (slow.clone(), text.clone());
            async move { submit_one(&slow, message(&text, &text)).await.unwrap() }
        });
        gate.wait_for(1).await;
        for n in 0..3 {
            send(&quick, &format!("quick {outcome:?} {n}"), &mut acknowledged).await;
        }
        if let Some(outcome) = outcome {
            archive.store.inject(Fault::once(Operation::Create, &archive.prefix("log/"), outcome));
        }
        gate.release();
        let receipt = paused.await.unwrap();
        assert_eq!(
            receipt.seq.0,
            acknowledged.last().unwrap().0.seq.0 + 1,
            "it comes after what was quicker"
        );
        acknowledged.push((receipt, text));
        check(&archive, &acknowledged).await;
    }
    slow.close().await;
    quick.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_writer_whose_message_came_in_elsewhere_stores_it_once() {
    let archive = TestArchive::in_memory().await;
    let slow = Arc::new(archive.open().await);
    let (quick, _) = archive.open_beside("quick").await;
    let gate = archive.store.gate(Operation::Create, &archive.prefix("log/"));
    let paused = tokio::spawn({
        let slow = slow.clone();
        async move { submit_one(&slow, message("same", "same")).await.unwrap() }
    });
    gate.wait_for(1).await;
    let mut acknowledged = Vec::new();
    send(&quick, "same", &mut acknowledged).await;
    gate.release();
    let receipt = paused.await.unwrap();
    assert!(receipt.repeated);
    assert_eq!(receipt.event_hash, acknowledged[0].0.event_hash);
    acknowledged.push((receipt, "same".to_owned()));
    check(&archive, &acknowledged).await;
    assert_eq!(slow.head().borrow().size, 2, "its followers learn of the event, too");
    assert_eq!(archive.unreferenced().await.len(), 2, "pack and key of the lost race are left, and harmless");
}

/// As in a rolling restart: the old process still has traffic when the new one begins.
#[tokio::test(flavor = "multi_thread")]
async fn two_writers_that_are_never_idle_both_get_their_turns() {
    let archive = TestArchive::in_directory().await;
    let first = Arc::new(archive.open().await);
    let (second, _) = archive.open_beside("second").await;
    let second = Arc::new(second);
    let mut senders = Vec::new();
    for (name, engine) in [("first", &first), ("second", &second)] {
        for sender in 0..4 {
            let engine = engine.clone();
            senders.push(tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0..25 {
                    send(&engine, &format!("{name} {sender} {n}"), &mut acknowledged).await;
                }
                acknowledged
            }));
        }
    }
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    assert_eq!(acknowledged.len(), 200);
    check(&archive, &acknowledged).await;
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writer_that_loses_every_race_stops_and_says_why() {
    let archive = TestArchive::in_memory().await;
    let patience = Duration::from_millis(200);
    let settings = Settings { rival_patience: patience, ..quick_settings() };
    let slow = Arc::new(archive.try_open(settings).await.unwrap());
    let (quick, _) = archive.open_beside("quick").await;
    let mut acknowledged = Vec::new();
    let prefix = archive.prefix("log/");
    let mut gate = archive.store.gate(Operation::Create, &prefix);
    let mut losing = tokio::spawn({
        let slow = slow.clone();
        async move { submit_one(&slow, message("slow", "slow")).await }
    });
    let mut races = 0;
    let error = loop {
        tokio::select! {
            ended = &mut losing => break ended.unwrap().unwrap_err(),
            () = gate.wait_for(1) => {}
        }
        send(&quick, &format!("quick {races}"), &mut acknowledged).await;
        races += 1;
        // The next race is held back, too, before this one goes on.
        std::mem::replace(&mut gate, archive.store.gate(Operation::Create, &prefix)).release();
    };
    assert!(races >= 8, "{races} races");
    assert_eq!(
        error.to_string(),
        "the writer has stopped: another writer keeps winning this ledger; stop it first"
    );
    assert_eq!(slow.trouble().borrow().as_deref(), Some(error.to_string().as_str()));
    let refused = submit_one(&slow, message("later", "later")).await.unwrap_err();
    assert!(matches!(refused, EngineError::Fatal { .. }), "{refused:?}");
    check(&archive, &acknowledged).await;
}
