//! The check of a send: what is proven, what is missing, which rules are broken.

use super::*;
use crate::{ConsentRules, ConsentState, SendCheck, ViolationRule, render};

fn snapshot(status: &str, category: &str, text: &str) -> Value {
    json!({"template": {"name": "offer", "language": "de", "id": "42", "status": status, "category": category,
        "components": [{"type": "BODY", "text": text}]}})
}

fn template_send(journal_id: &str) -> Value {
    json!({"journal_id": journal_id, "via": "proxy", "endpoint": "messages", "number": NUMBER, "request": {"to": "491",
        "type": "template", "template": {"name": "offer", "language": {"code": "de"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ada"}]}]}}})
}

fn text_send(journal_id: &str) -> Value {
    json!({"journal_id": journal_id, "via": "proxy", "endpoint": "messages", "number": NUMBER,
        "request": {"to": "491", "type": "text", "text": {"body": "x"}}})
}

/// Feeds a request, its answer and a status.
fn send(feed: &mut Feed, journal_id: &str, at: i64, document: &Value) -> u64 {
    let seq = feed.own(Kind::SendRequested, at, Some("wa:491"), document);
    let wamid = format!("wamid.{journal_id}");
    let answer = json!({"journal_id": journal_id, "status": 200, "wamids": [wamid]});
    feed.own(Kind::SendAnswered, at, Some("wa:491"), &answer);
    let status =
        json!({"id": wamid, "status": "sent", "timestamp": (at + 1).to_string(), "recipient_id": "491"});
    feed.webhook("messages", json!({"statuses": [status]}));
    seq
}

fn check(feed: &Feed, journal_id: &str) -> SendCheck {
    let wamid = format!("wamid.{journal_id}");
    feed.projections.check_message(&wamid, &ConsentRules::default()).unwrap().unwrap()
}

fn broken(check: &SendCheck) -> Vec<ViolationRule> {
    check.violations.iter().map(|violation| violation.rule).collect()
}

#[test]
fn send_with_consent_and_approved_template_is_proven() {
    let mut feed = Feed::new();
    feed.own(Kind::TemplateSnapshot, DAY - 100, None, &snapshot("APPROVED", "MARKETING", "Hallo {{1}}"));
    feed.own(
        Kind::ConsentGiven,
        DAY - 50,
        Some("wa:491"),
        &json!({"person": {"phone": "491"}, "purpose": "marketing"}),
    );
    let seq = send(&mut feed, "j1", DAY, &template_send("j1"));
    let found = check(&feed, "j1");
    assert_eq!(
        (found.request, &found.missing[..], broken(&found).len()),
        (Some(seq), &[][..], 0),
        "{found:?}"
    );
    assert_eq!((found.purpose.as_str(), found.consent.state), ("marketing", ConsentState::Given));
    assert_eq!(found.template_state.unwrap().versions.len(), 1);
}

#[test]
fn what_is_missing_is_named() {
    let mut feed = Feed::new();
    send(&mut feed, "j1", DAY, &template_send("j1"));
    let found = check(&feed, "j1");
    assert_eq!(
        found.missing,
        ["a consent for marketing before the send (it was unknown)", "the template: nothing was told of it"]
    );
    feed.webhook(
        "message_template_components_update",
        json!({"message_template_id": 42, "message_template_name": "offer",
        "message_template_language": "de", "message_template_element": "Neu {{1}}"}),
    );
    // The status of a send that nobody journaled.
    feed.webhook(
        "messages",
        json!({"statuses": [{"id": "wamid.z", "status": "sent", "timestamp": DAY.to_string(),
        "recipient_id": "491"}]}),
    );
    assert_eq!(check(&feed, "z").missing, ["its content was not captured, only statuses"]);
    assert!(feed.projections.check_message("wamid.none", &ConsentRules::default()).unwrap().is_none());
}

#[test]
fn broken_rules_are_violations() {
    let mut feed = Feed::new();
    feed.own(Kind::TemplateSnapshot, DAY - 100, None, &snapshot("APPROVED", "MARKETING", "Hallo {{1}}"));
    feed.text("491", "wamid.in", DAY - 200_000, "STOP");
    let paused = json!({"event": "PAUSED", "message_template_id": 42, "message_template_name": "offer",
        "message_template_language": "de", "reason": "NONE"});
    feed.own(Kind::WhatsappTemplate, DAY - 10, None, &paused);
    let first = send(&mut feed, "j1", DAY, &template_send("j1"));
    let found = check(&feed, "j1");
    assert_eq!(broken(&found), [ViolationRule::SentAfterOptOut, ViolationRule::TemplateNotApproved]);
    let second = send(&mut feed, "j2", DAY + 5, &text_send("j2"));
    let found = check(&feed, "j2");
    assert_eq!(broken(&found), [ViolationRule::SentAfterOptOut, ViolationRule::OutsideWindow]);
    assert!(found.violations[1].detail.contains("55 h"), "{found:?}");
    feed.text("491", "wamid.in2", DAY + 10, "where is my order?");
    send(&mut feed, "j3", DAY + 20, &text_send("j3"));
    assert_eq!(check(&feed, "j3").violations, []);
    let sends = feed.projections.sends_on("2026-11-22", None, 2).unwrap();
    assert_eq!(sends.iter().map(|send| send.seq).collect::<Vec<_>>(), [first, second]);
    let after = sends.last().map(|send| (send.at, send.seq));
    assert_eq!(feed.projections.sends_on("2026-11-22", after, 9).unwrap()[0].value, "j3");
}

#[test]
fn template_is_known_by_version_status_and_category_over_time() {
    let mut feed = Feed::new();
    let first = feed.own(Kind::TemplateSnapshot, DAY, None, &snapshot("PENDING", "UTILITY", "v1"));
    feed.own(
        Kind::WhatsappTemplate,
        DAY + 10,
        None,
        &json!({"event": "APPROVED", "message_template_id": 42,
        "message_template_name": "offer", "message_template_language": "de"}),
    );
    feed.own(
        Kind::WhatsappTemplate,
        DAY + 20,
        None,
        &json!({"message_template_id": 42, "message_template_name": "offer",
        "message_template_language": "de", "previous_category": "UTILITY", "new_category": "MARKETING"}),
    );
    feed.own(
        Kind::WhatsappTemplate,
        DAY + 30,
        None,
        &json!({"message_template_id": 42, "message_template_name": "offer",
        "message_template_language": "de", "message_template_element": "v2"}),
    );
    let second = feed.own(Kind::TemplateSnapshot, DAY + 40, None, &snapshot("APPROVED", "MARKETING", "v2"));
    feed.own(Kind::TemplateSnapshot, DAY + 50, None, &snapshot("APPROVED", "MARKETING", "v2"));
    let at = |second: i64| {
        feed.projections.template_at("offer", Some("de"), (DAY + second) * 1_000_000).unwrap().unwrap()
    };
    assert_eq!(at(-1).version, None);
    let rows = [
        (5, first, "PENDING", "UTILITY", false, false),
        (15, first, "APPROVED", "UTILITY", true, false),
        (25, first, "APPROVED", "MARKETING", true, false),
        (35, first, "APPROVED", "MARKETING", true, true),
        (60, second, "APPROVED", "MARKETING", true, false),
    ];
    for (second, version, status, category, is_approved, is_stale) in rows {
        let state = at(second);
        assert_eq!(state.version.as_ref().unwrap().seq, version, "at {second}");
        assert_eq!(state.status.as_ref().unwrap().value, status, "at {second}");
        assert_eq!(state.category.as_ref().unwrap().value, category, "at {second}");
        assert_eq!(
            (state.is_approved(), state.changed_since.is_some()),
            (is_approved, is_stale),
            "at {second}"
        );
    }
    assert_eq!(at(60).versions.len(), 2);
    assert_eq!(feed.projections.template_at("none", None, 0).unwrap(), None);
    assert_eq!(render(&json!([{"type": "BODY", "text": "v{{1}}"}]), None), "v{{1}}");
}
