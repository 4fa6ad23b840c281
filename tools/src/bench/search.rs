//! Search latency at the size of the archive: one request at a time for the newest 50 hits, each of which is
//! read again from the store, decrypted and proven before it is answered; the search itself is recorded.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::archive::Server;
use super::figure::{Figure, Results, Target};
use super::grown::Grown;
use super::histogram::Histogram;
use super::http::{Connection, escape, write_request};
use super::probe::flush;
use super::query::Queries;
use super::{millis, now};

pub(super) const HITS_MAX: usize = 50;
/// Every query is asked this often, after once without counting.
const TIMES: usize = 5;
/// One person does not search without end, and a slow answer must not hold up the bench.
const FORM_SECONDS_MAX: u64 = 20;

/// One form of query.
struct Form {
    queries: fn(&Queries) -> &[String],
    /// The time in the index as the server reports it, then the whole request; p50 and p99 of each.
    figures: [Figure; 4],
}

macro_rules! form {
    ($field:ident, $key:literal, $title:literal, $index_ms_max:literal) => {
        Form {
            queries: |queries| &queries.$field,
            figures: [
                ms(concat!("search-", $key, "-index-p50"), concat!($title, ", index, p50"), Target::None)
                    .detail(),
                ms(
                    concat!("search-", $key, "-index-p99"),
                    concat!("search, ", $title, ", index query, p99"),
                    Target::AtMost($index_ms_max),
                ),
                ms(concat!("search-", $key, "-p50"), concat!($title, ", whole request, p50"), Target::None)
                    .detail(),
                ms(
                    concat!("search-", $key, "-p99"),
                    concat!("search, ", $title, ", whole request with 50 hits, p99"),
                    Target::AtMost(15.0),
                ),
            ],
        }
    };
}

static FORMS: [Form; 5] = [
    form!(rare, "rare", "rare word", 3.0),
    form!(phrase, "phrase", "phrase", 3.0),
    form!(both, "and", "two words", 3.0),
    form!(common, "common", "commonest words", 5.0),
    form!(range, "range", "word + number + dates", 7.0),
];

const fn ms(key: &'static str, title: &'static str, target: Target) -> Figure {
    Figure::new(key, title, "ms", target)
}

/// What one request found and how long it took.
#[derive(Debug)]
struct Answer {
    hits: usize,
    complete_to: u64,
    index: Option<Duration>,
    whole: Duration,
}

/// Asks queries of every form.
///
/// # Errors
///
/// Fails when the server does, or when a rare word is not found.
pub(super) fn measure(
    dir: &Path,
    grown: &Grown,
    server: &Server,
    queries: &Queries,
    results: &mut Results,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(&server.address).await?;
        let token = &grown.archive.token;
        wait_for_index(&mut connection, token, grown.messages).await?;
        for form in &FORMS {
            let list = (form.queries)(queries);
            let before = flush(dir)?;
            let (index, whole) = ask_all(&mut connection, token, list).await?;
            let probes = Some([before, flush(dir)?]);
            let [index_p50, index_p99, whole_p50, whole_p99] = &form.figures;
            if index.count() > 0 {
                results.add(index_p50, millis(index.quantile(0.5)), None);
                results.add(index_p99, millis(index.quantile(0.99)), None);
            }
            results.add(whole_p50, millis(whole.quantile(0.5)), None);
            results.add(whole_p99, millis(whole.quantile(0.99)), probes);
        }
        Ok(())
    })
}

async fn ask_all(
    connection: &mut Connection,
    token: &str,
    queries: &[String],
) -> Result<(Histogram, Histogram)> {
    let (mut index, mut whole) = (Histogram::new(), Histogram::new());
    for query in queries {
        let answer = ask(connection, token, query).await?;
        ensure!(answer.hits > 0, "expected hits for `{query}`, found none");
    }
    let begun = now();
    for query in (0..TIMES).flat_map(|_| queries) {
        let answer = ask(connection, token, query).await?;
        whole.record(answer.whole);
        if let Some(elapsed) = answer.index {
            index.record(elapsed);
        }
        if begun.elapsed().as_secs() >= FORM_SECONDS_MAX {
            break;
        }
    }
    Ok((index, whole))
}

/// Prepares a search.
pub(super) fn request(token: &str, query: &str, limit: usize) -> Vec<u8> {
    let mut request = Vec::new();
    let path = format!("/v1/search?q={}&limit={limit}", escape(query));
    let authorization = format!("Bearer {token}");
    write_request(&mut request, "GET", &path, &[("Authorization", &authorization)], b"");
    request
}

async fn ask(connection: &mut Connection, token: &str, query: &str) -> Result<Answer> {
    let request = request(token, query, HITS_MAX);
    let started = now();
    let response = connection.call(&request).await?;
    let whole = started.elapsed();
    let body = String::from_utf8_lossy(&response.body);
    ensure!(response.status == 200, "`{query}` was answered with {}: {body}", response.status);
    let value: Value =
        serde_json::from_str(&body).with_context(|| format!("expected JSON, found `{body}`"))?;
    let hits = value["hits"].as_array().with_context(|| format!("expected `hits`, found `{body}`"))?.len();
    let complete_to = value["complete_to"].as_u64();
    Ok(Answer {
        hits,
        complete_to: complete_to.with_context(|| format!("expected `complete_to`, found `{body}`"))?,
        index: response.header("server-timing").and_then(|timing| duration(timing, "index")),
        whole,
    })
}

/// Waits until every message is searchable.
async fn wait_for_index(connection: &mut Connection, token: &str, messages: u64) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(300);
    let begun = now();
    while ask(connection, token, "kind:whatsapp.message").await?.complete_to < messages {
        ensure!(begun.elapsed() < PATIENCE, "expected the index to catch up within {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// Reads a metric of a `Server-Timing` field (W3C), in milliseconds: `index;dur=1.25, prove;dur=3`.
pub(super) fn duration(timing: &str, name: &str) -> Option<Duration> {
    timing.split(',').find_map(|metric| {
        let mut parts = metric.trim().split(';').map(str::trim);
        let is_named = parts.next() == Some(name);
        let text = parts.find_map(|part| part.strip_prefix("dur="))?;
        let millis: f64 = is_named.then(|| text.parse().ok())??;
        Duration::try_from_secs_f64(millis / 1e3).ok()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn metric_is_found_among_others() {
        let timing = "read;dur=3, index;desc=\"x\";dur=1.25, prove;dur=7";
        assert_eq!(duration(timing, "index"), Some(Duration::from_micros(1250)));
        assert_eq!(duration(timing, "record"), None);
        assert_eq!(duration("index", "index"), None);
        assert_eq!(duration("index;dur=-1", "index"), None);
    }
}
