//! Every webhook field of the platform is split and read: one row each with what must be known of it afterwards.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use serde_json::json;

use super::*;
use crate::check;
use crate::message::Relation;
use crate::sender::Sender;

/// A field, its value, and for each item the kind, the type, and members of the message as a JSON pointer and value.
type Row = (&'static str, Value, Vec<(&'static str, &'static str, Vec<(&'static str, Value)>)>);

fn body(field: &str, mut value: Value) -> String {
    if value.get("messaging_product").is_none()
        && matches!(field, "messages" | "smb_message_echoes" | "history")
    {
        value["messaging_product"] = "whatsapp".into();
    }
    value["metadata"] = json!({"display_phone_number": "15550100000", "phone_number_id": "9001"});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "700", "time": 1_790_000_000,
        "changes": [{"field": field, "value": value}]}]})
    .to_string()
}

fn message(kind: &str, content: Value) -> Value {
    let mut message = json!({"from": "491", "id": "wamid.1", "timestamp": "1790000000", "type": kind});
    message[kind] = content;
    json!({"messages": [message]})
}

#[expect(clippy::too_many_lines, reason = "one table")]
fn conversation_rows() -> Vec<Row> {
    let referral = json!({"messages": [{"from": "491", "from_user_id": "DE.1", "from_parent_user_id": "DE.ENT.1",
        "id": "wamid.1", "timestamp": "1790000000", "type": "text", "text": {"body": "hi"},
        "context": {"frequently_forwarded": true, "referred_product": {"catalog_id": "5", "product_retailer_id": "sku"}},
        "referral": {"source_url": "https://x", "source_id": "9", "source_type": "ad", "ctwa_clid": "c"}}]});
    let flow =
        json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": "{\"optin\":true}"}});
    let status = json!({"statuses": [{"id": "wamid.o", "status": "failed", "timestamp": "1790000000", "recipient_id": "491",
        "biz_opaque_callback_data": "j1", "pricing": {"billable": true, "pricing_model": "PMP", "category": "marketing"},
        "conversation": {"id": "c", "origin": {"type": "utility"}}, "errors": [{"code": 131_050, "title": "stopped"}]}]});
    let edit =
        json!({"original_message_id": "wamid.0", "message": {"type": "text", "text": {"body": "new"}}});
    let mut echo = message("revoke", json!({"original_message_id": "wamid.0"}));
    let mut echoed = echo["messages"][0].take();
    (echoed["from"], echoed["to"]) = ("15550100000".into(), "491".into());
    echo = json!({"message_echoes": [echoed]});
    let history = json!({"history": [{"metadata": {"phase": 1, "chunk_order": 2, "progress": 40}, "threads": [{"id": "491",
        "messages": [{"from": "491", "id": "wamid.1", "timestamp": "1790000000", "type": "media_placeholder",
            "history_context": {"status": "READ", "from_me": false}}]}]}]});
    let refusal = json!({"history": [{"errors": [{"code": 2_593_109, "title": "not shared"}]}]});
    let request =
        json!({"to": "491", "type": "template", "template": {"name": "offer", "language": {"code": "de"}}});
    let standby = json!({"standby": {"message_echoes": [{"id": "wamid.a", "timestamp": "1790000000", "message": request,
        "template": {"name": "offer", "status": "APPROVED", "category": "MARKETING",
            "components": [{"type": "BODY", "text": "Hallo"}]}}]}});
    let contact = json!({"state_sync": [{"type": "contact", "action": "remove", "contact": {"phone_number": "491",
        "user_id": "DE.1"}, "metadata": {"timestamp": "1790000000"}}]});
    vec![
        (
            "messages",
            referral,
            vec![(
                "whatsapp.message",
                "text",
                vec![
                    ("/forwarded", "frequently".into()),
                    ("/referral/click_id", "c".into()),
                    ("/product/retailer_id", "sku".into()),
                    ("/from/parent_user_id", "DE.ENT.1".into()),
                ],
            )],
        ),
        (
            "messages",
            message("reaction", json!({"message_id": "wamid.0", "emoji": ""})),
            vec![("whatsapp.reaction", "reaction", vec![("/reaction", json!({}))])],
        ),
        (
            "messages",
            message("reaction", json!({"message_id": "wamid.0", "emoji": "👍"})),
            vec![("whatsapp.reaction", "reaction", vec![("/reaction/emoji", "👍".into())])],
        ),
        (
            "messages",
            message("edit", edit),
            vec![(
                "whatsapp.edit",
                "edit",
                vec![("/references/0/relation", "edits".into()), ("/texts/0", "new".into())],
            )],
        ),
        (
            "messages",
            message("button", json!({"payload": "P", "text": "Stop promotions"})),
            vec![(
                "whatsapp.message",
                "button",
                vec![(
                    "/choice",
                    json!({"choice_type": "button", "payload": "P", "text": "Stop promotions"}),
                )],
            )],
        ),
        (
            "messages",
            message("interactive", flow),
            vec![("whatsapp.message", "interactive", vec![("/answers/optin", true.into())])],
        ),
        (
            "messages",
            message("system", json!({"body": "b", "wa_id": "492", "type": "user_changed_number"})),
            vec![(
                "whatsapp.system",
                "system",
                vec![("/identity", json!({"previous_phone": "491", "phone": "492"}))],
            )],
        ),
        (
            "messages",
            status,
            vec![(
                "whatsapp.status",
                "failed",
                vec![
                    (
                        "/status",
                        json!({"billable": true, "pricing_model": "PMP", "category": "marketing", "conversation_origin": "utility", "callback_data": "j1"}),
                    ),
                    ("/error_codes", json!([131_050])),
                ],
            )],
        ),
        (
            "smb_message_echoes",
            echo,
            vec![(
                "whatsapp.echo",
                "revoke",
                vec![
                    ("/references/0/relation", "revokes".into()),
                    ("/direction", "outbound".into()),
                    ("/origin", "app".into()),
                ],
            )],
        ),
        (
            "smb_app_state_sync",
            contact,
            vec![("whatsapp.contact", "remove", vec![("/from/user_id", "DE.1".into())])],
        ),
        (
            "history",
            history,
            vec![(
                "whatsapp.history",
                "media_placeholder",
                vec![
                    ("/history_chunks", json!([{"phase": 1, "chunk_order": 2, "progress": 40}])),
                    ("/history", json!({"status": "read", "from_me": false})),
                ],
            )],
        ),
        ("history", refusal, vec![("whatsapp.history", "history", vec![("/texts/0", "not shared".into())])]),
        (
            "standby",
            standby,
            vec![(
                "whatsapp.standby",
                "template",
                vec![
                    ("/template_detail/category", "MARKETING".into()),
                    ("/template_detail/components/0/text", "Hallo".into()),
                ],
            )],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "one table")]
fn other_rows() -> Vec<Row> {
    let update = json!({"user_id_update": [{"wa_id": "491", "timestamp": "1790000000",
        "user_id": {"previous": "DE.1", "current": "DE.2"}, "parent_user_id": {"previous": "A", "current": "B"}}]});
    let preference = json!({"user_preferences": [{"wa_id": "491", "category": "marketing_messages", "value": "signup",
        "signup_id": "s1", "timestamp": 1_790_000_000}]});
    let template = |more: Value| {
        let mut value = json!({"message_template_id": 42, "message_template_name": "offer", "message_template_language": "de"});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    };
    let status =
        template(json!({"event": "REJECTED", "reason": "NONE", "rejection_info": {"reason": "ABUSIVE"}}));
    let detail = |pointer, value: Value| vec![(pointer, value)];
    let account = |kind, name| vec![(kind, name, Vec::new())];
    vec![
        (
            "user_id_update",
            update,
            vec![(
                "whatsapp.identity",
                "identity",
                detail(
                    "/identity",
                    json!({"phone": "491",
            "previous_user_id": "DE.1", "user_id": "DE.2", "previous_parent_user_id": "A", "parent_user_id": "B"}),
                ),
            )],
        ),
        (
            "user_preferences",
            preference,
            vec![(
                "whatsapp.preference",
                "signup",
                detail(
                    "/preference",
                    json!({"value": "signup", "category": "marketing_messages", "signup_id": "s1"}),
                ),
            )],
        ),
        (
            "message_template_status_update",
            status,
            vec![(
                "whatsapp.template",
                "REJECTED",
                detail("/template_detail", json!({"status": "REJECTED", "reason": "ABUSIVE"})),
            )],
        ),
        (
            "message_template_quality_update",
            template(json!({"previous_quality_score": "GREEN", "new_quality_score": "RED"})),
            vec![("whatsapp.template", "RED", detail("/template_detail/quality", "RED".into()))],
        ),
        (
            "message_template_components_update",
            template(json!({"message_template_element": "new text"})),
            vec![(
                "whatsapp.template",
                "components",
                detail("/template_detail/components_changed", true.into()),
            )],
        ),
        (
            "template_category_update",
            template(json!({"previous_category": "UTILITY", "new_category": "MARKETING"})),
            vec![(
                "whatsapp.template",
                "MARKETING",
                detail("/template_detail/previous_category", "UTILITY".into()),
            )],
        ),
        (
            "template_correct_category_detection",
            template(json!({"category": "UTILITY", "correct_category": "MARKETING"})),
            vec![(
                "whatsapp.template",
                "template",
                detail("/template_detail/correct_category", "MARKETING".into()),
            )],
        ),
        (
            "account_update",
            json!({"event": "PARTNER_REMOVED", "disconnection_info": {"reason": "PRIMARY_INACTIVITY"}}),
            account("whatsapp.account", "PARTNER_REMOVED"),
        ),
        (
            "account_alerts",
            json!({"entity_id": 1, "alert_info": {"alert_type": "A"}}),
            account("whatsapp.account", "A"),
        ),
        ("account_review_update", json!({"decision": "APPROVED"}), account("whatsapp.account", "APPROVED")),
        (
            "account_settings_update",
            json!({"timestamp": "1790000000"}),
            account("whatsapp.account", "account"),
        ),
        (
            "business_capability_update",
            json!({"max_daily_conversation_per_phone": 1}),
            account("whatsapp.account", "account"),
        ),
        ("business_status_update", json!({"event": "X"}), account("whatsapp.account", "X")),
        (
            "business_username_updates",
            json!({"username": "u", "status": "approved"}),
            account("whatsapp.account", "approved"),
        ),
        (
            "phone_number_name_update",
            json!({"decision": "REJECTED"}),
            account("whatsapp.account", "REJECTED"),
        ),
        ("phone_number_quality_update", json!({"event": "FLAGGED"}), account("whatsapp.account", "FLAGGED")),
        ("security", json!({"event": "PIN_CHANGED"}), account("whatsapp.account", "PIN_CHANGED")),
        (
            "partner_solutions",
            json!({"event": "SOLUTION_CREATED"}),
            account("whatsapp.account", "SOLUTION_CREATED"),
        ),
        ("flows", json!({"event": "FLOW_STATUS_CHANGE"}), account("whatsapp.flow", "FLOW_STATUS_CHANGE")),
        ("payment_configuration_update", json!({"status": "Active"}), account("whatsapp.payment", "Active")),
        (
            "messaging_handovers",
            json!({"type": "control_passed", "recipient": {"phone_number": "491"}}),
            account("whatsapp.handover", "control_passed"),
        ),
        (
            "calls",
            json!({"calls": [{"id": "wacid.1", "event": "terminate", "from": "491", "timestamp": "1790000000"}]}),
            account("whatsapp.call", "terminate"),
        ),
        (
            "group_lifecycle_update",
            json!({"groups": [{"type": "group_create", "group_id": "G", "timestamp": 1}]}),
            account("whatsapp.group", "group_create"),
        ),
        (
            "group_participants_update",
            json!({"groups": [{"type": "group_participants_add", "group_id": "G"}]}),
            account("whatsapp.group", "group_participants_add"),
        ),
        (
            "group_settings_update",
            json!({"groups": [{"type": "group_settings_update", "group_id": "G"}]}),
            account("whatsapp.group", "group_settings_update"),
        ),
        (
            "group_status_update",
            json!({"groups": [{"type": "group_suspend", "group_id": "G"}]}),
            account("whatsapp.group", "group_suspend"),
        ),
        ("tracking_events", json!({"events": [{"event_name": "e"}]}), account("whatsapp.other", "other")),
        (
            "automatic_events",
            json!({"automatic_events": [{"event_name": "e"}]}),
            account("whatsapp.other", "other"),
        ),
        (
            "a_field_of_2027",
            json!({"words": "read them"}),
            vec![("whatsapp.other", "other", detail("/texts/0", "read them".into()))],
        ),
    ]
}

#[test]
fn every_field_is_split_and_read() {
    for (field, value, expected) in conversation_rows().into_iter().chain(other_rows()) {
        let body = body(field, value);
        let items = check::split_valid(Sender::Meta, body.as_bytes());
        let whole = serde_json::to_value(check::project_whole(Sender::Meta, &body)).unwrap();
        assert_eq!(items.len(), expected.len(), "{field}");
        for (item, (kind, message_type, members)) in items.iter().zip(expected) {
            assert_eq!(
                (item.kind.as_str(), whole["message_type"].as_str()),
                (kind, Some(message_type)),
                "{field}"
            );
            for (pointer, value) in members {
                assert_eq!(whole.pointer(pointer), Some(&value), "{field} {pointer} in {whole}");
            }
        }
    }
}

#[test]
fn pieces_of_the_history_are_told_by_what_is_left_of_the_delivery() {
    let message = |id: &str| json!({"from": "491", "id": id, "timestamp": "1790000000", "type": "text", "text": {"body": "x"}});
    let body = body(
        "history",
        json!({"history": [{"metadata": {"phase": 0, "chunk_order": 1, "progress": 55},
        "threads": [{"id": "491", "messages": [message("wamid.1"), message("wamid.2")]}]}]}),
    );
    let items = check::split_valid(Sender::Meta, body.as_bytes());
    let rest = check::skeleton(&body, &items);
    let captured = crate::Captured { parts: &[rest.as_bytes()], ..crate::Captured::default() };
    let delivery = crate::project(piperoll_format::Kind::Delivery, &captured);
    assert_eq!(delivery.history_chunks, [HistoryChunk { phase: 0, chunk_order: 1, progress: 55 }]);
    assert_eq!(delivery.number.and_then(|number| number.id).as_deref(), Some("9001"));
    assert_eq!(history_chunks("\"chunk_order\" { \"chunk_order\": \"x\"} {\"chunk_order\""), []);
}

/// Goal: what decides something is never lost in a body that the platform documents. Method: every element of the
/// corpus that has such a member must have it after reading too.
#[test]
fn details_of_the_corpus_are_read() {
    let Some(shared) = std::env::var_os("PIPEROLL_SHARED") else { return };
    let mut found = [0; 4];
    for folder in ["", "placeholder"] {
        let folder = std::path::Path::new(&shared).join("corpus").join(folder);
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(bytes) = std::fs::read(&path) else { continue };
            for item in Sender::Meta.split(&bytes).items {
                let slices: Vec<&[u8]> = item.ranges.iter().map(|range| &bytes[range.clone()]).collect();
                let parts = crate::Captured { parts: &slices, ..crate::Captured::default() };
                let message = crate::project(item.kind, &parts);
                let elements: Vec<Value> =
                    slices.iter().filter_map(|slice| serde_json::from_slice(slice).ok()).collect();
                let has = |key: &str| elements.iter().any(|element| element.get(key).is_some());
                let rows = [
                    (has("pricing"), message.status.is_some()),
                    (has("reaction"), message.references.iter().any(|of| of.relation == Relation::ReactsTo)),
                    (has("referral"), message.referral.is_some()),
                    (
                        item.kind.as_str() == "whatsapp.preference" && has("value"),
                        message.preference.is_some(),
                    ),
                ];
                for (nth, (has, is_read)) in rows.into_iter().enumerate() {
                    found[nth] += usize::from(has);
                    assert!(!has || is_read, "{} row {nth}: {message:?}", path.display());
                }
            }
        }
    }
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
}
