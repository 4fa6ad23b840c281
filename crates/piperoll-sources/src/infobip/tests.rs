//! Results as Infobip documents them, with made-up people.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use serde_json::json;

use super::*;
use crate::check::{check, project_slices, project_whole, skeleton, split_valid};
use crate::message::{Direction, Reference, Relation};

pub(crate) const FIXTURES: [&str; 3] = [TEXT, BATCH, SEEN];

const TEXT: &str = r#"{"results":[{"from":"4915550000001","to":"15550100000","integrationType":"WHATSAPP",
    "receivedAt":"2026-11-21T10:00:00.250+0000","messageId":"wamid.A1","pairedMessageId":null,"callbackData":null,
    "message":{"type":"TEXT","text":"Is it on its way?","context":{"from":"15550100000","id":"b-0"}},
    "contact":{"name":"Ada Brandt","userId":"DE.1001","username":"ada.b"},
    "price":{"pricePerMessage":0.0,"currency":"EUR"}}],"messageCount":1,"pendingMessageCount":0}"#;
const BATCH: &str = r#"{"results":[
    {"from":"4915550000001","to":"15550100000","receivedAt":"2026-11-21T10:00:00.000+0000","messageId":"in-1",
     "message":{"type":"IMAGE","url":"https://i/1","caption":"receipt of Ada"},"contact":{"name":"Ada Brandt"}},
    {"bulkId":"b","to":"33655500004","sender":"15550100000","messageId":"out-2","sentAt":"2026-11-21T10:00:01.000+0000",
     "doneAt":"2026-11-21T10:00:02.000+0000","status":{"groupId":3,"groupName":"DELIVERED","name":"DELIVERED_TO_HANDSET"},
     "error":{"id":0,"name":"NO_ERROR"}},
    {"to":"33655500004","sender":"15550100000","messageId":"out-3","doneAt":"2026-11-21T10:00:03.000+0000",
     "status":{"groupName":"UNDELIVERABLE"},"error":{"id":7032,"name":"EC_BLOCKED","description":"blocked"}},
    {"from":"393330000009","to":"acme","integrationType":"VIBER","messageId":"v-4","receivedAt":"2026-11-21T10:00:04Z",
     "message":{"type":"TEXT","text":"by viber"}},
    7],"messageCount":5,"pendingMessageCount":81,"hint":"about Ada"}"#;
const SEEN: &str = r#"{"results":[{"from":"15550100000","to":"4915550000001","messageId":"out-2",
    "sentAt":"2026-11-21T10:00:01.000+0000","seenAt":"2026-11-21T10:01:00.000+0000"}]}"#;

#[test]
fn results_are_items() {
    check(Sender::Infobip, TEXT, &["whatsapp.message 15550100000/wamid.A1 wa:4915550000001"]);
    check(
        Sender::Infobip,
        BATCH,
        &[
            "whatsapp.message 15550100000/infobip:in-1 wa:4915550000001",
            "whatsapp.status 15550100000/infobip:out-2|delivered|33655500004|2026-11-21T10:00:02.000+0000 wa:33655500004",
            "whatsapp.status 15550100000/infobip:out-3|undeliverable|33655500004|2026-11-21T10:00:03.000+0000 wa:33655500004",
            "whatsapp.other infobip:v-4 wa:393330000009",
            "whatsapp.other - - malformed+time-missing",
        ],
    );
    check(
        Sender::Infobip,
        SEEN,
        &[
            "whatsapp.status 15550100000/infobip:out-2|read|4915550000001|2026-11-21T10:01:00.000+0000 wa:4915550000001",
        ],
    );
    let items = split_valid(Sender::Infobip, TEXT.as_bytes());
    assert_eq!(items[0].occurred_at, Some(1_795_255_200_250_000));
    assert_eq!(items[0].number.as_deref(), Some("15550100000"));
}

#[test]
fn unreadable_page_is_one_item() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"results":[]}"#,
        r#"{"results":{}}"#,
        r#"{"results":[{"to":"1","to":"2"}]}"#,
        r#"{"results":[],"results":[{}]}"#,
    ] {
        check(Sender::Infobip, body, &["unrecognised - -"]);
    }
}

#[test]
fn skeleton_names_no_person() {
    let kept = skeleton(BATCH, &split_valid(Sender::Infobip, BATCH.as_bytes()));
    for word in ["Ada", "4915550000001", "33655500004", "viber", "out-2"] {
        assert!(!kept.contains(word), "`{word}` stays in {kept}");
    }
    assert!(kept.contains("pendingMessageCount"));
}

#[test]
fn slices_are_read() {
    let read = project_slices(Sender::Infobip, BATCH.as_bytes());
    let types: Vec<_> = read.iter().map(|message| message.message_type.as_str()).collect();
    assert_eq!(types, ["image", "delivered", "undeliverable", "other", "other"]);
    assert_eq!(read[0].texts, ["receipt of Ada", "about Ada"]);
    assert_eq!(read[0].conversation.as_deref(), Some("15550100000:4915550000001"));
    assert_eq!(read[0].attachments[0].media_id.as_deref(), Some("https://i/1"));
    assert!(read[1].error_codes.is_empty());
    assert_eq!(
        (read[2].error_codes.as_slice(), read[2].texts.as_slice()),
        (&[7032][..], &["blocked".to_owned()][..])
    );
    assert!(read[3].texts.contains(&"by viber".to_owned()));
    assert_eq!(project_whole(Sender::Infobip, SEEN).message_type, "read");
}

#[test]
fn text_reads_as_from_meta() {
    let read = project_whole(Sender::Infobip, TEXT);
    assert_eq!(
        (read.direction, read.texts),
        (Some(Direction::Inbound), vec!["Is it on its way?".to_owned()])
    );
    let from = read.from.unwrap();
    assert_eq!((from.phone.as_deref(), from.user_id.as_deref()), (Some("4915550000001"), Some("DE.1001")));
    assert_eq!((from.name.as_deref(), from.username.as_deref()), (Some("Ada Brandt"), Some("ada.b")));
    assert_eq!(read.to[0].phone.as_deref(), Some("15550100000"));
    assert_eq!(
        read.references,
        [Reference { relation: Relation::RepliesTo, source_id: "infobip:b-0".into() }]
    );
    assert_eq!(read.source_id.as_deref(), Some("wamid.A1"));
}

#[test]
fn every_content_type_gives_its_texts() {
    let read = |message: Value| {
        let result = json!({"from": "491", "to": "155", "messageId": "m", "receivedAt": "2026-11-21T10:00:00Z", "message": message});
        let message = project_whole(Sender::Infobip, &json!({"results": [result]}).to_string());
        (message.message_type, message.texts)
    };
    for (message, content_type, texts) in [
        (json!({"type": "BUTTON", "text": "Stop", "payload": "STOP-1"}), "button", vec!["Stop"]),
        (
            json!({"type": "INTERACTIVE_LIST_REPLY", "id": "x", "title": "Express", "description": "next day"}),
            "interactive",
            vec!["next day", "Express"],
        ),
        (
            json!({"type": "LOCATION", "latitude": 1.5, "longitude": 2, "name": "Depot"}),
            "location",
            vec!["Depot"],
        ),
        (
            json!({"type": "CONTACT", "contacts": [{"name": {"formattedName": "Li Wei"}}]}),
            "contacts",
            vec!["Li Wei"],
        ),
        (json!({"type": "REACTION", "messageId": "m-0", "emoji": "❤"}), "reaction", vec!["❤"]),
        (json!({"type": "POLL_OF_2027", "question": "Why?"}), "poll_of_2027", vec!["Why?"]),
    ] {
        assert_eq!(
            read(message),
            (content_type.to_owned(), texts.iter().map(|text| (*text).to_owned()).collect())
        );
    }
}
