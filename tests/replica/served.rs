//! Goal: an outage of the replica never stops a receipt, is told to whoever asks, and is put on the record once.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use piperoll_format::Kind;
use piperoll_replica::{FollowSettings, Stores};
use piperoll_server::{Care, Role};
use piperoll_store::FaultyStore;
use piperoll_store::faulty::{Fault, Outcome};
use piperoll_tests::{NOW, Served, until, webhook};
use serde_json::Value;

use crate::pair::{Both, names};

fn care(both: &Both, replica: Arc<FaultyStore>) -> Care {
    Care {
        stores: Stores { replica: Some(replica), ..both.stores() },
        follow: FollowSettings {
            retry_min: Duration::from_millis(1),
            retry_max: Duration::from_millis(10),
            ..FollowSettings::default()
        },
        behind_after: Duration::from_secs(300),
        scrub_over: None,
        scrub_state: both.archive.dir().join("scrub.json"),
    }
}

async fn metric(served: &Served<'_>, name: &str) -> u64 {
    let answer = served.read("/metrics").await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("piperoll_{name} "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Returns the documents of the events of a kind.
async fn documents(both: &Both, kind: Kind) -> Vec<Value> {
    let events = both.archive.events().await;
    let of_kind = events.into_iter().filter(|event| event.kind == kind);
    of_kind.map(|event| serde_json::from_slice(&event.bytes.unwrap()).unwrap()).collect()
}

async fn count_of(both: &Both, kind: Kind, expected: usize) {
    let found = async || documents(both, kind).await.len();
    tokio::time::timeout(Duration::from_secs(30), async {
        while found().await != expected {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("waited in vain for {expected} of {}", kind.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_recorded_once_and_so_is_its_end() {
    let both = Both::new().await;
    let replica = Arc::new(FaultyStore::new(both.pair.replica.clone()));
    let outage =
        Fault { key_prefix: String::new(), operation: None, outcome: Outcome::Unavailable, times: None };
    replica.inject(outage);
    let served = both.archive.serve().await;
    served.archive.look_after(care(&both, replica.clone()));
    served.archive.keep();
    let message = [("wamid.1", "15550100", "while the replica is away")];
    served.deliver(&webhook(&message)).await.is_status(200);
    let progress = served.archive.replica_progress().unwrap();
    until("the outage is noticed", || progress.borrow().trouble.is_some()).await;
    served.get("/ready").await.is_status(200);
    assert!(metric(&served, "replica_lag_events").await > 0);
    assert_eq!(documents(&both, Kind::ReplicaBehind).await.len(), 0, "the limit is not reached");

    both.archive.clock.set(NOW + 301_000_000);
    count_of(&both, Kind::ReplicaBehind, 1).await;
    let behind = documents(&both, Kind::ReplicaBehind).await.remove(0);
    assert_eq!(behind["since"], "2026-11-21T21:20:00.000000Z", "{behind}");
    assert!(behind["events_behind"].as_u64().unwrap() > 0 && behind["reason"].is_string(), "{behind}");
    assert!(metric(&served, "replica_lag_seconds").await >= 301);
    served.get("/ready").await.is_status(200);
    served.deliver(&webhook(&[("wamid.2", "15550100", "still taken")])).await.is_status(200);

    replica.heal();
    count_of(&both, Kind::ReplicaCaughtUp, 1).await;
    let size = served.size();
    until("the replica caught up", || progress.borrow().copied == Some(size)).await;
    let view = served.send(Role::Auditor, Method::GET, "/v1/replica", "").await.ok();
    assert_eq!((&view["agree"], &view["events_behind"]), (&Value::Bool(true), &0.into()), "{view}");
    assert_eq!(view["is_following"], true);
    assert_eq!(metric(&served, "replica_lag_seconds").await, 0);
    assert_eq!(documents(&both, Kind::ReplicaBehind).await.len(), 1);
    served.close().await;
    both.check_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_pass_repairs_and_is_on_the_record() {
    let both = Both::new().await;
    let served = both.archive.serve().await;
    let replica = Arc::new(FaultyStore::new(both.pair.replica.clone()));
    served.archive.look_after(care(&both, replica));
    served.archive.keep();
    served.deliver(&webhook(&[("wamid.1", "15550100", "a message")])).await.is_status(200);
    let (progress, size) = (served.archive.replica_progress().unwrap(), served.size());
    until("the replica holds it", || progress.borrow().copied == Some(size)).await;
    let [lost, hurt] = &names(&*both.pair.primary, "payloads/rest/").await[..2] else { unreachable!() };
    std::fs::remove_file(both.path("store", lost)).unwrap();
    both.damage("replica", hurt);

    served.send(Role::Auditor, Method::POST, "/v1/scrub", "").await.is_status(403);
    served.send(Role::Admin, Method::POST, "/v1/scrub", "").await.is_status(202);
    until("the pass has ended", || !served.archive.scrub_status().is_running).await;
    let repaired = documents(&both, Kind::StoreRepaired).await;
    assert_eq!(repaired.len(), 1);
    assert_eq!((&repaired[0]["object"], &repaired[0]["from"]), (&lost.clone().into(), &"replica".into()));
    let scrubbed = documents(&both, Kind::StoreScrubbed).await.remove(0);
    assert_eq!(scrubbed["damaged"], serde_json::json!([]), "{scrubbed}");
    assert_eq!(scrubbed["replica"]["damaged"], serde_json::json!([hurt]), "{scrubbed}");
    let view = served.send(Role::Auditor, Method::GET, "/v1/scrub", "").await.ok();
    assert_eq!((&view["is_sound"], &view["repaired"]), (&false.into(), &1.into()), "{view}");
    assert_eq!(view["replica"]["damaged"][0]["good_copy"], "primary", "{view}");
    both.archive.check_everything(None).await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_run_by_themselves_when_they_are_due() {
    let both = Both::new().await;
    let served = both.archive.serve().await;
    let replica = Arc::new(FaultyStore::new(both.pair.replica.clone()));
    served.archive.look_after(Care { scrub_over: Some(Duration::from_millis(50)), ..care(&both, replica) });
    served.archive.keep();
    count_of(&both, Kind::StoreScrubbed, 1).await;
    served.close().await;
}
