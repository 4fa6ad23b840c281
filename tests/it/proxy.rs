//! Goal: what is sent through the archive reaches the platform unchanged and is on the record before it is answered;
//! what is handed in is on the record once; tokens are nowhere.
//! Method: requests through the router to a platform on loopback that follows the reference, and to one that fails.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use piperoll_format::Kind;
use piperoll_graph::Forwarder;
use piperoll_server::{OnArchiveFailure, Proxy, Role};
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{Answer, FakeGraph, GRAPH_TOKEN, GraphFault, Served, Stored, TestArchive, until};
use serde_json::{Value, json};

const PATH: &str = "/graph/v24.0/106540352242922/messages";

/// With blanks, an escape and the members in an order of its own, so that a copy would differ.
const REQUEST: &str = "{ \"to\": \"+15550100001\",\n \"messaging_product\":\"whatsapp\", \"type\":\"text\", \"text\":{\"body\":\"Gr\\u00fc\u{df}e about the parcel\"} }";

const TEMPLATE: &str = r#"{"messaging_product":"whatsapp","to":"15550100001","type":"template","template":{"name":"order_sent","language":{"code":"en_US"},"components":[{"type":"body","parameters":[{"type":"text","text":"Rumpelstiltskin"}]}]}}"#;

fn proxy(url: &str, on_archive_failure: OnArchiveFailure) -> Proxy {
    let forwarder = Forwarder::new(url, Duration::from_millis(700)).unwrap();
    Proxy { forwarder, on_archive_failure }
}

async fn serve<'a>(archive: &'a TestArchive, url: &str, choice: OnArchiveFailure) -> Served<'a> {
    archive.serve_changed(|parts| parts.proxy = Some(proxy(url, choice))).await
}

async fn send(served: &Served<'_>, path: &str, body: &str) -> Answer {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {GRAPH_TOKEN}"))
        .header("content-type", "application/json")
        .header("piperoll-token", served.token(Role::Ingest));
    served.call(request.body(Body::from(body.to_owned())).unwrap()).await
}

fn of_kind(events: &[Stored], kind: Kind) -> Vec<&Stored> {
    events.iter().filter(|event| event.kind == kind).collect()
}

/// Returns the document and the exact bytes of an event.
async fn parts(archive: &TestArchive, seq: u64) -> (Value, Vec<u8>) {
    let read = archive.reader().await.read(piperoll_format::Seq(seq)).await.unwrap();
    let parts = read.payload.unwrap().payload.parts;
    (serde_json::from_slice(&parts[0]).unwrap(), parts[1].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn request_goes_through_unchanged_and_is_archived_with_its_answer() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let served = serve(&archive, &graph.url(), OnArchiveFailure::Refuse).await;
    let size = served.size();
    let answer = send(&served, &format!("{PATH}?appsecret_proof=hidden"), REQUEST).await;
    let sent = answer.ok();
    let wamid = sent["messages"][0]["id"].as_str().unwrap();
    assert_eq!(answer.header("piperoll-archived"), Some("true"));
    let journal_id = answer.header("piperoll-journal-id").unwrap();
    let requests = graph.requests();
    let request = requests.last().unwrap();
    assert_eq!((&request.body[..], &*request.query), (REQUEST.as_bytes(), "appsecret_proof=hidden"));
    assert_eq!(request.path, "/v24.0/106540352242922/messages");
    assert!(!request.headers.contains_key("piperoll-token"), "our own token stays here");
    assert_eq!(served.size(), size + 2);
    let (requested, bytes) = parts(&archive, size).await;
    assert_eq!(bytes, REQUEST.as_bytes());
    assert_eq!(requested["journal_id"], journal_id);
    assert_eq!((&requested["via"], &requested["endpoint"]), (&json!("proxy"), &json!("messages")));
    let (answered, bytes) = parts(&archive, size + 1).await;
    assert_eq!(bytes, answer.body);
    assert_eq!((&answered["wamids"], &answered["status"]), (&json!([wamid]), &json!(200)));
    let found = served.search("parcel with:15550100001").await;
    assert_eq!((&found["total"], &found["hits"][0]["kind"]), (&json!(1), &json!("send.requested")));
    assert_eq!(found["hits"][0]["message"]["direction"], "outbound");
    assert_eq!(found["hits"][0]["message"]["conversation"], "106540352242922:15550100001");
    send(&served, "/graph/v24.0/106540352242922/marketing_messages", TEMPLATE).await.is_status(200);
    assert_eq!(served.search("Rumpelstiltskin").await["total"], 1);
    for event in served.check_everything().await {
        let bytes = String::from_utf8_lossy(event.bytes.as_deref().unwrap_or_default()).into_owned();
        assert!(!bytes.contains(GRAPH_TOKEN) && !bytes.contains("hidden"), "a token is nowhere");
    }
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_sends_with_a_token_of_the_archive_pass() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let served = serve(&archive, &graph.url(), OnArchiveFailure::Refuse).await;
    let size = served.size();
    let bare = Request::post(PATH).header("authorization", format!("Bearer {GRAPH_TOKEN}"));
    served.call(bare.body(Body::from(REQUEST)).unwrap()).await.is_status(401);
    let officer = Request::post(PATH).header("piperoll-token", served.token(Role::Officer));
    served.call(officer.body(Body::from(REQUEST)).unwrap()).await.is_status(403);
    for (path, status) in [
        ("/graph/v24.0/106540352242922/media", 404),
        ("/graph/v24.0/..%2F1/messages", 404),
        ("/graph/next/106540352242922/messages", 404),
    ] {
        send(&served, path, REQUEST).await.is_status(status);
    }
    send(&served, PATH, "to=15550100001").await.is_status(400);
    send(&served, PATH, &format!("\"{}\"", "x".repeat(1024 * 1024))).await.is_status(413);
    assert_eq!((served.size(), graph.requests().len()), (size, 0));
    served.close().await;
    let served = archive.serve().await;
    send(&served, PATH, REQUEST).await.is_status(404);
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_platform_are_given_back_and_archived() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let served = serve(&archive, &graph.url(), OnArchiveFailure::Refuse).await;
    let size = served.size();
    graph.fail(
        "106540352242922",
        [
            GraphFault::Error { status: 400, code: 131_047 },
            GraphFault::RateLimited { seconds: 7 },
            GraphFault::Redirect { to: "http://127.0.0.1:1/".to_owned() },
            GraphFault::Silence,
        ],
    );
    let refused = send(&served, PATH, REQUEST).await;
    refused.is_status(400);
    assert_eq!(refused.json()["error"]["code"], 131_047);
    let limited = send(&served, PATH, REQUEST).await;
    limited.is_status(429);
    assert_eq!(limited.header("retry-after"), Some("7"));
    let redirected = send(&served, PATH, REQUEST).await;
    assert!(redirected.status.is_redirection() && redirected.header("location").is_none());
    let silent = send(&served, PATH, REQUEST).await;
    silent.is_status(502);
    assert_eq!(silent.header("piperoll-archived"), Some("true"));
    let (answered, bytes) = parts(&archive, size + 7).await;
    assert_eq!((&answered["status"], bytes.len()), (&Value::Null, 0));
    assert!(answered["error"].as_str().unwrap().contains("no answer in time"), "{answered}");
    assert_eq!(parts(&archive, size + 1).await.0["error"]["code"], 131_047);
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_archived_is_refused_or_becomes_a_gap() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let full = || archive.store.inject(Fault::always(Operation::Create, "", Outcome::Full));
    let served = serve(&archive, &graph.url(), OnArchiveFailure::Refuse).await;
    full();
    send(&served, PATH, REQUEST).await.is_status(503);
    assert_eq!(graph.requests().len(), 0, "nothing was sent");
    archive.store.heal();
    served.close().await;

    let served = serve(&archive, &graph.url(), OnArchiveFailure::Forward).await;
    full();
    for _ in 0..2 {
        let answer = send(&served, PATH, REQUEST).await;
        answer.is_status(200);
        assert_eq!(answer.header("piperoll-archived"), Some("false"));
    }
    assert_eq!(graph.requests().len(), 2);
    let before = served.size();
    archive.store.heal();
    // The watch tries again by itself, which is an event; then the gap is recorded.
    let _took = until("the gap is recorded", || served.size() >= before + 2).await;
    served.archive.catch_up().await;
    let found = served.search("kind:coverage.changed").await;
    assert_eq!(found["total"], 1, "{found}");
    let seq = found["hits"][0]["seq"].as_u64().unwrap();
    let events = served.check_everything().await;
    let gap: Value =
        serde_json::from_slice(events[usize::try_from(seq).unwrap()].bytes.as_ref().unwrap()).unwrap();
    assert_eq!((&gap["number"], &gap["state"]), (&json!("106540352242922"), &json!("degraded")));
    assert_eq!(gap["cause"], "send-not-archived");
    assert!(gap["detail"].as_str().unwrap().starts_with("4 requests or answers between "), "{gap}");
    let view = served.read("/v1/coverage/106540352242922?from=2026-11-21").await.ok();
    let missing = &view["missing"].as_array().unwrap();
    let missing = missing.iter().find(|missing| missing["cause"] == "send-not-archived").unwrap();
    assert_eq!((&missing["count"], &missing["evidence"]), (&json!(4), &json!([seq])));
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gap_that_one_process_cannot_record_is_recorded_by_the_next() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    let served = serve(&archive, &graph.url(), OnArchiveFailure::Forward).await;
    archive.store.inject(Fault::always(Operation::Create, "", Outcome::Full));
    send(&served, PATH, REQUEST).await.is_status(200);
    served.close().await;
    archive.store.heal();
    for _ in 0..2 {
        let served = serve(&archive, &graph.url(), OnArchiveFailure::Forward).await;
        let found = served.search("kind:coverage.changed").await;
        assert_eq!(found["total"], 1, "once: {found}");
        served.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journal_is_kept_once_and_takes_the_answer_later() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let size = served.size();
    let hand_in = async |body: String| served.send(Role::Ingest, Method::POST, "/v1/sends", body).await;
    let head = format!(
        r#"{{"journal_id":"crm-7","endpoint":"messages","number":"106540352242922","sent_at":"2026-11-21T10:00:00+01:00","request":{REQUEST}"#
    );
    let first = hand_in(format!("{head}}}")).await.ok();
    assert_eq!((&first["requested"]["seq"], first.get("answered")), (&json!(size), None));
    let whole = format!(r#"{head},"status":200,"response":{{"messages":[{{"id":"wamid.J1"}}]}}}}"#);
    let second = hand_in(whole.clone()).await.ok();
    assert_eq!(
        second["requested"],
        json!({"ledger": first["requested"]["ledger"], "seq": size,
        "event_hash": first["requested"]["event_hash"], "repeated": true})
    );
    assert_eq!(second["answered"]["seq"], size + 1);
    assert_eq!(hand_in(whole).await.ok()["answered"]["repeated"], true);
    assert_eq!(served.size(), size + 2);
    let (requested, bytes) = parts(&archive, size).await;
    assert_eq!((&requested["via"], bytes), (&json!("journal"), REQUEST.as_bytes().to_vec()));
    assert_eq!(served.search("parcel kind:send.requested").await["total"], 1);
    for (broken, expected) in [
        (head.replace("messages", "media") + "}", "field `endpoint`: unknown variant `media`"),
        (head.replace("106540352242922", "x") + "}", "field `number`: expected 1 to 32 digits"),
        (head.replace(REQUEST, "7") + "}", "field `request`: expected an object"),
        (head.replace("T10:00:00+01:00", "") + "}", "field `sent_at`: expected a time such as"),
    ] {
        let answer = hand_in(broken).await;
        answer.is_status(400);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(expected), "{message}");
    }
    let events = served.check_everything().await;
    assert_eq!(of_kind(&events, Kind::SendAnswered).len(), 1);
    served.close().await;
}
