//! Exports.

use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::note::key::VerifierKey;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn export_has_every_match_in_order_with_proofs_under_one_checkpoint() {
    let bench = Bench::new().await;
    // Dense stretches and scattered hits.
    for block in 0..4 {
        let texts: Vec<(String, &str)> = (0..60)
            .map(|n| {
                (format!("wamid.{block}.{n}"), if block % 2 == 0 || n == 30 { "wanted" } else { "other" })
            })
            .collect();
        let messages: Vec<_> = texts.iter().map(|(id, text)| (&**id, "15550100", *text)).collect();
        let _ = bench.capture(webhook(&messages)).await;
    }
    bench.archive.catch_up().await;
    let size = bench.size();
    let answer = bench.read("/v1/export?q=wanted").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/jsonl")));
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1 + 122 + 1);
    let header = &lines[0];
    let vkey = VerifierKey::parse(header["vkey"].as_str().unwrap()).unwrap();
    let checkpoint = Checkpoint::open(header["checkpoint"].as_str().unwrap().as_bytes(), &[vkey]).unwrap();
    assert_eq!((checkpoint.size, &header["exported_by"]), (size, &"the-officer".into()));
    let seqs: Vec<u64> = lines[1..123].iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted());
    assert!(
        lines[1..123].iter().all(|line| line["message"]["texts"][0] == "wanted" && line["proof"].is_array())
    );
    assert_eq!((&lines[123]["events"], &lines[123]["without_payload"]), (&122.into(), &0.into()));
    let record = bench.newest("access.export").await;
    assert_eq!((&record["typed"], &record["hits"]), (&"wanted".into(), &122.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn export_of_nothing_is_complete() {
    let bench = Bench::new().await;
    let answer = bench.read("/v1/export?q=nothing").await;
    assert_eq!((answer.status, answer.text().lines().count()), (StatusCode::OK, 2));
}
