//! Events from other channels.

use super::*;

const CONSENT: &str = r#"{"kind":"consent.given","source_id":"form-17","occurred_at":"2026-11-21T10:00:00+01:00",
    "person":{"phone":"+15550100001","name":"Ada Example"},"number":"106540352242922","channel":"web-form",
    "statement":"Yes, send me offers."}"#;

#[tokio::test(flavor = "multi_thread")]
async fn consent_is_kept_as_it_was_sent_and_found_like_any_other_event() {
    let bench = Bench::new().await;
    let receipt = bench.send(Role::Ingest, Method::POST, "/v1/events", CONSENT).await.ok();
    assert_eq!((&receipt["seq"], &receipt["repeated"]), (&Value::from(1), &Value::from(false)));
    let again = bench.send(Role::Admin, Method::POST, "/v1/events", CONSENT).await.ok();
    assert_eq!((&again["seq"], &again["repeated"]), (&Value::from(1), &Value::from(true)));
    assert_eq!(again["event_hash"], receipt["event_hash"]);
    let raw = bench.read("/v1/events/1/raw").await;
    assert_eq!((raw.text(), raw.header("piperoll-signature")), (CONSENT, None));
    let found = bench.search("kind:consent.* offers").await;
    assert_eq!((&found["total"], &found["hits"][0]["seq"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(found["hits"][0]["source"], "api");
    let read = bench.archive.reader().read(Seq(1)).await.unwrap().payload.unwrap().payload;
    assert_eq!(read.facts.subject.as_deref(), Some("wa:15550100001"));
    assert_eq!(read.provenance.signature_key.as_deref(), Some("token:the-ingest"));
}

/// Goal: what is accepted is what the schema accepts.
/// Method: the schema's examples, each changed in one way; both must say the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_schema_and_the_server_accept_the_same() {
    let bench = Bench::new().await;
    let schema: Value = serde_json::from_str(include_str!("../../../../schemas/event.schema.json")).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let mut bodies = Vec::new();
    for example in schema["examples"].as_array().unwrap() {
        bodies.push(example.clone());
        for field in example.as_object().unwrap().keys() {
            for change in [Value::Null, Value::from(""), Value::from(7), Value::from("x".repeat(20_000))] {
                let mut body = example.clone();
                body[field] = change;
                bodies.push(body);
            }
            let mut body = example.clone();
            let _ = body.as_object_mut().unwrap().remove(field);
            bodies.push(body);
        }
        for (field, value) in [
            ("surprise", Value::from(1)),
            ("occurred_at", Value::from("2026-11-21 10:00:00Z")),
            ("occurred_at", Value::from("2026-11-21T10:00:00")),
            ("person", serde_json::json!({})),
            ("person", serde_json::json!({"phone": "+1 555 0100"})),
            ("person", serde_json::json!({"phone": "15550100001", "age": 4})),
            ("person", serde_json::json!({"user_id": "DE.1"})),
            ("template", serde_json::json!({"name": "a", "language": "de", "components": []})),
            (
                "template",
                serde_json::json!({"name": "a", "language": "de", "components": [{"type": "BODY", "x": 1}]}),
            ),
            ("language", Value::from("english please")),
            ("number", Value::from("12a")),
            ("channel", Value::from("pigeon")),
            ("statement_version", Value::from("4")),
        ] {
            let mut body = example.clone();
            body[field] = value;
            bodies.push(body);
        }
    }
    for body in bodies {
        let answer = bench.send(Role::Ingest, Method::POST, "/v1/events", body.to_string()).await;
        let expected = if validator.is_valid(&body) { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status, expected, "{body}\n{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_name_the_field_and_what_was_expected_and_found() {
    let bench = Bench::new().await;
    for (change, expected) in [
        (
            ("+15550100001", "tomorrow"),
            "field `person.phone`: expected a phone number in E.164 such as `+15550100001`, found `tomorrow`",
        ),
        (("web-form", "pigeon"), "field `channel`: unknown variant `pigeon`, expected one of `web-form`"),
        (("\"number\"", "\"nummer\""), "field `nummer`: unknown field `nummer`, expected one of `kind`"),
        (
            ("consent.given", "whatsapp.message"),
            "field `kind`: unknown variant `whatsapp.message`, expected one of `consent.given`",
        ),
    ] {
        let body = CONSENT.replace(change.0, change.1);
        let answer = bench.send(Role::Ingest, Method::POST, "/v1/events", body).await;
        let message = answer.refused(400, "invalid");
        assert!(message.starts_with(expected), "{message}");
    }
    let cut =
        bench.send(Role::Ingest, Method::POST, "/v1/events", &CONSENT[..40]).await.refused(400, "invalid");
    assert!(cut.contains("EOF"), "{cut}");
    let large = vec![b' '; 1024 * 1024 + 1];
    let _ = bench.send(Role::Ingest, Method::POST, "/v1/events", large).await.refused(413, "too-large");
}
