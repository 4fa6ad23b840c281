//! Goal: what must go, goes: after a disposal its words are nowhere below the data directory, and everything else
//! still verifies.

use std::path::{Path, PathBuf};

use axum::http::Method;
use piperoll_server::Role;
use piperoll_tests::{NOW, TestArchive, webhook, webhook_to};

/// Words that a message has in clear, and what else could give its person away.
const WORDS: [&str; 4] = ["numbatquokka", "15550177", "Customer 15550177", "wamid.secret"];

/// Returns the files below a folder that hold the bytes.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).is_ok_and(|content| holds(&content, bytes)) {
                found.push(path);
            }
        }
    }
    found
}

fn holds(content: &[u8], bytes: &[u8]) -> bool {
    bytes.is_empty() || content.windows(bytes.len()).any(|window| window == bytes)
}

fn files_of(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let files = files_with(folder, b"");
    files.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn disposed_words_are_nowhere_and_the_rest_verifies() {
    let archive = TestArchive::in_directory().await;
    let served = archive.serve().await;
    let secret = [("wamid.secret", "15550177", "the numbatquokka is at the café")];
    served.archive.catch_up().await;
    let before = files_of(&archive.index_dir(), "term");
    let seq = served.size();
    served.deliver(&webhook_to("999", &secret)).await.is_status(200);
    assert_eq!(served.find("numbatquokka").await, [seq]);
    // Compressed, so that the word cannot be looked for in them: they must go as files.
    let mut terms = files_of(&archive.index_dir(), "term");
    terms.retain(|path| !before.contains(path));
    assert!(!terms.is_empty());
    served.deliver(&webhook(&[("wamid.kept", "15550100", "an ordinary message")])).await.is_status(200);
    assert_eq!(served.find("numbatquokka").await, [seq]);
    let stored = files_with(&archive.dir().join("store"), WORDS[0].as_bytes());
    assert!(stored.is_empty(), "the store holds it encrypted: {stored:?}");

    let none = served.send(Role::Admin, Method::POST, "/v1/dispose/execute", "").await.ok();
    assert_eq!(none["disposed"].as_array().unwrap().len(), 0, "nothing is due");
    archive.clock.set(NOW + 60_000_000);
    let plan = served.read("/v1/dispose/plan").await.ok();
    assert_eq!(plan["due"].as_array().unwrap().len(), 1, "{plan}");
    let done = served.send(Role::Admin, Method::POST, "/v1/dispose/execute", "").await.ok();
    assert!(done["disposed"][0]["completed"].is_u64(), "{done}");

    for word in WORDS {
        let files = files_with(archive.dir(), word.as_bytes());
        assert!(files.is_empty(), "`{word}` is in {files:?}");
    }
    let left: Vec<_> = terms.iter().filter(|path| path.exists()).collect();
    assert!(left.is_empty(), "the index still has {left:?}");
    assert_eq!(served.find("an ordinary message").await.len(), 1);
    // The query itself is a new event and names the word again, encrypted; searches are not searched.
    assert_eq!(served.find("numbatquokka").await, Vec::<u64>::new());
    assert_eq!(served.read(&format!("/v1/events/{seq}")).await.ok()["state"], "destroyed");
    served.read(&format!("/v1/events/{seq}/raw")).await.is_status(410);
    served.check_everything().await;
    assert_eq!(archive.verify().await.tombstones.events, 1);
    served.close().await;

    // The next start finds nothing either, also with a new index and a new state.
    for folder in [archive.index_dir(), archive.state_dir()] {
        std::fs::remove_dir_all(folder).unwrap();
        let served = archive.serve().await;
        assert_eq!(served.find("numbatquokka").await, Vec::<u64>::new());
        assert_eq!(served.find("an ordinary message").await.len(), 1);
        served.check_everything().await;
        served.close().await;
    }
}
