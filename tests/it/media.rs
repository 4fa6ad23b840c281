//! Goal: whatever a message names is fetched, checked, kept and given back; and what cannot be had is said, once.
//! Method: the archive with its fetcher against a Graph API on loopback that fails in every way the real one does.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use piperoll_format::{Kind, Seq};
use piperoll_graph::{GraphClient, GraphOptions, Secret, Timeouts, TokenSource};
use piperoll_server::{MediaSettings, Platform, RetryPauses};
use piperoll_store::Clock as _;
use piperoll_tests::{
    FakeGraph, GRAPH_TOKEN, GRAPH_VERSION, GraphFault, Served, TestArchive, document_mistake,
    documented_kinds, noise, until,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Seven days and a little, in microseconds.
const PAST_LIFE: u64 = 7 * 86_400_000_000 + 1;

/// A client of the fake with timeouts that tests can wait for.
pub(super) fn client_of(graph: &FakeGraph) -> GraphClient {
    let timeouts = Timeouts { idle: Duration::from_millis(700), ..Timeouts::default() };
    let options = GraphOptions {
        base_url: graph.url(),
        version: GRAPH_VERSION.to_owned(),
        token: Secret::new(GRAPH_TOKEN),
        media_hosts: vec![graph.host()],
        timeouts,
        ..GraphOptions::default()
    };
    GraphClient::new(options).unwrap()
}

fn platform(graph: &FakeGraph) -> Platform {
    let pauses = RetryPauses { first: Duration::from_millis(5), most: Duration::from_millis(40) };
    Platform {
        graph: Some(client_of(graph)),
        media: MediaSettings { pauses, ..MediaSettings::default() },
        ..Platform::default()
    }
}

/// A webhook with a document from a customer.
fn document_to(number: &str, id: &str, media: &str, sha256: Option<&str>) -> Vec<u8> {
    let mut document = json!({"id": media, "mime_type": "application/pdf", "filename": "offer 7.pdf"});
    if let Some(sha256) = sha256 {
        document["sha256"] = json!(sha256);
    }
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550109", "phone_number_id": number},
        "contacts": [{"profile": {"name": "Ada"}, "wa_id": "15550100"}],
        "messages": [{"from": "15550100", "id": id, "timestamp": "1795260000", "type": "document",
            "document": document}]});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1022",
        "changes": [{"field": "messages", "value": value}]}]});
    serde_json::to_vec(&body).unwrap()
}

fn document(id: &str, media: &str) -> Vec<u8> {
    document_to("100", id, media, None)
}

/// Waits until there are `count` events of a kind, and returns all of that kind with their documents.
pub(super) async fn wait_for(served: &Served<'_>, kind: Kind, count: usize) -> Vec<(u64, Value)> {
    let reader = served.on.reader().await;
    let (mut found, mut next) = (Vec::new(), 0);
    loop {
        let size = served.size();
        for seq in next..size {
            let event = reader.event(Seq(seq)).await.unwrap();
            if event.core.kind == kind {
                let payload = reader.payload(&event).await.unwrap().payload;
                found.push((seq, serde_json::from_slice(&payload.parts[0]).unwrap()));
            }
        }
        if found.len() >= count {
            return found;
        }
        next = size;
        until(kind.as_str(), || served.size() > size).await;
    }
}

#[test]
fn every_document_of_the_archive_has_a_schema() {
    let mut expected = vec![
        Kind::MediaCaptured,
        Kind::MediaUnavailable,
        Kind::MediaText,
        Kind::SendRequested,
        Kind::SendAnswered,
        Kind::AccountObserved,
        Kind::AssignmentRecorded,
        Kind::DeviceReported,
        Kind::CoverageHeartbeat,
        Kind::CoverageChanged,
        Kind::FindingReported,
        Kind::ImportCompleted,
        Kind::StoreScrubbed,
        Kind::StoreRepaired,
        Kind::ReplicaBehind,
        Kind::ReplicaCaughtUp,
        Kind::ClockJumped,
    ];
    let mut known = documented_kinds();
    expected.sort_by_key(|kind| kind.as_str());
    known.sort_by_key(|kind| kind.as_str());
    assert_eq!(known, expected);
    for kind in known {
        assert!(document_mistake(kind, b"{}").is_some() && document_mistake(kind, b"[]").is_some(), "{kind}");
        assert!(document_mistake(kind, br#"{"more": 1}"#).is_some(), "{kind}");
    }
}

/// Waits until the metrics say something.
async fn metrics_say(served: &Served<'_>, text: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        let answer = served.send(piperoll_server::Role::Admin, axum::http::Method::GET, "/metrics", "").await;
        let metrics = String::from_utf8(answer.body.to_vec()).unwrap();
        if metrics.contains(text) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "`{text}` is not in {metrics}");
        let _now = ticks.tick().await;
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_of_every_size_are_kept_and_given_back() {
    let (archive, graph) = (TestArchive::in_directory().await, FakeGraph::start().await);
    let served = archive.serve_with(Some(platform(&graph))).await;
    let sizes = [0, 1, 70_000, 4 * 1024 * 1024, 9 * 1024 * 1024 + 5];
    for (index, size) in sizes.into_iter().enumerate() {
        let bytes = noise(size, index as u64);
        let (id, media) = (format!("wamid.{index}"), format!("900{index}"));
        graph.add_media(&media, "application/pdf", bytes.clone());
        let declared = STANDARD.encode(Sha256::digest(&bytes));
        served.deliver(&document_to("100", &id, &media, Some(&declared))).await.is_status(200);
    }
    let captured = wait_for(&served, Kind::MediaCaptured, sizes.len()).await;
    for (_, document) in &captured {
        let (seq, index) =
            (document["message_seq"].as_u64().unwrap(), document["media_id"].as_str().unwrap());
        let index: usize = index.trim_start_matches("900").parse().unwrap();
        let bytes = noise(sizes[index], index as u64);
        assert_eq!(document["matches_declared"], true, "{document}");
        assert_eq!(
            (document["size"].as_u64(), &document["sha256"]),
            (Some(sizes[index] as u64), &json!(hex(&bytes)))
        );
        assert_eq!((&document["filename"], &document["source"]), (&json!("offer 7.pdf"), &json!("graph")));
        assert_eq!(document["parts"].as_array().unwrap().len(), sizes[index].div_ceil(4 * 1024 * 1024));
        let answer = served.read(&format!("/v1/events/{seq}/attachments/0")).await;
        answer.is_status(200);
        assert!(answer.body == bytes, "{} bytes come back", bytes.len());
        assert_eq!(answer.header("content-type"), Some("application/pdf"));
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename*=UTF-8''offer%207.pdf"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("piperoll-sha256"), Some(&*hex(&bytes)));
    }
    let (by, document) = &captured[0];
    let mut other = document.clone();
    other["more"] = json!(1);
    let other = serde_json::to_vec(&other).unwrap();
    assert!(document_mistake(Kind::MediaCaptured, &other).is_some(), "a member without a description is one");
    let seq = &document["message_seq"];
    let shown = served.read(&format!("/v1/events/{seq}")).await.ok();
    assert_eq!(shown["attachments"], json!([{"attachment": 0, "state": "captured", "seq": by}]));
    let viewed = served.search("kind:access.view").await.to_string();
    assert!(viewed.contains(&format!("event {seq} attachment 0")), "the view is on the record");
    metrics_say(&served, "piperoll_media_captured_total 5").await;
    let agents = graph.requests();
    assert!(agents.iter().all(|request| request.headers.contains_key("user-agent")));
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_that_pass_are_outlived() {
    let error = |status| GraphFault::Error { status, code: 1 };
    let slow = GraphFault::Slow { pause: Duration::from_millis(3) };
    let stalled = GraphFault::Slow { pause: Duration::from_secs(3_600) };
    let cut = |after| GraphFault::Cut { after };
    let (info, download) = ("900", "download/900");
    let huge = GraphFault::HugeJson { bytes: 9_000_000 };
    let table: Vec<(&str, &str, Vec<GraphFault>)> = vec![
        ("the address expired", download, vec![error(404), error(404)]),
        ("the address expired again and again", download, vec![error(404); 7]),
        ("the server fails", info, vec![error(500), error(503)]),
        ("the server fails on the bytes", download, vec![error(500)]),
        ("no JSON", info, vec![GraphFault::NoJson]),
        ("huge JSON", info, vec![huge]),
        ("not found at first", info, vec![error(404), error(404)]),
        ("the connection is cut at once", download, vec![cut(0), cut(1)]),
        ("the connection is cut in the middle", download, vec![cut(150_000), cut(4_200_000)]),
        ("slow", download, vec![slow]),
        ("stalled", download, vec![stalled]),
        ("silent", info, vec![GraphFault::Silence]),
        ("labelled otherwise", download, vec![GraphFault::WrongType { mime_type: "text/html".to_owned() }]),
        ("a length that lies", info, vec![GraphFault::WrongLength { bytes: 1 << 50 }]),
    ];
    let bytes = noise(4_300_000, 1);
    for (what, object, faults) in table {
        let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
        let served = archive.serve_with(Some(platform(&graph))).await;
        graph.add_media("900", "application/pdf", bytes.clone());
        graph.fail(object, faults);
        served.deliver(&document_to("100", "wamid.1", "900", Some(&hex(&bytes)))).await.is_status(200);
        let captured = wait_for(&served, Kind::MediaCaptured, 1).await;
        let (_, document) = &captured[0];
        assert_eq!(
            (&document["matches_declared"], &document["mime_type"]),
            (&json!(true), &json!("application/pdf")),
            "{what}"
        );
        served.check_everything().await;
        served.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_honoured_for_every_attachment() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let served = archive.serve_with(Some(platform(&graph))).await;
    graph.add_media("900", "application/pdf", &b"%PDF"[..]);
    graph.fail("900", [GraphFault::RateLimited { seconds: 1 }]);
    let started = std::time::Instant::now();
    served.deliver(&document("wamid.1", "900")).await.is_status(200);
    let _captured = wait_for(&served, Kind::MediaCaptured, 1).await;
    assert!(started.elapsed() >= Duration::from_secs(1), "it waits as long as it is asked to");
    assert_eq!(graph.count("/900"), 3, "one refusal, one information, one download");
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_than_declared_are_kept_and_flagged() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let served = archive.serve_with(Some(platform(&graph))).await;
    graph.add_media("900", "application/pdf", &b"what is there"[..]);
    graph.add_media("901", "application/pdf", &b"what is there"[..]);
    graph.fail("901", [GraphFault::WrongHash]);
    let lying = hex(b"what was declared");
    served.deliver(&document_to("100", "wamid.1", "900", Some(&lying))).await.is_status(200);
    served.deliver(&document_to("100", "wamid.2", "901", None)).await.is_status(200);
    let captured = wait_for(&served, Kind::MediaCaptured, 2).await;
    for (_, document) in captured {
        assert_eq!(document["matches_declared"], false);
        assert_eq!(document["sha256"], hex(b"what is there"));
    }
    served.check_everything().await;
    served.close().await;
}

/// Waits until an attachment is given up, and returns why.
async fn given_up(served: &Served<'_>, seq: u64) -> Value {
    let found = wait_for(served, Kind::MediaUnavailable, 1).await;
    let (_, document) = found.into_iter().next().unwrap();
    assert_eq!((&document["message_seq"], &document["final"]), (&json!(seq), &json!(true)), "{document}");
    let answer = served.read(&format!("/v1/events/{seq}/attachments/0")).await;
    answer.is_status(404);
    let said = answer.json()["error"]["message"].to_string();
    assert!(said.contains(document["detail"].as_str().unwrap()), "{said}");
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_given_up_with_the_reason() {
    let error = |status, code| GraphFault::Error { status, code };
    let many = |fault: GraphFault| vec![fault; 100_000];
    let elsewhere = FakeGraph::start().await;
    let redirect = GraphFault::Redirect { to: format!("{}/x", elsewhere.url()) };
    let other = |url: String| GraphFault::OtherUrl { url };
    let table: Vec<(&str, &str, &str, Vec<GraphFault>)> = vec![
        ("not-found", "unknown", "900", vec![]),
        ("expired", "known", "download/900", many(error(404, 0))),
        ("unauthorised", "known", "900", many(error(401, 190))),
        ("gave-up", "known", "900", many(error(500, 1))),
        ("refused-host", "known", "download/900", many(redirect)),
        ("refused-host", "known", "900", many(other(format!("{}/lookaside/900/1", elsewhere.url())))),
        ("refused-host", "known", "900", many(other("http://169.254.169.254/latest/meta-data".to_owned()))),
        ("refused-host", "known", "900", many(other("file:///etc/passwd".to_owned()))),
    ];
    for (reason, known, object, faults) in table {
        let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
        let served = archive.serve_with(Some(platform(&graph))).await;
        if known == "known" {
            graph.add_media("900", "application/pdf", &b"%PDF"[..]);
        }
        let always = !faults.is_empty();
        graph.fail(object, faults);
        served.deliver(&document("wamid.1", "900")).await.is_status(200);
        let seq = served.size() - 1;
        if always {
            until("several tries", || graph.requests().len() > 4).await;
            archive.clock.set(archive.clock.now_micros() + PAST_LIFE);
        }
        let document = given_up(&served, seq).await;
        assert_eq!(
            (&document["reason"], &document["media_id"]),
            (&json!(reason), &json!("900")),
            "{document}"
        );
        served.check_everything().await;
        served.close().await;
    }
    assert_eq!(elsewhere.requests().len(), 0, "no host but the configured ones is called");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_is_given_up_at_once() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let mut platform = platform(&graph);
    platform.media.bytes_max = 10_000;
    let served = archive.serve_with(Some(platform)).await;
    graph.add_media("900", "application/pdf", noise(10_001, 3));
    graph.add_media("901", "application/pdf", noise(10_000, 3));
    served.deliver(&document("wamid.1", "900")).await.is_status(200);
    let why = given_up(&served, served.size() - 1).await;
    assert_eq!((&why["reason"], &why["attempts"]), (&json!("too-large"), &json!(1)));
    served.deliver(&document("wamid.2", "901")).await.is_status(200);
    let _captured = wait_for(&served, Kind::MediaCaptured, 1).await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn link_of_another_sender_gets_no_token() {
    let (archive, graph, elsewhere) =
        (TestArchive::in_memory().await, FakeGraph::start().await, FakeGraph::start().await);
    let mut platform = platform(&graph);
    let options = GraphOptions {
        base_url: graph.url(),
        token: Secret::new(GRAPH_TOKEN),
        media_hosts: vec![elsewhere.host()],
        ..GraphOptions::default()
    };
    platform.graph = Some(GraphClient::new(options).unwrap());
    let served = archive.serve_with(Some(platform)).await;
    let link = format!("{}/lookaside/900/0", elsewhere.url());
    served.deliver(&document("wamid.1", &link)).await.is_status(200);
    until("the link is asked for", || !elsewhere.requests().is_empty()).await;
    assert!(elsewhere.requests().iter().all(|request| !request.headers.contains_key("authorization")));
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn placeholder_of_the_history_is_said_to_be_unavailable() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let served = archive.serve_with(Some(platform(&graph))).await;
    let message = json!({"from": "15550100", "id": "wamid.old", "timestamp": "1795000000",
        "type": "media_placeholder", "history_context": {"status": "READ"}});
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550109", "phone_number_id": "100"},
        "history": [{"metadata": {"phase": 1, "chunk_order": 1, "progress": 50},
            "threads": [{"id": "15550100", "messages": [message]}]}]});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1022",
        "changes": [{"field": "history", "value": value}]}]});
    served.deliver(&serde_json::to_vec(&body).unwrap()).await.is_status(200);
    let found = wait_for(&served, Kind::MediaUnavailable, 1).await;
    assert_eq!((&found[0].1["reason"], &found[0].1["attempts"]), (&json!("placeholder"), &json!(0)));
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_in_the_middle_loses_nothing_and_fetches_nothing_twice() {
    let (archive, graph) = (TestArchive::in_directory().await, FakeGraph::start().await);
    let bytes = noise(9_000_000, 5);
    for media in ["900", "901"] {
        graph.add_media(media, "application/pdf", bytes.clone());
    }
    graph.fail("download/901", [GraphFault::Slow { pause: Duration::from_millis(300) }]);
    let served = archive.serve_with(Some(platform(&graph))).await;
    served.deliver(&document("wamid.1", "900")).await.is_status(200);
    let _first = wait_for(&served, Kind::MediaCaptured, 1).await;
    served.deliver(&document("wamid.2", "901")).await.is_status(200);
    until("the second download begins", || graph.count("/lookaside/901") > 0).await;
    served.close().await;
    for lost in [false, true] {
        if lost {
            std::fs::remove_file(archive.state_dir().join("projections.redb")).unwrap();
        }
        let served = archive.serve_with(Some(platform(&graph))).await;
        let captured = wait_for(&served, Kind::MediaCaptured, 2).await;
        assert_eq!(captured.len(), 2, "each once");
        let seq = captured[1].1["message_seq"].as_u64().unwrap();
        let answer = served.read(&format!("/v1/events/{seq}/attachments/0")).await;
        assert!(answer.body == bytes);
        assert_eq!(graph.count("/lookaside/900"), 1, "what is captured is not fetched again");
        served.check_everything().await;
        served.close().await;
    }
    // Without a fetcher, what was captured is found all the same.
    std::fs::remove_file(archive.state_dir().join("projections.redb")).unwrap();
    let served = archive.serve().await;
    let captured = wait_for(&served, Kind::MediaCaptured, 2).await;
    let seq = captured[0].1["message_seq"].as_u64().unwrap();
    assert!(served.read(&format!("/v1/events/{seq}/attachments/0")).await.body == bytes);
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_while_nothing_fetches_is_known_and_fetched_later() {
    let (archive, graph) = (TestArchive::in_directory().await, FakeGraph::start().await);
    let bytes = noise(70_000, 5);
    graph.add_media("900", "application/pdf", bytes.clone());
    // Without a client nothing is fetched and nothing is given up.
    let served = archive.serve_with(Some(Platform::default())).await;
    served.deliver(&document("wamid.1", "900")).await.is_status(200);
    let seq = served.size() - 1;
    archive.clock.set(archive.clock.now_micros() + 2 * 3_600_000_000);
    served.archive.catch_up().await;
    let gap = |coverage: &Value| {
        let missing = coverage["missing"].as_array().unwrap().clone();
        missing.into_iter().find(|missing| missing["cause"] == "media-not-fetched")
    };
    let missing = gap(&served.read("/v1/coverage/100").await.ok()).expect("coverage names it");
    assert_eq!((&missing["count"], &missing["evidence"]), (&json!(1), &json!([seq])), "{missing}");
    let shown = served.read(&format!("/v1/events/{seq}")).await.ok();
    assert_eq!(shown["attachments"], json!([{"attachment": 0, "state": "waiting"}]));
    assert_eq!(exported(&served, seq).await, json!([{"attachment": 0, "state": "not-fetched"}]));
    served.close().await;
    let served = archive.serve_with(Some(platform(&graph))).await;
    let captured = wait_for(&served, Kind::MediaCaptured, 1).await;
    let (by, document) = &captured[0];
    assert_eq!(document["message_seq"], seq);
    served.archive.catch_up().await;
    assert_eq!(gap(&served.read("/v1/coverage/100").await.ok()), None);
    let line = exported(&served, seq).await;
    assert_eq!(
        line,
        json!([{"attachment": 0, "state": "captured", "seq": by, "size": 70_000, "sha256": hex(&bytes),
            "parts": document["parts"], "matches_declared": true}])
    );
    served.check_everything().await;
    served.close().await;
}

/// Exports everything, checks each line against the schema, and returns the attachments of an event.
async fn exported(served: &Served<'_>, seq: u64) -> Value {
    let schema: Value = serde_json::from_str(include_str!("../../schemas/export.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    served.archive.catch_up().await;
    let answer = served.read("/v1/export").await;
    answer.is_status(200);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        assert!(schema.is_valid(line), "{line}");
    }
    let line = lines.iter().find(|line| line["seq"] == seq).unwrap();
    line["attachments"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn export_says_why_an_attachment_is_not_there() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let mut platform = platform(&graph);
    platform.media.bytes_max = 10_000;
    let served = archive.serve_with(Some(platform)).await;
    graph.add_media("900", "application/pdf", noise(10_001, 3));
    served.deliver(&document("wamid.1", "900")).await.is_status(200);
    let seq = served.size() - 1;
    let given_up = wait_for(&served, Kind::MediaUnavailable, 1).await;
    let expected =
        json!([{"attachment": 0, "state": "unavailable", "seq": given_up[0].0, "reason": "too-large"}]);
    assert_eq!(exported(&served, seq).await, expected);
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_keeps_the_pause_before_the_next_try() {
    let (archive, graph) = (TestArchive::in_directory().await, FakeGraph::start().await);
    graph.add_media("900", "application/pdf", &b"%PDF"[..]);
    graph.fail("900", vec![GraphFault::Error { status: 500, code: 1 }; 100_000]);
    let patient = || {
        let mut platform = platform(&graph);
        platform.media.pauses =
            RetryPauses { first: Duration::from_secs(3_600), most: Duration::from_secs(3_600) };
        platform
    };
    let served = archive.serve_with(Some(patient())).await;
    served.deliver(&document("wamid.1", "900")).await.is_status(200);
    until("the first try is noted", || archive.state_dir().join("media-tries.json").exists()).await;
    served.close().await;
    let asked = graph.count("/900");
    let served = archive.serve_with(Some(patient())).await;
    // A later message is tried at once, so the earlier one was looked at before.
    graph.add_media("901", "application/pdf", &b"%PDF"[..]);
    served.deliver(&document("wamid.2", "901")).await.is_status(200);
    let _captured = wait_for(&served, Kind::MediaCaptured, 1).await;
    assert_eq!(graph.count("/900"), asked, "it waits as long as it would have without a restart");
    served.close().await;
    archive.clock.set(archive.clock.now_micros() + 3_600_000_000);
    graph.heal();
    let served = archive.serve_with(Some(patient())).await;
    let _both = wait_for(&served, Kind::MediaCaptured, 2).await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_token_is_taken_without_a_restart() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    graph.add_media("900", "application/pdf", &b"%PDF"[..]);
    let file = archive.dir().join("token");
    std::fs::write(&file, "an older token").unwrap();
    let path = file.clone();
    let options = GraphOptions {
        base_url: graph.url(),
        version: GRAPH_VERSION.to_owned(),
        token: Secret::new("an older token"),
        token_source: Some(TokenSource::new(move || {
            Some(Secret::new(&std::fs::read_to_string(&path).ok()?))
        })),
        media_hosts: vec![graph.host()],
        ..GraphOptions::default()
    };
    let mut platform = platform(&graph);
    platform.graph = Some(GraphClient::new(options).unwrap());
    let served = archive.serve_with(Some(platform)).await;
    served.deliver(&document("wamid.1", "900")).await.is_status(200);
    until("several tries in vain", || graph.count("/900") > 3).await;
    metrics_say(&served, "piperoll_media_degraded 1").await;
    std::fs::write(&file, format!("{GRAPH_TOKEN}\n")).unwrap();
    let _captured = wait_for(&served, Kind::MediaCaptured, 1).await;
    metrics_say(&served, "piperoll_media_degraded 0").await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_token_degrades_and_heals() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let served = archive.serve_with(Some(platform(&graph))).await;
    graph.add_media("900", "application/pdf", &b"%PDF"[..]);
    graph.fail("900", vec![GraphFault::Error { status: 401, code: 190 }; 100_000]);
    served.deliver(&document("wamid.1", "900")).await.is_status(200);
    until("several tries", || graph.count("/900") > 3).await;
    metrics_say(&served, "piperoll_media_degraded 1").await;
    graph.heal();
    let _captured = wait_for(&served, Kind::MediaCaptured, 1).await;
    metrics_say(&served, "piperoll_media_degraded 0").await;
    served.close().await;
}
