//! Goal: what was not captured is known, with its cause and its evidence, and whoever searches or exports is told.

use std::time::Duration;

use axum::http::Method;
use piperoll_format::Kind;
use piperoll_server::Role;
use piperoll_tests::{NOW, Served, TestArchive};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const WABA: &str = "102290129340398";
const PHONE: &str = "15550109";

/// The seconds of the test's clock, as webhooks have them.
fn seconds(archive: &TestArchive) -> u64 {
    archive.clock.advance(Duration::ZERO) / 1_000_000
}

fn envelope(time: u64, field: &str, value: &Value) -> Vec<u8> {
    let change = json!({ "field": field, "value": value });
    let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": WABA, "time": time, "changes": [change] }] });
    serde_json::to_vec(&body).unwrap()
}

/// A value of the number 100 with one more member.
fn of_number(name: &str, items: &Value) -> Value {
    json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": PHONE, "phone_number_id": "100" },
        name: items,
    })
}

fn text(id: &str, at: u64) -> Value {
    json!({ "from": "15550100", "id": id, "timestamp": at.to_string(), "type": "text", "text": { "body": "hello" } })
}

fn echo(id: &str, at: u64) -> Value {
    json!({ "from": PHONE, "to": "15550100", "id": id, "timestamp": at.to_string(), "type": "text", "text": { "body": "hi" } })
}

async fn deliver(served: &Served<'_>, field: &str, value: &Value) -> u64 {
    let first = served.size();
    served.deliver(&envelope(seconds(served.on), field, value)).await.is_status(200);
    first
}

async fn say(served: &Served<'_>, id: &str) -> u64 {
    let at = seconds(served.on);
    deliver(served, "messages", &of_number("messages", &json!([text(id, at)]))).await
}

async fn account(served: &Served<'_>, event: &str) -> u64 {
    deliver(served, "account_update", &json!({ "phone_number": PHONE, "event": event })).await
}

/// Asks for the coverage of the number since the test began, when everything is projected.
async fn coverage(served: &Served<'_>) -> Value {
    served.archive.catch_up().await;
    served.read("/v1/coverage/100?from=2026-11-21T00:00:00Z").await.ok()
}

/// The states, each with its causes.
fn states(view: &Value) -> Vec<(String, Vec<String>)> {
    let texts = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    let intervals = view["intervals"].as_array().unwrap().iter();
    let causes = |interval: &Value| {
        interval["causes"].as_array().unwrap().iter().map(|cause| texts(cause, "cause")).collect()
    };
    intervals.map(|interval| (texts(interval, "state"), causes(interval))).collect()
}

fn state(state: &str, causes: &[&str]) -> (String, Vec<String>) {
    (state.to_owned(), causes.iter().map(|cause| (*cause).to_owned()).collect())
}

/// What is missing for a cause.
fn missing<'v>(view: &'v Value, cause: &str) -> Option<&'v Value> {
    view["missing"].as_array().unwrap().iter().find(|missing| missing["cause"] == cause)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_offboarded_and_came_back_has_a_gap_that_search_and_export_name() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let _ = say(&served, "wamid.1").await;
    let _ = archive.clock.advance(HOUR);
    let offboarded = account(&served, "ACCOUNT_OFFBOARDED").await;
    let _ = archive.clock.advance(2 * HOUR);
    let _ = account(&served, "ACCOUNT_RECONNECTED").await;
    let _ = archive.clock.advance(HOUR);

    let view = coverage(&served).await;
    let expected = [
        state("closed", &["not-connected"]),
        state("open", &["onboarded"]),
        state("closed", &["offboarded"]),
        state("open", &["reconnected"]),
    ];
    assert_eq!(states(&view), expected, "{view:#}");
    assert_eq!((&view["state"], &view["phone"]), (&json!("open"), &json!(PHONE)));
    let gap = missing(&view, "offboarded").unwrap();
    assert_eq!(gap["evidence"], json!([offboarded]));
    assert_eq!(gap["certain"], true);
    assert!(gap["remedy"].as_str().unwrap().contains("export the chats"), "{gap}");
    assert!(view["never_delivered"].as_array().unwrap().len() > 5);
    let record = served.on.events().await;
    let record = record.iter().rev().find(|event| event.kind == Kind::AccessView).unwrap();
    assert!(String::from_utf8_lossy(record.bytes.as_ref().unwrap()).contains("\"coverage\""));

    // Whoever searches in that number and time is told; whoever searches elsewhere is not.
    let found = served.search("hello").await;
    assert_eq!(found["gaps"]["gaps"][0]["cause"], "offboarded", "{found:#}");
    assert_eq!((&found["gaps"]["complete"], found["gaps"]["as_of"].is_string()), (&json!(true), true));
    assert_eq!(served.search("hello number:200").await["gaps"]["gaps"], json!([]));
    assert_eq!(served.search("hello before:2026-11-21T22:00:00Z").await["gaps"]["gaps"], json!([]));
    let exported = served.send(Role::Officer, Method::GET, "/v1/export?q=hello", "").await;
    let header = String::from_utf8(exported.body.to_vec()).unwrap();
    let header: Value = serde_json::from_str(header.lines().next().unwrap()).unwrap();
    assert_eq!(header["gaps"][0]["cause"], "offboarded", "{header:#}");

    // By its phone number too, and in the list; an unknown one is not found.
    served.read("/v1/coverage/+1555-0109").await.is_status(200);
    let list = served.read("/v1/coverage").await.ok();
    assert_eq!((&list["numbers"][0]["number"], &list["numbers"][0]["gaps"]), (&json!("100"), &json!(1)));
    served.read("/v1/coverage/777").await.is_status(404);
    served.read("/v1/coverage/100?from=yesterday").await.is_status(400);
    served.read("/v1/coverage/100?from=2027-01-01").await.is_status(400);
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_with_a_missing_piece_that_never_ends_is_a_gap() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let at = seconds(&archive) - 86_400;
    for (order, progress) in [(1, 20), (3, 70)] {
        let message = |n: u32| {
            let id = format!("wamid.{order}.{n}");
            json!({ "from": "15550100", "id": id, "timestamp": at.to_string(), "type": "text",
                "text": { "body": "old" }, "history_context": { "status": "READ" } })
        };
        let chunk = json!([{
            "metadata": { "phase": 1, "chunk_order": order, "progress": progress },
            "threads": [{ "id": "15550100", "messages": [message(1), message(2)] }],
        }]);
        let _ = deliver(&served, "history", &of_number("history", &chunk)).await;
    }
    assert_eq!(missing(&coverage(&served).await, "history-incomplete"), None, "it may still be on its way");
    let _ = archive.clock.advance(2 * DAY);
    let view = coverage(&served).await;
    let gap = missing(&view, "history-incomplete").unwrap();
    let detail = gap["detail"].as_str().unwrap();
    assert!(detail.contains("70 percent") && detail.contains("piece 2 of phase 1"), "{detail}");
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_status_is_a_gap_until_its_send_is_known() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let _ = say(&served, "wamid.1").await;
    let at = seconds(&archive).to_string();
    let status =
        json!([{ "id": "wamid.sent", "status": "sent", "timestamp": at, "recipient_id": "15550100" }]);
    let seq = deliver(&served, "messages", &of_number("statuses", &status)).await;
    let reply = json!([{ "from": "15550100", "id": "wamid.2", "timestamp": at, "type": "text",
        "text": { "body": "yes" }, "context": { "from": PHONE, "id": "wamid.never-seen" } }]);
    let _ = deliver(&served, "messages", &of_number("messages", &reply)).await;
    let _ = archive.clock.advance(2 * HOUR);
    let view = coverage(&served).await;
    let orphan = missing(&view, "orphan-status").unwrap();
    assert_eq!((&orphan["count"], &orphan["evidence"]), (&json!(1), &json!([seq])));
    assert_eq!(missing(&view, "dangling-reference").unwrap()["count"], 1);

    let journal = json!({
        "journal_id": "order-17",
        "endpoint": "messages",
        "number": "100",
        "request": { "messaging_product": "whatsapp", "to": "15550100", "type": "text", "text": { "body": "done" } },
        "status": 200,
        "response": { "messaging_product": "whatsapp", "messages": [{ "id": "wamid.sent" }] },
        "sent_at": "2026-11-21T21:20:00Z",
    });
    let answer = served.send(Role::Ingest, Method::POST, "/v1/sends", journal.to_string()).await;
    assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    let view = coverage(&served).await;
    assert_eq!(missing(&view, "orphan-status"), None, "{view:#}");
    assert!(missing(&view, "dangling-reference").is_some());
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_of_a_number_that_is_never_silent_is_a_gap() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    // Two messages an hour, day and night, for four weeks.
    for day in 0..28_u64 {
        let at = |n: u64| seconds(&archive) + n * 1_800;
        let messages: Vec<Value> = (0..48).map(|n| text(&format!("wamid.{day}.{n}"), at(n))).collect();
        let _ = archive.clock.advance(DAY);
        let _ = deliver(&served, "messages", &of_number("messages", &messages.into())).await;
    }
    let _ = archive.clock.advance(3 * HOUR);
    assert_eq!(missing(&coverage(&served).await, "silence"), None);
    let _ = archive.clock.advance(6 * HOUR);
    let view = coverage(&served).await;
    let gap = missing(&view, "silence").unwrap();
    assert_eq!((&view["state"], &gap["certain"]), (&json!("degraded"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_the_archive_is_seen_by_the_missing_beats() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let _ = say(&served, "wamid.1").await;
    let start = i64::try_from(NOW).unwrap();
    let _ = archive.clock.advance(HOUR);
    let until = served.archive.beat(start).await.unwrap();
    served.close().await;
    let _ = archive.clock.advance(40 * HOUR);
    let served = archive.serve().await;
    let first = until + 40 * 3_600 * 1_000_000;
    let _ = served.archive.beat(first).await.unwrap();
    let _ = archive.clock.advance(HOUR);
    let _ = served.archive.beat(first).await.unwrap();
    let view = coverage(&served).await;
    let expected = [
        state("closed", &["not-connected"]),
        state("open", &["onboarded"]),
        state("closed", &["downtime-lost"]),
        state("open", &["onboarded"]),
    ];
    assert_eq!(states(&view), expected, "{view:#}");
    let gap = missing(&view, "downtime-lost").unwrap();
    assert_eq!(gap["evidence"].as_array().unwrap().len(), 2, "the beat before and the beat after");
    assert!(gap["remedy"].as_str().unwrap().contains("WhatsApp may repeat"), "{gap}");
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_not_opened_is_warned_about_and_then_lost() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let echoes = json!([echo("wamid.1", seconds(&archive))]);
    let _ = deliver(&served, "smb_message_echoes", &of_number("message_echoes", &echoes)).await;
    let _ = archive.clock.advance(9 * DAY);
    assert_eq!(coverage(&served).await["state"], "open");
    let _ = archive.clock.advance(2 * DAY);
    let view = coverage(&served).await;
    assert_eq!(view["state"], "degraded");
    assert!(
        missing(&view, "phone-unopened").unwrap()["remedy"].as_str().unwrap().contains("open the WhatsApp")
    );
    let _ = archive.clock.advance(4 * DAY);
    let view = coverage(&served).await;
    assert_eq!(view["state"], "closed");
    assert!(missing(&view, "phone-unopened-lost").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_and_each_day_is_put_on_record_once() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let _ = say(&served, "wamid.1").await;
    let mut at = i64::try_from(NOW).unwrap();
    let _ = archive.clock.advance(HOUR);
    at = served.archive.beat(at).await.unwrap();
    let _ = archive.clock.advance(HOUR);
    let _ = account(&served, "ACCOUNT_OFFBOARDED").await;
    for _ in 0..3 {
        let _ = archive.clock.advance(HOUR);
        at = served.archive.beat(at).await.unwrap();
    }
    let events = served.on.events().await;
    let of = |kind: Kind| {
        let found = events.iter().filter(|event| event.kind == kind);
        found
            .map(|event| serde_json::from_slice(event.bytes.as_ref().unwrap()).unwrap())
            .collect::<Vec<Value>>()
    };
    let changes: Vec<_> = of(Kind::CoverageChanged).iter().map(|change| change["state"].clone()).collect();
    assert_eq!(changes, [json!("closed")]);
    let beats = of(Kind::CoverageHeartbeat);
    assert_eq!(beats.len(), 4);
    assert_eq!((&beats[0]["capturing"], &beats[0]["numbers"][0]["items"]), (&json!(true), &json!(1)));
    let days: Vec<_> = of(Kind::FindingReported).iter().map(|report| report["day"].clone()).collect();
    assert_eq!(days, [json!("2026-11-21")]);
    let last = of(Kind::FindingReported).pop().unwrap();
    assert_eq!(last["findings"][0]["rule"], "coverage.offboarded", "{last}");
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_there_is_no_beat() {
    use piperoll_store::faulty::{Fault, Operation, Outcome};
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    archive.store.inject(Fault::always(Operation::Create, "", Outcome::Full));
    assert!(served.archive.beat(i64::try_from(NOW).unwrap()).await.is_err());
    archive.store.heal();
    assert!(served.archive.beat(i64::try_from(NOW).unwrap()).await.is_ok());
    served.check_everything().await;
}
