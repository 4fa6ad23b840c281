//! Searching and looking.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn message_is_found_shown_with_its_proof_and_the_search_is_on_the_record() {
    let bench = Bench::new().await;
    let _ = bench.capture(webhook(&[("wamid.1", "15550100", "Przelew z konta")])).await;
    let _ = bench.capture(webhook(&[("wamid.2", "15550101", "something else")])).await;
    let found = bench.search("przelew").await;
    assert_eq!((&found["total"], &found["complete_to"]), (&Value::from(1), &Value::from(3)));
    let hit = &found["hits"][0];
    assert_eq!(
        (&hit["seq"], &hit["kind"], &hit["class"]),
        (&1.into(), &"whatsapp.message".into(), &"all".into())
    );
    assert_eq!(
        (&hit["state"], &hit["message"]["texts"][0]),
        (&"available".into(), &"Przelew z konta".into())
    );
    assert_eq!(hit["proof"]["tree_size"], 3);
    let leaf = bench.archive.reader().event(Seq(1)).await.unwrap().leaf_hash();
    assert_eq!(hit["proof"]["event_hash"], crate::wire::hex(&leaf.0));
    let record = bench.newest("access.search").await;
    assert_eq!(found["recorded_as"], bench.size() - 1);
    assert_eq!(
        (&record["token"], &record["role"], &record["hits"]),
        (&"the-officer".into(), &"officer".into(), &1.into())
    );
    assert_eq!((&record["typed"], &record["shown"][0]), (&"przelew".into(), &1.into()));
    assert_eq!(record["query"], found["query"]);
    let again = bench.search(found["query"].as_str().unwrap()).await;
    assert_eq!(again["total"], 1, "the canonical query can be sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_searches_are_found_only_when_asked_for() {
    let bench = Bench::new().await;
    assert_eq!(bench.search("zebra").await["total"], 0);
    assert_eq!(bench.search("zebra").await["total"], 0);
    assert_eq!(bench.search("zebra kind:access.search").await["total"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_and_the_empty_query_finds_everything() {
    let bench = Bench::new().await;
    for n in 0..5 {
        let _ = bench.capture(webhook(&[(&format!("wamid.{n}"), "15550100", "hello")])).await;
    }
    bench.archive.catch_up().await;
    let (mut before, mut seqs) = (String::new(), Vec::new());
    loop {
        let page = bench.read(&format!("/v1/search?q=hello&limit=2{before}")).await.ok();
        assert_eq!(page["total"], 5);
        seqs.extend(page["hits"].as_array().unwrap().iter().map(|hit| hit["seq"].as_u64().unwrap()));
        let Some(next) = page["next_before"].as_u64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(seqs, [5, 4, 3, 2, 1]);
    assert_eq!(bench.search("").await["total"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_queries_and_parameters_are_explained() {
    let bench = Bench::new().await;
    for query in ["*", "(a", "kind:nothing", &"a ".repeat(10_000)] {
        let answer = bench.read(&format!("/v1/search?q={}", percent(query))).await;
        let message = answer.refused(400, "bad-query");
        assert!(message.starts_with("at character "), "{message}");
    }
    for path in [
        "/v1/search?limit=0",
        "/v1/search?limit=501",
        "/v1/search?limit=x",
        "/v1/search?tz=Mars/Olympus",
        "/v1/events/x",
    ] {
        let _ = bench.read(path).await.refused(400, "invalid");
    }
    let _ = bench.read("/v1/events/99").await.refused(404, "not-found");
    let _ = bench.read("/v1/conversations/1:2").await.refused(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn conversation_is_read_from_the_oldest_and_on_the_record() {
    let bench = Bench::new().await;
    for (id, from) in [("wamid.1", "15550100"), ("wamid.2", "15550101"), ("wamid.3", "15550100")] {
        let _ = bench.capture(webhook(&[(id, from, "hi")])).await;
    }
    bench.archive.catch_up().await;
    let shown = bench.read("/v1/conversations/106540352242922:15550100").await.ok();
    let seqs: Vec<_> = shown["turns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| turn["event"]["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 3]);
    let record = bench.newest("access.view").await;
    assert_eq!((&record["action"], &record["hits"]), (&"conversation".into(), &2.into()));
    assert_eq!(record["target"], "106540352242922:15550100");
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_on_the_record_and_the_ledger_describes_itself() {
    let bench = Bench::new().await;
    let _ = bench.capture(webhook(&[("wamid.1", "15550100", "hello")])).await;
    for (path, action) in
        [("", "view"), ("/raw", "raw"), ("/proof", "proof"), ("/proof?format=tlog-proof", "proof")]
    {
        let answer = bench.send(Role::Auditor, Method::GET, &format!("/v1/events/1{path}"), "").await;
        assert_eq!(answer.status, StatusCode::OK);
        let record = bench.newest("access.view").await;
        let expected = serde_json::json!({"token": "the-auditor", "role": "auditor", "action": action, "target": "event 1", "shown": [1]});
        assert_eq!(record, expected);
    }
    let ledger = bench.read("/v1/ledger").await.ok();
    assert_eq!(ledger["ledger"], "07".repeat(16));
    assert_eq!((&ledger["origin"], &ledger["size"]), (&"piperoll.example/test".into(), &6.into()));
    assert_eq!(
        (&ledger["policies"][0]["id"], &ledger["policies"][0]["keep"]),
        (&"all".into(), &"1 day".into())
    );
    assert_eq!(ledger["store"]["name"], "memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn auditor_verifies_the_ledger_on_the_record() {
    let bench = Bench::new().await;
    let _ = bench.capture(webhook(&[("wamid.1", "15550100", "one"), ("wamid.2", "15550101", "two")])).await;
    for (path, action) in [("/v1/verify", "verify"), ("/v1/verify?quick=true", "verify-quick")] {
        let report = bench.send(Role::Auditor, Method::POST, path, "").await.ok();
        assert_eq!(
            (&report["findings"], &report["unreadable"]),
            (&serde_json::json!([]), &serde_json::json!([]))
        );
        let record = bench.newest("access.verify").await;
        assert_eq!((&record["action"], &record["hits"]), (&action.into(), &0.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn index_is_rebuilt_with_the_same_results() {
    let bench = Bench::new().await;
    for n in 0..20 {
        let _ = bench.capture(webhook(&[(&format!("wamid.{n}"), "15550100", "hello")])).await;
    }
    let before = bench.search("hello").await;
    let answer = bench.send(Role::Admin, Method::POST, "/v1/index/rebuild", "").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let after = bench.search("hello").await;
    assert_eq!((&before["total"], &after["total"]), (&20.into(), &20.into()));
    let seqs = |found: &Value| {
        found["hits"].as_array().unwrap().iter().map(|hit| hit["seq"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(seqs(&before), seqs(&after));
}
