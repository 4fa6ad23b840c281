//! Goal: a send is proven with everything that allowed it, or what is missing is named; rules that it broke are found.

use axum::http::Method;
use piperoll_server::Role;
use piperoll_tests::{NOW, Served, TestArchive};
use serde_json::{Value, json};

async fn post(served: &Served<'_>, path: &str, body: Value) {
    served.send(Role::Ingest, Method::POST, path, body.to_string()).await.is_status(200);
}

async fn snapshot(served: &Served<'_>, source_id: &str, at: &str, status: &str, text: &str) {
    let event = json!({"kind": "template.snapshot", "source_id": source_id, "occurred_at": at, "template": {"name": "offer",
        "language": "de", "id": "42", "status": status, "category": "MARKETING", "components": [{"type": "BODY", "text": text}]}});
    post(served, "/v1/events", event).await;
}

async fn consent(served: &Served<'_>, kind: &str, at: &str) {
    let event = json!({"kind": kind, "source_id": format!("{kind}-{at}"), "occurred_at": at, "person": {"phone": "491555"},
        "channel": "web-form", "purpose": "marketing"});
    post(served, "/v1/events", event).await;
}

/// Hands in a template send with its answer and brings its status.
async fn send(served: &Served<'_>, id: &str, at: &str, second: i64) {
    send_from(served, "100", id, at, second).await;
}

async fn send_from(served: &Served<'_>, number: &str, id: &str, at: &str, second: i64) {
    let send = json!({"journal_id": id, "endpoint": "messages", "number": number, "sent_at": at,
        "request": {"messaging_product": "whatsapp", "to": "491555", "type": "template", "template": {"name": "offer",
            "language": {"code": "de"}, "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ada"}]}]}},
        "status": 200, "response": {"messages": [{"id": format!("wamid.{id}")}]}});
    post(served, "/v1/sends", send).await;
    status_of(served, number, &format!("wamid.{id}"), second).await;
}

async fn status(served: &Served<'_>, wamid: &str, second: i64) {
    status_of(served, "100", wamid, second).await;
}

async fn status_of(served: &Served<'_>, number: &str, wamid: &str, second: i64) {
    let status =
        json!({"id": wamid, "status": "sent", "timestamp": second.to_string(), "recipient_id": "491555"});
    let value = json!({"messaging_product": "whatsapp", "statuses": [status],
        "metadata": {"display_phone_number": "15550109", "phone_number_id": number}});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]});
    served.deliver(body.to_string().as_bytes()).await.is_status(200);
}

async fn evidence(served: &Served<'_>, wamid: &str) -> Value {
    served.archive.catch_up().await;
    served.read(&format!("/v1/evidence/sends/{wamid}?tz=Europe/Berlin")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn send_is_proven_with_consent_template_and_statuses() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    snapshot(&served, "t-1", "2026-11-21T08:00:00Z", "APPROVED", "Hallo {{1}}").await;
    consent(&served, "consent.given", "2026-11-21T09:00:00Z").await;
    send(&served, "a", "2026-11-21T10:00:00Z", 1_795_255_201).await;
    // What came later changes nothing.
    snapshot(&served, "t-2", "2026-11-21T10:30:00Z", "PAUSED", "Neu {{1}}").await;
    consent(&served, "consent.withdrawn", "2026-11-21T10:30:00Z").await;
    let found = evidence(&served, "wamid.a").await;
    assert_eq!(
        (&found["verdict"], &found["missing"], &found["violations"]),
        (&"PROVEN".into(), &json!([]), &json!([]))
    );
    assert_eq!(
        (&found["text"], &found["consent"], &found["purpose"]),
        (&"Hallo Ada".into(), &"given".into(), &"marketing".into())
    );
    assert_eq!(found["sent_at"]["local"], "2026-11-21T11:00:00+01:00");
    assert_eq!(found["template"]["status"]["value"], "APPROVED");
    assert_eq!(found["template"]["version"]["content_hash"].as_str().unwrap().len(), 64);
    let events = found["events"].as_array().unwrap();
    assert_eq!(events.len(), 5, "template, consent, request, answer, status: {found}");
    assert!(events.iter().all(|event| event["state"] == "available" && event["proof"]["root"].is_string()));
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_and_broken_rules_are_found() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let unknown = evidence(&served, "wamid.nothing").await;
    assert_eq!(
        (&unknown["verdict"], &unknown["missing"][0]),
        (&"NOT PROVEN".into(), &"any event about this message".into())
    );
    status(&served, "wamid.orphan", 1_795_255_201).await;
    let orphan = evidence(&served, "wamid.orphan").await;
    assert_eq!(orphan["missing"], json!(["its content was not captured, only statuses"]));
    send(&served, "a", "2026-11-21T10:00:00Z", 1_795_255_201).await;
    let bare = evidence(&served, "wamid.a").await;
    assert_eq!(bare["missing"].as_array().unwrap().len(), 2, "{bare}");
    snapshot(&served, "t-1", "2026-11-21T08:00:00Z", "PAUSED", "Hallo {{1}}").await;
    consent(&served, "consent.withdrawn", "2026-11-21T09:00:00Z").await;
    let broken = evidence(&served, "wamid.a").await;
    let rules: Vec<&str> = broken["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|broken| broken["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["sent-after-opt-out", "template-not-approved"], "{broken}");
    assert_eq!(broken["verdict"], "NOT PROVEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn template_is_shown_as_it_stood() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    snapshot(&served, "t-1", "2026-11-21T08:00:00Z", "PENDING", "v1").await;
    snapshot(&served, "t-2", "2026-11-21T09:00:00Z", "APPROVED", "v2").await;
    served.archive.catch_up().await;
    let at = async |at: &str| served.read(&format!("/v1/templates/offer?language=de&at={at}")).await;
    let early = at("2026-11-21T08:30:00Z").await.ok();
    let state = &early["languages"][0];
    assert_eq!((&state["status"]["value"], &state["text"]), (&"PENDING".into(), &"v1".into()));
    let late = at("2026-11-21").await;
    late.is_status(404);
    let late = served.read("/v1/templates/offer").await.ok();
    assert_eq!(late["languages"][0]["versions"].as_array().unwrap().len(), 2);
    assert_eq!((&late["languages"][0]["text"], late["events"].as_array().unwrap().len()), (&"v2".into(), 1));
    served.read("/v1/templates/none").await.is_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_disposed_of_is_said_and_nothing_else_is_claimed() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    snapshot(&served, "t-1", "2026-11-21T08:00:00Z", "APPROVED", "Hallo {{1}}").await;
    consent(&served, "consent.given", "2026-11-21T09:00:00Z").await;
    // A withdrawal with the number whose events are kept for seconds, after a consent that is kept.
    let stop = json!({"kind": "consent.withdrawn", "source_id": "stop", "occurred_at": "2026-11-21T09:30:00Z",
        "person": {"phone": "491555"}, "channel": "web-form", "purpose": "marketing", "number": "999"});
    post(&served, "/v1/events", stop).await;
    send_from(&served, "999", "gone", "2026-11-21T10:00:00Z", 1_795_255_201).await;
    let asked = "/v1/persons/491555/consent?purpose=marketing&at=2026-11-21T10:00:00Z";
    assert_eq!(evidence(&served, "wamid.gone").await["consent"], "withdrawn");
    let before = served.read(asked).await.ok();
    assert_eq!(before["state"], "withdrawn");
    assert!(!before["rule"].as_str().unwrap().contains("disposed"), "{before}");
    archive.clock.set(NOW + 60_000_000);
    let done = served.send(Role::Admin, Method::POST, "/v1/dispose/execute", "").await.ok();
    assert!(done["disposed"][0]["completed"].is_u64(), "{done}");
    let bucket = done["disposed"][0]["bucket"].as_str().unwrap().to_owned();

    let gone = evidence(&served, "wamid.gone").await;
    assert_eq!((&gone["verdict"], &gone["events"]), (&"NOT PROVEN".into(), &json!([])), "{gone}");
    let missing = gone["missing"].as_array().unwrap();
    assert_eq!((missing.len(), &missing[0]), (2, &"any event about this message".into()));
    let disposed = missing[1].as_str().unwrap();
    assert!(
        disposed.contains(&format!("disposed of: {bucket} on 20")) && disposed.contains("may have been"),
        "{disposed}"
    );
    // Of the consent the part that is kept is left, and that there was more is said.
    let left = served.read(asked).await.ok();
    assert_eq!((&left["state"], left["evidence"].as_array().unwrap().len()), (&"given".into(), 1), "{left}");
    assert!(left["rule"].as_str().unwrap().contains(&bucket), "{left}");
    served.check_everything().await;
    served.close().await;

    // A start with everything derived gone knows the same.
    std::fs::remove_dir_all(archive.state_dir()).unwrap();
    let served = archive.serve().await;
    assert_eq!(evidence(&served, "wamid.gone").await["missing"], gone["missing"]);
    served.close().await;
}
