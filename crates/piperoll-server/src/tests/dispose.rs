//! Disposal: nothing early, and everything when it is due.

use std::path::Path;
use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(flavor = "multi_thread")]
async fn bucket_goes_when_it_is_due_and_can_no_longer_be_found_or_read() {
    let bench = Bench::new().await;
    let _ = bench.capture(webhook(&[("wamid.1", "15550100", "quokka sighting")])).await;
    assert_eq!(bench.search("quokka").await["total"], 1);
    let plan = bench.read("/v1/dispose/plan").await.ok();
    assert_eq!(
        (plan["due"].as_array().unwrap().len(), &plan["stays"][0]["bucket"]),
        (0, &"all/2026-11-21".into())
    );
    let early = bench
        .send(Role::Admin, Method::POST, "/v1/dispose/execute", r#"{"buckets":["all/2026-11-21"]}"#)
        .await;
    let message = early.refused(409, "conflict");
    assert!(message.contains("not due"), "{message}");
    let none = bench.send(Role::Admin, Method::POST, "/v1/dispose/execute", "").await.ok();
    assert_eq!(none["disposed"].as_array().unwrap().len(), 0);

    let _ = bench.clock.advance(3 * DAY);
    let plan = bench.read("/v1/dispose/plan").await.ok();
    assert_eq!(plan["due"][0]["bucket"], "all/2026-11-21");
    let done = bench.send(Role::Admin, Method::POST, "/v1/dispose/execute", "{}").await.ok();
    let one = &done["disposed"][0];
    assert!(one["completed"].as_u64() > one["ordered"].as_u64() && one.get("left").is_none(), "{done}");

    assert_eq!(bench.search("quokka").await["total"], 0);
    let event = bench.read("/v1/events/1").await.ok();
    assert_eq!((&event["state"], event.get("message")), (&"destroyed".into(), None));
    let _ = bench.read("/v1/events/1/raw").await.refused(410, "destroyed");
    let proof = bench.read("/v1/events/1/proof").await.ok();
    assert!(proof["inclusion"].is_array() && proof.get("opening").is_none());
    assert!(!contains(bench.dir.path(), b"quokka"), "the word is still in a local file");

    // A new index does not find it either.
    bench.archive.rebuild_index().await;
    assert_eq!(bench.search("quokka").await["total"], 0);
}

/// Whether a file below a folder has these bytes.
fn contains(path: &Path, bytes: &[u8]) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| contains(&entry.unwrap().path(), bytes));
    }
    // A file may go while it is looked for: then it has nothing.
    std::fs::read(path).is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes))
}
