//! The archive that all other figures are measured on: filled once, then read again and again by our commands.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::archive::Archive;
use super::figure::{Figure, Results, Target};
use super::load::{Load, drive};
use super::probe::flush;
use super::process::timed;
use super::state;
use super::supply::Supply;
use crate::repository::say;

/// Messages that are prepared and sent at a time.
pub(super) const PART: usize = 50_000;
const CONNECTIONS: usize = 64;
/// Every message of the fill.
const EVERYTHING: &str = "kind:whatsapp.message";

static FILL: Figure =
    Figure::new("fill", "filling with 1 message a POST, 64 connections", "events/s", Target::None).detail();
static RECORD: Figure =
    Figure::new("record-bytes", "stored, everything that is kept", "bytes/event", Target::AtMost(550.0));
static DERIVED: Figure =
    Figure::new("tile-bytes", "stored, tiles (can be made again)", "bytes/event", Target::None);
static QUICK: Figure =
    Figure::new("verify-quick", "verify --quick", "events/s", Target::AtLeast(1_000_000.0));
static FULL: Figure =
    Figure::new("verify-full", "verify, every signature", "events/s", Target::AtLeast(130_000.0));
static AUDIT: Figure =
    Figure::new("verify-audit", "piperoll-audit verify, without keys", "events/s", Target::None);
static REBUILD: Figure =
    Figure::new("index-rebuild", "index rebuild", "messages/s", Target::AtLeast(60_000.0));
static INDEX: Figure = Figure::new("index-bytes", "search index", "bytes/message", Target::AtMost(120.0));
static EXPORT: Figure =
    Figure::new("export", "export, JSON lines with proofs", "events/s", Target::AtLeast(60_000.0));

/// The archive and how many messages it has.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) archive: Archive,
    pub(super) messages: u64,
    /// How many parts of [`PART`] messages were sent.
    pub(super) parts: u64,
}

impl Grown {
    /// Fills a new archive in `dir` with at least `events` messages and measures its size.
    ///
    /// # Errors
    ///
    /// Fails when the server does, or when it refuses a message.
    pub(super) fn fill(program: &Path, dir: &Path, events: u64, results: &mut Results) -> Result<Self> {
        say(&format!("filling an archive with {events} messages"));
        let archive = Archive::create(program, dir)?;
        let server = archive.serve()?;
        let load =
            Load { connections: CONNECTIONS, warm_up: Duration::ZERO, measured: Duration::from_secs(3600) };
        let before = flush(dir)?;
        let (mut parts, mut messages, mut elapsed) = (0, 0, Duration::ZERO);
        let shares = events.div_ceil(PART as u64);
        while messages < events {
            for supply in [Supply::messages(parts, PART), state::share(parts, shares)?] {
                let outcome = drive(&server.address, load, &Arc::new(supply), &mut 0)?;
                ensure!(outcome.refused == 0, "expected 200 for every message, found {}", outcome.refusal);
                messages += outcome.stored;
                elapsed += outcome.elapsed;
            }
            parts += 1;
        }
        server.stop()?;
        let rate = per_second(messages, elapsed);
        results.add(&FILL, rate, Some([before, flush(dir)?]));
        results.add(&RECORD, each(archive.record_bytes()?, messages), None);
        results.add(&DERIVED, each(archive.derived_bytes()?, messages), None);
        Ok(Self { archive, messages, parts })
    }

    /// Verifies it: quickly, with every signature, and with the auditor's program.
    ///
    /// # Errors
    ///
    /// Fails when a verification does.
    pub(super) fn verify(&self, audit: &Path, results: &mut Results) -> Result<()> {
        for (figure, arguments) in [(&QUICK, &["verify", "--quick"][..]), (&FULL, &["verify"])] {
            let (elapsed, _) = timed(&mut self.archive.command(arguments))?;
            results.add(figure, per_second(self.messages, elapsed), None);
        }
        let mut command = std::process::Command::new(audit);
        command.arg("verify").arg(self.archive.store()).args(["--vkey", &self.archive.vkey]);
        let (elapsed, _) = timed(&mut command)?;
        results.add(&AUDIT, per_second(self.messages, elapsed), None);
        Ok(())
    }

    /// Builds the search index anew.
    ///
    /// # Errors
    ///
    /// Fails when the command does.
    pub(super) fn rebuild_index(&self, dir: &Path, results: &mut Results) -> Result<()> {
        let before = flush(dir)?;
        let (elapsed, _) = timed(&mut self.archive.command(&["index", "rebuild"]))?;
        let probes = Some([before, flush(dir)?]);
        results.add(&REBUILD, per_second(self.messages, elapsed), probes);
        results.add(&INDEX, each(self.archive.index_bytes()?, self.messages), None);
        Ok(())
    }

    /// Exports every message with its proof.
    ///
    /// # Errors
    ///
    /// Fails when the command does, or when lines are missing.
    pub(super) fn export(&self, dir: &Path, results: &mut Results) -> Result<()> {
        let file = dir.join("export.jsonl");
        let name = file.to_str().context("expected a path of text")?;
        let (elapsed, _) = timed(&mut self.archive.command(&["export", EVERYTHING, "--out", name]))?;
        let lines = count_lines(&file)?;
        ensure!(lines >= self.messages, "expected {} exported events, found {lines}", self.messages);
        results.add(&EXPORT, per_second(lines, elapsed), None);
        fs::remove_file(file)?;
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn each(bytes: u64, messages: u64) -> f64 {
    bytes as f64 / messages as f64
}

fn count_lines(path: &Path) -> Result<u64> {
    use std::io::{BufRead, BufReader};
    let mut reader = BufReader::with_capacity(1 << 20, fs::File::open(path)?);
    let mut lines = 0;
    while reader.skip_until(b'\n')? > 0 {
        lines += 1;
    }
    Ok(lines)
}
