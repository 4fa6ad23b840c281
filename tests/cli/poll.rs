//! Goal: what the platform says about a number is in `piperoll coverage` of a running server.
//! Method: a real server that polls a Graph API on loopback, and the command beside it.

use std::time::{Duration, Instant};

use piperoll_tests::{FakeGraph, GRAPH_TOKEN, GRAPH_VERSION, Running, command, piperoll};
use serde_json::{Value, json};

const OURS: &str = "https://archive.example/webhooks/whatsapp";

/// A poller that says nothing new for so long has failed.
const WITHIN: Duration = Duration::from_secs(60);

#[test]
fn coverage_follows_the_platform() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let graph = runtime.block_on(FakeGraph::start());
    let set = |status: &str, callback: &str| {
        let webhooks = json!({"application": callback});
        let fields = json!({"id": "100", "status": status, "is_on_biz_app": true, "platform_type": "CLOUD_API",
            "display_phone_number": "+1 555 0109", "webhook_configuration": webhooks});
        graph.set_number("100", fields);
    };
    graph.set_subscribed_apps("1022", json!([{"whatsapp_business_api_data": {"id": "7"}}]));
    graph.set_templates("1022", vec![]);
    set("CONNECTED", "https://crm.example/in?key=secret");
    let home = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = command(piperoll(), home.path()).args(["--dir", "archive"]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let _admin = run(&["--json", "init", "--origin", "piperoll.example/poll"]);
    let environment = [
        ("PIPEROLL_GRAPH_BASE_URL", graph.url()),
        ("PIPEROLL_GRAPH_VERSION", GRAPH_VERSION.to_owned()),
        ("PIPEROLL_GRAPH_TOKEN", GRAPH_TOKEN.to_owned()),
        ("PIPEROLL_GRAPH_NUMBERS", "100:1022".to_owned()),
        ("PIPEROLL_GRAPH_POLL_EVERY_SECONDS", "1".to_owned()),
        ("PIPEROLL_GRAPH_EXPECTED_CALLBACK", OURS.to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    let server = Running::start_with(home.path(), "archive", &environment);
    let wait_for = |state: &str, cause: &str| {
        let started = Instant::now();
        loop {
            let list: Value = serde_json::from_str(&run(&["--json", "coverage"])).unwrap();
            let number = &list["numbers"][0];
            let causes = number["causes"].as_array().into_iter().flatten();
            let found = causes.filter_map(|found| found["cause"].as_str()).any(|found| found == cause);
            if number["state"] == state && found {
                return;
            }
            assert!(started.elapsed() < WITHIN, "never {state} for {cause}: {list}");
            std::thread::park_timeout(Duration::from_millis(200));
        }
    };
    wait_for("degraded", "callback-foreign");
    let text = run(&["coverage", "100"]);
    assert!(
        text.contains("webhooks are sent to an address that is not the archive's (https://crm.example/in)"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    set("OFFLINE", OURS);
    wait_for("closed", "number-not-connected");
    set("CONNECTED", OURS);
    graph.set_subscribed_apps("1022", json!([]));
    wait_for("closed", "subscription-missing");
    assert!(server.stop().success());
}
