//! What holds for any bytes and for any body assembled from plausible and odd parts.

use proptest::prelude::*;

use super::*;
use crate::check::rebuilt;

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "[a-z0-9.\"\\\\é😀]{0,8}".prop_map(Json::from),
        prop_oneof![Just("491"), Just("US.1"), Just("edit"), Just("system"), Just("call")]
            .prop_map(Json::from),
    ]
}

fn key() -> impl Strategy<Value = String> {
    const KEYS: [&str; 36] = [
        "id",
        "from",
        "to",
        "type",
        "timestamp",
        "text",
        "body",
        "wa_id",
        "user_id",
        "profile",
        "name",
        "system",
        "contact",
        "action",
        "metadata",
        "category",
        "value",
        "event",
        "group_id",
        "errors",
        "threads",
        "messages",
        "context",
        "history_context",
        "status",
        "recipient_id",
        "message",
        "contacts",
        "statuses",
        "history",
        "calls",
        "groups",
        "standby",
        "phone_number_id",
        "unknown",
        "message_echoes",
    ];
    (0..KEYS.len()).prop_map(|i| KEYS[i].to_owned())
}

fn node() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(5, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn field() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("messages"),
        Just("history"),
        Just("standby"),
        Just("account_update"),
        Just("messaging_handovers"),
        Just("new"),
    ]
}

fn body() -> impl Strategy<Value = String> {
    let change = (field(), node()).prop_map(|(field, value)| json!({"field": field, "value": value}));
    let changes = prop::collection::vec(change, 0..3);
    let entry =
        (changes, node()).prop_map(|(changes, other)| json!({"id": "7", "changes": changes, "other": other}));
    (prop::collection::vec(entry, 0..3), any::<bool>()).prop_map(|(entries, is_pretty)| {
        let body = json!({"object": "whatsapp_business_account", "entry": entries});
        if is_pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_and_skeleton_rebuild_the_body(body in body()) {
        let items = split_valid(body.as_bytes());
        prop_assert_eq!(rebuilt(&body, &items), body.clone());
        for item in items.iter().filter(|item| item.kind != Kind::Unrecognised) {
            for slice in slices(&body, item) {
                prop_assert!(serde_json::from_str::<Json>(slice).is_ok(), "{}", slice);
            }
        }
    }

    #[test]
    fn split_is_a_function_of_the_bytes(body in body()) {
        prop_assert_eq!(split(body.as_bytes()), split(body.as_bytes()));
    }
}

#[test]
fn arbitrary_bytes_are_split_validly() {
    bolero::check!().with_iterations(2_000).for_each(|bytes: &[u8]| {
        split_valid(bytes);
    });
}

#[test]
fn damaged_bodies_are_split_validly() {
    bolero::check!().with_iterations(2_000).with_type().for_each(|&(choice, at, byte): &(u8, u16, u8)| {
        let bodies = [TEXT, BATCH, HISTORY, STANDBY, CALLS, HANDOVER];
        let mut bytes = bodies[usize::from(choice) % bodies.len()].as_bytes().to_vec();
        let at = usize::from(at) % bytes.len();
        bytes[at] = byte;
        split_valid(&bytes);
    });
}
