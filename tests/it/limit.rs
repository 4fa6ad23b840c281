//! Goal: no body is too odd to be kept, and none makes the archive fall over.

use piperoll_sources::whatsapp::split;
use piperoll_tests::{TestArchive, webhook};

const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

fn with_timestamp(timestamp: &str) -> Vec<u8> {
    let body = String::from_utf8(webhook(&[("wamid.t", "15550100", "when")])).unwrap();
    body.replace("\"1795260000\"", timestamp).into_bytes()
}

/// Odd bodies, each with the flag that its event carries, if any.
fn odd_bodies() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let mut nested = vec![b'['; 100_000];
    nested.extend(vec![b']'; 100_000]);
    let ids: Vec<String> = (0..10_000).map(|n| format!("wamid.many.{n}")).collect();
    let many: Vec<_> = ids.iter().map(|id| (&**id, "15550100", "x")).collect();
    let text = String::from_utf8(webhook(&[("wamid.d", "15550100", "twice")])).unwrap();
    let duplicate = text
        .replace("\"text\":{\"body\":\"twice\"}", "\"text\":{\"body\":\"one\"},\"text\":{\"body\":\"two\"}");
    assert_ne!(duplicate, text);
    let mut invalid = webhook(&[("wamid.u", "15550100", "broken AAAA text")]);
    let at = invalid.windows(4).position(|window| window == b"AAAA").unwrap();
    invalid[at..at + 4].copy_from_slice(&[0xff, 0xfe, 0xc0, 0x80]);
    let mut largest = webhook(&[("wamid.l", "15550100", "large")]);
    largest.resize(BODY_BYTES_MAX, b' ');
    vec![
        ("deep nesting", nested, None),
        ("ten thousand messages", webhook(&many), None),
        ("duplicate keys", duplicate.into_bytes(), None),
        ("invalid UTF-8", invalid, None),
        ("largest body", largest, None),
        ("empty body", Vec::new(), None),
        ("no JSON", b"<html>".to_vec(), None),
        ("zero bytes", vec![0; 10_000], None),
        ("negative time", with_timestamp("\"-5\""), Some("time-implausible")),
        ("milliseconds", with_timestamp("\"1795260000123\""), Some("time-implausible")),
        ("year 9999", with_timestamp("\"253402300799\""), Some("time-implausible")),
        ("time beyond 64 bits", with_timestamp("\"99999999999999999999999999\""), Some("time-implausible")),
        ("no number", with_timestamp("\"soon\""), Some("time-missing")),
        ("null", with_timestamp("null"), Some("time-missing")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_bodies_are_stored_flagged_and_returned() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    for (what, body, flag) in odd_bodies() {
        let first = served.size();
        assert_eq!(served.deliver(&body).await.status, 200, "{what}");
        let last = served.size() - 1;
        assert!(last >= first, "{what} is stored");
        let items = split(&body).items.len() as u64;
        assert_eq!(last - first + 1, if items == 1 { 1 } else { items + 1 }, "{what}");
        let raw = served.read(&format!("/v1/events/{last}/raw")).await;
        assert_eq!(
            (raw.status.as_u16(), raw.header("piperoll-signature-valid")),
            (200, Some("true")),
            "{what}"
        );
        assert!(raw.body == body, "{what}: the exact bytes come back");
        let event = served.read(&format!("/v1/events/{first}")).await.ok();
        let flags: Vec<&str> =
            event["flags"].as_array().into_iter().flatten().map(|flag| flag.as_str().unwrap()).collect();
        assert!(flag.is_none_or(|flag| flags.contains(&flag)), "{what}: expected {flag:?}, found {flags:?}");
    }
    assert_eq!(served.search("id:wamid.many.9999").await["total"], 1);
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn body_above_the_limit_is_refused_and_not_stored() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let size = served.size();
    let mut body = webhook(&[("wamid.1", "15550100", "large")]);
    body.resize(BODY_BYTES_MAX + 1, b' ');
    served.deliver(&body).await.is_status(413);
    assert_eq!(served.size(), size);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_ask_for_everything_are_refused_with_a_reason() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    // As short as they can be, because an address is at most 64 KiB long.
    let letters = || ('a'..='z').chain('0'..='9');
    let terms =
        letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
    let terms: Vec<String> = terms.take(10_000).collect();
    for query in ["*", "a*", "\"unclosed", "(", "kind:nonsense", &terms.join(" ")] {
        let query = piperoll_tests::escape(query).replace("%20", "+");
        let answer = served.read(&format!("/v1/search?q={query}")).await;
        answer.is_status(400);
        let error = answer.json();
        assert_eq!(error["error"]["code"], "bad-query", "{error}");
    }
}
