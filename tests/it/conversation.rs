//! Goal: a conversation reads as it was: every version, withdrawal, reaction and status stands with its message, and
//! what was sent through the API reads as the customer read it.

use axum::http::Method;
use piperoll_server::Role;
use piperoll_tests::{Served, TestArchive};
use serde_json::{Value, json};

/// 2026-11-21T10:00:00Z in seconds.
const TEN: i64 = 1_795_255_200;

async fn deliver(served: &Served<'_>, field: &str, mut value: Value) -> u64 {
    let first = served.size();
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] = json!({"display_phone_number": "15550109", "phone_number_id": "100"});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]});
    served.deliver(body.to_string().as_bytes()).await.is_status(200);
    first
}

fn message(id: &str, at: i64, kind: &str, content: Value) -> Value {
    let mut message = json!({"from": "491", "id": id, "timestamp": at.to_string(), "type": kind});
    message[kind] = content;
    json!({"messages": [message]})
}

async fn page(served: &Served<'_>, query: &str) -> Value {
    served.archive.catch_up().await;
    served.read(&format!("/v1/conversations/100:491?{query}")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn message_is_shown_with_what_happened_to_it() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let first = deliver(&served, "messages", message("wamid.1", TEN, "text", json!({"body": "helo"}))).await;
    let edit =
        json!({"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "hello"}}});
    let edited = deliver(&served, "messages", message("wamid.2", TEN + 5, "edit", edit)).await;
    let like = json!({"message_id": "wamid.1", "emoji": "👍"});
    deliver(&served, "messages", message("wamid.3", TEN + 6, "reaction", like)).await;
    deliver(&served, "messages", message("wamid.4", TEN + 7, "reaction", json!({"message_id": "wamid.1"})))
        .await;
    let revoke = json!({"original_message_id": "wamid.1"});
    let revoked = deliver(&served, "messages", message("wamid.5", TEN + 8, "revoke", revoke)).await;
    let mut reply = message("wamid.6", TEN + 9, "text", json!({"body": "and?"}));
    reply["messages"][0]["context"] = json!({"id": "wamid.1"});
    deliver(&served, "messages", reply).await;
    let found = page(&served, "tz=Asia/Jakarta").await;
    let turn = &found["turns"][0];
    assert_eq!((found["turns"].as_array().unwrap().len(), &turn["event"]["seq"]), (2, &first.into()));
    assert_eq!(
        turn["at"],
        json!({"utc": "2026-11-21T10:00:00.000000Z", "local": "2026-11-21T17:00:00+07:00"})
    );
    assert_eq!((&turn["text"], &turn["event"]["message"]["texts"][0]), (&"hello".into(), &"helo".into()));
    assert_eq!((&turn["edits"][0]["seq"], &turn["edits"][0]["text"]), (&edited.into(), &"hello".into()));
    assert_eq!(turn["withdrawn"][0]["seq"], revoked);
    assert_eq!((&turn["reactions"][0]["emoji"], turn["reactions"][1].get("emoji")), (&"👍".into(), None));
    assert_eq!(found["turns"][1]["replies_to"], first);
    let proven = page(&served, "proofs=all").await;
    let proofs = proven["proofs"].as_array().unwrap();
    assert!(proofs.len() >= 3 && proofs.iter().all(|proof| proof["agrees"] == true), "{proofs:?}");
    let refused = served.read("/v1/conversations/100:491?before=x").await;
    refused.is_status(400);
    served.read("/v1/conversations/100:491?limit=201").await.is_status(400);
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn send_reads_as_the_customer_read_it() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let snapshot = json!({"kind": "template.snapshot", "source_id": "t-1", "occurred_at": "2026-11-21T09:00:00Z",
        "template": {"name": "offer", "language": "de", "status": "APPROVED", "category": "MARKETING",
            "components": [{"type": "BODY", "text": "Hallo {{1}}"}, {"type": "FOOTER", "text": "Stop mit STOP"}]}});
    served.send(Role::Ingest, Method::POST, "/v1/events", snapshot.to_string()).await.is_status(200);
    let send = json!({"journal_id": "j1", "endpoint": "messages", "number": "100", "sent_at": "2026-11-21T10:00:00Z",
        "request": {"messaging_product": "whatsapp", "to": "491", "type": "template", "template": {"name": "offer",
            "language": {"code": "de"}, "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ada"}]}]}},
        "status": 200, "response": {"messages": [{"id": "wamid.o"}]}});
    served.send(Role::Ingest, Method::POST, "/v1/sends", send.to_string()).await.is_status(200);
    for (status, second) in [("sent", 1), ("delivered", 2)] {
        let status = json!({"id": "wamid.o", "status": status, "timestamp": (TEN + second).to_string(), "recipient_id": "491"});
        deliver(&served, "messages", json!({"statuses": [status]})).await;
    }
    let found = page(&served, "").await;
    let turn = &found["turns"][0];
    assert_eq!(found["turns"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&turn["role"], &turn["origin"], &turn["direction"]),
        (&"send".into(), &"api".into(), &"outbound".into())
    );
    assert_eq!((&turn["text"], &turn["status"]), (&"Hallo Ada\nStop mit STOP".into(), &"delivered".into()));
    assert_eq!(turn["statuses"].as_array().unwrap().len(), 2);
    assert!(turn["answer"]["seq"].is_u64() && turn["template_version"].is_u64());
    assert_eq!((&found["named_only"], found.get("proofs")), (&3.into(), None), "two statuses and the answer");
    let found = page(&served, "proofs=all").await;
    let proofs = found["proofs"].as_array().unwrap();
    assert_eq!((&found["named_only"], proofs.len()), (&0.into(), 3));
    assert!(
        proofs.iter().all(|proof| proof["agrees"] == true && proof["event_hash"].is_string()),
        "{proofs:?}"
    );
    let kinds: Vec<_> = proofs.iter().map(|proof| &proof["kind"]).collect();
    assert_eq!(kinds, ["whatsapp.status", "whatsapp.status", "send.answered"]);
    served.read("/v1/conversations/100:491?proofs=some").await.is_status(400);
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_and_history_copies_are_one_message_and_pages_join() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let history = json!({"history": [{"metadata": {"phase": 0, "chunk_order": 1, "progress": 100}, "threads": [{"id": "491",
        "messages": [{"from": "491", "id": "wamid.0", "timestamp": TEN.to_string(), "type": "text",
            "text": {"body": "n0"}, "history_context": {"status": "READ"}}]}]}]});
    let copy = deliver(&served, "history", history).await;
    for n in 0..7 {
        deliver(
            &served,
            "messages",
            message(&format!("wamid.{n}"), TEN + n, "text", json!({"body": format!("n{n}")})),
        )
        .await;
    }
    let mut texts = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let found = page(&served, &query).await;
        let turns = found["turns"].as_array().unwrap();
        let page: Vec<String> = turns.iter().map(|turn| turn["text"].as_str().unwrap().to_owned()).collect();
        texts.splice(0..0, page);
        let Some(before) = found["next_before"].as_str() else {
            assert_eq!(turns[0]["duplicates"], json!([copy]), "{found}");
            break;
        };
        query = format!("limit=3&before={before}");
    }
    assert_eq!(texts, ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
    served.check_everything().await;
}
