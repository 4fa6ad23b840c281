//! Events as `YCloud` documents them, with made-up people.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use super::*;
use crate::check::{check, project_slices, project_whole, skeleton, split_valid};
use crate::message::{Direction, Reference, Relation};

pub(crate) const FIXTURES: [&str; 7] = [INBOUND, ECHO, STATUS, HISTORY, SYNC, PREFERENCE, TEMPLATE];

const INBOUND: &str = r#"{"id":"evt_1","type":"whatsapp.inbound_message.received","apiVersion":"v2",
    "createTime":"2026-11-21T10:00:05.000Z","whatsappInboundMessage":{"id":"in-1","wamid":"wamid.A1","wabaId":"700100",
    "from":"+4915550000001","fromUserId":"DE.1001","to":"+15550100000","sendTime":"2026-11-21T10:00:00.250Z",
    "customerProfile":{"name":"Ada Brandt","username":"ada.b"},"type":"image",
    "image":{"id":"m-1","link":"https://api.ycloud.com/m-1","mime_type":"image/png","sha256":"k7C1","caption":"receipt"},
    "context":{"from":"+15550100000","id":"wamid.B0"}}}"#;
const ECHO: &str = r#"{"id":"evt_2","type":"whatsapp.smb.message.echoes","apiVersion":"v2",
    "createTime":"2026-11-21T10:01:05.000Z","whatsappMessage":{"id":"out-2","wamid":"wamid.E2","wabaId":"700100",
    "from":"+15550100000","to":"+4915550000001","toUserId":"DE.1001","type":"text","text":{"body":"on its way"},
    "status":"sent","createTime":"2026-11-21T10:01:00.000Z","sendTime":"2026-11-21T10:01:01.000Z","bizType":"whatsapp"}}"#;
const STATUS: &str = r#"{"id":"evt_3","type":"whatsapp.message.updated","apiVersion":"v2",
    "createTime":"2026-11-21T10:02:05.000Z","whatsappMessage":{"id":"out-3","wamid":"wamid.D3","wabaId":"700100",
    "from":"+15550100000","to":"+4915550000001","type":"template","template":{"name":"order_sent",
    "language":{"code":"de"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ada"}]}]},
    "status":"failed","updateTime":"2026-11-21T10:02:04.000Z","currency":"USD","errorCode":"131050",
    "errorMessage":"stopped","whatsappApiError":{"message":"User stopped","code":131050,"type":"OAuthException"}}}"#;
const HISTORY: &str = r#"{"id":"evt_4","type":"whatsapp.smb.history","apiVersion":"v2","phase":1,"progress":40,
    "createTime":"2026-11-21T10:03:05.000Z","whatsappMessage":{"id":"h-4","wamid":"wamid.H4","wabaId":"700100",
    "from":"+15550100000","to":"+4915550000001","type":"text","text":{"body":"long ago"},"status":"read",
    "sendTime":"2026-08-01T08:00:00.000Z"}}"#;
const SYNC: &str = r#"{"id":"evt_5","type":"whatsapp.smb.app.state.sync","apiVersion":"v2",
    "createTime":"2026-11-21T10:04:05.000Z","whatsappSmbAppStateSync":{"wabaId":"700100","phoneNumber":"+15550100000",
    "hint":"Ada","stateSync":[
    {"action":"add","contact":{"phoneNumber":"+4415550000007","fullName":"Gus Hale","userId":"GB.7"},"timestamp":"1790000017"},
    {"action":"remove","contact":{"phoneNumber":"+33655500004"},"timestamp":"1790000018"},
    "odd"]}}"#;
const PREFERENCE: &str = r#"{"id":"evt_6","type":"whatsapp.user.preferences","apiVersion":"v2",
    "createTime":"2026-11-21T10:05:05.000Z","whatsappUserPreference":{"wabaId":"700100","businessPhoneNumber":"+15550100000",
    "businessPhoneId":"9001","contactName":"Fay Gil","contactPhoneNumber":"+6215550000006",
    "detail":"User requested to stop marketing messages","category":"marketing_messages","value":"stop",
    "timestamp":"1790000016"}}"#;
const TEMPLATE: &str = r#"{"id":"evt_7","type":"whatsapp.template.reviewed","apiVersion":"v2",
    "createTime":"2026-11-21T10:06:05.000Z","whatsappTemplate":{"wabaId":"700100","name":"order_sent","language":"de",
    "category":"UTILITY","status":"REJECTED","reason":"too vague","officialTemplateId":"42"}}"#;

fn secrets() -> Vec<AppSecret> {
    vec![AppSecret::new("older"), AppSecret::named("y1".into(), "whsec_example")]
}

#[test]
fn signature_covers_time_and_body() {
    // printf '%s' '1654084800.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_example
    let hex = "6b13a776d974f53c652a17cb9c91325ea567369a45535ed5c336b529ea94043e";
    let body = br#"{"id":"evt_1"}"#;
    let verified = Ok(Verified { key_id: "y1", signed_at: Some(1_654_084_800) });
    assert_eq!(verify(Some(&format!("t=1654084800,s={hex}")), body, &secrets()), verified);
    assert_eq!(verify(Some(&format!("s={hex}, t=1654084800")), body, &secrets()), verified);
    let check = |header: &str, body: &[u8]| verify(Some(header), body, &secrets()).unwrap_err();
    assert_eq!(check(&format!("t=1654084801,s={hex}"), body), SignatureError::Mismatch);
    assert_eq!(check(&format!("t=1654084800,s={hex}"), b"{}"), SignatureError::Mismatch);
    for bad in ["", "t=1654084800", &format!("s={hex}"), &format!("t=soon,s={hex}"), "t=1,s=00"] {
        assert!(matches!(check(bad, body), SignatureError::Malformed { .. }), "{bad}");
    }
    assert!(matches!(verify(None, body, &secrets()), Err(SignatureError::Missing { .. })));
}

#[test]
fn events_are_items() {
    for (body, expected) in [
        (INBOUND, "whatsapp.message 15550100000/wamid.A1 wa:4915550000001"),
        (ECHO, "whatsapp.echo 15550100000/wamid.E2 wa:4915550000001"),
        (
            STATUS,
            "whatsapp.status 15550100000/wamid.D3|failed|+4915550000001|2026-11-21T10:02:04.000Z wa:4915550000001",
        ),
        (HISTORY, "whatsapp.history 15550100000/wamid.H4 wa:4915550000001"),
        (
            PREFERENCE,
            "whatsapp.preference 15550100000/wa:6215550000006|marketing_messages|stop|1790000016 wa:6215550000006",
        ),
        (TEMPLATE, "whatsapp.template 700100/ycloud:evt_7 -"),
    ] {
        check(Sender::YCloud, body, &[expected]);
    }
    assert_eq!(split(INBOUND.as_bytes()).items[0].occurred_at, Some(1_795_255_200_250_000));
}

#[test]
fn other_events_have_their_kind() {
    let event =
        |name: &str| format!(r#"{{"id":"evt_9","type":"{name}","createTime":"2026-11-21T10:00:00Z"}}"#);
    for (name, kind) in [
        ("whatsapp.phone_number.quality_updated", "whatsapp.account"),
        ("whatsapp.business_account.updated", "whatsapp.account"),
        ("whatsapp.flow.status_change", "whatsapp.flow"),
        ("whatsapp.payment.updated", "whatsapp.payment"),
        ("whatsapp.smb.history", "whatsapp.history"),
        ("whatsapp.inbound_message.received", "whatsapp.other"),
        ("contact.created", "whatsapp.other"),
    ] {
        check(Sender::YCloud, &event(name), &[&format!("{kind} ycloud:evt_9 -")]);
    }
    let leaving = |channel: &str| {
        format!(
            r#"{{"id":"evt_9","type":"contact.unsubscribe.created","createTime":"2026-11-21T10:00:00Z",
            "contactUnsubscribe":{{"customer":"+49155","channel":"{channel}"}}}}"#
        )
    };
    let id = "wa:49155|whatsapp|unsubscribe.created|2026-11-21T10:00:00Z";
    check(Sender::YCloud, &leaving("whatsapp"), &[&format!("whatsapp.preference {id} wa:49155")]);
    check(Sender::YCloud, &leaving("sms"), &["whatsapp.other ycloud:evt_9 wa:49155"]);
    for body in ["{}", r#"{"id":"evt_1"}"#, r#"{"id":1,"type":7}"#, r#"{"id":"1","type":"a","type":"b"}"#] {
        check(Sender::YCloud, body, &["unrecognised - -"]);
    }
}

#[test]
fn contacts_are_cut_by_person() {
    check(
        Sender::YCloud,
        SYNC,
        &[
            "whatsapp.contact 15550100000/+4415550000007|add|1790000017 wa:4415550000007",
            "whatsapp.contact 15550100000/+33655500004|remove|1790000018 wa:33655500004",
            "whatsapp.contact - - malformed+time-missing+source-id-missing+subject-missing",
        ],
    );
    let kept = skeleton(SYNC, &split_valid(Sender::YCloud, SYNC.as_bytes()));
    assert!(!kept.contains("Gus") && !kept.contains("33655500004") && !kept.contains("Ada"), "{kept}");
    let read = project_slices(Sender::YCloud, SYNC.as_bytes());
    assert_eq!(read[0].message_type, "add");
    assert_eq!(read[0].from.as_ref().unwrap().name.as_deref(), Some("Gus Hale"));
    assert_eq!(read[0].conversation.as_deref(), Some("15550100000:4415550000007"));
    assert_eq!(read[0].texts, ["Gus Hale", "+4415550000007", "Ada"]);
    assert_eq!(read[2].texts, ["odd"]);
}

#[test]
fn inbound_message_reads_as_from_meta() {
    let read = project_whole(Sender::YCloud, INBOUND);
    assert_eq!((read.direction, read.origin), (Some(Direction::Inbound), Some(Origin::Customer)));
    assert_eq!((read.source_id.as_deref(), read.message_type.as_str()), (Some("wamid.A1"), "image"));
    let from = read.from.unwrap();
    assert_eq!((from.phone.as_deref(), from.user_id.as_deref()), (Some("4915550000001"), Some("DE.1001")));
    assert_eq!((from.name.as_deref(), from.username.as_deref()), (Some("Ada Brandt"), Some("ada.b")));
    assert_eq!(read.to[0].phone.as_deref(), Some("15550100000"));
    assert_eq!(read.conversation.as_deref(), Some("15550100000:4915550000001"));
    assert_eq!((read.account.as_deref(), read.occurred_at), (Some("700100"), Some(1_795_255_200_250_000)));
    assert_eq!(read.texts, ["receipt"]);
    assert_eq!(read.attachments[0].media_id.as_deref(), Some("m-1"));
    assert_eq!(read.references, [Reference { relation: Relation::RepliesTo, source_id: "wamid.B0".into() }]);
}

#[test]
fn what_the_business_sent_is_read() {
    let echo = project_whole(Sender::YCloud, ECHO);
    assert_eq!((echo.direction, echo.origin), (Some(Direction::Outbound), Some(Origin::App)));
    assert_eq!((echo.texts, echo.to[0].user_id.as_deref()), (vec!["on its way".to_owned()], Some("DE.1001")));
    let by_api = ECHO.replace("smb.message.echoes", "echo_message.created");
    assert_eq!(project_whole(Sender::YCloud, &by_api).origin, Some(Origin::Api));
    let status = project_whole(Sender::YCloud, STATUS);
    assert_eq!((status.message_type.as_str(), status.error_codes), ("failed", vec![131_050]));
    assert_eq!(status.texts, ["User stopped", "order_sent", "Ada"]);
    assert_eq!(status.template.unwrap().name.as_deref(), Some("order_sent"));
    assert_eq!(status.references[0].source_id, "wamid.D3");
    let history = project_whole(Sender::YCloud, HISTORY);
    assert_eq!((history.direction, history.origin), (Some(Direction::Outbound), Some(Origin::History)));
    assert_eq!(history.to[0].phone.as_deref(), Some("4915550000001"));
}

#[test]
fn preferences_and_templates_are_read() {
    let preference = project_whole(Sender::YCloud, PREFERENCE);
    assert_eq!(preference.message_type, "stop");
    assert_eq!(preference.from.unwrap().name.as_deref(), Some("Fay Gil"));
    let template = project_whole(Sender::YCloud, TEMPLATE);
    assert_eq!(template.message_type, "REJECTED");
    assert_eq!(template.template.unwrap().id.as_deref(), Some("42"));
    assert!(template.texts.contains(&"too vague".to_owned()));
    assert_eq!(template.source_id.as_deref(), Some("ycloud:evt_7"));
}
