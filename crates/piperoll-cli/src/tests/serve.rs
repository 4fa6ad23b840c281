//! Tests of opening an archive for writing.

use std::fs;
use std::path::Path;

use piperoll_format::Kind;
use piperoll_policy::shipped;
use piperoll_verify::LedgerReader;

use crate::command::init::{create, demo_policies};
use crate::config::{ConfigFile, Environment, Flags, Settings, Store};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, exit_of};
use crate::secret::LedgerSecrets;
use crate::serve::Opened;
use crate::store::the_ledger;

async fn archive(root: &Path) -> ArchiveDirectory {
    let directory = ArchiveDirectory::new(root);
    create(&directory, None, &demo_policies().unwrap(), &Store::default()).await.unwrap();
    directory
}

async fn open(directory: &ArchiveDirectory) -> anyhow::Result<Opened> {
    let settings = Settings::merge(ConfigFile::default(), Flags::default(), &Environment::default())?;
    Opened::open(directory, &settings).await
}

/// Returns the kinds of all events.
async fn kinds(directory: &ArchiveDirectory) -> Vec<Kind> {
    let store = directory.open_store_read_only().unwrap();
    let ledger = the_ledger(&*store).await.unwrap();
    let reader = LedgerReader::open(store, ledger).await.unwrap();
    let mut kinds = Vec::new();
    for seq in 0..reader.size() {
        kinds.push(reader.event(piperoll_format::Seq(seq)).await.unwrap().core.kind);
    }
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn change_of_policies_is_recorded_once() {
    let dir = tempfile::tempdir().unwrap();
    let directory = archive(&dir.path().join("archive")).await;
    open(&directory).await.unwrap().close().await;
    assert_eq!(kinds(&directory).await, [Kind::LedgerOpened]);
    let (name, text) = shipped().iter().find(|(name, _)| *name == "mifid-ii.toml").unwrap();
    fs::write(directory.policies().join(name), text).unwrap();
    for _ in 0..2 {
        open(&directory).await.unwrap().close().await;
        assert_eq!(kinds(&directory).await, [Kind::LedgerOpened, Kind::ConfigChanged]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_token_is_made_once_and_again_when_it_was_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let directory = archive(&dir.path().join("archive")).await;
    let opened = open(&directory).await.unwrap();
    let first = opened.local_token().to_owned();
    opened.close().await;
    let opened = open(&directory).await.unwrap();
    assert_eq!(opened.local_token(), first);
    opened.archive.tokens().revoke("local", opened.archive.now()).unwrap();
    opened.close().await;
    let opened = open(&directory).await.unwrap();
    assert_ne!(opened.local_token(), first);
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_ledger_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let directory = archive(&dir.path().join("archive")).await;
    for path in [directory.signing_key(), directory.next_key(), directory.kek()] {
        fs::remove_file(path).unwrap();
    }
    LedgerSecrets::generate().unwrap().create(&directory).unwrap();
    assert_eq!(exit_of(&open(&directory).await.unwrap_err()), Exit::KeyUnknown);
}
