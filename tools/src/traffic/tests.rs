//! The generator gives the same valid, realistic bytes every time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{BASE_TIME, Language, Profile, Target, Traffic, Webhook, fixtures};

const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

fn demo() -> Vec<Webhook> {
    Traffic::new(1, &Profile::demo()).collect()
}

/// Checks what every body keeps: ASCII, valid JSON, escapes in lower case, at most 3 MB.
#[track_caller]
fn check_body(body: &[u8]) -> Value {
    assert!(body.len() <= BODY_BYTES_MAX && body.is_ascii());
    for (position, _) in body.windows(2).enumerate().filter(|(_, pair)| pair == b"\\u") {
        let digits = &body[position + 2..position + 6];
        let lower = digits.iter().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit));
        assert!(lower, "{}", String::from_utf8_lossy(digits));
    }
    serde_json::from_slice(body).expect("the body is JSON")
}

#[test]
fn same_seed_gives_same_bytes() {
    let small = Profile { conversations: 20, customers: 60, history_messages: 50, ..Profile::demo() };
    let take = |seed| Traffic::new(seed, &small).collect::<Vec<_>>();
    assert_eq!(take(5), take(5));
    assert_ne!(take(5), take(6));
    let messages = |seed| Traffic::message_bodies(seed, BASE_TIME, 50).collect::<Vec<_>>();
    assert_eq!(messages(5), messages(5));
    assert_ne!(messages(5), messages(6));
    assert_eq!(fixtures(), fixtures());
}

#[test]
fn every_body_is_valid_and_in_order_of_time() {
    let all = demo();
    assert!(all.is_sorted_by_key(|webhook| webhook.at));
    assert!((2_500..8_000).contains(&all.len()), "{}", all.len());
    for webhook in &all {
        let json = check_body(&webhook.body);
        let key = if webhook.target == Target::Webhook { "object" } else { "kind" };
        assert!(json[key].is_string(), "{}", webhook.label);
    }
    for fixture in fixtures() {
        check_body(&fixture.body);
    }
}

#[test]
fn every_language_is_spoken() {
    let bodies: Vec<String> = demo()
        .into_iter()
        .filter(|webhook| webhook.label == "text")
        .map(|webhook| check_body(&webhook.body)["entry"][0]["changes"][0]["value"].to_string())
        .collect();
    let words = [" the ", "tarjeta", "não", "Czy ", "nomor", "है", "رقم", "请", "です", "ได้"];
    for (language, word) in Language::ALL.into_iter().zip(words) {
        let count = bodies.iter().filter(|body| body.contains(word)).count();
        assert!(count >= 5, "{}: {count}", language.code());
    }
}

#[test]
fn demo_traffic_holds_every_kind() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for webhook in demo() {
        *counts.entry(webhook.label).or_default() += 1;
    }
    for label in [
        "text",
        "image",
        "document",
        "audio",
        "sticker",
        "location",
        "contacts",
        "button",
        "order",
        "edit",
        "revoke",
        "reaction",
        "interactive-button_reply",
        "interactive-list_reply",
        "interactive-nfm_reply",
        "echo-text",
        "echo-edit",
        "echo-revoke",
        "echo-document",
        "status-sent",
        "status-delivered",
        "status-read",
        "status-failed",
        "history",
        "history-media",
        "history-declined",
        "state_sync",
        "user_preferences",
        "consent.given",
        "consent.withdrawn",
        "template.snapshot",
        "template",
        "account_update",
        "standby",
        "holographic_messages",
        "text-stop",
    ] {
        assert!(counts.contains_key(label), "{label} is missing in {counts:?}");
    }
}

#[test]
fn message_bodies_have_the_size_of_real_ones() {
    let bodies: Vec<Vec<u8>> = Traffic::message_bodies(9, BASE_TIME, 4000).collect();
    let mut text_bytes = 0;
    let mut ids = BTreeSet::new();
    for body in &bodies {
        let json = check_body(body);
        let message = &json["entry"][0]["changes"][0]["value"]["messages"][0];
        text_bytes += message["text"]["body"].as_str().expect("the message has text").len();
        ids.insert(message["id"].to_string());
    }
    assert_eq!(ids.len(), bodies.len());
    let body_bytes: usize = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len();
    assert!((1000..=1150).contains(&body_bytes), "{body_bytes}");
    assert!((90..=102).contains(&(text_bytes / bodies.len())), "{}", text_bytes / bodies.len());
}

#[test]
fn message_bodies_have_what_real_ones_have() {
    let bodies: Vec<Vec<u8>> = Traffic::message_bodies(9, BASE_TIME, 4000).collect();
    let mut campaigns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for body in &bodies {
        let json = check_body(body);
        let value = &json["entry"][0]["changes"][0]["value"];
        let (contact, message) = (&value["contacts"][0], &value["messages"][0]);
        for (what, found) in [
            ("referral", &message["referral"]),
            ("context", &message["context"]),
            ("username", &contact["profile"]["username"]),
            ("parent_user_id", &contact["parent_user_id"]),
            ("identity_key_hash", &contact["identity_key_hash"]),
        ] {
            *counts.entry(what).or_default() += usize::from(!found.is_null());
        }
        if let Some(referral) = message["referral"].as_object() {
            let mut referral = referral.clone();
            let click = referral.remove("ctwa_clid").expect("a click has an id").to_string();
            let source = referral["source_id"].to_string();
            assert!(campaigns.entry(source).or_default().insert(click), "a click happens once");
        }
    }
    for (what, percent) in [
        ("referral", 30..37),
        ("context", 30..37),
        ("username", 20..50),
        ("parent_user_id", 1..6),
        ("identity_key_hash", 1..6),
    ] {
        let found = counts[what] * 100 / bodies.len();
        assert!(percent.contains(&found), "{what}: {found} %, expected {percent:?}");
    }
    assert!(
        campaigns.len() < 100 && campaigns.values().all(|clicks| clicks.len() > 1),
        "{}",
        campaigns.len()
    );
}

/// What is measured was not trained on, whatever the seed.
#[test]
fn measured_and_trained_sentences_differ() {
    let texts = |bodies: &mut dyn Iterator<Item = Vec<u8>>| -> BTreeSet<String> {
        let text = |body: Vec<u8>| {
            let message = &check_body(&body)["entry"][0]["changes"][0]["value"]["messages"][0];
            let text = message["text"]["body"].as_str().expect("the message has text");
            // Without its slots, which are shared.
            text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
        };
        bodies.map(text).collect()
    };
    let measured = texts(&mut Traffic::message_bodies(1, BASE_TIME, 2000));
    let trained = texts(&mut Traffic::training_bodies(1, BASE_TIME, 2000));
    let both: Vec<&String> = measured.intersection(&trained).collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn history_bodies_hold_exactly_the_wanted_messages() {
    for body in Traffic::history_bodies(3, BASE_TIME, 1000, 3) {
        let json = check_body(&body);
        let threads = &json["entry"][0]["changes"][0]["value"]["history"][0]["threads"];
        let threads = threads.as_array().expect("history has threads");
        assert!(threads.len() > 10);
        let messages: usize =
            threads.iter().map(|thread| thread["messages"].as_array().map_or(0, Vec::len)).sum();
        assert_eq!(messages, 1000);
    }
}

#[test]
fn consents_and_snapshots_have_the_agreed_fields() {
    let all: Vec<Value> = Traffic::consents(3, BASE_TIME, 100).map(|body| check_body(&body)).collect();
    for key in ["person", "number", "channel", "purpose", "statement", "occurred_at", "source_id", "evidence"]
    {
        assert!(all.iter().all(|consent| !consent[key].is_null()), "{key}");
    }
    assert_eq!(all.iter().filter(|consent| consent["kind"] == "consent.withdrawn").count(), 25);
    assert!(all.iter().all(|consent| consent["person"]["phone"].is_string()));
    assert_eq!(all[3]["person"], all[2]["person"]);
    for snapshot in Traffic::template_snapshots(BASE_TIME) {
        let snapshot = check_body(&snapshot);
        assert_eq!(snapshot["kind"], "template.snapshot");
        assert!(snapshot["template"]["components"].is_array());
    }
}

#[test]
fn fixture_names_are_distinct() {
    let all = fixtures();
    let names: BTreeSet<&str> = all.iter().map(|fixture| fixture.name.as_str()).collect();
    assert_eq!(names.len(), all.len());
    assert!(all.len() >= 60, "{}", all.len());
}
