//! Goal: a store without room, a restart and a lost index are seen by nobody but the operator.

use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_tests::{Served, TestArchive, fixtures, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn full_store_answers_503_turns_ready_red_and_recovers_by_itself() {
    let archive = TestArchive::in_directory().await;
    let served = archive.serve().await;
    served.get("/ready").await.is_status(200);
    archive.store.inject(Fault::always(Operation::Create, "", Outcome::Full));
    let body = webhook(&[("wamid.1", "15550100", "hello")]);
    for _ in 0..3 {
        let refused = served.deliver(&body).await;
        refused.is_status(503);
        assert!(refused.header("retry-after").is_some());
    }
    served.get("/ready").await.is_status(503);
    served.get("/health").await.is_status(200);
    archive.store.heal();
    let mut trouble = served.archive.engine().trouble();
    drop(trouble.wait_for(Option::is_none).await.unwrap());
    served.get("/ready").await.is_status(200);
    let size = served.size();
    served.deliver(&body).await.is_status(200);
    assert_eq!(served.size(), size + 1, "what was refused was not stored behind the sender's back");
    assert_eq!(served.find("hello").await.len(), 1);
    served.check_everything().await;
}

/// What some queries find.
async fn results(served: &Served<'_>) -> Vec<(String, Vec<u64>)> {
    let mut results = Vec::new();
    for query in [
        "",
        "kind:whatsapp.message",
        "kind:whatsapp.status",
        "template:*",
        "has:attachment",
        "dziękuję OR obrigado",
    ] {
        // Some of them are refused, which must not change either.
        let answer = served.read(&format!("/v1/search?limit=500&q={}", piperoll_tests::escape(query))).await;
        let hits = answer.json()["hits"].as_array().cloned().unwrap_or_default();
        results.push((query.to_owned(), hits.iter().map(|hit| hit["seq"].as_u64().unwrap()).collect()));
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_with_or_without_index_gives_the_same_results() {
    let archive = TestArchive::in_directory().await;
    let served = archive.serve().await;
    for body in fixtures() {
        served.deliver(&body.bytes).await.is_status(200);
    }
    served.archive.catch_up().await;
    let before = results(&served).await;
    assert!(before.iter().filter(|(_, hits)| !hits.is_empty()).count() >= 4);
    served.close().await;
    for index in ["kept", "deleted", "damaged"] {
        if index == "deleted" {
            std::fs::remove_dir_all(archive.index_dir()).unwrap();
        }
        if index == "damaged" {
            std::fs::write(archive.index_dir().join("meta.json"), b"{").unwrap();
        }
        let served = archive.serve().await;
        served.archive.catch_up().await;
        assert_eq!(results(&served).await, before, "index {index}");
        served.archive.rebuild_index().await;
        served.archive.catch_up().await;
        assert_eq!(results(&served).await, before, "index {index}, then rebuilt");
        served.check_everything().await;
        served.close().await;
    }
}
