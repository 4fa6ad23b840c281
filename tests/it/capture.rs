//! Goal: whatever a sender signs is acknowledged, found by its id, and comes back byte for byte.
//! Method: every body of the fixtures and, where it is at hand, of the shared corpus goes through the router.

use piperoll_sources::whatsapp::split;
use piperoll_tests::{NamedBody, Served, Stored, TestArchive, corpus, fixtures, webhook};

/// Sends bodies one after another, and checks what each of them became.
async fn capture_all(bodies: &[NamedBody]) {
    let archive = TestArchive::in_directory().await;
    let served = archive.serve().await;
    for body in bodies {
        let first = served.size();
        let answer = served.deliver(&body.bytes).await;
        assert_eq!(answer.status, 200, "{}", body.name);
        // At-least-once senders send everything again.
        let size = served.size();
        served.deliver(&body.bytes).await.is_status(200);
        assert_eq!(served.size(), size, "{} is not stored again", body.name);
        for seq in first..size {
            check_raw(&served, seq, body).await;
        }
    }
    let events = served.check_everything().await;
    let mut found_by_id = 0;
    for body in bodies {
        found_by_id += check_found(&served, &events, body).await;
    }
    assert!(found_by_id * 3 >= bodies.len(), "many bodies have an id of the sender's");
    served.close().await;
}

/// Searches for each id that the body names, and returns how many there were.
async fn check_found(served: &Served<'_>, events: &[Stored], body: &NamedBody) -> usize {
    let mut ids = 0;
    for item in split(&body.bytes).items {
        // The archive puts the number before the sender's id, and behind it what else makes the fact one of its own.
        let id = item.source_id.as_deref().and_then(|id| id.split_once('/')).map_or("", |(_, id)| id);
        let id = id.split('|').next().unwrap_or_default();
        if id.is_empty() || !is_named(&body.bytes, id) {
            continue;
        }
        ids += 1;
        let slices: Vec<u8> =
            item.ranges.iter().flat_map(|range| &body.bytes[range.clone()]).copied().collect();
        let query = piperoll_tests::escape(&format!("id:\"{id}\""));
        let found = served.read(&format!("/v1/search?limit=500&q={query}")).await.ok();
        let found: Vec<u64> =
            found["hits"].as_array().unwrap().iter().map(|hit| hit["seq"].as_u64().unwrap()).collect();
        let is_it = |seq: &u64| {
            let event = &events[usize::try_from(*seq).unwrap()];
            event.kind == item.kind && event.bytes.as_ref() == Some(&slices)
        };
        assert!(found.iter().any(is_it), "{}: `{id}` is not among {found:?} ({item:?})", body.name);
    }
    ids
}

/// Tells whether a body has a member `id` with this value: some facts have none and are told apart by other members.
fn is_named(body: &[u8], id: &str) -> bool {
    let text = String::from_utf8_lossy(body);
    text.match_indices(&format!("\"{id}\"")).any(|(at, _)| {
        let before = text[..at].trim_end();
        before.strip_suffix(':').is_some_and(|before| before.trim_end().ends_with("\"id\""))
    })
}

async fn check_raw(served: &Served<'_>, seq: u64, body: &NamedBody) {
    let raw = served.read(&format!("/v1/events/{seq}/raw")).await;
    assert_eq!(raw.status, 200, "{}", body.name);
    assert_eq!(raw.body, body.bytes, "{}: event {seq} gives the exact bytes", body.name);
    assert_eq!(raw.header("piperoll-signature-valid"), Some("true"), "{}: event {seq}", body.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_is_kept_found_and_returned() {
    capture_all(&fixtures()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_of_the_shared_corpus_is_kept_found_and_returned() {
    capture_all(&corpus()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_or_missing_signature_stores_nothing() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let body = webhook(&[("wamid.1", "15550100", "hello")]);
    let size = served.size();
    let of_another_body = piperoll_tests::sign(piperoll_tests::APP_SECRET, b"{}");
    let of_another_secret = piperoll_tests::sign("guess", &body);
    for signature in
        [None, Some(""), Some("sha256="), Some("sha1=00"), Some(&*of_another_body), Some(&*of_another_secret)]
    {
        served.deliver_signed(&body, signature).await.is_status(401);
    }
    assert_eq!(served.size(), size);
    served.deliver(&body).await.is_status(200);
    served.deliver_signed(&body, Some(&piperoll_tests::sign("an older secret", &body))).await.is_status(200);
    assert_eq!(served.size(), size + 1, "the older secret is still known, and the message is the same");
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshake_returns_the_challenge_to_whoever_knows_the_token() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let path = |token: &str| {
        format!("/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444")
    };
    let answer = served.get(&path("verify%20me")).await;
    answer.is_status(200);
    assert_eq!(answer.body, "1158201444");
    served.get(&path("guess")).await.is_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn same_message_with_other_bytes_is_kept_and_marked() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    served.deliver(&webhook(&[("wamid.1", "15550100", "first words")])).await.is_status(200);
    served.deliver(&webhook(&[("wamid.1", "15550100", "other words")])).await.is_status(200);
    let found = served.search("id:wamid.1").await;
    assert_eq!(found["total"], 2);
    assert_eq!(found["hits"][0]["conflicts_with"], found["hits"][1]["seq"]);
    served.check_everything().await;
}
