//! What must hold at the end of every schedule, whatever happened in it.

use std::sync::atomic::Ordering;

use piperoll_format::Kind;
use piperoll_tests::Stored;

use crate::world::World;

/// Time that a bucket of the brief class is kept for after its last second, in µs.
const BRIEF_MICROS: u64 = 5_000_000;

/// Verifies the whole ledger and compares it with what senders and followers know. Returns the number of events.
pub(crate) async fn check(world: &World) -> usize {
    let latest = world.latest.load(Ordering::SeqCst);
    world.archive.clock.set(latest);
    let events = world.archive.check_everything(None).await;
    assert_eq!(events.first().map(|event| event.kind), Some(Kind::LedgerOpened));
    let openings = events.iter().filter(|event| event.kind == Kind::LedgerOpened).count();
    assert_eq!(openings, 1, "a ledger is opened once");
    for (receipt, text) in world.acknowledged.lock().unwrap().iter() {
        let event = &events[usize::try_from(receipt.seq.0).unwrap()];
        assert_eq!(event.hash, receipt.event_hash.0, "event {} is the acknowledged one", receipt.seq.0);
        match &event.bytes {
            Some(bytes) => assert_eq!(bytes, text.as_bytes(), "event {}", receipt.seq.0),
            None => check_was_due(event, latest),
        }
    }
    for (number, seen) in world.seen.lock().unwrap().iter() {
        // What the last disposal has added came after the followers had ended.
        let expected: Vec<_> =
            events.iter().map(|event| (event.seq.0, event.hash)).take(seen.len()).collect();
        assert_eq!(*seen, expected, "follower {number} saw every event once and in order");
        assert!(
            seen.len() as u64 >= world.size_when_over.load(Ordering::SeqCst),
            "follower {number} saw all"
        );
    }
    events.len()
}

/// What is gone went by a disposal after its lock had ended.
fn check_was_due(event: &Stored, latest: u64) {
    assert!(event.recorded_at.0 + BRIEF_MICROS < latest, "event {} went too early", event.seq.0);
}
