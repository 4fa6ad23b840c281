//! Ingest over HTTP: every phase of every round has a new archive, and only acknowledged messages count.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::archive::Archive;
use super::figure::{Figure, Results, Target};
use super::load::{Load, drive};
use super::machine::processor_time;
use super::millis;
use super::probe::flush;
use super::supply::Supply;
use crate::repository::say;

/// Where the archives of all rounds are, below the working directory.
pub(super) const PLACE: &str = "rounds";

const WARM_UP: Duration = Duration::from_secs(1);

/// One way to send, and what is measured.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) connections: usize,
    /// Requests that are prepared for each second; more than can be answered.
    requests_per_second_max: usize,
    pub(super) rate: Figure,
    p50: Figure,
    p99: Figure,
    /// Processor time of the server and of the load generator.
    cost: [Figure; 2],
}

pub(super) static AT_1: Phase = Phase {
    connections: 1,
    requests_per_second_max: 4_000,
    rate: rate("ingest-1", "ingest, 1 message a POST, 1 connection", Target::None),
    p50: latency("ingest-1-p50", "ingest, 1 connection, p50", Target::AtMost(3.0)),
    p99: latency("ingest-1-p99", "ingest, 1 connection, p99", Target::None),
    cost: [
        cost("ingest-1-server", "ingest, 1 connection, processor time of the server"),
        cost("ingest-1-generator", "ingest, 1 connection, processor time of the load generator"),
    ],
};
pub(super) static AT_64: Phase = Phase {
    connections: 64,
    requests_per_second_max: 30_000,
    rate: rate("ingest-64", "ingest, 1 message a POST, 64 connections", Target::AtLeast(12_000.0)),
    p50: latency("ingest-64-p50", "ingest, 64 connections, p50", Target::None).detail(),
    p99: latency("ingest-64-p99", "ingest, 64 connections, p99", Target::AtMost(50.0)),
    cost: [
        cost("ingest-64-server", "ingest, 64 connections, processor time of the server"),
        cost("ingest-64-generator", "ingest, 64 connections, processor time of the load generator"),
    ],
};
pub(super) static AT_256: Phase = Phase {
    connections: 256,
    requests_per_second_max: 40_000,
    rate: rate("ingest-256", "ingest, 1 message a POST, 256 connections", Target::AtLeast(18_000.0)),
    p50: latency("ingest-256-p50", "ingest, 256 connections, p50", Target::None).detail(),
    p99: latency("ingest-256-p99", "ingest, 256 connections, p99", Target::None),
    cost: [
        cost("ingest-256-server", "ingest, 256 connections, processor time of the server"),
        cost("ingest-256-generator", "ingest, 256 connections, processor time of the load generator"),
    ],
};
pub(super) static HISTORY: Phase = Phase {
    connections: 8,
    requests_per_second_max: 80,
    rate: rate("ingest-history", "ingest, history of 1,000 messages a POST", Target::AtLeast(40_000.0)),
    p50: latency("ingest-history-p50", "ingest, history, p50", Target::None).detail(),
    p99: latency("ingest-history-p99", "ingest, history, p99", Target::None).detail(),
    cost: [
        cost("ingest-history-server", "ingest, history, processor time of the server"),
        cost("ingest-history-generator", "ingest, history, processor time of the load generator"),
    ],
};

const fn rate(key: &'static str, title: &'static str, target: Target) -> Figure {
    Figure::new(key, title, "events/s", target)
}

const fn latency(key: &'static str, title: &'static str, target: Target) -> Figure {
    Figure::new(key, title, "ms", target)
}

const fn cost(key: &'static str, title: &'static str) -> Figure {
    Figure::new(key, title, "µs/event", Target::None).detail()
}

/// The requests of all rounds: each phase has a new archive, so every round can send the same.
#[derive(Debug)]
pub(super) struct Supplies {
    phases: Vec<(&'static Phase, Arc<Supply>)>,
}

impl Supplies {
    /// Prepares and signs what the phases may send in `seconds` each.
    pub(super) fn prepare(messages: bool, history: bool, seconds: u64) -> Self {
        say("preparing signed requests");
        let span = usize::try_from(seconds + WARM_UP.as_secs()).unwrap_or(usize::MAX);
        let count = |phase: &Phase| phase.requests_per_second_max * span;
        let mut phases = Vec::new();
        if messages {
            let supply = Arc::new(Supply::messages(0, count(&AT_256)));
            phases.extend([&AT_1, &AT_64, &AT_256].map(|phase| (phase, Arc::clone(&supply))));
        }
        if history {
            phases.push((&HISTORY, Arc::new(Supply::history(count(&HISTORY)))));
        }
        Self { phases }
    }
}

/// Runs every phase once in new archives below `dir`, which stay there: see [`super::probe::PLACE`].
///
/// # Errors
///
/// Fails when a server does.
pub(super) fn round(
    program: &Path,
    dir: &Path,
    supplies: &Supplies,
    seconds: u64,
    results: &mut Results,
) -> Result<()> {
    for (phase, supply) in &supplies.phases {
        let archive = Archive::create(program, &unused(&dir.join(PLACE), phase.rate.key)?)?;
        let server = archive.serve()?;
        let load =
            Load { connections: phase.connections, warm_up: WARM_UP, measured: Duration::from_secs(seconds) };
        let before = flush(dir)?;
        let used = [server.processor_time()?, processor_time("self")?];
        let outcome = drive(&server.address, load, supply, &mut 0)?;
        let used = [
            server.processor_time()?.saturating_sub(used[0]),
            processor_time("self")?.saturating_sub(used[1]),
        ];
        let probes = Some([before, flush(dir)?]);
        if outcome.refused > 0 {
            say(&format!("  {} requests were refused, the last with {}", outcome.refused, outcome.refusal));
        }
        results.add(&phase.rate, outcome.rate(), probes);
        results.add(&phase.p50, millis(outcome.latency.quantile(0.5)), None);
        results.add(&phase.p99, millis(outcome.latency.quantile(0.99)), None);
        for (figure, used) in phase.cost.iter().zip(used) {
            results.add(figure, micros_each(used, outcome.stored), None);
        }
        say(&format!("  slowest {:.1} ms", millis(outcome.latency.max())));
        server.stop()?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn micros_each(used: Duration, events: u64) -> f64 {
    used.as_secs_f64() * 1e6 / events as f64
}

/// Gives a path in `dir` that nothing has yet.
fn unused(dir: &Path, name: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    let path = (1..).map(|number| dir.join(format!("{name}-{number}"))).find(|path| !path.exists());
    path.context("expected a free name")
}
