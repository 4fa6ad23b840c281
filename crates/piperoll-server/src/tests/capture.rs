//! Webhooks: handshake, signature, limits, repeats and the exact bytes.

use piperoll_format::Kind;

use super::*;

async fn kinds(bench: &Bench) -> Vec<Kind> {
    let seqs: Vec<Seq> = (0..bench.size()).map(Seq).collect();
    let _ = bench.archive.reader().refresh().await.unwrap();
    bench.archive.reader().events(&seqs).await.unwrap().iter().map(|event| event.core.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn handshake_returns_the_challenge_to_who_knows_the_token() {
    let bench = Bench::new().await;
    let path = "/webhooks/whatsapp?hub.mode=subscribe&hub.challenge=%3Cb%3E11&hub.verify_token=";
    let answer = bench.get(&format!("{path}verify%20me")).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "<b>11"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let _ = bench.get(&format!("{path}other")).await.refused(403, "forbidden");
    let _ = bench.get("/webhooks/whatsapp").await.refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_without_a_valid_signature() {
    let bench = Bench::new().await;
    let body = webhook(&[("wamid.1", "15550100", "hello")]);
    for header in [None, Some("sha256=00".to_owned()), Some(sign(b"other")), Some("sha1=abc".to_owned())] {
        let request = Request::post("/webhooks/whatsapp");
        let request = match header {
            Some(header) => request.header("x-hub-signature-256", header),
            None => request,
        };
        let answer = bench.call(request.body(Body::from(body.clone())).unwrap()).await;
        let _ = answer.refused(401, "unauthenticated");
    }
    assert_eq!(bench.size(), 1);
    let metrics = bench.read("/metrics").await;
    assert!(metrics.text().contains("piperoll_webhook_bad_signatures_total 4"), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn body_over_the_limit_is_refused_whether_announced_or_not() {
    let bench = Bench::new().await;
    let body = vec![b' '; 3 * 1024 * 1024 + 1];
    let _ = bench.deliver(&body).await.refused(413, "too-large");
    let chunks: Vec<_> = body.chunks(65_536).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let request = Request::post("/webhooks/whatsapp").header("x-hub-signature-256", sign(&body));
    let answer = bench.call(request.body(Body::from_stream(futures::stream::iter(chunks))).unwrap()).await;
    let _ = answer.refused(413, "too-large");
    assert_eq!(bench.size(), 1);
    assert_eq!(bench.deliver(&body[1..]).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_signed_is_kept_byte_for_byte() {
    let bench = Bench::new().await;
    let odd: [&[u8]; 5] = [
        b"",
        b"not json \xff\x00",
        br#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"new_thing","value":{"a":1}}]}]}"#,
        br#"{"object":"page"}"#,
        b"[[[[[[[[[[[[[[",
    ];
    for body in odd {
        let seq = bench.capture(body).await - 1;
        let raw = bench.read(&format!("/v1/events/{seq}/raw")).await;
        assert_eq!((raw.status, &raw.body[..]), (StatusCode::OK, body));
        assert_eq!(raw.header("piperoll-signature"), Some(&*sign(body)));
        assert_eq!(raw.header("piperoll-signature-valid"), Some("true"));
        assert_eq!(raw.header("content-type"), Some("application/json"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_of_several_items_is_rebuilt_from_each_of_them() {
    let bench = Bench::new().await;
    let body = webhook(&[
        ("wamid.1", "15550100", "one"),
        ("wamid.2", "15550101", "two"),
        ("wamid.3", "15550102", "zażółć"),
    ]);
    let end = bench.capture(&body).await;
    let message = Kind::WhatsappMessage;
    assert_eq!(kinds(&bench).await, [Kind::LedgerOpened, Kind::Delivery, message, message, message]);
    for seq in 1..end {
        let raw = bench.read(&format!("/v1/events/{seq}/raw")).await;
        assert_eq!((raw.status, raw.text()), (StatusCode::OK, &*body));
        assert_eq!(raw.header("piperoll-signature-valid"), Some("true"));
    }
    let event = bench.read("/v1/events/3").await.ok();
    assert_eq!((&event["delivery"], &event["message"]["texts"][0]), (&Value::from(1), &Value::from("two")));
    assert_eq!(event["message"]["conversation"], "106540352242922:15550101");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeat_is_acknowledged_and_not_stored_and_a_conflict_is_stored_and_marked() {
    let bench = Bench::new().await;
    let body = webhook(&[("wamid.1", "15550100", "hello")]);
    assert_eq!(bench.capture(&body).await, 2);
    assert_eq!(bench.capture(&body).await, 2);
    let other = webhook(&[("wamid.1", "15550100", "HELLO")]);
    assert_eq!(bench.capture(&other).await, 3);
    let event = bench.read("/v1/events/2").await.ok();
    assert_eq!(event["conflicts_with"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_items_than_a_commit_holds_are_kept_whole_and_flagged() {
    let bench = Bench::new().await;
    let statuses =
        vec![r#"{"id":"w","status":"sent","timestamp":"1"}"#; piperoll_format::GROUP_EVENTS_MAX].join(",");
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"statuses":[{statuses}]}}}}]}}]}}"#
    );
    assert_eq!(bench.capture(&body).await, 2);
    let event = bench.read("/v1/events/1").await.ok();
    assert_eq!(
        (&event["kind"], &event["flags"][0]),
        (&Value::from("unrecognised"), &Value::from("too-many-items"))
    );
    assert_eq!(bench.read("/v1/events/1/raw").await.text(), body);
}
