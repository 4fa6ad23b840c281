//! Tests of cutting deliveries into items.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use serde_json::{Value as Json, json};

use super::*;
use crate::check::{self, skeleton, slices};
use crate::sender::Sender;

const TEXT: &str = include_str!("../fixtures/text.json");
const BATCH: &str = include_str!("../fixtures/batch.json");
const HISTORY: &str = include_str!("../fixtures/history.json");
const STANDBY: &str = include_str!("../fixtures/standby.json");
const CALLS: &str = include_str!("../fixtures/calls.json");
const HANDOVER: &str = include_str!("../fixtures/handover.json");

fn split_valid(body: &[u8]) -> Vec<Item> {
    check::split_valid(Sender::Meta, body)
}

fn body_of(field: &str, value: Json) -> String {
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "700100", "time": 1_790_000_000, "changes": [{"field": field, "value": value}]}]})
    .to_string()
}

#[track_caller]
fn check(body: &str, expected: &[&str]) {
    check::check(Sender::Meta, body, expected);
}

#[test]
fn message_has_its_contact() {
    check(TEXT, &["whatsapp.message 9001/wamid.A1 wa:4915550000001"]);
    let items = split_valid(TEXT.as_bytes());
    assert_eq!(items[0].number.as_deref(), Some("9001"));
    assert_eq!(items[0].occurred_at, Some(1_790_000_000_000_000));
    let parts = slices(TEXT, &items[0]);
    assert_eq!(parts.len(), 2);
    assert!(parts[0].starts_with(r#"{"profile":{"name":"Ada Brandt""#), "{}", parts[0]);
    assert!(parts[1].starts_with(r#"{"from":"4915550000001""#) && parts[1].ends_with(r#""id":"wamid.B0"}}"#));
}

#[test]
fn batch_is_cut_by_person() {
    check(
        BATCH,
        &[
            "whatsapp.message 9001/wamid.A2 wa:4915550000001",
            "whatsapp.message 9001/wamid.B2 bsuid:SG.2002",
            "whatsapp.reaction 9001/wamid.A3 wa:4915550000001",
            "whatsapp.revoke 9001/wamid.C2 wa:12025550003",
            "whatsapp.status 9001/wamid.D4|delivered|33655500004|1790000014 wa:33655500004",
            "whatsapp.error - -",
            "whatsapp.echo 9001/wamid.E5 wa:5215550000005",
            "whatsapp.preference 9001/wa:6215550000006|marketing_messages|stop|1790000016 wa:6215550000006",
            "whatsapp.contact 9001/4415550000007|add|1790000017 wa:4415550000007",
            "whatsapp.template - -",
        ],
    );
    let items = split_valid(BATCH.as_bytes());
    let names = ["Ada Brandt", "Bo Chen", "Cy Dorsey"];
    for (item, name) in [0, 1, 3].into_iter().zip(names) {
        assert!(slices(BATCH, &items[item])[0].contains(name), "{name}");
    }
    assert_eq!(items[2].ranges.len(), 1);
    assert_eq!(items[9].occurred_at, Some(1_790_000_020_000_000));
}

#[test]
fn skeleton_names_no_person() {
    let people = [
        "Ada",
        "Bo",
        "Cy",
        "Eva",
        "Fay",
        "Gus",
        "4915550000001",
        "33655500004",
        "SG.2002",
        "DE.1001",
        "wamid",
        "ada.b",
        "receipt",
        "first of",
        "order_sent",
        "5001",
        "wacid",
        "DE.1009",
        "6215550000006",
        "4415550000007",
        "refund",
        "G77",
        "unterwegs",
        "control_passed",
    ];
    for body in [BATCH, HISTORY, STANDBY, CALLS] {
        let kept = skeleton(body, &split_valid(body.as_bytes()));
        for word in people {
            assert!(!kept.contains(word), "`{word}` stays in {kept}");
        }
        assert!(kept.contains("9001") && kept.contains("15550100000"));
    }
}

#[test]
fn history_thread_goes_with_its_first_message() {
    check(
        HISTORY,
        &[
            "whatsapp.history 9001/wamid.H1 wa:4915550000001",
            "whatsapp.history 9001/wamid.H2 wa:4915550000001",
            "whatsapp.history 9001/wamid.H3 wa:33655500004",
        ],
    );
    let items = split_valid(HISTORY.as_bytes());
    let parts = slices(HISTORY, &items[0]);
    assert_eq!(parts[0], r#""4915550000001""#);
    assert!(parts[1].contains("ada.b"));
    assert_eq!(items[1].ranges.len(), 1);
    assert_eq!(slices(HISTORY, &items[2])[0], r#""33655500004""#);
}

#[test]
fn history_may_be_refused_or_followed_by_media() {
    let refused = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": "9001"},
        "history": [{"errors": [{"code": 2_593_109, "title": "declined"}]}]});
    check(&body_of("history", refused), &["whatsapp.history - - time-missing"]);
    let media = json!({"metadata": {"phone_number_id": "9001"}, "messages": [{"from": "491", "id": "wamid.1",
        "timestamp": "1", "type": "image", "image": {}}]});
    check(&body_of("history", media), &["whatsapp.history 9001/wamid.1 wa:491"]);
}

#[test]
fn conversations_of_others_and_calls_are_cut() {
    check(
        STANDBY,
        &[
            "whatsapp.standby 9001/wamid.S1 wa:4915550000001",
            "whatsapp.standby 9001/wamid.S2 wa:4915550000001",
        ],
    );
    check(
        CALLS,
        &[
            "whatsapp.call 9001/wacid.K1|terminate wa:4915550000001",
            "whatsapp.call 9001/wacid.K2|RINGING|4915550000001|1790000201 wa:4915550000001",
            "whatsapp.identity - wa:4915550000001",
            "whatsapp.group - group:G77",
        ],
    );
    check(HANDOVER, &["whatsapp.handover - wa:4915550000001"]);
    assert_eq!(split_valid(HANDOVER.as_bytes())[0].number.as_deref(), Some("9001"));
}

#[test]
fn same_message_id_on_two_numbers_is_two_facts() {
    let message =
        json!({"from": "491", "id": "wamid.1", "timestamp": "1", "type": "text", "text": {"body": "x"}});
    let value =
        |number: &str| json!({"metadata": {"phone_number_id": number}, "messages": [message.clone()]});
    check(&body_of("messages", value("1")), &["whatsapp.message 1/wamid.1 wa:491"]);
    check(&body_of("messages", value("2")), &["whatsapp.message 2/wamid.1 wa:491"]);
    check(&body_of("messages", json!({"messages": [message]})), &["whatsapp.message 700100/wamid.1 wa:491"]);
}

#[test]
fn odd_elements_are_kept_as_items() {
    let messages = json!({"metadata": {"phone_number_id": "1"}, "messages": [
        "text", null, 7, [], {}, {"id": 5, "from": ["x"], "timestamp": {}, "type": true},
        {"id": "wamid.1", "from": "491", "timestamp": "1", "type": "text"}]});
    let odd = "whatsapp.message - - malformed+time-missing+source-id-missing+subject-missing";
    check(
        &body_of("messages", messages),
        &[
            odd,
            odd,
            odd,
            odd,
            odd,
            "whatsapp.message 1/5 - malformed+time-missing+subject-missing",
            "whatsapp.message 1/wamid.1 wa:491",
        ],
    );
    check(&body_of("messages", json!({"messages": {"0": {}}})), &[odd]);
    check(&body_of("messages", json!("gone")), &[odd]);
    check(&body_of("messages", json!({"messages": []})), &["whatsapp.other - -"]);
    for value in [json!(null), json!([1])] {
        check(&body_of("flows", value), &["whatsapp.flow - - malformed"]);
    }
}

#[test]
fn unreadable_envelope_is_one_item() {
    let whole = ["unrecognised - -"];
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "{",
        r#"{"object":"page","entry":[{"id":"1","changes":[{"field":"feed","value":{}}]}]}"#,
        r#"{"object":"whatsapp_business_account","entry":[]}"#,
        r#"{"object":"whatsapp_business_account","entry":[1]}"#,
        r#"{"object":"whatsapp_business_account","entry":[{"changes":[[]]}]}"#,
        &format!("\u{feff}{TEXT}"),
        &format!("{TEXT} x"),
        &TEXT.replace("\"entry\":", "\"entry\":[],\"entry\":"),
        &TEXT.replace("\"metadata\":", "\"metadata\":{},\"metadata\":"),
        &TEXT.replace("\"messages\":", "\"messages\":[],\"mess\\u0061ges\":"),
        &TEXT.replace("\"id\":\"wamid.A1\"", "\"id\":\"wamid.A1\",\"id\":\"wamid.A2\""),
        &BATCH.replace("\"wa_id\"", "\"wa_id\":\"1\",\"wa_id\""),
        &TEXT.replace("\"field\"", "\"value\":{},\"field\""),
    ] {
        check(body, &whole);
        let items = split(body.as_bytes()).items;
        assert_eq!((items[0].ranges[0].start, items[0].ranges[0].end), (0, body.len()));
    }
    assert_eq!(split_valid(b"{\"object\":\"\xff\"}")[0].kind, Kind::Unrecognised);
}

#[test]
fn member_that_is_not_understood_goes_with_an_item() {
    let body = r#"{"object":"whatsapp_business_account","new":{"who":"person-0"},"entry":[{"id":"1","who":"person-1",
        "changes":[{"field":"account_update","value":{"event":"PARTNER_REMOVED"},"disconnection_info":{"reason":"person-2"}},
        {"field":"messages","value":{"metadata":{"phone_number_id":"1","x":"person-3"},"seen_by":["person-4"],
        "messages":[{"id":"wamid.1","from":"491","timestamp":"1","type":"text"}]}}]}]}"#;
    let items = split_valid(body.as_bytes());
    assert_eq!(items.len(), 2);
    assert!(!skeleton(body, &items).contains("person"));
    assert_eq!(slices(body, &items[0]).len(), 4);
    assert_eq!(slices(body, &items[1])[..2], [r#""person-3""#, r#"["person-4"]"#]);
}

#[test]
fn kind_follows_the_field_where_there_are_no_arrays() {
    for (field, kind) in [
        ("message_template_quality_update", Kind::WhatsappTemplate),
        ("template_correct_category_detection", Kind::WhatsappTemplate),
        ("account_alerts", Kind::WhatsappAccount),
        ("security", Kind::WhatsappAccount),
        ("flows", Kind::WhatsappFlow),
        ("payment_configuration_update", Kind::WhatsappPayment),
        ("tracking_events", Kind::WhatsappOther),
        ("a_field_of_next_year", Kind::WhatsappOther),
    ] {
        let items = split_valid(body_of(field, json!({"event": "X"})).as_bytes());
        assert_eq!((items.len(), items[0].kind, items[0].subject.as_deref()), (1, kind, None), "{field}");
        assert_eq!(items[0].flags, []);
    }
}

mod corpus;
mod property;
