//! The faulty store does what its rules say, and nothing else.

use super::*;
use crate::clock::ManualClock;
use crate::conformance::Fixture;
use crate::memory::MemoryStore;

crate::conformance_tests!(fixture);

fn fixture() -> (Fixture, ()) {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let memory = Arc::new(MemoryStore::new(clock.clone()));
    (Fixture::with_manual_clock(Arc::new(FaultyStore::new(memory)), clock), ())
}

fn faulty() -> (FaultyStore, Arc<MemoryStore>) {
    let memory = Arc::new(MemoryStore::new(Arc::new(ManualClock::new(1))));
    (FaultyStore::new(memory.clone()), memory)
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).expect("the test spells a valid key")
}

/// Creates `log/1` under one fault and returns the answer and whether the object is there.
async fn create_under(outcome: Outcome) -> (Result<(), StoreError>, bool) {
    let (store, memory) = faulty();
    store.inject(Fault::once(Operation::Create, "log/", outcome));
    store.create(&key("other"), Bytes::new(), &Lock::NONE).await.expect("the fault is for `log/`");
    let answer = store.create(&key("log/1"), Bytes::new(), &Lock::NONE).await;
    assert!(!store.has_faults(), "the fault was met");
    assert_eq!(store.operations()[1].outcome, Some(outcome));
    store.create(&key("log/2"), Bytes::new(), &Lock::NONE).await.expect("the fault is used up");
    (answer, memory.get(&key("log/1")).await.is_ok())
}

#[tokio::test]
async fn each_outcome_is_applied_and_reported_as_it_says() {
    let (answer, is_applied) = create_under(Outcome::Lost).await;
    assert!(matches!(answer, Err(StoreError::Unavailable { applied_unknown: true, .. })) && !is_applied);
    let (answer, is_applied) = create_under(Outcome::AppliedButReportedFailed).await;
    assert!(matches!(answer, Err(StoreError::Unavailable { applied_unknown: true, .. })) && is_applied);
    let (answer, is_applied) = create_under(Outcome::AppliedButReportedExists).await;
    assert!(answer.is_err_and(|error| error.must_read_back()) && is_applied);
    let (answer, is_applied) = create_under(Outcome::Unavailable).await;
    assert!(matches!(answer, Err(StoreError::Unavailable { applied_unknown: false, .. })) && !is_applied);
    let (answer, is_applied) = create_under(Outcome::Full).await;
    assert!(matches!(answer, Err(StoreError::Full { .. })) && !is_applied);
    let (answer, is_applied) = create_under(Outcome::Denied).await;
    assert!(matches!(answer, Err(StoreError::Denied { .. })) && !is_applied);
}

#[tokio::test]
async fn a_lasting_fault_ends_when_healed() {
    let (store, _) = faulty();
    store.inject(Fault::always(Operation::Get, "", Outcome::Unavailable));
    store.create(&key("a"), Bytes::new(), &Lock::NONE).await.expect("only reads fail");
    for _ in 0..3 {
        assert!(matches!(store.get(&key("a")).await, Err(StoreError::Unavailable { .. })));
    }
    store.heal();
    assert!(store.get(&key("a")).await.is_ok());
    store.clear_operations();
    assert!(store.operations().is_empty());
}

#[tokio::test]
async fn a_gate_holds_operations_back_until_released() {
    let (store, memory) = faulty();
    let store = Arc::new(store);
    let gate = store.gate(Operation::Create, "log/");
    let creates: Vec<_> = ["log/1", "log/2"]
        .into_iter()
        .map(|name| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.create(&key(name), Bytes::new(), &Lock::NONE).await })
        })
        .collect();
    gate.wait_for(2).await;
    assert!(memory.objects().is_empty());
    store.create(&key("free"), Bytes::new(), &Lock::NONE).await.expect("the gate is for `log/`");
    gate.release();
    for create in creates {
        create.await.expect("it does not panic").expect("it is let through");
    }
    assert_eq!(memory.objects().len(), 3);
}

#[tokio::test]
async fn slow_and_late_outcomes_are_applied_in_the_time_of_the_runtime() {
    let delay = Duration::from_millis(3);
    let (answer, is_applied) = create_under(Outcome::Slow(delay)).await;
    assert!(answer.is_ok() && is_applied);
    let (store, memory) = faulty();
    store.inject(Fault::once(Operation::Create, "log/", Outcome::AppliedLate(delay)));
    let answer = store.create(&key("log/1"), Bytes::new(), &Lock::NONE).await;
    assert!(matches!(answer, Err(StoreError::Unavailable { applied_unknown: true, .. })));
    assert!(memory.objects().is_empty());
    let applied = async {
        while memory.objects().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), applied).await.expect("the late create is applied");
    assert_eq!(memory.objects().len(), 1);
}

#[tokio::test]
async fn stale_reads_miss_the_newest_object() {
    let (store, _) = faulty();
    for name in ["log/1", "log/2"] {
        store.create(&key(name), Bytes::new(), &Lock::NONE).await.expect("the key is free");
    }
    for operation in [Operation::Get, Operation::Head, Operation::List] {
        store.inject(Fault::once(operation, "log/", Outcome::Stale));
    }
    assert!(store.get(&key("log/2")).await.is_err_and(|error| error.is_not_found()));
    assert!(store.head(&key("log/2")).await.is_err_and(|error| error.is_not_found()));
    let listed = |metas: Vec<ObjectMeta>| metas.len();
    assert_eq!(store.list("log/", None, 9).await.map(listed).ok(), Some(1));
    assert_eq!(store.list("log/", None, 9).await.map(listed).ok(), Some(2));
}
