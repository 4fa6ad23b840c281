//! Attachments: how fast the server fetches what messages name, from the question where it is until the event that
//! says it is captured is committed.
//!
//! The platform is a server in this process on loopback, so that what it costs shares the cores as well. Everything is
//! checked as ever: digests, encryption, chain, signatures, flushes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::archive::{Archive, Server};
use super::figure::{Figure, Results, Target};
use super::http::{Connection, write_request};
use super::now;
use super::probe::flush;
use super::process::wait_until;
use super::supply::Supply;

/// Where the archive is, in the working directory.
pub(super) const PLACE: &str = "media";

/// Attachments of one round.
const FILES: usize = 40;

/// The size of each: a film as people send it.
const FILE_BYTES: usize = 25_000_000;

/// Business numbers that they are for.
const NUMBERS: usize = 4;

/// A server that takes longer does not work.
const CAPTURED_WITHIN: Duration = Duration::from_secs(300);

static RATE: Figure = Figure::new(
    "media-rate",
    "attachments of 25 MB fetched, checked, encrypted, flushed and committed",
    "MB/s",
    Target::AtLeast(200.0),
);
static PEAK: Figure =
    Figure::new("media-memory-peak", "resident memory meanwhile, peak", "MB", Target::AtMost(500.0));
static DISK: Figure = Figure::new(
    "media-disk-rate",
    "the same bytes written and flushed by `dd` alone, a file each",
    "MB/s",
    Target::None,
);
static PROCESSORS: Figure =
    Figure::new("media-processor-time", "processor time of the server for 1 GB", "s", Target::None);

/// Fetches everything once, on a new archive.
///
/// # Errors
///
/// Fails when the server does, or does not fetch everything.
pub(super) fn round(program: &Path, dir: &Path, results: &mut Results) -> Result<()> {
    let place = dir.join(PLACE);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    let platform = Platform::start()?;
    let archive = Archive::create(program, &place)?;
    let host = &platform.host;
    let server = archive.serve_with(&[
        ("PIPEROLL_GRAPH_BASE_URL", &format!("http://{host}")),
        ("PIPEROLL_GRAPH_TOKEN", "bench-graph-token"),
        ("PIPEROLL_GRAPH_MEDIA_HOSTS", host),
    ])?;
    let supply = Supply::sign((0..FILES).map(|file| webhook(file, &platform.sha256)), 1);
    let before = flush(dir)?;
    let (used, started) = (server.processor_time()?, now());
    deliver(&server.address, &supply)?;
    let token = &archive.token;
    let is_done = || captured(&server, token).is_ok_and(|captured| captured >= FILES as u64);
    ensure!(wait_until(CAPTURED_WITHIN, is_done), "{FILES} attachments were not captured in time");
    let took = started.elapsed();
    let used = server.processor_time()?.saturating_sub(used);
    let probes = Some([before, flush(dir)?]);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let megabytes = (FILES * FILE_BYTES) as f64 / 1e6;
    results.add(&RATE, megabytes / took.as_secs_f64(), probes);
    results.add(&PEAK, server.memory()?.peak, None);
    results.add(&PROCESSORS, used.as_secs_f64() * 1e3 / megabytes, None);
    let took = write_alone(dir)?;
    results.add(&DISK, megabytes / took.as_secs_f64(), None);
    server.stop()?;
    fs::remove_dir_all(&place)?;
    Ok(())
}

/// Writes as many bytes as are fetched with nothing else to do, past the page cache as the directory store does, and
/// returns how long that takes.
fn write_alone(dir: &Path) -> Result<Duration> {
    let place = dir.join("media-disk");
    fs::create_dir(&place)?;
    let source = place.join("source");
    fs::write(&source, incompressible(FILE_BYTES))?;
    let started = now();
    for file in 0..FILES {
        let mut dd = Command::new("dd");
        let _ = dd
            .arg(format!("if={}", source.display()))
            .arg(format!("of={}", place.join(file.to_string()).display()));
        let _ = dd.args(["bs=4M", "oflag=direct", "conv=fsync", "status=none"]);
        ensure!(dd.status().context("cannot start `dd`")?.success(), "`dd` failed");
    }
    let took = started.elapsed();
    fs::remove_dir_all(&place)?;
    Ok(took)
}

/// A message with a film.
#[expect(clippy::disallowed_methods, reason = "`json!` unwraps what it makes of texts and numbers")]
fn webhook(file: usize, sha256: &str) -> Vec<u8> {
    let number = format!("10000000000{}", file % NUMBERS);
    let from = format!("1555010{file:04}");
    let video = json!({"id": format!("9{file:06}"), "mime_type": "video/mp4", "sha256": sha256});
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550199", "phone_number_id": number},
        "contacts": [{"profile": {"name": "A customer"}, "wa_id": from}],
        "messages": [{"from": from, "id": format!("wamid.bench{file}"), "timestamp": "1795260000",
            "type": "video", "video": video}]});
    let change = json!({"field": "messages", "value": value});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1022", "changes": [change]}]});
    body.to_string().into_bytes()
}

fn deliver(address: &str, supply: &Supply) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        for request in (0..supply.len()).filter_map(|position| supply.get(position)) {
            let status = connection.status(request).await?;
            ensure!(status == 200, "a webhook was answered with {status}");
        }
        Ok(())
    })
}

/// Asks how many attachments are captured.
fn captured(server: &Server, token: &str) -> Result<u64> {
    let mut request = Vec::new();
    let authorization = format!("Bearer {token}");
    write_request(&mut request, "GET", "/metrics", &[("Authorization", &authorization)], b"");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(&server.address).await?;
        let metrics = String::from_utf8(connection.call(&request).await?.body)?;
        let line = metrics.lines().find_map(|line| line.strip_prefix("piperoll_media_captured_total "));
        line.context("expected a count of captured attachments")?.parse().context("expected a number")
    })
}

/// As much of the Graph API as a fetcher asks for: where an attachment is, and its bytes.
struct Platform {
    host: String,
    sha256: String,
}

impl Platform {
    /// Listens until the process ends.
    fn start() -> Result<Self> {
        let bytes = Arc::new(incompressible(FILE_BYTES));
        let sha256: String = Sha256::digest(&*bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
        let host = listener.local_addr()?.to_string();
        let platform = Self { host: host.clone(), sha256: sha256.clone() };
        drop(thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (bytes, host, sha256) = (bytes.clone(), host.clone(), sha256.clone());
                // A connection that breaks off is the server's affair, which asks again.
                drop(thread::spawn(move || answer_all(stream, &bytes, &host, &sha256)));
            }
        }));
        Ok(platform)
    }
}

#[expect(clippy::disallowed_methods, reason = "`json!` unwraps what it makes of texts and numbers")]
fn answer_all(stream: TcpStream, bytes: &[u8], host: &str, sha256: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        while line.trim_end() != "" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        let id = path.rsplit('/').next().unwrap_or_default();
        if path.starts_with("/media/") {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            );
            writer.write_all(head.as_bytes())?;
            writer.write_all(bytes)?;
        } else {
            let about = json!({"messaging_product": "whatsapp", "id": id, "mime_type": "video/mp4",
                "url": format!("http://{host}/media/{id}"), "sha256": sha256, "file_size": bytes.len()});
            let about = about.to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            write!(writer, "{head}Content-Length: {}\r\n\r\n{about}", about.len())?;
        }
    }
}

/// Bytes without any order (`SplitMix64`).
fn incompressible(length: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::{Connection, Platform, incompressible, write_request};

    #[test]
    fn nothing_makes_the_bytes_smaller() {
        let bytes = incompressible(100_001);
        assert_eq!(bytes.len(), 100_001);
        assert!(zstd::bulk::compress(&bytes, 3).unwrap().len() >= bytes.len());
    }

    #[tokio::test]
    async fn platform_says_where_it_is_and_gives_it() {
        let platform = Platform::start().unwrap();
        let mut connection = Connection::open(&platform.host).await.unwrap();
        for (path, expected) in
            [("/v24.0/9000001?phone_number_id=1", "/media/9000001\""), ("/media/9000001", "")]
        {
            let mut request = Vec::new();
            write_request(&mut request, "GET", path, &[], b"");
            let answer = connection.call(&request).await.unwrap();
            assert_eq!(answer.status, 200);
            if expected.is_empty() {
                assert_eq!(answer.body.len(), super::FILE_BYTES);
            } else {
                assert!(String::from_utf8(answer.body).unwrap().contains(expected));
            }
        }
    }
}
