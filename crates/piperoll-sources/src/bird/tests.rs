//! Events as Bird documents them, with made-up people.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use super::*;
use crate::check::{check, project_whole};
use crate::message::Direction;

pub(crate) const FIXTURES: [&str; 3] = [INBOUND, OUTBOUND, FILE];

const INBOUND: &str = r#"{"service":"channels","event":"whatsapp.inbound","payload":{"id":"b-1","channelId":"ch-9",
    "sender":{"contact":{"id":"c-1","identifierKey":"phonenumber","identifierValue":"+4915550000001",
    "annotations":{"name":"Ada Brandt"}}},"receiver":{"connector":{"id":"k-1","identifierValue":""}},
    "body":{"type":"text","text":{"text":"Is it on its way?"}},"meta":{"extraInformation":{"timestamp":"1790000000"}},
    "reference":"","parts":[{"platformReference":"wamid.A1"}],"status":"delivered","reason":"","direction":"incoming",
    "lastStatusAt":"2026-11-21T10:00:00.858Z","createdAt":"2026-11-21T10:00:00.858Z"}}"#;
const OUTBOUND: &str = r#"{"service":"channels","event":"whatsapp.outbound","payload":{"id":"b-2","channelId":"ch-9",
    "sender":{"connector":{"id":"k-1","identifierValue":"+15550100000"}},
    "receiver":{"contacts":[{"id":"c-1","identifierKey":"phonenumber","identifierValue":"+4915550000001"}]},
    "body":{"type":"text","text":{"text":"It is."}},"status":"delivery_failed","reason":"blocked by the person",
    "direction":"outgoing","lastStatusAt":"2026-11-21T10:01:00.500Z","createdAt":"2026-11-21T10:00:59Z"}}"#;
const FILE: &str = r#"{"service":"channels","event":"whatsapp.inbound","payload":{"id":"b-3","channelId":"ch-9",
    "sender":{"contact":{"identifierKey":"whatsappuserid","identifierValue":"DE.1001"}},
    "receiver":{"connector":{"identifierValue":"+15550100000"}},"body":{"type":"file","file":{"text":"receipt",
    "files":[{"contentType":"application/pdf","mediaUrl":"https://media.example/1","filename":"a.pdf"}]}},
    "createdAt":"2026-11-21T10:02:00Z"}}"#;

#[test]
fn signature_covers_time_address_and_body() {
    // { printf '1790000000\nhttps://archive.example/bird\n'; printf '{"a":1}' | openssl dgst -sha256 -binary; } |
    //     openssl dgst -sha256 -hmac signing-key -binary | base64
    let signature = Some("7MyCzK7F83xLI1JNdvj6hxb/9IrkMkg2aB9Q/oq7v9U=");
    let secrets = [AppSecret::new("older"), AppSecret::named("b1".into(), "signing-key")];
    let url = "https://archive.example/bird";
    let check =
        |time: Option<&str>, url: &str, body: &str| verify(signature, time, url, body.as_bytes(), &secrets);
    let verified = Ok(Verified { key_id: "b1", signed_at: Some(1_790_000_000) });
    assert_eq!(check(Some("1790000000"), url, r#"{"a":1}"#), verified);
    assert_eq!(check(Some("1790000001"), url, r#"{"a":1}"#), Err(SignatureError::Mismatch));
    assert_eq!(
        check(Some("1790000000"), "https://archive.example/", r#"{"a":1}"#),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(check(Some("1790000000"), url, "{}"), Err(SignatureError::Mismatch));
    assert_eq!(check(None, url, "{}"), Err(SignatureError::Missing { header: TIMESTAMP_HEADER }));
    assert!(matches!(check(Some("soon"), url, "{}"), Err(SignatureError::Malformed { .. })));
    assert!(matches!(verify(None, Some("1"), url, b"", &secrets), Err(SignatureError::Missing { .. })));
}

#[test]
fn events_are_items() {
    for (body, expected) in [
        (INBOUND, "whatsapp.message ch-9/wamid.A1 wa:4915550000001"),
        (
            OUTBOUND,
            "whatsapp.status 15550100000/bird:b-2|delivery_failed|+4915550000001|2026-11-21T10:01:00.500Z wa:4915550000001",
        ),
        (FILE, "whatsapp.message 15550100000/bird:b-3 bsuid:DE.1001"),
        (
            r#"{"service":"channels","event":"sms.inbound","payload":{"id":"b-4"}}"#,
            "whatsapp.other bird:b-4 - time-missing",
        ),
        (r#"{"service":"channels","event":"whatsapp.inbound"}"#, "unrecognised - -"),
        ("[]", "unrecognised - -"),
    ] {
        check(Sender::Bird, body, &[expected]);
    }
}

#[test]
fn messages_read_as_from_meta() {
    let read = project_whole(Sender::Bird, INBOUND);
    assert_eq!(
        (read.direction, read.texts),
        (Some(Direction::Inbound), vec!["Is it on its way?".to_owned()])
    );
    assert_eq!(read.from.unwrap().name.as_deref(), Some("Ada Brandt"));
    assert_eq!(read.conversation.as_deref(), Some("ch-9:4915550000001"));
    assert_eq!(
        (read.source_id.as_deref(), read.occurred_at),
        (Some("wamid.A1"), Some(1_790_000_000_000_000))
    );
    let file = project_whole(Sender::Bird, FILE);
    assert_eq!((file.message_type.as_str(), file.texts), ("document", vec!["receipt".to_owned()]));
    assert_eq!(file.attachments[0].media_id.as_deref(), Some("https://media.example/1"));
    let other = INBOUND.replace(r#""type":"text","text":{"text""#, r#""type":"list","list":{"text""#);
    assert_eq!(project_whole(Sender::Bird, &other).texts, ["Is it on its way?"]);
}

#[test]
fn sent_message_shows_its_text_and_why_it_failed() {
    let read = project_whole(Sender::Bird, OUTBOUND);
    assert_eq!(read.message_type, "delivery_failed");
    assert_eq!(read.texts, ["blocked by the person", "It is."]);
    assert_eq!(read.to[0].phone.as_deref(), Some("4915550000001"));
    assert_eq!(read.references[0].source_id, "bird:b-2");
}
