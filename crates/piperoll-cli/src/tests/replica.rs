//! Goal: the archive goes on from its second copy alone, and never forgets silently what that copy lacks.

use std::fs;
use std::path::Path;
use std::process::Command;

use piperoll_format::{Kind, Seq, Submission, SubmissionGroup};
use piperoll_replica::{Copier, Pair};
use piperoll_store::SystemClock;
use piperoll_verify::LedgerReader;

use crate::args::{Global, ReplicaCommand};
use crate::command;
use crate::command::init::{create, demo_policies};
use crate::config::{ConfigFile, Environment, Flags, Settings, Store};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, exit_of, one_line};
use crate::output::Output;
use crate::replica::{open, required_place};
use crate::serve::{Opened, Serving, Source};
use crate::store::{StorePlace, the_ledger};
use std::sync::Arc;

const CONFIG: &str = "listen = \"127.0.0.1:0\"\n[replica]\nurl = \"copy\"\n";

struct Both {
    directory: ArchiveDirectory,
    settings: Settings,
}

impl Both {
    async fn new(root: &Path) -> Self {
        let directory = ArchiveDirectory::new(root);
        create(&directory, None, &demo_policies().unwrap(), &Store::default()).await.unwrap();
        fs::write(directory.config(), CONFIG).unwrap();
        let file = ConfigFile::parse("piperoll.toml", CONFIG).unwrap();
        let settings = Settings::merge(file, Flags::default(), &Environment::default()).unwrap();
        Self { directory, settings }
    }

    async fn copy(&self) {
        let primary = StorePlace::new(&self.directory, &self.settings.store).open().unwrap();
        let replica = open(&required_place(&self.directory, &self.settings).unwrap()).unwrap();
        let ledger = the_ledger(&*primary).await.unwrap();
        let copier = Copier::open(Pair { ledger, primary, replica }, Arc::new(SystemClock)).await;
        copier.unwrap().catch_up(|_| {}).await.unwrap();
    }

    async fn commit(&self, count: u32) {
        let opened = Opened::open(&self.directory, &self.settings).await.unwrap();
        for n in 0..count {
            let document = format!("{{\"n\":{n}}}").into_bytes();
            let event = Submission::own(Kind::LedgerStarted, "application/json", document);
            let _receipts = opened.archive.engine().submit(SubmissionGroup::single(event)).await.unwrap();
        }
        opened.close().await;
    }

    async fn status(&self) -> Exit {
        let global = Global {
            dir: Some(self.directory.root().to_owned()),
            server: None,
            token: None,
            json: true,
            tz: None,
        };
        command::replica::run(&global, &ReplicaCommand::Status, &Output::json()).await.unwrap()
    }

    fn lose_primary(&self) {
        fs::rename(self.directory.store(), self.directory.root().join("lost")).unwrap();
    }

    async fn serve_replica(&self, accepts_loss: bool) -> anyhow::Result<()> {
        let source = Source::Replica { accepts_loss };
        let serving = Serving::start(&self.directory, &self.settings, source).await?;
        serving.run(async {}).await
    }

    async fn kinds_of_copy(&self) -> Vec<Kind> {
        let store = required_place(&self.directory, &self.settings).unwrap().open_read_only().unwrap();
        let ledger = the_ledger(&*store).await.unwrap();
        let reader = LedgerReader::open(store, ledger).await.unwrap();
        let mut kinds = Vec::new();
        for seq in 0..reader.size() {
            kinds.push(reader.event(Seq(seq)).await.unwrap().core.kind);
        }
        kinds
    }
}

fn starts(kinds: &[Kind]) -> usize {
    kinds.iter().filter(|kind| **kind == Kind::LedgerStarted).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_goes_on_in_a_complete_copy() {
    let dir = tempfile::tempdir().unwrap();
    let both = Both::new(&dir.path().join("archive")).await;
    both.commit(3).await;
    assert_eq!(both.status().await, Exit::Success, "a copy that is not begun is merely behind");
    both.copy().await;
    assert_eq!(both.status().await, Exit::Success);
    let before = both.kinds_of_copy().await;
    both.lose_primary();
    assert_eq!(both.status().await, Exit::Failed, "nobody can say what the primary has");
    for _ in 0..2 {
        both.serve_replica(false).await.unwrap();
    }
    let after = both.kinds_of_copy().await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(starts(&after[before.len()..]), 4, "each start records the promotion and the start");
    // The first store, come back as it was, is behind what this machine has committed, and is refused.
    fs::rename(both.directory.root().join("lost"), both.directory.store()).unwrap();
    let refused = Opened::open(&both.directory, &both.settings).await.unwrap_err();
    assert!(one_line(&refused).contains("the store ends before"), "{}", one_line(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_copy_is_served_only_when_the_loss_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let both = Both::new(&dir.path().join("archive")).await;
    both.commit(2).await;
    both.copy().await;
    both.commit(5).await;
    both.lose_primary();
    let refused = both.serve_replica(false).await.unwrap_err();
    assert_eq!(exit_of(&refused), Exit::Conflict);
    let text = one_line(&refused);
    assert!(text.contains("the replica holds 3 events") && text.contains("would be lost"), "{text}");
    assert!(both.directory.state().exists());
    both.serve_replica(true).await.unwrap();
    let kinds = both.kinds_of_copy().await;
    assert_eq!(starts(&kinds[3..]), 2, "the promotion and the start: {kinds:?}");
    let kept = fs::read_dir(both.directory.root()).unwrap();
    let names: Vec<String> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name.starts_with("state.before-loss-")), "{names:?}");
    both.serve_replica(false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_another_history_of_the_same_length_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let both = Both::new(&dir.path().join("archive")).await;
    both.commit(1).await;
    both.copy().await;
    // Somebody lets another machine with the same keys go on, and copies from there.
    let elsewhere = dir.path().join("elsewhere");
    let copied = Command::new("cp").arg("-a").args([both.directory.root(), &elsewhere]).status();
    assert!(copied.unwrap().success());
    let other = Both { directory: ArchiveDirectory::new(&elsewhere), settings: both.settings.clone() };
    both.commit(2).await;
    other.commit(2).await;
    other.copy().await;
    fs::remove_dir_all(both.directory.root().join("copy")).unwrap();
    fs::rename(elsewhere.join("copy"), both.directory.root().join("copy")).unwrap();
    both.lose_primary();
    let refused = both.serve_replica(false).await.unwrap_err();
    assert_eq!(exit_of(&refused), Exit::Conflict);
    let text = one_line(&refused);
    assert!(text.contains("the replica has another history") && text.contains("chain head"), "{text}");
    both.serve_replica(true).await.unwrap();
}
