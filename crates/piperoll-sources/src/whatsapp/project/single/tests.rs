//! Tests that reading in one pass reads what cutting reads.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use super::super::super::split::split;
use super::super::{Captured, Surroundings, cut, project, talk};
use super::*;

const BODIES: [&str; 3] = [
    include_str!("../../fixtures/text.json"),
    include_str!("../../fixtures/batch.json"),
    include_str!("../../fixtures/standby.json"),
];

const OTHERS: [&str; 4] = [
    r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":
    {"phone_number_id":"9","display_phone_number":"+1 555"},"contacts":[{"profile":{"name":"A"},"wa_id":"49","user_id":"DE.1"}],
    "messages":[{"from":"49","from_user_id":"DE.1","id":"w.1","timestamp":"5","type":"image","context":{"id":"w.0",
    "forwarded":true},"image":{"id":"7","mime_type":"image/png","sha256":"x","caption":"c"}}]}}]}]}"#,
    r#"{"entry":[{"id":1,"time":3,"field":"messages","changes":[{"value":{"metadata":{"phone_number_id":"9"},
    "contacts":[{"wa_id":"49"},{"user_id":"DE.2","profile":{"name":"B","username":"b"}}],"statuses":[{"id":"w.1",
    "status":"failed","timestamp":"5","recipient_id":"49","errors":[{"code":131050,"title":"t"}],"pricing":{"category":"marketing"}}]}}]}]}"#,
    r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"smb_message_echoes","value":
    {"metadata":{"phone_number_id":"9","display_phone_number":"1555"},"message_echoes":[{"from":"1555","to":"49","id":"w.2",
    "timestamp":"6","type":"text","text":{"body":"hi"},"new_member":{"title":"later"}}]}}]}]}"#,
    r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":
    {"phone_number_id":"9","display_phone_number":"1"},"contacts":[{"profile":{"name":"A"},"wa_id":"49"}],
    "messages":[{"from":"49","id":"w.3","timestamp":"5","type":"system","system":{"type":"user_changed_number",
    "wa_id":"50","body":"b"}}]}}]}]}"#,
];

/// Returns a body, and others that differ from it in one member: absent, null, twice, or of another form.
fn variants(body: &str) -> Vec<String> {
    let mut all = vec![body.to_owned()];
    let quotes: Vec<usize> = body.match_indices('"').map(|(at, _)| at).collect();
    for pair in quotes.windows(2) {
        let key = &body[pair[0]..=pair[1]];
        let rest = body[pair[1] + 1..].trim_start();
        if !rest.starts_with(':') {
            continue;
        }
        let (before, after) = (&body[..pair[0]], &body[pair[1] + 1..]);
        all.push(format!("{before}\"unknown\"{after}"));
        for odd in ["null", "{}", "[1]", "7", "\"\"", "\"x\""] {
            all.push(format!("{before}{key}:{odd},{key}{after}"));
            all.push(format!("{before}{key}:{odd},\"unknown\"{after}"));
        }
        all.push(format!("{before}\"\\u00{:02x}{}{after}", key.as_bytes()[1], &key[2..]));
    }
    all
}

#[track_caller]
fn check_same(body: &str) -> bool {
    let item = split(body.as_bytes()).items.swap_remove(0);
    let subject = item.subject.as_deref().or(Some("wa:1"));
    let parts = [body.as_bytes()];
    let captured = Captured { whole: true, parts: &parts, subject, ..Captured::default() };
    for kind in [item.kind, Kind::WhatsappMessage] {
        let surroundings =
            Surroundings { subject: captured.subject.map(Cow::Borrowed), ..Surroundings::default() };
        assert_eq!(project(kind, &captured), cut(kind, &captured, surroundings.clone()), "{kind:?} {body}");
        let slices: Vec<&str> = item.ranges.iter().map(|range| &body[range.clone()]).collect();
        let parts = Parts::sort(kind, slices.into_iter());
        if let Some(raw) = parts.element {
            let read = |members| talk::read_message(kind, (raw, members), &parts, &surroundings);
            assert_eq!(read(Members::read(raw).as_ref()), read(None), "{kind:?} {body}");
        }
    }
    read(body).is_some()
}

#[test]
fn one_pass_reads_what_cutting_reads() {
    let mut single = 0;
    for body in BODIES.iter().chain(&OTHERS).flat_map(|body| variants(body)) {
        single += usize::from(check_same(&body));
    }
    assert!(single > 100, "{single}");
    assert!(OTHERS.iter().all(|body| read(body).is_some()));
}

#[test]
fn one_pass_reads_what_cutting_reads_in_the_corpus() {
    let Some(shared) = std::env::var_os("PIPEROLL_SHARED") else { return };
    let mut single = 0;
    for folder in ["", "placeholder", "partial", "bsp", "requests", "templates"] {
        let folder = std::path::Path::new(&shared).join("corpus").join(folder);
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(body) = std::fs::read_to_string(&path) else { continue };
            single += variants(&body).iter().step_by(41).filter(|body| check_same(body)).count();
        }
    }
    assert!(single > 100, "{single}");
}
