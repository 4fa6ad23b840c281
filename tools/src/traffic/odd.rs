//! Rare webhooks: system messages, unsupported types, calls, groups, threads that somebody else owns,
//! people whose user id changed, fields that nobody knows.

use super::account::{TEMPLATES, Update};
use super::envelope::{body, failure, received, single};
use super::json::{Json, list, map};
use super::message::{Content, Extras, Side, inbound, message_id, text};
use super::people::{Customer, Number};
use super::random::Random;

/// Lists one webhook of each rare kind.
pub(crate) fn rarities(number: &Number, customer: &Customer, at: i64, random: &mut Random) -> Vec<Update> {
    let mut all = system_messages(number, customer, at, random);
    all.extend(unavailable_messages(number, customer, at, random));
    all.extend(calls(number, customer, at, random));
    all.extend(groups(number, customer, at));
    all.extend(foreign_threads(number, customer, at, random));
    all.extend(unknown_fields(number, at));
    all
}

fn system_messages(number: &Number, customer: &Customer, at: i64, random: &mut Random) -> Vec<Update> {
    let mut message = |what: &'static str, object: Json| {
        let id = message_id(Side::Customer, customer.address(), random);
        let content = Content { kind: "system", object };
        let message = inbound(customer, &id, at, &content, Extras::default());
        let value = number.value().with("messages", list![message]);
        ("messages", what, single(number, "messages", value))
    };
    let new_phone = "12025550187";
    let new_user = format!("US.{}", &customer.user_id[3..].chars().rev().collect::<String>());
    let old_and_new = map! {"previous": &customer.user_id, "current": &new_user};
    let identity = map! {
        "wa_id": customer.phone.as_ref(), "detail": "The user id changed", "user_id": old_and_new, "timestamp": at.to_string(),
    };
    vec![
        message(
            "system-user_changed_number",
            map! {
                "body": format!("{} changed from {} to {new_phone}", customer.name, customer.address()),
                "wa_id": new_phone,
                "type": "user_changed_number",
            },
        ),
        message(
            "system-user_changed_user_id",
            map! {"body": "The user id changed", "user_id": &new_user, "type": "user_changed_user_id"},
        ),
        (
            "user_id_update",
            "changed",
            single(number, "user_id_update", number.value().with("user_id_update", list![identity])),
        ),
    ]
}

fn unavailable_messages(number: &Number, customer: &Customer, at: i64, random: &mut Random) -> Vec<Update> {
    let mut message = |what: &'static str, code: i64, poll: bool| {
        let id = message_id(Side::Customer, customer.address(), random);
        let object = if poll {
            map! {"type": "poll"}
        } else {
            Json::Absent
        };
        let content = Content { kind: "unsupported", object };
        let message =
            inbound(customer, &id, at, &content, Extras::default()).with("errors", list![failure(code)]);
        let value =
            number.value().with("contacts", list![customer.contact()]).with("messages", list![message]);
        ("messages", what, single(number, "messages", value))
    };
    let mut all = vec![
        message("unsupported-poll", 131_051, true),
        message("unsupported-companion", 131_060, false),
        message("unsupported-media", 131_052, false),
    ];
    let errors = number.value().with("errors", list![failure(130_429)]);
    all.push(("messages", "errors", single(number, "messages", errors)));
    let forwarded = Extras { context: Some(map! {"frequently_forwarded": true}), referral: None };
    let id = message_id(Side::Customer, customer.address(), random);
    let line = "Forwarded many times: the branch is closed tomorrow because of the storm, pass it on!";
    all.push(("messages", "text-forwarded", received(number, customer, &id, at, &text(line), forwarded)));
    all
}

fn calls(number: &Number, customer: &Customer, at: i64, random: &mut Random) -> Vec<Update> {
    let id = format!("wacid.{}", random.characters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 40));
    let call = |what: &'static str, seconds: Option<i64>| {
        let entry = map! {
            "id": &id,
            "to": number.display,
            "from": customer.phone.as_ref(),
            "from_user_id": &customer.user_id,
            "event": what,
            "timestamp": (at + seconds.unwrap_or(0)).to_string(),
            "direction": "USER_INITIATED",
            "session": seconds.is_none().then(|| map! {"sdp_type": "offer", "sdp": "v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\n"}),
            "status": seconds.map(|_| "Completed"),
            "start_time": seconds.map(|_| at.to_string()),
            "end_time": seconds.map(|length| (at + length).to_string()),
            "duration": seconds,
        };
        let value = number.value().with("contacts", list![customer.contact()]).with("calls", list![entry]);
        ("calls", what, single(number, "calls", value))
    };
    vec![call("connect", None), call("terminate", Some(184))]
}

fn groups(number: &Number, customer: &Customer, at: i64) -> Vec<Update> {
    let group = "Y2FwaV9ncm91cDoxMjEyNTU1MDEwMzoxMjAzNjM0MDQ2OTQyMzMxOQZD";
    let wrap = |field: &'static str, what: &'static str, entry: Json| {
        (field, what, single(number, field, number.value().with("groups", list![entry])))
    };
    let created = map! {
        "timestamp": at, "group_id": group, "type": "group_create", "request_id": "group-req-1", "subject": "Ward 7 families",
    };
    let joined = map! {
        "timestamp": at.to_string(),
        "group_id": group,
        "type": "group_participants_add",
        "added_participants": list![map! {"wa_id": customer.phone.as_ref(), "user_id": &customer.user_id}],
    };
    let renamed = map! {
        "timestamp": at, "group_id": group, "type": "group_settings_update", "request_id": "group-req-2",
        "group_subject": map! {"text": "Ward 7", "update_successful": true},
    };
    let suspended = map! {"timestamp": at, "group_id": group, "type": "group_suspend"};
    vec![
        wrap("group_lifecycle_update", "create", created),
        wrap("group_participants_update", "add", joined),
        wrap("group_settings_update", "subject", renamed),
        wrap("group_status_update", "suspend", suspended),
    ]
}

fn foreign_threads(number: &Number, customer: &Customer, at: i64, random: &mut Random) -> Vec<Update> {
    let asked = message_id(Side::Customer, customer.address(), random);
    let answered = message_id(Side::Business, customer.address(), random);
    let question = inbound(customer, &asked, at, &text("Are you open on Sunday morning?"), Extras::default());
    let sent = map! {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": customer.phone.as_ref(),
        "type": "template",
        "template": map! {"name": TEMPLATES[0].name, "language": map! {"code": TEMPLATES[0].language}},
    };
    let definition = map! {"name": TEMPLATES[0].name, "language": TEMPLATES[0].language, "components": TEMPLATES[0].components()};
    let echo =
        map! {"id": answered, "timestamp": (at + 4).to_string(), "message": sent, "template": definition};
    let inbound = map! {"contacts": list![customer.contact()], "messages": list![question]};
    let outbound = map! {"message_echoes": list![echo]};
    let passed = map! {
        "previous_owner_app_id": "500000000000001",
        "previous_owner_role": "business_agent",
        "new_owner_role": "app",
        "metadata": "customer asked for a person",
        "conversation_context": map! {"summary": map! {"text": "Asked for Sunday opening hours."}},
    };
    let handover = map! {
        "sender": map! {"phone_number": customer.phone.as_ref()},
        "recipient": map! {"display_phone_number": number.display, "phone_number_id": number.id},
        "type": "control_passed",
        "timestamp": at.to_string(),
        "control_passed": passed,
    };
    vec![
        ("standby", "message", single(number, "standby", number.value().with("standby", inbound))),
        ("standby", "echo", single(number, "standby", number.value().with("standby", outbound))),
        (
            "messaging_handovers",
            "passed",
            single(number, "messaging_handovers", map! {"messaging_product": "whatsapp"}.merge(handover)),
        ),
    ]
}

fn unknown_fields(number: &Number, at: i64) -> Vec<Update> {
    let event =
        map! {"event_name": "LeadSubmitted", "timestamp": at, "tracking_data": map! {"click_id": "c-81723"}};
    let future = map! {"announced_on": "2027-01-01", "details": list![1, 2, 3], "note": "a field that no release knows"};
    vec![
        (
            "tracking_events",
            "lead",
            single(number, "tracking_events", number.value().with("events", list![event])),
        ),
        (
            "holographic_messages",
            "unknown",
            body(number.account, Some(at), vec![("holographic_messages", future)]),
        ),
    ]
}
