//! Goal: a store that cannot be reached for an hour costs nobody anything: senders are told to come again, `ready` is
//! red, memory stays bounded, and the archive catches up by itself.
//! Method: the whole archive behind its router, on a store of which every operation fails for as many rounds of
//! deliveries and retries as Meta would make in that hour. The archive's clock goes on by the hour.

use std::time::Duration;

use piperoll_store::Clock as _;
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{Served, Stored, TestArchive, until, webhook};

/// The outage: one round of retries for each minute.
const ROUNDS: u64 = 60;
const MINUTE: u64 = 60_000_000;

/// Deliveries that are sent again in each round, by as many senders at once.
const DELIVERIES: usize = 40;

/// Most bytes that may wait for a commit.
const POOL_BYTES_MAX: usize = 64 << 10;

const OPERATIONS: [Operation; 10] = [
    Operation::Create,
    Operation::Get,
    Operation::GetRange,
    Operation::Head,
    Operation::List,
    Operation::ExtendRetention,
    Operation::SetHold,
    Operation::Delete,
    Operation::PutDerived,
    Operation::DeleteDerived,
];

fn body(n: usize) -> Vec<u8> {
    // Of a size that the pool takes only a few of.
    webhook(&[(&format!("wamid.{n}"), "15550100", &format!("text{n} {}", "x".repeat(8 << 10)))])
}

fn cut(archive: &TestArchive) {
    for operation in OPERATIONS {
        archive.store.inject(Fault::always(operation, "", Outcome::Lost));
    }
}

/// Sends what is not acknowledged yet at once, and returns what is still not.
async fn send(served: &Served<'_>, open: &[usize]) -> Vec<usize> {
    let bodies: Vec<_> = open.iter().map(|n| body(*n)).collect();
    let answers = futures::future::join_all(bodies.iter().map(|body| served.deliver(body))).await;
    let mut refused = Vec::new();
    for (n, answer) in open.iter().zip(answers) {
        if answer.status != 200 {
            answer.is_status(503);
            assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
            refused.push(*n);
        }
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn hour_without_store_is_told_bounded_and_made_up_for() {
    let archive = TestArchive::in_memory().await;
    let change = |parts: &mut piperoll_server::Parts| {
        parts.settings.pool_bytes_max = POOL_BYTES_MAX;
        parts.settings.retry_pauses = vec![Duration::from_millis(1)];
    };
    let served = archive.serve_changed(change).await;
    let early = webhook(&[("wamid.early", "15550100", "early")]);
    served.deliver(&early).await.is_status(200);
    let size = served.size();
    cut(&archive);
    let started = archive.clock.now_micros();
    let all: Vec<usize> = (0..DELIVERIES).collect();
    let mut at_five = 0;
    for round in 1..=ROUNDS {
        archive.clock.set(started + round * MINUTE);
        assert_eq!(send(&served, &all).await, all, "nothing is acknowledged that is not stored");
        served.get("/ready").await.is_status(503);
        served.get("/health").await.is_status(200);
        assert_eq!(served.size(), size);
        let engine = served.archive.engine();
        until("what was refused does not wait any more", || engine.waiting() <= 1).await;
        let resident = resident_kib();
        if round == 5 {
            at_five = resident;
        }
        archive.store.clear_operations();
    }
    let grown = resident_kib().saturating_sub(at_five);
    assert!(grown < 32 << 10, "55 minutes without a store took {grown} KiB more memory");

    archive.store.heal();
    let mut trouble = served.archive.engine().trouble();
    let healed = async { trouble.wait_for(Option::is_none).await.is_ok() };
    let healed = tokio::time::timeout(Duration::from_secs(30), healed).await;
    assert_eq!(healed, Ok(true), "nobody needs to send anything for it to notice");
    served.get("/ready").await.is_status(200);
    // Whoever is refused for want of room comes once more; each time some are taken.
    let mut open = all.clone();
    for _ in &all {
        open = send(&served, &open).await;
    }
    assert_eq!(open, Vec::<usize>::new());
    assert_eq!(served.find("early").await.len(), 1);
    let events = served.check_everything().await;
    for n in all {
        let text = format!("text{n} x");
        let is_it = |event: &&Stored| {
            event.bytes.as_ref().is_some_and(|bytes| String::from_utf8_lossy(bytes).contains(&text))
        };
        assert_eq!(events.iter().filter(is_it).count(), 1, "delivery {n} is there once");
    }
    served.close().await;
}

/// Returns the memory that this process has.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
