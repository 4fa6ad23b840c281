//! The archive on a bucket under Object Lock: ingest, cold rebuild, verification, and what it all costs in requests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{ClientOptions, HttpConnector, HttpRequestBody, ReqwestConnector};
use serde_json::Value;

use super::archive::{Archive, Bucket};
use super::figure::{Figure, Results, Target};
use super::grown::per_second;
use super::load::{Load, drive};
use super::millis;
use super::process::{timed, wait_until};
use super::supply::Supply;
use super::{Arguments, now};
use crate::repository::say;
use crate::s3::Service;

/// What the report says about the figures.
pub(super) const NOTE: &str = "An acknowledgement is after the PUT of the segment. Client, server and, on loopback, the \
    S3 service share the cores. A cold rebuild is `piperoll restore --no-snapshot` as a process, with its probe of the \
    store; a cold start is `piperoll restore`, which makes the writer's state from the ledger all the same.";

/// Snapshots come every few hours and would count as requests of the load.
const WITHOUT_SNAPSHOTS: [(&str, &str); 1] = [("PIPEROLL_SNAPSHOT_ENABLED", "false")];

/// How long the first snapshot may take.
const SNAPSHOT_MAX: Duration = Duration::from_secs(300);

/// What `--store` says for a service that the bench starts itself.
pub(super) const OWN_SERVICE: &str = "s3";

/// The bucket in that service.
const OWN_BUCKET: &str = "piperoll-bench";

/// Messages that are prepared at a time while an archive is filled.
const PART: usize = 20_000;

/// Requests that are prepared for each second; more than a bucket takes.
const REQUESTS_PER_SECOND_MAX: usize = 12_000;

const WARM_UP: Duration = Duration::from_secs(1);

/// Longer than any part takes: a load ends when its supply does.
const NO_END: Duration = Duration::from_secs(3_600);

/// One load on the bucket.
#[derive(Debug)]
struct Phase {
    connections: usize,
    rate: Figure,
    p50: Figure,
    p99: Figure,
    puts: Figure,
}

static PHASES: [Phase; 3] = [
    Phase {
        connections: 1,
        rate: rate("bucket-ingest-1", "bucket: ingest, 1 message a POST, 1 connection", Target::None),
        p50: latency("bucket-ingest-1-p50", "bucket: ingest, 1 connection, p50", Target::None),
        p99: latency("bucket-ingest-1-p99", "bucket: ingest, 1 connection, p99", Target::None),
        puts: puts("bucket-puts-1", "bucket: PUTs per 1,000 events, 1 connection", Target::None),
    },
    Phase {
        connections: 64,
        rate: rate(
            "bucket-ingest-64",
            "bucket: ingest, 1 message a POST, 64 connections",
            Target::AtLeast(2_000.0),
        ),
        p50: latency("bucket-ingest-64-p50", "bucket: ingest, 64 connections, p50", Target::None),
        p99: latency("bucket-ingest-64-p99", "bucket: ingest, 64 connections, p99", Target::AtMost(500.0)),
        puts: puts("bucket-puts-64", "bucket: PUTs per 1,000 events, 64 connections", Target::AtMost(40.0)),
    },
    Phase {
        connections: 256,
        rate: rate("bucket-ingest-256", "bucket: ingest, 1 message a POST, 256 connections", Target::None),
        p50: latency("bucket-ingest-256-p50", "bucket: ingest, 256 connections, p50", Target::None),
        p99: latency("bucket-ingest-256-p99", "bucket: ingest, 256 connections, p99", Target::None),
        puts: puts("bucket-puts-256", "bucket: PUTs per 1,000 events, 256 connections", Target::None),
    },
];

static MEMORY: Figure = Figure::new(
    "bucket-memory",
    "bucket: resident memory while ingesting, peak",
    "MB",
    Target::AtMost(400.0),
);
static REBUILD: Figure = Figure::new(
    "bucket-rebuild",
    "bucket: cold rebuild of state and index",
    "messages/s",
    Target::AtLeast(50_000.0),
);
static FROM_SNAPSHOT: Figure =
    Figure::new("bucket-from-snapshot", "bucket: cold start from a snapshot", "messages/s", Target::None);
static VERIFY: Figure =
    Figure::new("bucket-verify", "bucket: verification by the auditor's program", "events/s", Target::None);
static MILLION_PUTS: Figure =
    Figure::new("bucket-million-puts", "bucket: PUT a million events", "requests", Target::None);
static MILLION_GETS: Figure =
    Figure::new("bucket-million-gets", "bucket: GET and HEAD a million events", "requests", Target::None);
static MILLION_BYTES: Figure =
    Figure::new("bucket-million-bytes", "bucket: stored a million events", "MB", Target::None);
static REBUILD_GETS: Figure = Figure::new(
    "bucket-rebuild-gets",
    "bucket: GET and HEAD of a cold rebuild of a million events",
    "requests",
    Target::None,
);

const fn rate(key: &'static str, title: &'static str, target: Target) -> Figure {
    Figure::new(key, title, "events/s", target)
}

const fn latency(key: &'static str, title: &'static str, target: Target) -> Figure {
    Figure::new(key, title, "ms", target)
}

const fn puts(key: &'static str, title: &'static str, target: Target) -> Figure {
    Figure::new(key, title, "requests", target)
}

/// A bucket for the bench, and the service behind it if that is the bench's own.
#[derive(Debug)]
pub(super) struct Place {
    writer: Bucket,
    /// The same with rights to read only, where there are such.
    reader: Bucket,
    _service: Option<Service>,
}

impl Place {
    /// Takes the bucket that was named, or starts a service.
    ///
    /// # Errors
    ///
    /// Fails when the service cannot be started.
    pub(super) fn open(store: &str, endpoint: Option<&str>) -> Result<Self> {
        if store != OWN_SERVICE {
            ensure!(
                store.starts_with("s3://"),
                "expected `--store s3` or `s3://bucket/prefix`, found `{store}`"
            );
            let bucket = Bucket {
                url: store.trim_end_matches('/').to_owned(),
                endpoint: endpoint.map(str::to_owned),
                environment: Vec::new(),
            };
            return Ok(Self { reader: bucket.clone(), writer: bucket, _service: None });
        }
        let service = Service::start()?;
        let told: BTreeMap<String, String> = service.environment().into_iter().collect();
        let endpoint = told["PIPEROLL_S3_ENDPOINT"].clone();
        let identity = |name: &str| {
            vec![
                ("AWS_ACCESS_KEY_ID".to_owned(), told[&format!("PIPEROLL_S3_{name}_KEY")].clone()),
                ("AWS_SECRET_ACCESS_KEY".to_owned(), told[&format!("PIPEROLL_S3_{name}_SECRET")].clone()),
            ]
        };
        make_bucket(&endpoint, &told["PIPEROLL_S3_ADMIN_KEY"], &told["PIPEROLL_S3_ADMIN_SECRET"])?;
        let bucket = |name| Bucket {
            url: format!("s3://{OWN_BUCKET}"),
            endpoint: Some(endpoint.clone()),
            environment: identity(name),
        };
        Ok(Self { writer: bucket("WRITER"), reader: bucket("READER"), _service: Some(service) })
    }
}

/// Makes the bucket with locks.
fn make_bucket(endpoint: &str, key: &str, secret: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(true))?;
        let mut request = http::Request::builder()
            .method("PUT")
            .uri(format!("{endpoint}/{OWN_BUCKET}"))
            .header("x-amz-bucket-object-lock-enabled", "true")
            .header("content-length", 0)
            .body(HttpRequestBody::from(Vec::new()))?;
        let credential = AwsCredential { key_id: key.to_owned(), secret_key: secret.to_owned(), token: None };
        AwsAuthorizer::new(&credential, "s3", "us-east-1").try_authorize(&mut request, None)?;
        let status = client.execute(request).await?.status();
        ensure!(status.is_success(), "expected a new bucket from the service, found {status}");
        Ok(())
    })
}

/// Requests that a process made, as it says at its end.
#[derive(Debug, Clone, Copy)]
struct Requests {
    puts: u64,
    reads: u64,
    put_bytes: u64,
}

impl Requests {
    fn of(value: &Value) -> Result<Self> {
        let count = |name: &str| {
            value[name]
                .as_u64()
                .with_context(|| format!("expected `{name}` among the requests, found `{value}`"))
        };
        Ok(Self {
            puts: count("puts")?,
            reads: count("gets")? + count("heads")? + count("lists")?,
            put_bytes: count("put_bytes")?,
        })
    }

    /// Finds the last line of a log in JSON that tells them.
    fn in_log(path: &Path) -> Result<Self> {
        let log = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = lines.into_iter().find(|line| line["message"] == "store requests");
        Self::of(&told.context("expected a line about store requests in the server's log, found none")?)
    }
}

/// Runs everything once.
///
/// # Errors
///
/// Fails when a program does.
pub(super) fn round(
    arguments: &Arguments,
    dir: &Path,
    [program, audit]: &[PathBuf; 2],
    place: &Place,
    results: &mut Results,
) -> Result<()> {
    let span = usize::try_from(arguments.seconds + WARM_UP.as_secs()).unwrap_or(usize::MAX);
    let supply = Arc::new(Supply::messages(0, REQUESTS_PER_SECOND_MAX * span));
    for phase in &PHASES {
        ingest(phase, &create(program, dir, place)?, &supply, arguments.seconds, results)?;
    }
    rebuild_and_verify(arguments.events, &create(program, dir, place)?, audit, place, results)
}

fn create(program: &Path, dir: &Path, place: &Place) -> Result<Archive> {
    let path = (1..).map(|number| dir.join(format!("bucket-{number}"))).find(|path| !path.exists());
    Archive::create_in(program, &path.context("expected a free name")?, &place.writer)
}

fn ingest(
    phase: &'static Phase,
    archive: &Archive,
    supply: &Arc<Supply>,
    seconds: u64,
    results: &mut Results,
) -> Result<()> {
    let server = archive.serve_with(&WITHOUT_SNAPSHOTS)?;
    let load =
        Load { connections: phase.connections, warm_up: WARM_UP, measured: Duration::from_secs(seconds) };
    let outcome = drive(&server.address, load, supply, &mut 0)?;
    results.add(&phase.rate, outcome.rate(), None);
    results.add(&phase.p50, millis(outcome.latency.quantile(0.5)), None);
    results.add(&phase.p99, millis(outcome.latency.quantile(0.99)), None);
    results.add(&MEMORY, server.memory()?.peak, None);
    server.stop()?;
    let requests = Requests::in_log(&archive.log())?;
    results.add(&phase.puts, each(requests.puts, outcome.stored, 1e3), None);
    if phase.connections == 64 {
        results.add(&MILLION_PUTS, each(requests.puts, outcome.stored, 1e6), None);
        results.add(&MILLION_GETS, each(requests.reads, outcome.stored, 1e6), None);
        results.add(&MILLION_BYTES, each(requests.put_bytes, outcome.stored, 1e6) / 1e6, None);
    }
    Ok(())
}

/// Fills an archive, brings it back on an empty disk, and has it verified by somebody who may only read.
fn rebuild_and_verify(
    events: u64,
    archive: &Archive,
    audit: &Path,
    place: &Place,
    results: &mut Results,
) -> Result<()> {
    let server = archive.serve_with(&WITHOUT_SNAPSHOTS)?;
    let mut stored = 0;
    let mut part = 0;
    while stored < events {
        let left = usize::try_from(events - stored).unwrap_or(usize::MAX);
        let supply = Arc::new(Supply::messages(part, left.min(PART)));
        let load = Load { connections: 256, warm_up: Duration::ZERO, measured: NO_END };
        stored += drive(&server.address, load, &supply, &mut 0)?.stored;
        part += 1;
    }
    results.add(&MEMORY, server.memory()?.peak, None);
    server.stop()?;
    let (restored, rebuilt, took) = restore(archive, &["restore", "--json", "--no-snapshot"], "ledger")?;
    results.add(&REBUILD, per_second(rebuilt, took), None);
    let requests = Requests::of(&restored["requests"])?;
    results.add(&REBUILD_GETS, each(requests.reads, rebuilt, 1e6), None);
    take_snapshot(archive)?;
    let (_, events, took) = restore(archive, &["restore", "--json"], "snapshot")?;
    results.add(&FROM_SNAPSHOT, per_second(events, took), None);
    let started = now();
    let _report = super::process::output(&mut archive.audit(audit, &place.reader))?;
    results.add(&VERIFY, per_second(rebuilt, started.elapsed()), None);
    Ok(())
}

/// Brings an archive back on an empty disk; returns what the command said, how many events came, and what it took.
fn restore(archive: &Archive, arguments: &[&str], source: &str) -> Result<(Value, u64, Duration)> {
    archive.forget_derived()?;
    let (took, said) = timed(&mut archive.command(arguments))?;
    let restored: Value =
        serde_json::from_str(&said).with_context(|| format!("expected JSON, found `{said}`"))?;
    let events = restored["events"].as_u64().context("expected `events` from restore")?;
    ensure!(
        restored["index"]["from"] == source,
        "expected the index to come from the {source}, found `{said}`"
    );
    Ok((restored, events, took))
}

/// Has a server take a snapshot of everything.
fn take_snapshot(archive: &Archive) -> Result<()> {
    let server = archive.serve_with(&[("PIPEROLL_SNAPSHOT_EVERY_EVENTS", "1000")])?;
    let log = archive.log();
    let is_taken = || fs::read_to_string(&log).is_ok_and(|text| text.contains("is in the store"));
    ensure!(
        wait_until(SNAPSHOT_MAX, is_taken),
        "expected a snapshot in the log `{}`, found none",
        log.display()
    );
    server.stop()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn each(count: u64, events: u64, scale: f64) -> f64 {
    count as f64 * scale / events as f64
}

/// Says what is left behind in a bucket that is not the bench's own.
pub(super) fn warn(store: &str) {
    if store != OWN_SERVICE {
        say(&format!(
            "objects below `{store}` are locked in governance mode for years: remove them with the right to bypass"
        ));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::Requests;

    #[test]
    fn requests_are_read_from_the_last_line_of_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let line = |puts: u64| {
            format!(
                r#"{{"level":"INFO","message":"store requests","puts":{puts},"gets":2,"heads":3,"lists":4,"put_bytes":5}}"#
            )
        };
        std::fs::write(&path, format!("no json\n{}\n{}\n{{}}\n", line(1), line(7))).unwrap();
        let found = Requests::in_log(&path).unwrap();
        assert_eq!((found.puts, found.reads, found.put_bytes), (7, 9, 5));
        std::fs::write(&path, "{}").unwrap();
        assert!(Requests::in_log(&path).is_err());
    }
}
