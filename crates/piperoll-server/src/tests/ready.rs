//! A store that stops taking commits.

use piperoll_store::Clock as _;
use piperoll_store::faulty::{Fault, Operation, Outcome};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn full_store_is_told_and_nothing_acknowledged_until_it_recovers_by_itself() {
    let bench = Bench::new().await;
    bench.store.inject(Fault::always(Operation::Create, "", Outcome::Full));
    let body = webhook(&[("wamid.1", "15550100", "hello")]);
    let refused = bench.deliver(&body).await;
    let _ = refused.refused(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let ready = bench.get("/ready").await;
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into())
    );
    assert_eq!(bench.get("/health").await.status, StatusCode::OK);
    // A search that cannot be put on the record is not answered.
    let _ = bench.read("/v1/search?q=hello").await.refused(503, "unavailable");

    bench.store.heal();
    let mut trouble = bench.archive.engine().trouble();
    let _ = trouble.wait_for(Option::is_none).await.unwrap();
    assert_eq!(bench.get("/ready").await.ok()["status"], "ready");
    assert_eq!(bench.capture(&body).await, bench.size());
    assert_eq!(bench.search("hello").await["total"], 1);
    assert_eq!(bench.search("kind:ledger.started").await["total"], 1, "the interruption is on the record");
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_differs_from_the_stores_is_told_recorded_and_stops_readiness() {
    let bench = Bench::new().await;
    let right = bench.clock.now_micros();
    for (store, seconds) in [(right - 7_200_000_000, "7200"), (right + 7_200_000_000, "-7200")] {
        bench.store.set_time(Some(store));
        let jump = bench.archive.engine().compare_clock().await.unwrap();
        assert!(jump.is_by_store && jump.seconds().to_string() == seconds, "{jump:?}");
        let ready = bench.get("/ready").await;
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(ready.json()["reason"].as_str().unwrap().contains("the store's at "), "{:?}", ready.json());
        let metrics = String::from_utf8(bench.read("/metrics").await.body.to_vec()).unwrap();
        assert!(metrics.contains(&format!("piperoll_clock_off_seconds {seconds}\n")), "{metrics}");
        bench.store.set_time(Some(right));
        assert_eq!(bench.archive.engine().compare_clock().await, None);
        assert_eq!(bench.get("/ready").await.ok()["status"], "ready");
    }
    bench.store.set_time(Some(right - 7_200_000_000));
    let _jump = bench.archive.engine().compare_clock().await;
    let _ = bench.capture(webhook(&[("wamid.1", "15550100", "hello")])).await;
    assert_eq!(bench.search("kind:clock.jumped").await["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_archive_takes_nothing_and_its_index_is_complete_where_it_says() {
    let bench = Bench::new().await;
    let _ = bench.capture(webhook(&[("wamid.1", "15550100", "hello")])).await;
    bench.archive.catch_up().await;
    bench.archive.close().await;
    let _ = bench.deliver(webhook(&[("wamid.2", "15550100", "late")])).await.refused(503, "unavailable");
    assert_eq!(bench.archive.index().cursor(), Some(2));
}
