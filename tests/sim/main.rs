//! Goal: whatever storage, clock, processes and readers do, and in whatever order, the ledger holds.
//! Method: a deterministic simulation. A runtime of one thread with its own time runs one to three writers on one
//! ledger, senders, followers and an operator; all that happens to them is drawn from a seed. At the end of each
//! schedule the whole ledger is verified and compared with what senders and followers know.
//!
//! A failure prints its seed; `PIPEROLL_SIM_SEED=<seed>` repeats that one schedule and prints its trace.
//! `PIPEROLL_SIM_SCHEDULES=<n>` plays another number of them.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap and measure")]

mod follower;
mod link;
mod model;
mod process;
mod random;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use world::{Played, play};

/// Schedules in the test command; a seed is its number.
const SCHEDULES: u64 = 2_000;

/// When a slow machine begins no further schedule; how many were played is printed. Not with a number of its own.
const ENOUGH: Duration = Duration::from_secs(120);

/// Seeds whose traces are compared; between them they have every kind of process and fault.
const TRACED: std::ops::Range<u64> = 0..8;

fn run(seed: u64) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(play(seed))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn same_seed_gives_the_same_trace() {
    for seed in TRACED {
        let (first, second) = (run(seed), run(seed));
        let differs = first.trace.iter().zip(&second.trace).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
        assert!(first.trace.len() > 20, "seed {seed} does something");
        eprintln!("trace {seed} {}", first.digest);
    }
}

#[test]
fn same_seed_gives_the_same_trace_in_another_process() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["same_seed_gives_the_same_trace", "--exact", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    for seed in TRACED {
        let line = format!("trace {seed} {}", run(seed).digest);
        assert!(text.lines().any(|other| other == line), "expected `{line}`, found\n{text}");
    }
}

#[test]
fn every_schedule_holds() {
    if let Some(seed) = number("PIPEROLL_SIM_SEED") {
        let played = run(seed);
        played.trace.iter().for_each(|line| eprintln!("{line}"));
        return;
    }
    let asked = number("PIPEROLL_SIM_SCHEDULES");
    let schedules = asked.unwrap_or(SCHEDULES);
    let started = Instant::now();
    let [next, failed, events, deaths, operations] = [const { AtomicU64::new(0) }; 5];
    failed.store(u64::MAX, Ordering::SeqCst);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    if asked.is_none() && started.elapsed() > ENOUGH {
                        return;
                    }
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= schedules || failed.load(Ordering::SeqCst) < u64::MAX {
                        return;
                    }
                    let Ok(played) = catch_unwind(AssertUnwindSafe(|| run(seed))) else {
                        let _other = failed.fetch_min(seed, Ordering::SeqCst);
                        return;
                    };
                    let _sum = events.fetch_add(played.events as u64, Ordering::SeqCst);
                    let _sum = deaths.fetch_add(u64::try_from(played.deaths).unwrap(), Ordering::SeqCst);
                    let _sum = operations.fetch_add(played.trace.len() as u64, Ordering::SeqCst);
                }
            });
        }
    });
    let seed = failed.load(Ordering::SeqCst);
    assert!(
        seed == u64::MAX,
        "seed {seed} fails; repeat it with\n  PIPEROLL_SIM_SEED={seed} cargo test -p piperoll-tests --test sim \
         every_schedule_holds -- --nocapture"
    );
    eprintln!(
        "{} schedules: {} events, {} deaths of writers, {} store operations in {:.1} s",
        next.into_inner().min(schedules),
        events.into_inner(),
        deaths.into_inner(),
        operations.into_inner(),
        started.elapsed().as_secs_f64()
    );
}

#[test]
fn no_test_file_is_forgotten() {
    assert_eq!(piperoll_tests::forgotten_modules("sim"), Vec::<String>::new());
}
