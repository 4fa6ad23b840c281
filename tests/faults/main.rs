//! What the writer does when the store, the clock, another writer or its own state misbehaves: nothing acknowledged
//! is lost, nothing is stored twice, and the ledger verifies after every step.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

mod clock;
mod disk;
mod disposal;
mod lifecycle;
mod outage;
mod pool;
mod race;
mod spare;
mod state;
mod takeover;
mod torn;
mod write;

#[test]
fn no_test_file_is_forgotten() {
    assert_eq!(piperoll_tests::forgotten_modules("faults"), Vec::<String>::new());
}
