//! Goal: an attachment of any size passes with bounded memory.
//! Method: a real server fetches 100 MB from a platform on loopback and gives them back; the kernel says how much memory
//! it had at most.

use piperoll_tests::{FakeGraph, GRAPH_TOKEN, GRAPH_VERSION, Running, command, noise, piperoll, until};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A server in good order has about 150 MB; with the whole attachment in memory it would have 250.
const PEAK_MAX_KB: u64 = 220_000;

const BYTES: usize = 100_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn hundred_megabytes_pass_with_bounded_memory() {
    let graph = FakeGraph::start().await;
    let bytes = noise(BYTES, 9);
    let expected = Sha256::digest(&bytes);
    graph.add_media("900", "video/mp4", bytes);
    let (peak, digest) = fetch_and_read(&graph).await;
    assert_eq!(digest, expected.as_slice(), "what comes back is what was fetched");
    assert!(peak < PEAK_MAX_KB, "{peak} kB");
}

/// Runs a server that fetches the attachment; returns its greatest resident memory in kB, and the digest of what it
/// gives back.
async fn fetch_and_read(graph: &FakeGraph) -> (u64, Vec<u8>) {
    let (url, host) = (graph.url(), graph.host());
    let home = tempfile::tempdir().unwrap();
    let init =
        command(piperoll(), home.path()).args(["--json", "--dir", "archive", "init"]).output().unwrap();
    let created: Value = serde_json::from_slice(&init.stdout).unwrap();
    let token = created["token"].as_str().unwrap();
    let environment = [
        ("PIPEROLL_GRAPH_BASE_URL", &*url),
        ("PIPEROLL_GRAPH_VERSION", GRAPH_VERSION),
        ("PIPEROLL_GRAPH_TOKEN", GRAPH_TOKEN),
        ("PIPEROLL_GRAPH_MEDIA_HOSTS", &*host),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let running = Running::start_with(home.path(), "archive", &environment);
    let mut connection = running.connect().unwrap();
    assert_eq!(connection.signed_post(&film()).unwrap(), 200);
    until("the attachment is captured", || {
        let (_, metrics) = connection.get("/metrics", token).unwrap();
        String::from_utf8(metrics).unwrap().contains("piperoll_media_captured_total 1")
    })
    .await;
    let (_, found) = connection.get("/v1/search?q=kind:whatsapp.message", token).unwrap();
    let found: Value = serde_json::from_slice(&found).unwrap();
    let seq = found["hits"][0]["seq"].as_u64().unwrap();
    let (status, body) = connection.get(&format!("/v1/events/{seq}/attachments/0"), token).unwrap();
    assert_eq!(status, 200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(running.stop().success());
    (peak, Sha256::digest(&body).to_vec())
}

fn film() -> Vec<u8> {
    let message = json!({"from": "15550100", "id": "wamid.film", "timestamp": "1795260000", "type": "video",
        "video": {"id": "900", "mime_type": "video/mp4"}});
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550109", "phone_number_id": "100"},
        "contacts": [{"profile": {"name": "Ada"}, "wa_id": "15550100"}], "messages": [message]});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": "1022", "changes": [{"field": "messages", "value": value}]}]});
    body.to_string().into_bytes()
}
