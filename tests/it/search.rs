//! Goal: what was acknowledged is found soon, in every language of the traffic, with exactly the events that match.

use std::time::{Duration, Instant};

use axum::http::Method;
use piperoll_server::Role;
use piperoll_tests::{TestArchive, until, webhook};

/// How soon an acknowledged event is searchable. A build without optimisation, on a machine that runs other tests,
/// is given more.
const SEARCHABLE_WITHIN: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(10) } else { Duration::from_secs(2) };

const MESSAGES: [(&str, &str); 10] = [
    ("Selamat pagi, mohon konfirmasi pembayaran tagihan listrik", "tagihan listrik"),
    ("Dzień dobry, żółta łódź przyszła uszkodzona", "zolta lodz"),
    ("¿Podría enviarme el número de póliza mañana?", "\"numero de poliza\""),
    ("Não consigo fazer a transferência", "transferencia"),
    ("Don't forget the café invoice over $1,250.00", "cafe 1,250.00"),
    ("नमस्ते, मेरी दवाई की पर्ची कब मिलेगी", "पर्ची"),
    ("أريد تأكيد موعد الاجتماع غداً", "اجتماع"),
    ("今天下午三点开会讨论保密协议", "保密协议"),
    ("これは秘密の取引です。明日の会議でご確認をお願いします", "秘密の取引"),
    ("การประชุมวันนี้เลื่อนไปเป็นพรุ่งนี้", "การประชุม"),
];

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_message_is_soon_searchable() {
    let archive = TestArchive::in_directory().await;
    let served = archive.serve().await;
    for n in 0..5 {
        let (id, text) = (format!("wamid.{n}"), format!("quokka number {n}"));
        served.deliver(&webhook(&[(&id, "15550100", &text)])).await.is_status(200);
        let acknowledged = Instant::now();
        let seq = served.size() - 1;
        let progress = served.archive.progress();
        until("the event is searchable", || progress.borrow().covered > seq).await;
        let found = served
            .read(&format!("/v1/search?q={}", piperoll_tests::escape(&format!("\"{text}\""))))
            .await
            .ok();
        assert_eq!(found["hits"][0]["seq"], seq);
        assert!(acknowledged.elapsed() < SEARCHABLE_WITHIN, "it took {:?}", acknowledged.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_language_is_found_by_its_own_words_only() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let mut seqs = Vec::new();
    for ((text, _), n) in MESSAGES.iter().zip(0..) {
        seqs.push(served.size());
        served.deliver(&webhook(&[(&format!("wamid.{n}"), "15550100", text)])).await.is_status(200);
    }
    for ((text, query), seq) in MESSAGES.iter().zip(seqs) {
        let found = served.search(query).await;
        assert_eq!(
            (&found["total"], &found["hits"][0]["seq"]),
            (&1.into(), &seq.into()),
            "{query} in {text}"
        );
        let texts = &found["hits"][0]["message"]["texts"];
        assert_eq!(texts[0], *text, "what is shown was read again from the store");
        assert!(found["complete_to"].as_u64() > Some(seq));
    }
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_narrow_a_search() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let first = served.size();
    served
        .deliver(&webhook(&[
            ("wamid.1", "15550101", "common words"),
            ("wamid.2", "15550102", "common words"),
        ]))
        .await
        .is_status(200);
    for (query, expected) in [
        ("common words", vec![first + 2, first + 1]),
        ("common from:+15550101", vec![first + 1]),
        ("common NOT from:15550101", vec![first + 2]),
        ("common kind:whatsapp.message number:100", vec![first + 2, first + 1]),
        ("common number:200", vec![]),
        ("id:wamid.2", vec![first + 2]),
        ("\"words common\"", vec![]),
        ("\"words common\"~2", vec![first + 2, first + 1]),
        ("commo* AND (from:15550101 OR from:15550103)", vec![first + 1]),
        ("common on:2026-11-21", vec![first + 2, first + 1]),
        ("common before:2020-01-01", vec![]),
    ] {
        assert_eq!(served.find(query).await, expected, "{query}");
    }
    let conversation =
        served.search("id:wamid.1").await["hits"][0]["message"]["conversation"].as_str().unwrap().to_owned();
    let shown =
        served.read(&format!("/v1/conversations/{}", piperoll_tests::escape(&conversation))).await.ok();
    assert_eq!(shown["turns"].as_array().unwrap().len(), 1);
    assert_eq!(shown["turns"][0]["event"]["seq"], first + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_from_other_channels_is_found_and_verified() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let mut given = None;
    for body in tools::traffic::Traffic::consents(3, 1_795_000_000, 8)
        .chain(tools::traffic::Traffic::template_snapshots(1_795_000_000))
    {
        let answer = served.send(Role::Ingest, Method::POST, "/v1/events", body.clone()).await.ok();
        assert_eq!(answer["repeated"], false);
        let again = served.send(Role::Ingest, Method::POST, "/v1/events", body.clone()).await.ok();
        assert_eq!((&again["seq"], &again["repeated"]), (&answer["seq"], &true.into()));
        let raw = served.read(&format!("/v1/events/{}/raw", answer["seq"])).await;
        assert_eq!(raw.body, body);
        given.get_or_insert(answer["seq"].clone());
    }
    assert_eq!(served.search("kind:consent.given").await["total"], 6);
    assert_eq!(served.search("kind:consent.withdrawn").await["total"], 2);
    assert!(served.search("kind:template.snapshot").await["total"].as_u64() > Some(0));
    let refused = served.send(Role::Ingest, Method::POST, "/v1/events", r#"{"kind":"consent.given"}"#).await;
    refused.is_status(400);
    served.check_everything().await;
}
