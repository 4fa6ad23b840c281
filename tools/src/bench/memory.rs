//! Memory of the server on the big archive while messages arrive and somebody searches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::archive::Server;
use super::figure::{Figure, Results, Target};
use super::grown::{Grown, PART};
use super::http::Connection;
use super::load::{Load, drive};
use super::query::Queries;
use super::search::{HITS_MAX, request};
use super::supply::Supply;

static PEAK: Figure = Figure::new(
    "memory-peak",
    "resident memory while ingesting and searching, peak",
    "MB",
    Target::AtMost(400.0),
);
static ANONYMOUS: Figure =
    Figure::new("memory-anonymous", "of it not mapped files, at the end", "MB", Target::None);

/// Sends new messages over 64 connections and searches over one at the same time.
///
/// # Errors
///
/// Fails when the server does.
pub(super) fn measure(
    grown: &mut Grown,
    server: &Server,
    queries: &Queries,
    seconds: u64,
    results: &mut Results,
) -> Result<()> {
    let supply = Arc::new(Supply::messages(grown.parts, PART));
    let load = Load { connections: 64, warm_up: Duration::ZERO, measured: Duration::from_secs(seconds) };
    let is_over = AtomicBool::new(false);
    let requests: Vec<Vec<u8>> =
        [&queries.rare, &queries.phrase, &queries.both, &queries.common, &queries.range]
            .into_iter()
            .flatten()
            .map(|query| request(&grown.archive.token, query, HITS_MAX))
            .collect();
    let (outcome, searches) = thread::scope(|scope| {
        let searcher = scope.spawn(|| search_until(&is_over, &server.address, &requests));
        let outcome = drive(&server.address, load, &supply, &mut 0);
        is_over.store(true, Ordering::Relaxed);
        (outcome, searcher.join())
    });
    let stored = outcome?.stored;
    searches.map_err(|_| anyhow!("the searching thread panicked"))??;
    grown.messages += stored;
    grown.parts += 1;
    let memory = server.memory()?;
    results.add(&PEAK, memory.peak, None);
    results.add(&ANONYMOUS, memory.anonymous, None);
    Ok(())
}

fn search_until(is_over: &AtomicBool, address: &str, requests: &[Vec<u8>]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        for request in requests.iter().cycle() {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let status = connection.status(request).await?;
            ensure!(status == 200, "a search was answered with {status}");
        }
        Ok(())
    })
}
