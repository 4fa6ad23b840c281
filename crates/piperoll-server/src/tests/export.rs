//! Exports.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::hash::{NodeHash, leaf_hash};
use piperoll_tlog::note::key::VerifierKey;
use piperoll_tlog::proof::verify_inclusion;

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

/// Goal: a recipient needs nothing but the lines and the schema.
/// Method: every line is validated, and every event proven again from its text alone.
#[tokio::test(flavor = "multi_thread")]
async fn lines_meet_their_schema_and_prove_themselves() {
    let bench = Bench::new().await;
    let _ =
        bench.capture(webhook(&[("wamid.1", "15550100", "first"), ("wamid.2", "15550101", "second")])).await;
    bench.archive.catch_up().await;
    let answer = bench.read("/v1/export?q=").await;
    let schema: Value = serde_json::from_str(include_str!("../../../../schemas/export.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let errors: Vec<String> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
    let vkey = VerifierKey::parse(lines[0]["vkey"].as_str().unwrap()).unwrap();
    let checkpoint = Checkpoint::open(lines[0]["checkpoint"].as_str().unwrap().as_bytes(), &[vkey]).unwrap();
    let events: Vec<&Value> = lines.iter().filter(|line| line["type"] == "event").collect();
    assert!(events.len() >= 2);
    for event in events {
        let core = STANDARD.decode(event["core"].as_str().unwrap()).unwrap();
        let hashes = event["proof"].as_array().unwrap().iter();
        let proof: Vec<NodeHash> =
            hashes.map(|hash| NodeHash::from_base64(hash.as_str().unwrap()).unwrap()).collect();
        let seq = event["seq"].as_u64().unwrap();
        verify_inclusion(seq, checkpoint.size, leaf_hash(&core), &proof, checkpoint.root).unwrap();
        let mut without_core = event.clone();
        let _ = without_core.as_object_mut().unwrap().remove("core");
        assert!(!validator.is_valid(&without_core), "the schema asks for the core");
    }
}
