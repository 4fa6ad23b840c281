//! Goal: whether a person wanted messages at a moment is told with proofs, whatever channel said it and under
//! whichever of their numbers.

use axum::http::Method;
use piperoll_server::Role;
use piperoll_tests::{Served, TestArchive, escape, webhook};
use serde_json::{Value, json};

/// 2026-11-21T10:00:00Z in seconds.
const TEN: i64 = 1_795_255_200;

async fn hand_in(served: &Served<'_>, event: Value) -> u64 {
    let answer = served.send(Role::Ingest, Method::POST, "/v1/events", event.to_string()).await.ok();
    answer["seq"].as_u64().unwrap()
}

async fn deliver(served: &Served<'_>, field: &str, mut value: Value) {
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] = json!({"display_phone_number": "15550109", "phone_number_id": "100"});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]});
    served.deliver(body.to_string().as_bytes()).await.is_status(200);
}

fn given(source_id: &str, phone: &str) -> Value {
    json!({"kind": "consent.given", "source_id": source_id, "occurred_at": "2026-11-21T09:00:00Z",
        "person": {"phone": phone}, "channel": "web-form", "purpose": "marketing", "statement": "I agree to offers."})
}

async fn state(served: &Served<'_>, person: &str, query: &str) -> Value {
    served.archive.catch_up().await;
    served.read(&format!("/v1/persons/{}/consent?{query}", escape(person))).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn state_at_a_moment_is_shown_with_proven_events() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let form = hand_in(&served, given("form-1", "+4915550001")).await;
    let stop = json!({"messages": [{"from": "4915550001", "id": "wamid.1", "timestamp": TEN.to_string(), "type": "text",
        "text": {"body": "Stop!"}}]});
    deliver(&served, "messages", stop).await;
    let rows = [
        ("2026-11-21T08:59:59Z", "unknown"),
        ("2026-11-21T09:30:00Z", "given"),
        ("2026-11-21T10:00:00Z", "withdrawn"),
    ];
    for (at, expected) in rows {
        let query = format!("purpose=marketing&at={}", escape(at));
        assert_eq!(state(&served, "+49 15550001", &query).await["state"], expected, "{at}");
    }
    // The same clock time means another moment in another zone.
    let local =
        state(&served, "wa:4915550001", "at=2026-11-21T10:59&tz=Europe/Berlin&purpose=marketing").await;
    assert_eq!(
        (&local["state"], &local["at"]["utc"]),
        (&"given".into(), &"2026-11-21T09:59:00.000000Z".into())
    );
    assert_eq!((&local["decided_by"], &local["evidence"][0]["seq"]), (&form.into(), &form.into()));
    let event = &local["evidence"][0]["event"];
    assert_eq!(
        (&event["state"], &event["message"]["texts"][0]),
        (&"available".into(), &"I agree to offers.".into())
    );
    assert!(event["proof"]["tree_size"].as_u64() > Some(form));
    let refused = served.read("/v1/persons/nobody%3F/consent").await;
    refused.is_status(400);
    served.read("/v1/persons/491/consent?at=tomorrow").await.is_status(400);
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_with_an_end_expires_without_an_event() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let mut event = given("form-1", "+4915550001");
    event["expires_at"] = "2026-11-21T12:00:00+01:00".into();
    let form = hand_in(&served, event.clone()).await;
    for (at, expected) in [("10:59:59", "given"), ("11:00:00", "expired")] {
        let found = state(&served, "+4915550001", &format!("purpose=marketing&at=2026-11-21T{at}Z")).await;
        assert_eq!((&found["state"], &found["decided_by"]), (&expected.into(), &form.into()), "{at}");
    }
    let found = state(&served, "+4915550001", "purpose=marketing&at=2026-11-22").await;
    let rule = found["rule"].as_str().unwrap();
    assert!(rule.contains("given until 2026-11-21T11:00:00"), "{rule}");
    assert_eq!(found["evidence"][0]["expires_at"]["utc"], "2026-11-21T11:00:00.000000Z");
    let path = "/v1/persons/4915550001/consent/record?purpose=marketing&at=2026-11-22";
    let record = served.read(path).await.ok();
    assert_eq!(record["events"][0]["valid_until"], "2026-11-21T11:00:00.000000Z");
    assert_eq!(record["state"]["value"], "expired");
    for (name, value) in [("expires_at", "2026-11-21T09:00:00Z"), ("kind", "consent.withdrawn")] {
        let mut wrong = event.clone();
        (wrong["source_id"], wrong[name]) = ("form-2".into(), value.into());
        let answer = served.send(Role::Ingest, Method::POST, "/v1/events", wrong.to_string()).await;
        answer.is_status(400);
        assert!(
            answer.json()["error"]["message"].as_str().unwrap().starts_with("field `expires_at`: expected ")
        );
    }
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_and_search_follow_a_person_to_another_number() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    hand_in(&served, given("form-1", "4915550001")).await;
    let moved = json!({"messages": [{"from": "4915550001", "id": "wamid.s", "timestamp": TEN.to_string(),
        "type": "system", "system": {"body": "changed", "wa_id": "4915550002", "type": "user_changed_number"}}]});
    deliver(&served, "messages", moved).await;
    deliver(
        &served,
        "user_preferences",
        json!({"contacts": [{"profile": {"name": "Ada"}, "wa_id": "4915550002",
        "user_id": "DE.7"}], "user_preferences": [{"wa_id": "4915550002", "user_id": "DE.7", "detail": "d",
        "category": "marketing_messages", "value": "stop", "timestamp": TEN + 60}]}),
    )
    .await;
    let found = state(&served, "DE.7", "purpose=marketing").await;
    assert_eq!(found["state"], "withdrawn");
    assert_eq!(found["evidence"].as_array().unwrap().len(), 2, "{found}");
    let person = served.read("/v1/persons/4915550001").await.ok();
    let aliases: Vec<&str> =
        person["aliases"].as_array().unwrap().iter().map(|alias| alias["alias"].as_str().unwrap()).collect();
    assert_eq!(aliases.len(), 3, "{person}");
    served.deliver(&webhook(&[("wamid.2", "4915550002", "quokka")])).await.is_status(200);
    served.deliver(&webhook(&[("wamid.3", "4915559999", "quokka")])).await.is_status(200);
    let found = served.search("quokka person:4915550001").await;
    assert_eq!(found["total"], 1, "{found}");
    let query = found["query"].as_str().unwrap();
    assert!(query.contains("4915550002") && query.contains("DE.7"), "{query}");
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn record_has_the_fields_of_the_standard() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let form = hand_in(&served, given("form-1", "4915550001")).await;
    served.archive.catch_up().await;
    let record = served.read("/v1/persons/4915550001/consent/record?purpose=marketing").await.ok();
    let schema: Value =
        serde_json::from_str(include_str!("../../schemas/consent-record.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "{record}");
    assert_eq!(record["state"]["value"], "given");
    assert!(record["events"][0]["event_id"].as_str().unwrap().ends_with(&format!("/{form}")));
    assert_eq!(record["pii_processing"]["privacy_notices"][0]["text"], "I agree to offers.");
}
