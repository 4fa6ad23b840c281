//! The peers, in turn with ours in the same rounds.

use std::path::Path;

use anyhow::Result;

use super::figure::{Figure, Results, Target};
use super::postgres::{Postgres, Table};
use super::probe::flush;
use super::sqlite::Sqlite;
use super::{ingest, supply};

/// Where the peers keep their data, below the working directory.
pub(super) const PLACE: &str = "peers";
/// Bodies that SQLite inserts over and over.
const BODIES: usize = 20_000;
const WARM_UP_SECONDS: u64 = 1;

const fn rows(key: &'static str, title: &'static str) -> Figure {
    Figure::new(key, title, "rows/s", Target::None)
}

const fn times(key: &'static str, title: &'static str, target: Target) -> Figure {
    Figure::new(key, title, "times", target)
}

const fn bytes(key: &'static str, title: &'static str) -> Figure {
    Figure::new(key, title, "bytes/row", Target::None)
}

const fn average(key: &'static str, title: &'static str) -> Figure {
    Figure::new(key, title, "ms", Target::None).detail()
}

/// Runs of `pgbench`: table, connections, rate and average latency.
static POSTGRES: [(Table, usize, Figure, Figure); 4] = [
    (
        Table::Chained,
        1,
        rows("postgres-chained-1", "PostgreSQL with hash chain, 1 connection"),
        average("postgres-chained-1-average", "PostgreSQL with hash chain, 1 connection, average"),
    ),
    (
        Table::Chained,
        64,
        rows("postgres-chained-64", "PostgreSQL with hash chain, 64 connections"),
        average("postgres-chained-64-average", "PostgreSQL with hash chain, 64 connections, average"),
    ),
    (
        Table::Plain,
        1,
        rows("postgres-plain-1", "PostgreSQL, plain insert, 1 connection"),
        average("postgres-plain-1-average", "PostgreSQL, plain insert, 1 connection, average"),
    ),
    (
        Table::Plain,
        64,
        rows("postgres-plain-64", "PostgreSQL, plain insert, 64 connections"),
        average("postgres-plain-64-average", "PostgreSQL, plain insert, 64 connections, average"),
    ),
];
static POSTGRES_BYTES: [(Table, Figure); 2] = [
    (Table::Chained, bytes("postgres-chained-bytes", "PostgreSQL with hash chain, stored")),
    (Table::Plain, bytes("postgres-plain-bytes", "PostgreSQL, plain, stored")),
];
static SQLITE: [(usize, Figure); 3] = [
    (1, rows("sqlite-1", "SQLite with FTS5 and hash chain, 1 row a commit")),
    (64, rows("sqlite-64", "SQLite with FTS5 and hash chain, 64 rows a commit")),
    (1_000, rows("sqlite-1000", "SQLite with FTS5 and hash chain, 1,000 rows a commit")),
];
static SQLITE_BYTES: Figure = bytes("sqlite-bytes", "SQLite with FTS5 and hash chain, stored");

/// Ours divided by a peer's, in the same round: ratio, ours, peer.
static RATIOS: [(Figure, &Figure, &Figure); 5] = [
    (
        times(
            "ratio-postgres-chained-64",
            "ours / PostgreSQL with hash chain, 64 connections",
            Target::AtLeast(15.0),
        ),
        &ingest::AT_64.rate,
        &POSTGRES[1].2,
    ),
    (
        times("ratio-postgres-plain-64", "ours / PostgreSQL, plain insert, 64 connections", Target::None),
        &ingest::AT_64.rate,
        &POSTGRES[3].2,
    ),
    (
        times("ratio-postgres-chained-1", "ours / PostgreSQL with hash chain, 1 connection", Target::None),
        &ingest::AT_1.rate,
        &POSTGRES[0].2,
    ),
    (
        times("ratio-sqlite-64", "ours at 64 connections / SQLite, 64 rows a commit", Target::None),
        &ingest::AT_64.rate,
        &SQLITE[1].1,
    ),
    (
        times("ratio-sqlite-1000", "ours, history / SQLite, 1,000 rows a commit", Target::None),
        &ingest::HISTORY.rate,
        &SQLITE[2].1,
    ),
];

/// The peers, ready to run.
#[derive(Debug)]
pub(super) struct Peers {
    postgres: Postgres,
    sqlite: Sqlite,
    sqlite_version: String,
}

impl Peers {
    /// Installs what is absent and starts the servers below `dir`.
    ///
    /// # Errors
    ///
    /// Fails when a peer cannot be installed or started.
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let body = supply::bodies(0, 200).min_by_key(|body| body.len().abs_diff(1_070)).unwrap_or_default();
        let place = dir.join(PLACE);
        let postgres = Postgres::start(&place.join("postgres"), &body)?;
        let sqlite = Sqlite::prepare(&place.join("sqlite"), supply::bodies(0, BODIES))?;
        Ok(Self { postgres, sqlite, sqlite_version: String::new() })
    }

    /// Runs every peer for `seconds` each, and compares with ours of the same round.
    ///
    /// # Errors
    ///
    /// Fails when a peer does.
    pub(super) fn round(&mut self, dir: &Path, seconds: u64, results: &mut Results) -> Result<()> {
        for (table, connections, rate, latency) in &POSTGRES {
            self.postgres.insert(*table, *connections, WARM_UP_SECONDS)?;
            let before = flush(dir)?;
            let found = self.postgres.insert(*table, *connections, seconds)?;
            results.add(rate, found.rows_per_second, Some([before, flush(dir)?]));
            results.add(latency, found.latency_average_ms, None);
        }
        for (table, figure) in &POSTGRES_BYTES {
            results.add(figure, self.postgres.bytes_per_row(*table)?, None);
        }
        for (rows_each, figure) in &SQLITE {
            let before = flush(dir)?;
            let found = self.sqlite.insert(*rows_each, seconds)?;
            results.add(figure, found.rows_per_second, Some([before, flush(dir)?]));
            self.sqlite_version = found.version;
            if *rows_each == 64 {
                results.add(&SQLITE_BYTES, found.bytes_per_row, None);
            }
        }
        for (ratio, ours, peer) in &RATIOS {
            results.add_ratio(ratio, ours, peer);
        }
        Ok(())
    }

    /// Says what was compared and how.
    pub(super) fn notes(&self) -> Vec<String> {
        vec![
            format!(
                "PostgreSQL {} from Debian, its own cluster, `fsync` on, driven by `pgbench -M prepared` over a \
                 socket; one body a transaction, of about 1,070 bytes; the chain is a trigger under an advisory lock.",
                self.postgres.version
            ),
            format!(
                "SQLite {} from Python, in one process and without HTTP, WAL with `synchronous=FULL`; bodies are \
                 parsed before the clock starts.",
                self.sqlite_version
            ),
        ]
    }
}
