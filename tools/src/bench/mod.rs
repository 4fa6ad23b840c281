//! `cargo xt bench`: release builds of our programs as separate processes, measured over HTTP and the command
//! line, beside peers that are measured in the same rounds.
//!
//! Nothing is switched off for it: every event is signed, encrypted, chained, checked for repeats, indexed and
//! flushed before it is acknowledged. The load generator shares the cores with the server.

mod archive;
mod bucket;
mod figure;
mod grown;
mod histogram;
mod http;
mod ingest;
mod load;
mod machine;
mod media;
mod memory;
mod peers;
mod postgres;
mod probe;
pub(crate) mod process;
mod query;
mod report;
mod search;
mod sqlite;
mod state;
mod supply;
mod year;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::repository::say;
use figure::Results;
use grown::Grown;
use ingest::Supplies;
use machine::Machine;
use peers::Peers;
use query::Queries;
use report::Conditions;

/// Arguments of `cargo xt bench`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Messages in the archive that is verified, searched and exported; the targets are meant for 1000000
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Fill that archive with a year of 50 numbers and everything that goes with their messages; with `--only state`
    #[arg(long, requires = "only")]
    year: bool,
    /// How long each load lasts, without its warm-up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Measure only these
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// Measure on this bucket, `s3://bucket/prefix`, instead of a directory; `s3` starts a service for it on loopback
    #[arg(long, value_name = "STORE", conflicts_with_all = ["only", "peers"])]
    store: Option<String>,
    /// Address of the bucket's service, when it is not AWS
    #[arg(long, value_name = "URL", requires = "store")]
    endpoint: Option<String>,
    /// Measure PostgreSQL and SQLite in the same rounds; installs them where absent
    #[arg(long)]
    peers: bool,
    /// Write everything to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Work in this directory, which must not exist, and leave the big archive there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The date in the report [default: today]
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

/// What can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One message a POST, over 1, 64 and 256 connections
    Ingest,
    /// 1,000 messages a POST
    History,
    /// `verify`, quickly and with every signature
    Verify,
    /// `index rebuild`
    Index,
    /// Latency of searches
    Search,
    /// `export`
    Export,
    /// Projections made anew; conversations, consents and templates
    State,
    /// Memory while ingesting and searching
    Memory,
    /// Attachments fetched from a platform on loopback
    Media,
}

/// Runs the task. A build for development measures nothing: it builds itself for release and hands over.
///
/// # Errors
///
/// Fails when a program cannot be built or started, or answers other than it should.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        let [program] = archive::build(&["tools"], ["tools"])?;
        let status = Command::new(&program).args(std::env::args_os().skip(1)).status();
        let status = status.with_context(|| format!("cannot start `{}`", program.display()))?;
        if !status.success() {
            say(&format!("the release build of the bench ended with {status}"));
            return Ok(ExitCode::FAILURE);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let temporary;
    let dir = match &arguments.keep {
        Some(dir) => {
            fs::create_dir(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
            dir.canonicalize()?
        }
        None => {
            temporary = tempfile::Builder::new().prefix("piperoll-bench-").tempdir()?;
            temporary.path().to_owned()
        }
    };
    // The user that PostgreSQL runs as has to get through.
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
    let code = measure(arguments, &dir)?;
    for place in [ingest::PLACE, peers::PLACE, probe::PLACE].map(|place| dir.join(place)) {
        if place.exists() {
            fs::remove_dir_all(place)?;
        }
    }
    Ok(code)
}

fn measure(arguments: &Arguments, dir: &Path) -> Result<ExitCode> {
    let machine = Machine::read(dir);
    ensure!(
        !machine.stores_in_memory(),
        "`{}` is in memory, where flushes cost nothing: name a directory on a disk with --keep",
        dir.display()
    );
    say(&machine.line());
    let programs = archive::build(&["piperoll-cli", "piperoll-audit"], ["piperoll", "piperoll-audit"])?;
    let mut results = Results::default();
    if let Some(store) = &arguments.store {
        bucket::warn(store);
        let place = bucket::Place::open(store, arguments.endpoint.as_deref())?;
        for round in 1..=arguments.rounds {
            say(&format!("round {round} of {}: bucket", arguments.rounds));
            bucket::round(arguments, dir, &programs, &place, &mut results)?;
        }
        let notes = vec![bucket::NOTE.to_owned()];
        return finish(arguments, Conditions { notes, ..conditions(arguments, machine) }, &results);
    }
    let mut peers = arguments.peers.then(|| Peers::start(dir)).transpose()?;
    measure_rounds(arguments, dir, &programs[0], peers.as_mut(), &mut results)?;
    if arguments.wants(Part::Media) {
        for round in 1..=arguments.rounds {
            say(&format!("round {round} of {}: attachments", arguments.rounds));
            media::round(&programs[0], dir, &mut results)?;
        }
    }
    let peer_notes = peers.as_ref().map_or_else(Vec::new, Peers::notes);
    drop(peers);
    measure_grown(arguments, dir, &programs, &mut results)?;
    let conditions = Conditions { peers: peer_notes, ..conditions(arguments, machine) };
    finish(arguments, conditions, &results)
}

fn conditions(arguments: &Arguments, machine: Machine) -> Conditions {
    Conditions {
        date: arguments.date.clone().unwrap_or_else(today),
        machine,
        rounds: arguments.rounds,
        events: arguments.events,
        seconds: arguments.seconds,
        peers: Vec::new(),
        notes: notes(arguments),
    }
}

fn finish(arguments: &Arguments, conditions: Conditions, results: &Results) -> Result<ExitCode> {
    if let Some(path) = &arguments.json {
        report::write_json(path, &conditions, results)?;
    }
    say("");
    say(&report::markdown(&conditions, results));
    Ok(ExitCode::SUCCESS)
}

/// Measures ingest, and the peers in turn with it.
fn measure_rounds(
    arguments: &Arguments,
    dir: &Path,
    program: &Path,
    mut peers: Option<&mut Peers>,
    results: &mut Results,
) -> Result<()> {
    let (messages, history) = (arguments.wants(Part::Ingest), arguments.wants(Part::History));
    if !messages && !history && peers.is_none() {
        return Ok(());
    }
    let supplies = Supplies::prepare(messages, history, arguments.seconds);
    for round in 1..=arguments.rounds {
        say(&format!("round {round} of {}: ingest", arguments.rounds));
        ingest::round(program, dir, &supplies, arguments.seconds, results)?;
        if let Some(peers) = &mut peers {
            say(&format!("round {round} of {}: peers", arguments.rounds));
            peers.round(dir, arguments.seconds, results)?;
        }
    }
    Ok(())
}

/// Measures what needs an archive of some size.
fn measure_grown(
    arguments: &Arguments,
    dir: &Path,
    [program, audit]: &[PathBuf; 2],
    results: &mut Results,
) -> Result<()> {
    let reading = [Part::Verify, Part::Index, Part::Search, Part::Export, Part::State, Part::Memory];
    if !reading.into_iter().any(|part| arguments.wants(part)) {
        return Ok(());
    }
    let place = dir.join("archive");
    let mut grown = if arguments.year {
        ensure!(arguments.only == [Part::State], "expected `--year` with `--only state` alone");
        year::fill(program, &place, arguments.events, results)?
    } else {
        Grown::fill(program, &place, arguments.events, results)?
    };
    let queries = Queries::choose(grown.parts, grown::PART)?;
    let asked = arguments.wants(Part::State).then(|| state::prepare(&grown)).transpose()?;
    for round in 1..=arguments.rounds {
        say(&format!("round {round} of {}: {} messages", arguments.rounds, grown.messages));
        if arguments.wants(Part::Verify) {
            grown.verify(audit, results)?;
        }
        if arguments.wants(Part::Index) {
            grown.rebuild_index(dir, results)?;
        }
        if arguments.wants(Part::Export) {
            grown.export(dir, results)?;
        }
        if arguments.wants(Part::Search) {
            let server = grown.archive.serve()?;
            search::measure(dir, &grown, &server, &queries, results)?;
            server.stop()?;
        }
        if let Some(asked) = &asked {
            state::measure(dir, &grown, asked, results)?;
        }
        if arguments.wants(Part::Memory) {
            let server = grown.archive.serve()?;
            memory::measure(&mut grown, &server, &queries, arguments.seconds, results)?;
            server.stop()?;
        }
    }
    Ok(())
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn notes(arguments: &Arguments) -> Vec<String> {
    if arguments.year {
        return vec![year::NOTE.to_owned()];
    }
    vec![
        format!(
            "Every acknowledgement is after the flush. Loads last {} s after 1 s of warm-up, each on a new archive; \
             the load generator shares the cores with the server, over loopback.",
            arguments.seconds
        ),
        format!(
            "Sizes, verify, index, search, export and memory are those of an archive of {} messages, sent one a POST \
             over 64 connections; its files were in the page cache. Commands are timed as processes, with their start.",
            arguments.events
        ),
        format!(
            "Conversations are 20 of {} messages, spread over the whole archive; consents and templates were handed in \
             after it was filled. Projections alone are timed by the server; making them anew reads and decrypts every \
             event, and is timed from the start of the process.",
            state::PAGE
        ),
        "Bodies are about 1,070 bytes with about 96 bytes of generated text in ten languages, which compresses and \
         searches more evenly than what people write. A search answers the newest 50 hits, each re-read, decrypted \
         and proven, and is itself recorded and flushed."
            .to_owned(),
    ]
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the report says when it was made")]
fn today() -> String {
    chrono::Utc::now().format("%Y-%m-%d").to_string()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
