//! Goal: on a platform that gives a token in a file instead of keys, the programs get keys for it and get them anew.
//! Method: a token service on loopback that gives the writer's keys for a short time, and a real S3 service.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use piperoll_store::S3Credentials;
use piperoll_tests::{FakeSts, Identity, Running, S3Service, STS_ROLE, command, piperoll, webhook};
use serde_json::Value;

/// Keys that are good for so long are asked for again before that.
const LIFE: Duration = Duration::from_secs(30);

const FIRST: &str = "header.first-secret-token.signature";
const SECOND: &str = "header.second-secret-token.signature";

type Variables = Vec<(String, String)>;

/// Returns the variables that such a platform sets.
fn variables(home: &Path, endpoint: &str) -> Variables {
    let token_file = home.join("token").display().to_string();
    let set = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token_file.as_str()),
        ("AWS_ROLE_ARN", STS_ROLE),
        ("AWS_ROLE_SESSION_NAME", "archive"),
        ("AWS_ENDPOINT_URL_STS", endpoint),
    ];
    set.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Runs `piperoll` with these variables and no keys; returns its exit code and both outputs.
fn run(home: &Path, variables: &Variables, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command(piperoll(), home);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"] {
        let _command = command.env_remove(name);
    }
    let output = command.envs(variables.iter().cloned()).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn init<'a>(url: &'a str, endpoint: &'a str) -> [&'a str; 10] {
    ["--json", "--dir", "archive", "init", "--store", url, "--endpoint", endpoint, "--mode", "compliance"]
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_for_a_token_are_used_and_asked_for_again() {
    let Some(service) = S3Service::find().await else { return };
    let sts = FakeSts::start(S3Service::credentials(Identity::Writer), LIFE, FIRST).await;
    let home = tempfile::tempdir().unwrap();
    let (home, url) = (home.path(), format!("s3://{}/{}", service.bucket, service.prefix));
    fs::write(home.join("token"), FIRST).unwrap();
    let variables = variables(home, &sts.url());
    let (code, stdout, stderr) = run(home, &variables, &init(&url, &service.endpoint));
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    assert!(!sts.asked().is_empty(), "keys come from the token service");

    let running = Running::start_with(home, "archive", &variables);
    let send = |id: &str| running.connect().unwrap().signed_post(&webhook(&[(id, "15550100", "quokka")]));
    assert_eq!(send("wamid.1").unwrap(), 200);
    let asked = sts.asked().len();
    // The platform renews the token; the one before is worth nothing any more.
    fs::write(home.join("token"), SECOND).unwrap();
    sts.take_only(SECOND);
    let started = Instant::now();
    while !sts.asked().split_off(asked).contains(&SECOND.to_owned()) {
        assert!(started.elapsed() < LIFE, "keys are asked for again before they end: {:?}", sts.asked());
        assert_eq!(send("wamid.2").unwrap(), 200);
    }
    // New keys are wanted from five minutes before the end on, and without them nothing is signed.
    sts.set_down(true);
    let mut refused = 200;
    while refused == 200 {
        assert!(started.elapsed() < LIFE, "the service is missed before the keys end");
        refused = send("wamid.3").unwrap();
    }
    assert_eq!(refused, 503);
    sts.set_down(false);
    while send("wamid.3").unwrap() != 200 {}
    assert!(running.stop().success());

    let (code, stdout, stderr) = run(home, &variables, &["--dir", "archive", "verify"]);
    assert!(code == 0 && stdout.contains("no problems found"), "{stdout}\n{stderr}");
    let log = fs::read_to_string(home.join("serve.log")).unwrap();
    assert!(!log.contains("secret-token"), "no token is in the log: {log}");
    let (_, found, _) = run(home, &variables, &["--json", "--dir", "archive", "search", "quokka"]);
    assert_eq!(serde_json::from_str::<Value>(&found).unwrap()["total"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_web_identity_lacks_is_said() {
    let keys = S3Credentials::Static {
        access_key_id: "key".to_owned(),
        secret_access_key: "a secret of the service".to_owned(),
        session_token: None,
    };
    let sts = FakeSts::start(keys, LIFE, SECOND).await;
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    // Nobody listens there: whatever fails does so before the store is asked.
    let init = init("s3://records/a", "http://127.0.0.1:9");
    let complete = variables(home, &sts.url());
    let without = |name: &str| complete.iter().filter(|(set, _)| set != name).cloned().collect::<Variables>();
    let with_endpoint = |endpoint: &str| variables(home, endpoint);
    let check = |variables: &Variables, expected: &[&str]| {
        let (code, stdout, stderr) = run(home, variables, &init);
        assert!(code != 0 && !home.join("archive").exists(), "{stdout}\n{stderr}");
        for text in expected {
            assert!(stderr.contains(text), "`{text}` is not said: {stderr}");
        }
        assert!(!stderr.contains("secret"), "no token and no key is shown: {stderr}");
    };
    check(&complete, &["expected a token in", "AWS_WEB_IDENTITY_TOKEN_FILE", "No such file"]);
    fs::write(home.join("token"), "").unwrap();
    check(&complete, &["expected a token in", "found nothing"]);
    fs::write(home.join("token"), FIRST).unwrap();
    check(&without("AWS_ROLE_ARN"), &["expected AWS_ROLE_ARN beside it"]);
    check(
        &with_endpoint("http://sts.example.com"),
        &["expected an https endpoint", "http://sts.example.com"],
    );
    assert_eq!(sts.asked(), Vec::<String>::new(), "nothing was sent so far");
    let expected = "expected keys by web identity from";
    check(&complete, &[expected, "InvalidIdentityToken"]);
    sts.set_down(true);
    check(&complete, &[expected, "503"]);
    check(&with_endpoint("http://127.0.0.1:9"), &[expected, "127.0.0.1:9"]);
}
