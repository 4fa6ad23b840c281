//! Goal: the writes that make a ledger, and each step of a disposal, may fail in every way, before and after they
//! were applied.
//! Method: one table over steps and outcomes; each row is played with the same thing done again afterwards and with
//! something else first, and what is there is verified.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::{Engine, EngineError, NewLedger, create_ledger};
use piperoll_format::{Bucket, Kek, LedgerId, Timestamp};
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_store::{FaultyStore, ManualClock, MemoryStore, WormStore as _};
use piperoll_tests::{KEK, NOW, ORIGIN, TestArchive, message, numbered_message, submit_one};
use piperoll_verify::verify::{VerifyOptions, verify_ledger};

use crate::write::OUTCOMES;

/// When everything about the number 999 may go.
const DUE: u64 = NOW + 60_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The same is done again.
    Same,
    /// Something else comes first.
    Other,
}

/// A step, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Dictionary,
    Genesis,
    OrderPack,
    OrderSegment,
    DeletePack,
    DeleteKeys,
    CompletionPack,
    CompletionSegment,
}

const STEPS: [Step; 8] = [
    Step::Dictionary,
    Step::Genesis,
    Step::OrderPack,
    Step::OrderSegment,
    Step::DeletePack,
    Step::DeleteKeys,
    Step::CompletionPack,
    Step::CompletionSegment,
];

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    /// Nothing has happened, or nobody can say; it can be done again.
    Unavailable,
    /// One object is left for the next plan.
    OneLeft,
}

/// The specification in one place.
fn expected(step: Step, outcome: Outcome) -> Answer {
    match (step, outcome) {
        (_, Outcome::Slow(_)) => Answer::Done,
        (Step::DeletePack | Step::DeleteKeys, _) => Answer::OneLeft,
        // Read back and found to be our own.
        (_, Outcome::AppliedButReportedFailed | Outcome::AppliedButReportedExists) => Answer::Done,
        // Making a ledger is tried by whoever makes it; commits are tried again by the writer.
        (Step::Dictionary | Step::Genesis, _) => Answer::Unavailable,
        (_, Outcome::Lost | Outcome::AppliedLate(_)) => Answer::Done,
        _ => Answer::Unavailable,
    }
}

#[track_caller]
fn answer_of<T>(result: Result<T, EngineError>, left: impl Fn(&T) -> usize) -> Answer {
    match result {
        Ok(done) if left(&done) == 0 => Answer::Done,
        Ok(done) if left(&done) == 1 => Answer::OneLeft,
        Err(EngineError::Unavailable { .. }) => Answer::Unavailable,
        Ok(_) => panic!("more than one object is left"),
        Err(error) => panic!("{error:?}"),
    }
}

/// Makes a ledger on a store that fails once.
async fn play_creation(template: &TestArchive, step: Step, outcome: Outcome, next: Next) -> Answer {
    let clock = Arc::new(ManualClock::new(NOW));
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new(clock))));
    let ledger = LedgerId([9; 16]);
    let name = if step == Step::Genesis { "genesis" } else { "dictionaries/" };
    store.inject(Fault::once(Operation::Create, &format!("{ledger}/{name}"), outcome));
    let reader = template.reader().await;
    let kek = Kek::new(KEK);
    let new = |created_at: u64| NewLedger {
        ledger,
        origin: ORIGIN,
        public_key: reader.genesis().public_key,
        next_key_digest: [0; 32],
        kek: &kek,
        policies: reader.genesis().policies.clone(),
        policy_set: &template.policies,
        created_at: Timestamp(created_at),
    };
    let answer = answer_of(create_ledger(store.clone(), new(NOW)).await, |_| 0);
    assert!(!store.has_faults(), "the fault was met");
    if matches!(outcome, Outcome::AppliedLate(_)) {
        arrived(&store, &format!("{ledger}/{name}")).await;
    }
    let has_genesis =
        answer == Answer::Done || matches!((step, outcome), (Step::Genesis, Outcome::AppliedLate(_)));
    let again = create_ledger(store.clone(), new(if next == Next::Same { NOW } else { NOW + 1 })).await;
    match &again {
        Ok(_) => assert!(next == Next::Same || !has_genesis, "a ledger is made once"),
        Err(EngineError::Invalid { .. }) => assert!(next == Next::Other && has_genesis),
        Err(error) => panic!("{error:?}"),
    }
    let options = VerifyOptions { now: Timestamp(NOW + 2), ..VerifyOptions::default() };
    let report = verify_ledger(store, ledger, options).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    answer
}

/// Returns when an object with this beginning is there.
async fn arrived(store: &FaultyStore, prefix: &str) {
    let arrival = async {
        while store.list(prefix, None, 1).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), arrival).await.expect("what was applied late arrives");
}

fn bucket(engine: &Engine) -> Option<Bucket> {
    let inventory = engine.inventory().unwrap();
    inventory.into_iter().map(|object| object.bucket).find(|bucket| bucket.class().as_str() == "brief")
}

/// Disposes of a bucket on a store that fails once.
async fn play_disposal(step: Step, outcome: Outcome, next: Next) -> Answer {
    let archive = TestArchive::in_memory().await;
    let engine = archive.open().await;
    let _receipt = submit_one(&engine, numbered_message("999", "brief", "secret")).await.unwrap();
    let _receipt = submit_one(&engine, message("kept", "kept")).await.unwrap();
    archive.clock.set(DUE);
    archive.check_everything(Some(&engine)).await;
    let segment = archive.reader().await.head().unwrap().segment.0 + 1;
    let number =
        if matches!(step, Step::CompletionPack | Step::CompletionSegment) { segment + 1 } else { segment };
    let (operation, prefix) = match step {
        Step::DeletePack => (Operation::Delete, "payloads/brief/".to_owned()),
        Step::DeleteKeys => (Operation::Delete, "keys/brief/".to_owned()),
        Step::OrderSegment | Step::CompletionSegment => (Operation::Create, format!("log/{number:012}.seg")),
        _ => (Operation::Create, "payloads/".to_owned()),
    };
    let fault = Fault::once(operation, &archive.prefix(&prefix), outcome);
    if step == Step::CompletionPack {
        // The order's pack comes first and passes.
        let gate = archive.store.gate(Operation::Delete, &archive.prefix("keys/brief/"));
        let due = bucket(&engine).unwrap();
        let disposing = engine.dispose(&due, "due", "test");
        let inject = async {
            gate.wait_for(1).await;
            archive.store.inject(fault);
            gate.release();
        };
        let (disposed, ()) = tokio::join!(disposing, inject);
        let answer = answer_of(disposed, |disposed| disposed.left.len());
        return finish(&archive, &engine, answer, next).await;
    }
    archive.store.inject(fault);
    let disposed = engine.dispose(&bucket(&engine).unwrap(), "due", "test").await;
    let answer = answer_of(disposed, |disposed| disposed.left.len());
    finish(&archive, &engine, answer, next).await
}

/// Goes on after the fault, and checks that what had to go is gone and accounted for, and what had to stay is there.
async fn finish(archive: &TestArchive, engine: &Engine, answer: Answer, next: Next) -> Answer {
    assert!(!archive.store.has_faults(), "the fault was met");
    if next == Next::Other {
        let _receipt = submit_one(engine, message("other", "kept")).await.unwrap();
    }
    if let Some(bucket) = bucket(engine) {
        assert_ne!(answer, Answer::Done, "the bucket is gone");
        assert_eq!(engine.dispose(&bucket, "due", "test").await.unwrap().left, []);
    }
    let events = archive.check_everything(Some(engine)).await;
    assert!(events.iter().all(|event| event.source_id.as_deref() != Some("brief") || event.bytes.is_none()));
    let kept = events.iter().filter(|event| event.bytes.as_deref() == Some(b"kept")).count();
    assert_eq!(kept, if next == Next::Other { 2 } else { 1 });
    assert_eq!(archive.verify().await.tombstones.objects, 2);
    answer
}

/// Every row is a run with the same again and one with something else; what is printed is what was played.
#[tokio::test(flavor = "multi_thread")]
async fn making_a_ledger_and_disposing_may_fail_at_each_step() {
    let template = TestArchive::in_memory().await;
    template.open().await.close().await;
    let mut table = "| step | fault | the caller is told |\n|---|---|---|\n".to_owned();
    for step in STEPS {
        for outcome in OUTCOMES {
            let told = expected(step, outcome);
            for next in [Next::Same, Next::Other] {
                let answer = match step {
                    Step::Dictionary | Step::Genesis => play_creation(&template, step, outcome, next).await,
                    _ => play_disposal(step, outcome, next).await,
                };
                assert_eq!(answer, told, "{step:?} {outcome:?} {next:?}");
            }
            let text = format!("{outcome:?}");
            let outcome = text.split('(').next().unwrap_or_default();
            table.push_str(&format!("| {step:?} | {outcome} | {told:?} |\n"));
        }
    }
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fault-table-lifecycle.md");
    if std::env::var_os("PIPEROLL_UPDATE_GOLDEN").is_some() {
        std::fs::write(&fixture, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&fixture).unwrap(), table);
}
