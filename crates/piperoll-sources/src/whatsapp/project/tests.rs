//! Tests of reading items as messages.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use serde_json::{Value as Json, json};

use super::*;
use crate::check;
use crate::message::{Direction, Origin, Reference, Relation};
use crate::project;
use crate::sender::Sender;

const TEXT: &str = include_str!("../fixtures/text.json");
const BATCH: &str = include_str!("../fixtures/batch.json");
const HISTORY: &str = include_str!("../fixtures/history.json");
const STANDBY: &str = include_str!("../fixtures/standby.json");
const CALLS: &str = include_str!("../fixtures/calls.json");
const HANDOVER: &str = include_str!("../fixtures/handover.json");

fn read_slices(body: &[u8]) -> Vec<Message> {
    check::project_slices(Sender::Meta, body)
}

/// Reads the only item of a body from the whole of it.
fn read_whole(body: &[u8]) -> Message {
    let items = split(body).items;
    project(items[0].kind, &Captured { whole: true, parts: &[body], ..Captured::default() })
}

/// Orders texts, since the members of an object have no order to rely on.
fn sorted<T: AsRef<str>>(texts: &[T]) -> Vec<&str> {
    let mut texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
    texts.sort_unstable();
    texts
}

/// Reads a message with the given content as it comes from a customer.
fn read_content(content: Json) -> Message {
    let mut message = json!({"from": "491", "id": "wamid.1", "timestamp": "1"});
    message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    let slice = message.to_string();
    let parts = [slice.as_bytes()];
    project(Kind::WhatsappMessage, &Captured { parts: &parts, number: Some("9001"), ..Captured::default() })
}

#[track_caller]
fn check_texts(content: Json, expected: &[&str]) -> Message {
    let message = read_content(content);
    assert_eq!(sorted(&message.texts), sorted(expected));
    message
}

#[test]
fn text_message_is_read_in_full() {
    let read = serde_json::to_value(read_whole(TEXT.as_bytes())).unwrap();
    let expected = json!({
        "source_id": "wamid.A1",
        "message_type": "text",
        "direction": "inbound",
        "origin": "customer",
        "from": {"phone": "4915550000001", "user_id": "DE.1001", "username": "ada.b", "name": "Ada Brandt"},
        "to": [{"phone": "15550100000"}],
        "number": {"id": "9001", "phone": "15550100000"},
        "conversation": "9001:4915550000001",
        "occurred_at": 1_790_000_000_000_000_i64,
        "texts": ["Is the Grüne parcel on its way? 📦"],
        "references": [{"relation": "replies-to", "source_id": "wamid.B0"}],
        "account": "700100",
    });
    assert_eq!(read, expected);
}

#[test]
fn slices_are_read_as_the_whole_but_for_the_surroundings() {
    for body in [TEXT, HANDOVER] {
        let mut whole = read_whole(body.as_bytes());
        let sliced = read_slices(body.as_bytes()).remove(0);
        whole.account = None;
        if let Some(number) = &mut whole.number {
            number.phone = None;
        }
        whole.to.clear();
        assert_eq!(whole, sliced);
    }
}

#[test]
fn batch_is_read_by_kind() {
    let read = read_slices(BATCH.as_bytes());
    let lines: Vec<String> = read
        .iter()
        .map(|message| {
            let name = message.from.iter().chain(&message.to).find_map(|party| party.name.clone());
            let conversation = message.conversation.clone().unwrap_or_default();
            [
                &message.message_type,
                &conversation,
                &name.unwrap_or_default(),
                &sorted(&message.texts).join("/"),
            ]
            .map(String::as_str)
            .join("|")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "text|9001:4915550000001|Ada Brandt|first of Ada",
            "image|9001:SG.2002|Bo Chen|receipt of Bo",
            "reaction|9001:4915550000001||❤",
            "revoke|9001:12025550003|Cy Dorsey|",
            "delivered|9001:33655500004||",
            "error|||Rate limit hit",
            "text|9001:5215550000005||echo to Eva",
            "stop|9001:6215550000006|Fay Gil|Fay opted out/marketing_messages/stop",
            "add|9001:4415550000007|Gus Hale|4415550000007/Gus/Gus Hale",
            "APPROVED|||APPROVED/en_US/order_sent",
        ]
    );
    assert_eq!(read[1].attachments[0].sha256.as_deref(), Some("k7C1"));
    assert_eq!(read[4].references, [reference(Relation::StatusOf, "wamid.D4")]);
    assert_eq!(read[4].to[0].phone.as_deref(), Some("33655500004"));
    assert_eq!(read[5].error_codes, [130_429]);
    assert_eq!((read[6].direction, read[6].origin), (Some(Direction::Outbound), Some(Origin::App)));
    assert_eq!(read[6].from.as_ref().unwrap().phone.as_deref(), Some("15550100000"));
    let template = read[9].template.as_ref().unwrap();
    assert_eq!((template.name.as_deref(), template.id.as_deref()), (Some("order_sent"), Some("42")));
}

fn reference(relation: Relation, source_id: &str) -> Reference {
    Reference { relation, source_id: source_id.to_owned() }
}

#[test]
fn history_direction_follows_the_person_of_the_thread() {
    let read = read_slices(HISTORY.as_bytes());
    let directions: Vec<_> = read.iter().map(|message| message.direction.unwrap()).collect();
    assert_eq!(directions, [Direction::Outbound, Direction::Inbound, Direction::Inbound]);
    assert!(read.iter().all(|message| message.origin == Some(Origin::History)));
    let person = &read[0].to[0];
    assert_eq!(person.username.as_deref(), Some("ada.b"));
    assert_eq!(person.user_id.as_deref(), Some("DE.1001"));
    assert_eq!(read[0].conversation, read[1].conversation);
    assert_eq!(read[2].message_type, "media_placeholder");
}

#[test]
fn history_direction_stays_unknown_without_person_or_number() {
    let slice = br#"{"from":"15550100000","id":"wamid.1","timestamp":"1","type":"text","text":{"body":"x"}}"#;
    let alone = project(Kind::WhatsappHistory, &Captured { parts: &[slice], ..Captured::default() });
    assert_eq!((alone.direction, alone.texts.len()), (None, 1));
    let told = br#"{"from":"1","history_context":{"from_me":true},"id":"wamid.1","type":"text"}"#;
    let told = project(Kind::WhatsappHistory, &Captured { parts: &[told], ..Captured::default() });
    assert_eq!(told.direction, Some(Direction::Outbound));
}

#[test]
fn agent_conversation_shows_the_template_text() {
    let read = read_slices(STANDBY.as_bytes());
    assert_eq!((read[0].direction, read[0].origin), (Some(Direction::Inbound), Some(Origin::Customer)));
    assert_eq!((read[1].direction, read[1].origin), (Some(Direction::Outbound), Some(Origin::Agent)));
    assert_eq!(read[1].message_type, "template");
    assert_eq!(read[1].texts, ["order_sent", "Ada", "Hallo {{1}}, die Bestellung ist unterwegs."]);
    assert_eq!(read[1].template.as_ref().unwrap().language.as_deref(), Some("de"));
    assert_eq!(read[0].conversation, read[1].conversation);
}

#[test]
fn calls_identities_and_groups_are_read() {
    let read = read_slices(CALLS.as_bytes());
    let types: Vec<_> = read.iter().map(|message| message.message_type.as_str()).collect();
    assert_eq!(types, ["terminate", "RINGING", "identity", "group_participants_add"]);
    assert_eq!(read[0].direction, Some(Direction::Inbound));
    assert_eq!(read[0].from.as_ref().unwrap().name.as_deref(), Some("Ada Brandt"));
    assert_eq!(read[2].from.as_ref().unwrap().user_id.as_deref(), Some("DE.1009"));
    assert_eq!(read[3].conversation.as_deref(), Some("9001:G77"));
    assert_eq!(read[3].to[0].phone.as_deref(), Some("4915550000001"));
    let handover = read_slices(HANDOVER.as_bytes()).remove(0);
    assert_eq!(handover.message_type, "control_passed");
    assert!(handover.texts.iter().any(|text| text == "wants a refund"));
}

#[test]
fn every_content_type_gives_its_texts() {
    check_texts(json!({"type": "text", "text": {"body": "hello"}}), &["hello"]);
    check_texts(json!({"type": "video", "video": {"id": "1", "caption": "cap"}}), &["cap"]);
    let document = json!({"type": "document", "document": {"id": "77", "filename": "a.pdf", "mime_type": "application/pdf"}});
    let message = check_texts(document, &[]);
    assert_eq!(message.attachments[0].filename.as_deref(), Some("a.pdf"));
    assert_eq!(message.attachments[0].attachment_type, "document");
    check_texts(
        json!({"type": "location", "location": {"latitude": 1.5, "longitude": 2, "name": "Depot", "address": "1 Quay"}}),
        &["Depot", "1 Quay"],
    );
    check_texts(
        json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Li Wei", "first_name": "Li"},
            "phones": [{"phone": "+86 1", "wa_id": "861", "type": "HOME"}]}]}),
        &["Li Wei", "+86 1"],
    );
    check_texts(
        json!({"type": "interactive", "interactive": {"type": "list_reply",
            "list_reply": {"id": "x", "title": "Express", "description": "next day"}}}),
        &["next day", "Express"],
    );
    check_texts(
        json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent",
            "response_json": "{\"agree\":\"yes\",\"id\":\"A7\",\"n\":[\"x\"]}"}}}),
        &["flow", "Sent", "yes", "A7", "x"],
    );
    check_texts(
        json!({"type": "interactive", "interactive": {"nfm_reply": {"response_json": "not json"}}}),
        &["not json"],
    );
    check_texts(json!({"type": "button", "button": {"payload": "STOP-1", "text": "Stop"}}), &["Stop"]);
    check_texts(
        json!({"type": "order", "order": {"catalog_id": "1", "text": "two please"}}),
        &["two please"],
    );
    check_texts(
        json!({"type": "system", "system": {"body": "changed number", "wa_id": "2"}}),
        &["changed number"],
    );
    check_texts(json!({"type": "poll_of_2027", "poll_of_2027": {"id": "1", "question": "Why?"}}), &["Why?"]);
    let referral = json!({"type": "text", "text": {"body": "hi"}, "referral": {"source_url": "u", "source_id": "1",
        "headline": "Sale", "body": "50 %", "welcome_message": {"text": "Welcome"}}});
    check_texts(referral, &["hi", "Sale", "50 %", "Welcome"]);
}

#[test]
fn references_and_errors_are_told() {
    let edit = json!({"type": "edit", "edit": {"original_message_id": "wamid.0",
        "message": {"type": "image", "image": {"id": "5", "caption": "new"}, "context": {"id": "wamid.c"}}}});
    let message = check_texts(edit, &["new"]);
    assert_eq!(message.message_type, "edit");
    assert_eq!(
        message.references,
        [reference(Relation::Edits, "wamid.0"), reference(Relation::RepliesTo, "wamid.c")]
    );
    let revoke = read_content(json!({"type": "revoke", "revoke": {"original_message_id": "wamid.0"}}));
    assert_eq!(revoke.references, [reference(Relation::Revokes, "wamid.0")]);
    let removal =
        read_content(json!({"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": ""}}));
    assert_eq!(removal.references, [reference(Relation::ReactsTo, "wamid.0")]);
    let unsupported = json!({"type": "unsupported", "unsupported": {"type": "poll"},
        "errors": [{"code": 131_051, "title": "Unsupported message type"}]});
    let message = check_texts(unsupported, &["Unsupported message type"]);
    assert_eq!(message.error_codes, [131_051]);
    let forwarded =
        read_content(json!({"type": "text", "text": {"body": "x"}, "context": {"forwarded": true}}));
    assert_eq!(forwarded.references, []);
    assert_eq!(
        read_content(json!({"type": "text", "group_id": "G1"})).conversation.as_deref(),
        Some("9001:G1")
    );
}

#[test]
fn odd_parts_are_read_as_far_as_possible() {
    check_texts(json!({"type": "text", "text": "bare"}), &["bare"]);
    check_texts(json!({"type": 7, "text": {"body": {"deep": "x"}}, "context": [], "image": "i"}), &["x"]);
    for kind in Kind::ALL {
        for parts in [&[][..], &[&b"\xff"[..]], &[b"[]", b"\"x\"", b"{}", b"null"], &[b"{\"id\":1}", b"7"]] {
            for whole in [true, false] {
                assert!(
                    !project(*kind, &Captured { whole, parts, ..Captured::default() })
                        .message_type
                        .is_empty(),
                    "{kind}"
                );
            }
        }
    }
    let unrecognised = project(
        Kind::Unrecognised,
        &Captured { whole: true, parts: &[b"plain words"], ..Captured::default() },
    );
    assert_eq!(unrecognised.texts, ["plain words"]);
}

#[test]
fn arbitrary_bytes_are_read() {
    bolero::check!().with_iterations(2_000).with_type().for_each(
        |(kind, body, other): &(u8, Vec<u8>, Vec<u8>)| {
            let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
            let whole = [body.as_slice()];
            let _ = project(kind, &Captured { whole: true, parts: &whole, ..Captured::default() });
            let parts = [body.as_slice(), other.as_slice()];
            let _ = project(kind, &Captured { whole: false, parts: &parts, ..Captured::default() });
        },
    );
}

#[test]
fn damaged_bodies_are_read() {
    bolero::check!().with_iterations(1_000).with_type().for_each(|&(choice, at, byte): &(u8, u16, u8)| {
        let bodies = [TEXT, BATCH, HISTORY, STANDBY, CALLS, HANDOVER];
        let mut bytes = bodies[usize::from(choice) % bodies.len()].as_bytes().to_vec();
        let at = usize::from(at) % bytes.len();
        bytes[at] = byte;
        read_slices(&bytes);
        read_whole(&bytes);
    });
}

/// Goal: nothing a person wrote is missed. Method: every body, caption, title and name of every example is looked
/// for among the texts and names of its items.
#[test]
fn every_text_of_the_corpus_is_read() {
    let Some(shared) = std::env::var_os("PIPEROLL_SHARED") else { return };
    for folder in ["", "placeholder", "partial", "unparseable", "bsp", "requests", "templates"] {
        let folder = std::path::Path::new(&shared).join("corpus").join(folder);
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let messages = read_slices(&bytes);
            read_whole(&bytes);
            let Ok(body) = serde_json::from_slice::<Json>(&bytes) else { continue };
            let read = serde_json::to_string(&messages).unwrap();
            let mut written = Vec::new();
            collect_written(&body, &mut written);
            for text in written {
                let quoted = serde_json::to_string(text).unwrap();
                assert!(
                    read.contains(quoted.trim_matches('"')),
                    "{}: `{text}` is not in {read}",
                    path.display()
                );
            }
        }
    }
}

fn collect_written<'j>(json: &'j Json, found: &mut Vec<&'j str>) {
    const KEYS: [&str; 10] = [
        "body",
        "caption",
        "title",
        "description",
        "formatted_name",
        "name",
        "filename",
        "emoji",
        "full_name",
        "address",
    ];
    match json {
        Json::Object(map) => {
            found.extend(
                KEYS.iter().filter_map(|key| map.get(*key)?.as_str()).filter(|text| !text.trim().is_empty()),
            );
            map.values().for_each(|value| collect_written(value, found));
        }
        Json::Array(list) => list.iter().for_each(|value| collect_written(value, found)),
        _ => {}
    }
}
