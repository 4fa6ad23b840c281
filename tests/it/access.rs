//! Goal: whoever reads leaves a trace in the ledger, with name, query and hits, before the answer is sent.

use axum::http::Method;
use piperoll_format::Kind;
use piperoll_server::Role;
use piperoll_tests::{Served, TestArchive, webhook};
use serde_json::{Value, json};

/// Returns the newest event of a kind as the archive wrote it.
async fn newest(served: &Served<'_>, kind: Kind) -> Value {
    let events = served.on.events().await;
    let event = events.iter().rev().find(|event| event.kind == kind).unwrap();
    serde_json::from_slice(event.bytes.as_ref().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn search_view_and_export_are_events_with_name_query_and_hits() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let seq = served.size();
    served.deliver(&webhook(&[("wamid.1", "15550100", "quokka sighting")])).await.is_status(200);
    served.archive.catch_up().await;

    let found = served.read("/v1/search?q=Quokka").await.ok();
    assert_eq!(found["hits"][0]["seq"], seq);
    let record = newest(&served, Kind::AccessSearch).await;
    assert_eq!(
        (&record["token"], &record["role"], &record["typed"], &record["hits"], &record["shown"]),
        (&json!("the-officer"), &json!("officer"), &json!("Quokka"), &json!(1), &json!([seq]))
    );
    assert_eq!(found["recorded_as"], served.size() - 1);

    let _event = served.send(Role::Auditor, Method::GET, &format!("/v1/events/{seq}"), "").await.ok();
    let record = newest(&served, Kind::AccessView).await;
    assert_eq!((&record["token"], &record["shown"]), (&json!("the-auditor"), &json!([seq])));

    let exported = served.send(Role::Admin, Method::GET, "/v1/export?q=quokka", "").await;
    exported.is_status(200);
    assert!(String::from_utf8_lossy(&exported.body).contains("quokka sighting"));
    let record = newest(&served, Kind::AccessExport).await;
    assert_eq!(
        (&record["token"], &record["typed"], &record["hits"]),
        (&json!("the-admin"), &json!("quokka"), &json!(1))
    );
    served.check_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_without_the_right_sees_nothing_and_an_ingest_token_reads_nothing() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    served.deliver(&webhook(&[("wamid.1", "15550100", "quokka sighting")])).await.is_status(200);
    let size = served.size();
    for path in [
        "/v1/search?q=quokka",
        "/v1/events/1",
        "/v1/events/1/raw",
        "/v1/export?q=quokka",
        "/v1/conversations/100:wa:15550100",
    ] {
        for answer in [served.get(path).await, served.send(Role::Ingest, Method::GET, path, "").await] {
            assert!(matches!(answer.status.as_u16(), 401 | 403), "{path}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("quokka"), "{path}");
        }
    }
    let body = "{}";
    served.send(Role::Officer, Method::POST, "/v1/events", body).await.is_status(403);
    served.send(Role::Officer, Method::POST, "/v1/dispose/execute", body).await.is_status(403);
    assert_eq!(served.size(), size, "nothing happened");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_shown() {
    use piperoll_store::faulty::{Fault, Operation, Outcome};
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    served.deliver(&webhook(&[("wamid.1", "15550100", "quokka sighting")])).await.is_status(200);
    served.archive.catch_up().await;
    archive.store.inject(Fault::always(Operation::Create, "", Outcome::Full));
    for path in ["/v1/search?q=quokka", "/v1/events/1", "/v1/events/1/raw", "/v1/export?q=quokka"] {
        let answer = served.read(path).await;
        answer.is_status(503);
        assert!(!String::from_utf8_lossy(&answer.body).contains("quokka"), "{path}");
    }
    archive.store.heal();
    let found = served.search("quokka").await;
    assert_eq!(found["total"], 1);
    served.check_everything().await;
}
