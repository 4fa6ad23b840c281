//! Goal: what the proxy passed on while nothing could be archived is known, also when the process is killed before the
//! store is back.
//! Method: a server whose files may not grow, so that it can commit nothing; it passes two requests on, is killed with
//! SIGKILL, and the next one has the gap.

use piperoll_tests::{FakeGraph, GRAPH_TOKEN, Running, command, piperoll};
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};

/// Larger than a line of the list, smaller than any object of a commit.
const FILE_BYTES_MAX: u64 = 512;

#[test]
fn gap_of_the_proxy_survives_a_kill() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let graph = runtime.block_on(FakeGraph::start());
    let home = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| {
        let output = command(piperoll(), home.path())
            .args(["--dir", "archive", "--json"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let admin = ask(&["init", "--origin", "piperoll.example/gap"]);
    let environment = [
        ("PIPEROLL_PROXY_UPSTREAM".to_owned(), graph.url()),
        ("PIPEROLL_PROXY_ON_ARCHIVE_FAILURE".to_owned(), "forward".to_owned()),
    ];
    let server = Running::start_ignoring_file_limits(home.path(), "archive", &environment);
    let token = admin["token"].as_str().unwrap();
    let mut connection = server.connect().unwrap();
    // An answer means that the server's start, without which it does not serve, is on the record.
    assert_eq!(connection.get("/health", token).unwrap().0, 200);
    let limit = Rlimit { current: Some(FILE_BYTES_MAX), maximum: None };
    let _before = prlimit(Some(server.id()), Resource::Fsize, limit).unwrap();
    let body =
        json!({"messaging_product": "whatsapp", "to": "15550101", "type": "text", "text": {"body": "hi"}});
    let headers = format!(
        "content-type: application/json\r\nauthorization: Bearer {GRAPH_TOKEN}\r\npiperoll-token: {token}\r\n"
    );
    for _ in 0..2 {
        let (status, _) =
            connection.post("/graph/v24.0/100/messages", &headers, body.to_string().as_bytes()).unwrap();
        assert_eq!(status, 200);
    }
    server.kill();
    drop(server);
    assert_eq!(graph.count("/100/messages"), 2);
    let list = std::fs::read_to_string(home.path().join("archive/state/unrecorded-sends.jsonl")).unwrap();
    assert!(!list.contains("15550101") && !list.contains("EAAG"), "nothing of a person, no token: {list}");
    let gaps = || {
        let missing = ask(&["coverage", "100"])["missing"].take();
        let missing = missing.as_array().unwrap().clone().into_iter();
        missing.filter(|gap| gap["cause"] == "send-not-archived").collect::<Vec<_>>()
    };
    let found = gaps();
    assert_eq!((found.len(), &found[0]["count"]), (1, &json!(4)), "two requests and two answers: {found:?}");
    assert_eq!(gaps(), found, "once");
    assert_eq!(ask(&["verify"])["verdict"], "no problems found");
}
