//! Goal: the programs work on a bucket as on a directory, each with no more rights than it needs.
//! Method: a real S3 service, the identities of `schemas/iam`, and an archive that loses everything but its bucket.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use piperoll_store::S3Credentials;
use piperoll_tests::{Identity, Running, S3Service, command, piperoll, piperoll_audit, webhook};
use serde_json::Value;

/// Returns the variables by which AWS tools take an identity.
fn variables(identity: Identity) -> Vec<(String, String)> {
    let S3Credentials::Static { access_key_id, secret_access_key, .. } = S3Service::credentials(identity)
    else {
        panic!("expected fixed credentials");
    };
    vec![
        ("AWS_ACCESS_KEY_ID".to_owned(), access_key_id),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), secret_access_key),
        ("PIPEROLL_PASSPHRASE".to_owned(), "correct horse battery staple".to_owned()),
    ]
}

struct Stage {
    home: tempfile::TempDir,
    service: S3Service,
}

impl Stage {
    async fn find(bucket: &str, with_lock: bool) -> Option<Self> {
        let service = S3Service::find_bucket(bucket, with_lock).await?;
        Some(Self { home: tempfile::tempdir().unwrap(), service })
    }

    fn url(&self) -> String {
        format!("s3://{}/{}", self.service.bucket, self.service.prefix)
    }

    fn run(&self, program: &Path, identity: Identity, arguments: &[&str]) -> Output {
        let mut command: Command = command(program, self.home.path());
        command.envs(variables(identity)).args(arguments).output().unwrap()
    }

    /// Runs `piperoll` as the writer and returns its exit code and both outputs.
    fn piperoll(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.run(piperoll(), Identity::Writer, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    fn init(&self, dir: &str, mode: &str) -> (i32, String, String) {
        let (url, endpoint) = (self.url(), self.service.endpoint.as_str());
        self.piperoll(&[
            "--json",
            "--dir",
            dir,
            "init",
            "--store",
            &url,
            "--endpoint",
            endpoint,
            "--mode",
            mode,
        ])
    }
}

#[track_caller]
fn succeeded((code, stdout, stderr): (i32, String, String)) -> String {
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_on_a_bucket_survives_the_loss_of_its_machine() {
    let Some(stage) = Stage::find("piperoll-locked", true).await else { return };
    let (home, url, endpoint) = (stage.home.path(), stage.url(), stage.service.endpoint.clone());
    let made: Value = serde_json::from_str(&succeeded(stage.init("archive", "compliance"))).unwrap();
    let (code, _, stderr) = stage.init("second", "compliance");
    assert!(code == 11 && stderr.contains("restore"), "{stderr}");

    let running = Running::start_with(home, "archive", &variables(Identity::Writer));
    let mut connection = running.connect().unwrap();
    for n in 0..3 {
        let (id, from) = (format!("wamid.{n}"), format!("1555010{n}"));
        assert_eq!(connection.signed_post(&webhook(&[(&id, &from, "quokka")])).unwrap(), 200);
    }
    assert!(running.stop().success());
    succeeded(stage.piperoll(&["key", "backup", "keys.backup"]));
    let doctor: Value = serde_json::from_str(&succeeded(stage.piperoll(&["--json", "doctor"]))).unwrap();
    assert_eq!(
        (&doctor["store"]["kind"], &doctor["store"]["passed"]),
        (&"s3".into(), &true.into()),
        "{doctor}"
    );
    assert_eq!(doctor["store"]["enforcement"], "prevents");

    fs::remove_dir_all(home.join("archive")).unwrap();
    let restore = ["--json", "restore", "--store", &url, "--endpoint", &endpoint, "--keys", "keys.backup"];
    let restored: Value = serde_json::from_str(&succeeded(stage.piperoll(&restore))).unwrap();
    assert_eq!(restored["ledger"], made["ledger"]);
    // The server took a snapshot when it stopped, with no more rights than the writer's.
    let source = &restored["index"];
    assert_eq!(source["from"], "snapshot", "{restored}");
    assert!(source["snapshot_events"].as_u64().unwrap() >= 3, "{restored}");
    assert!(fs::read_to_string(home.join("archive/piperoll.toml")).unwrap().contains("\"compliance\""));
    let found: Value =
        serde_json::from_str(&succeeded(stage.piperoll(&["--json", "search", "quokka"]))).unwrap();
    assert_eq!(found["total"], 3);
    succeeded(stage.piperoll(&["verify"]));
    fs::remove_dir_all(home.join("archive/state")).unwrap();
    let without = ["--json", "restore", "--no-snapshot"];
    let restored: Value = serde_json::from_str(&succeeded(stage.piperoll(&without))).unwrap();
    assert_eq!(restored["index"]["from"], "ledger", "{restored}");
    let again: Value =
        serde_json::from_str(&succeeded(stage.piperoll(&["--json", "search", "quokka"]))).unwrap();
    assert_eq!((texts(&again), &again["total"]), (texts(&found), &found["total"]));

    let vkey = made["vkey"].as_str().unwrap();
    let audit = ["verify", &url, "--endpoint", &endpoint, "--vkey", vkey, "--json"];
    let output = stage.run(piperoll_audit(), Identity::Reader, &audit);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let ledger = format!("{url}/{}", made["ledger"].as_str().unwrap());
    let audit = ["verify", &ledger, "--endpoint", &endpoint, "--vkey", vkey];
    assert_eq!(stage.run(piperoll_audit(), Identity::Reader, &audit).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_without_locks_is_refused_with_the_reason() {
    let Some(stage) = Stage::find("piperoll-unlocked", false).await else { return };
    for mode in ["compliance", "governance"] {
        let (code, stdout, stderr) = stage.init("archive", mode);
        assert!(code == 1 && stderr.contains("lock"), "{code} {stdout}\n{stderr}");
        assert!(!stage.home.path().join("archive").exists(), "nothing was created");
    }
}

/// Positions and texts of what was found; the tree behind the proofs has grown from one search to the next.
fn texts(found: &Value) -> Vec<(u64, &Value)> {
    let hits = found["hits"].as_array().unwrap().iter();
    hits.map(|hit| (hit["seq"].as_u64().unwrap(), &hit["message"]["texts"])).collect()
}
