//! Goal: what changes on the platform without a webhook is in the ledger: templates, subscriptions, numbers.
//! Method: the archive with its poller against a Graph API on loopback.

use std::time::Duration;

use piperoll_format::Kind;
use piperoll_server::{Platform, PollSettings, PolledNumber};
use piperoll_store::Clock as _;
use piperoll_tests::{FakeGraph, GraphFault, Served, TestArchive, until};
use serde_json::{Value, json};

use crate::media::{client_of, wait_for};

const NUMBER: &str = "100";
const ACCOUNT: &str = "1022";

fn platform(graph: &FakeGraph, every: Duration) -> Platform {
    let numbers = vec![PolledNumber { id: NUMBER.to_owned(), account: Some(ACCOUNT.to_owned()) }];
    Platform {
        graph: Some(client_of(graph)),
        poll: PollSettings { every, numbers, ..PollSettings::default() },
        ..Platform::default()
    }
}

fn template(id: usize, text: &str, status: &str) -> Value {
    json!({"id": id.to_string(), "name": format!("order_{id}"), "language": "en", "status": status,
        "category": "UTILITY", "quality_score": {"score": "GREEN"},
        "components": [{"type": "BODY", "text": text}]})
}

/// A Graph API with a number, an account and templates.
async fn graph_with(templates: Vec<Value>) -> FakeGraph {
    let graph = FakeGraph::start().await;
    graph.set_number(
        NUMBER,
        json!({"id": NUMBER, "status": "CONNECTED", "is_on_biz_app": true, "platform_type": "CLOUD_API",
            "webhook_configuration": {"application": "https://archive.example/hook"}}),
    );
    graph.set_subscribed_apps(
        ACCOUNT,
        json!([{"whatsapp_business_api_data": {"id": "7", "name": "archive"}}]),
    );
    graph.set_templates(ACCOUNT, templates);
    graph
}

/// Waits until a whole round was asked.
async fn a_round(graph: &FakeGraph) {
    let known = graph.count("message_templates");
    until("a round", || graph.count("message_templates") > known + 1).await;
}

/// Returns the observations of an object.
async fn observed(served: &Served<'_>, object: &str) -> Vec<Value> {
    let all = wait_for(served, Kind::AccountObserved, 0).await;
    all.into_iter().map(|(_, document)| document).filter(|document| document["object"] == object).collect()
}

async fn metrics(served: &Served<'_>) -> String {
    let answer = served.send(piperoll_server::Role::Admin, axum::http::Method::GET, "/metrics", "").await;
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_committed_when_they_change_and_once_a_day() {
    let graph = graph_with(vec![]).await;
    let archive = TestArchive::in_memory().await;
    let served = archive.serve_with(Some(platform(&graph, Duration::from_millis(20)))).await;
    let first = wait_for(&served, Kind::AccountObserved, 4).await;
    let objects: Vec<&Value> = first.iter().map(|(_, document)| &document["object"]).collect();
    assert_eq!(objects, ["phone_number", "webhook_configuration", "subscribed_apps", "template_list"]);
    assert_eq!(first[0].1["answer"]["status"], "CONNECTED");
    assert_eq!(first[1].1["answer"]["webhook_configuration"]["application"], "https://archive.example/hook");
    assert!(first[0].1["answer"].get("webhook_configuration").is_none(), "only the fields asked for");
    a_round(&graph).await;
    assert_eq!(wait_for(&served, Kind::AccountObserved, 0).await.len(), 4, "nothing changed");
    graph.set_number(
        NUMBER,
        json!({"id": NUMBER, "status": "CONNECTED", "is_on_biz_app": true, "platform_type": "CLOUD_API",
            "webhook_configuration": {"application": "https://archive.example/hook",
                "phone_number": "https://elsewhere.example/hook"}}),
    );
    let _changed = wait_for(&served, Kind::AccountObserved, 5).await;
    let webhook = observed(&served, "webhook_configuration").await;
    let diverted = &webhook[1]["answer"]["webhook_configuration"]["phone_number"];
    assert_eq!((webhook.len(), diverted), (2, &json!("https://elsewhere.example/hook")));
    archive.clock.set(archive.clock.now_micros() + 86_400_000_000);
    let _again = wait_for(&served, Kind::AccountObserved, 9).await;
    served.check_everything().await;
    assert!(metrics(&served).await.contains("piperoll_graph_poll_failures_total 0"));
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_is_an_observation_and_an_outage_is_none() {
    let graph = graph_with(vec![]).await;
    graph.fail(NUMBER, vec![GraphFault::Error { status: 401, code: 190 }; 2]);
    graph.fail(&format!("{ACCOUNT}/subscribed_apps"), [GraphFault::Error { status: 500, code: 1 }]);
    let archive = TestArchive::in_memory().await;
    let served = archive.serve_with(Some(platform(&graph, Duration::from_millis(20)))).await;
    let _all = wait_for(&served, Kind::AccountObserved, 6).await;
    let statuses =
        |found: Vec<Value>| found.iter().map(|found| found["status"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(statuses(observed(&served, "phone_number").await), [401, 200]);
    assert_eq!(statuses(observed(&served, "subscribed_apps").await), [200]);
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_a_template_is_kept() {
    let all = |text: &str, status: &str| {
        (0..60)
            .map(|id| if id == 3 { template(id, text, status) } else { template(id, "Hi", "APPROVED") })
            .collect()
    };
    let graph = graph_with(all("Your order", "PENDING")).await;
    let archive = TestArchive::in_memory().await;
    let served = archive.serve_with(Some(platform(&graph, Duration::from_millis(20)))).await;
    let first = wait_for(&served, Kind::TemplateSnapshot, 60).await;
    assert_eq!(first.len(), 60, "three pages");
    for (count, (text, status)) in
        [("Your order", "APPROVED"), ("Your parcel", "APPROVED"), ("Your order", "APPROVED")]
            .into_iter()
            .enumerate()
    {
        let _now = archive.clock.advance(Duration::from_secs(1));
        graph.set_templates(ACCOUNT, all(text, status));
        let _snapshots = wait_for(&served, Kind::TemplateSnapshot, 61 + count).await;
    }
    a_round(&graph).await;
    let snapshots = wait_for(&served, Kind::TemplateSnapshot, 63).await;
    assert_eq!(snapshots.len(), 63, "each version once, also one that came back");
    let versions: Vec<&Value> =
        snapshots.iter().map(|(_, d)| d).filter(|d| d["template"]["id"] == "3").collect();
    let texts: Vec<_> = versions.iter().map(|d| &d["template"]["components"][0]["text"]).collect();
    assert_eq!(texts, ["Your order", "Your order", "Your parcel", "Your order"]);
    assert_eq!(versions[0]["content_sha256"], versions[1]["content_sha256"], "only the status changed");
    assert_ne!(versions[1]["content_sha256"], versions[2]["content_sha256"]);
    assert_eq!(served.find("kind:template.snapshot parcel").await.len(), 1);
    // The archive's own snapshots have the form in which others hand theirs in.
    let mut handed_in = versions[3].clone();
    handed_in["source_id"] = json!("by-hand");
    let members = handed_in.as_object_mut().unwrap();
    let _hash = members.remove("content_sha256");
    let _score = members["template"].as_object_mut().unwrap().remove("quality_score");
    let body = handed_in.to_string();
    served
        .send(piperoll_server::Role::Ingest, axum::http::Method::POST, "/v1/events", body)
        .await
        .is_status(200);
    served.check_everything().await;
    served.close().await;
    // What was committed is known after a restart.
    let known = graph.count("message_templates");
    let served = archive.serve_with(Some(platform(&graph, Duration::from_secs(3_600)))).await;
    until("the list is asked for", || graph.count("message_templates") >= known + 3).await;
    until("the list is compared", || graph.count("subscribed_apps") > 0).await;
    assert_eq!(wait_for(&served, Kind::TemplateSnapshot, 64).await.len(), 64);
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_about_a_template_brings_a_snapshot_at_once() {
    let graph = graph_with(vec![template(3, "Hi", "PENDING")]).await;
    let archive = TestArchive::in_memory().await;
    let served = archive.serve_with(Some(platform(&graph, Duration::from_secs(3_600)))).await;
    let _first = wait_for(&served, Kind::TemplateSnapshot, 1).await;
    graph.set_templates(ACCOUNT, vec![template(3, "Hi", "APPROVED")]);
    let value = json!({"event": "APPROVED", "message_template_id": 3, "message_template_name": "order_3",
        "message_template_language": "en", "reason": null});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "time": 1_795_260_000,
        "changes": [{"field": "message_template_status_update", "value": value}]}]});
    served.deliver(&serde_json::to_vec(&body).unwrap()).await.is_status(200);
    let snapshots = wait_for(&served, Kind::TemplateSnapshot, 2).await;
    assert_eq!(snapshots[1].1["template"]["status"], "APPROVED");
    served.check_everything().await;
    served.close().await;
}
