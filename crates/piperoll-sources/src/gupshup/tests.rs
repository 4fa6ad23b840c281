//! Events as Gupshup documents them, with made-up people.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use serde_json::json;

use super::*;
use crate::check::{check, project_whole};
use crate::message::{Direction, Reference, Relation};

pub(crate) const FIXTURES: [&str; 5] = [TEXT, STATUS, CHOICE, TEMPLATE, PASSED];

const TEXT: &str = r#"{"app":"AcmeSupport","timestamp":1790000000123,"version":2,"type":"message","payload":{
    "id":"ABEGkYaYVSEEAhAL3SLAWwHKeKrt6s3FKB0c","source":"4915550000001","type":"text","payload":{"text":"Hi there"},
    "sender":{"phone":"4915550000001","name":"Ada Brandt","country_code":"49","dial_code":"15550000001"},
    "context":{"id":"wamid.B0","gsId":"gs-0"}}}"#;
const STATUS: &str = r#"{"app":"AcmeSupport","timestamp":1790000009000,"version":2,"type":"message-event","payload":{
    "id":"gs-3","type":"failed","destination":"4915550000001","payload":{"code":131050,"reason":"User stopped",
    "whatsappMessageId":"wamid.D3","ts":1790000008}}}"#;
const CHOICE: &str = r#"{"app":"AcmeSupport","timestamp":1790000010000,"version":2,"type":"user-event",
    "payload":{"phone":"4915550000001","type":"opted-out"}}"#;
const TEMPLATE: &str = r#"{"app":"AcmeSupport","timestamp":1790000011000,"version":2,"type":"template-event","payload":{
    "type":"status-update","id":"42","status":"rejected","elementName":"order_sent","languageCode":"de",
    "rejectedReason":"too vague"}}"#;
const PASSED: &str = r#"{"gs_app_id":"g-1","object":"whatsapp_business_account","entry":[{"id":"700100",
    "time":1790000012345,"changes":[{"field":"account_update","value":{"event":"DISABLED_UPDATE"}},
    {"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"9001",
    "display_phone_number":"15550100000"},"contacts":[{"profile":{"name":"Bo Chen"},"wa_id":"8615550002"}],
    "messages":[{"from":"8615550002","id":"wamid.P1","timestamp":"1790000012","type":"text","text":{"body":"hello"}}]}},
    {"field":"platform-event","value":{"type":"enqueued"}}]}]}"#;

#[test]
fn events_are_items() {
    let other = |name: &str, payload: &str| {
        format!(r#"{{"app":"a","timestamp":1790000000000,"version":2,"type":"{name}","payload":{payload}}}"#)
    };
    for (body, expected) in [
        (
            TEXT.to_owned(),
            "whatsapp.message AcmeSupport/gupshup:ABEGkYaYVSEEAhAL3SLAWwHKeKrt6s3FKB0c wa:4915550000001",
        ),
        (
            STATUS.into(),
            "whatsapp.status AcmeSupport/wamid.D3|failed|4915550000001|1790000008 wa:4915550000001",
        ),
        (
            CHOICE.into(),
            "whatsapp.preference AcmeSupport/wa:4915550000001|user-event|opted-out|2026-09-21T14:13:30.000Z wa:4915550000001",
        ),
        (TEMPLATE.into(), "whatsapp.template - -"),
        (other("user-event", r#"{"phone":"491","type":"sandbox-start"}"#), "whatsapp.other - wa:491"),
        (
            other("billing-event", r#"{"references":{"id":"b-1","destination":"491"}}"#),
            "whatsapp.other - wa:491",
        ),
        (other("account-event", r#"{"type":"tier-event"}"#), "whatsapp.account - -"),
        (other("message", "{}"), "whatsapp.message - - malformed+source-id-missing+subject-missing"),
        (other("message", "7"), "unrecognised - -"),
        (
            other("message", "{}").replace("1790000000000", "\"soon\""),
            "whatsapp.message - - malformed+time-missing+source-id-missing+subject-missing",
        ),
    ] {
        check(Sender::Gupshup, &body, &[expected]);
    }
    assert_eq!(split(TEXT.as_bytes()).items[0].occurred_at, Some(1_790_000_000_123_000));
    assert_eq!(split(TEXT.as_bytes()).items[0].number.as_deref(), Some("AcmeSupport"));
}

#[test]
fn passed_body_is_cut_as_from_meta_and_milliseconds_are_no_flaw() {
    check(
        Sender::Gupshup,
        PASSED,
        &["whatsapp.account - -", "whatsapp.message 9001/wamid.P1 wa:8615550002", "whatsapp.other - -"],
    );
    let items = split(PASSED.as_bytes()).items;
    assert_eq!(items[0].occurred_at, Some(1_790_000_012_345_000));
    assert!(whatsapp::split(PASSED.as_bytes()).items[0].flags.contains(&Flag::TimeImplausible));
    let far = PASSED.replace("1790000012345", "9999999999999");
    assert_eq!(split(far.as_bytes()).items[0].flags, [Flag::TimeImplausible]);
}

#[test]
fn text_reads_as_from_meta() {
    let read = project_whole(Sender::Gupshup, TEXT);
    assert_eq!((read.direction, read.message_type.as_str()), (Some(Direction::Inbound), "text"));
    assert_eq!(read.texts, ["Hi there"]);
    assert_eq!(read.from.unwrap().name.as_deref(), Some("Ada Brandt"));
    assert_eq!(read.conversation.as_deref(), Some("AcmeSupport:4915550000001"));
    assert_eq!(read.occurred_at, Some(1_790_000_000_123_000));
    assert_eq!(read.references, [Reference { relation: Relation::RepliesTo, source_id: "wamid.B0".into() }]);
}

#[test]
fn every_content_type_gives_its_texts() {
    let read = |kind: &str, inner: Value| {
        let payload = json!({"id": "wamid.1", "source": "491", "type": kind, "payload": inner, "context": {"id": "wamid.0"}});
        let event =
            json!({"app": "a", "timestamp": 1_790_000_000_000_i64, "type": "message", "payload": payload});
        project_whole(Sender::Gupshup, &event.to_string())
    };
    let file = read(
        "file",
        json!({"url": "https://f/1", "name": "a.pdf", "caption": "here", "contentType": "application/pdf"}),
    );
    assert_eq!((file.message_type.as_str(), file.texts), ("document", vec!["here".to_owned()]));
    assert_eq!(file.attachments[0].filename.as_deref(), Some("a.pdf"));
    assert_eq!(file.attachments[0].media_id.as_deref(), Some("https://f/1"));
    let place = read("location", json!({"latitude": "1", "longitude": "2", "name": "Depot"}));
    assert_eq!(place.texts, ["Depot"]);
    let reply = read("list_reply", json!({"title": "Express", "id": "x", "description": "next day"}));
    assert_eq!(reply.texts, ["next day", "Express"]);
    assert_eq!(read("quick_reply", json!({"text": "Stop"})).texts, ["Stop"]);
    let card = read("contact", json!({"contacts": [{"name": {"formatted_name": "Li Wei"}}]}));
    assert_eq!(card.texts, ["Li Wei"]);
    let reaction = read("reaction", json!({"emoji": "❤"}));
    assert_eq!(
        reaction.references,
        [Reference { relation: Relation::ReactsTo, source_id: "wamid.0".into() }]
    );
    assert_eq!(read("poll_of_2027", json!({"question": "Why?"})).texts, ["Why?"]);
}

#[test]
fn statuses_choices_and_templates_are_read() {
    let status = project_whole(Sender::Gupshup, STATUS);
    assert_eq!((status.message_type.as_str(), status.error_codes), ("failed", vec![131_050]));
    assert_eq!(
        (status.references[0].source_id.as_str(), status.texts),
        ("wamid.D3", vec!["User stopped".into()])
    );
    let choice = project_whole(Sender::Gupshup, CHOICE);
    assert_eq!(
        (choice.message_type.as_str(), choice.from.unwrap().phone.as_deref()),
        ("opted-out", Some("4915550000001"))
    );
    let template = project_whole(Sender::Gupshup, TEMPLATE);
    assert_eq!(
        (template.message_type.as_str(), template.template.unwrap().id.as_deref()),
        ("rejected", Some("42"))
    );
    assert!(template.texts.contains(&"too vague".to_owned()));
}
