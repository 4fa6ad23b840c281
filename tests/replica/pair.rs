//! An archive in a directory with a second directory beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::Engine;
use piperoll_format::{Bucket, ObjectName, Timestamp};
use piperoll_replica::{Copier, FollowSettings, Pair, Progress, Stores, follow};
use piperoll_store::{Clock as _, DirectoryStore, LockStatus, ObjectKey, WormStore};
use piperoll_tests::{TestArchive, message, numbered_message, submit_one, until};
use piperoll_verify::report::Report;
use piperoll_verify::verify::{VerifyOptions, verify_ledger};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// An archive and the store of its second copy.
pub(crate) struct Both {
    pub(crate) archive: TestArchive,
    pub(crate) pair: Pair,
}

impl Both {
    pub(crate) async fn new() -> Self {
        let archive = TestArchive::in_directory().await;
        let store = DirectoryStore::init(&archive.dir().join("replica"), archive.clock.clone()).unwrap();
        let (primary, ledger) = (archive.backing(), archive.ledger());
        let pair = Pair { ledger, primary, replica: Arc::new(store) };
        Self { archive, pair }
    }

    pub(crate) fn stores(&self) -> Stores {
        let Pair { ledger, primary, replica } = self.pair.clone();
        Stores { ledger, primary, replica: Some(replica), clock: self.archive.clock.clone() }
    }

    /// Copies everything that is committed.
    pub(crate) async fn copy(&self) -> Copier {
        let mut copier = Copier::open(self.pair.clone(), self.archive.clock.clone()).await.unwrap();
        copier.catch_up(|_| {}).await.unwrap();
        copier
    }

    /// Follows an engine as a server does.
    pub(crate) fn follow(&self, engine: &Engine) -> (watch::Receiver<Progress>, JoinHandle<()>) {
        let (sender, progress) = watch::channel(Progress::default());
        let settings = FollowSettings {
            retry_min: Duration::from_millis(1),
            retry_max: Duration::from_millis(10),
            ..FollowSettings::default()
        };
        let (pair, clock) = (self.pair.clone(), self.archive.clock.clone());
        let following = follow(pair, clock, settings, engine.head(), |head| head.size, sender);
        (progress, tokio::spawn(following))
    }

    pub(crate) async fn verify_replica(&self) -> Report {
        let options =
            VerifyOptions { now: Timestamp(self.archive.clock.now_micros()), ..VerifyOptions::default() };
        verify_ledger(self.pair.replica.clone(), self.pair.ledger, options).await.unwrap()
    }

    /// Checks that the replica verifies by itself and has every object of the primary under the same lock.
    pub(crate) async fn check_equal(&self) {
        let report = self.verify_replica().await;
        assert!(report.is_clean() && report.is_complete(), "{:#?} {:#?}", report.findings, report.unreadable);
        let (primary, replica) = (locks(&*self.pair.primary).await, locks(&*self.pair.replica).await);
        assert_eq!(primary, replica);
    }

    pub(crate) fn path(&self, store: &str, name: &str) -> PathBuf {
        self.archive.dir().join(store).join(self.archive.prefix(name))
    }

    /// Overwrites one byte of an object behind the store's back, keeping its date.
    pub(crate) fn damage(&self, store: &str, name: &str) {
        let path = self.path(store, name);
        let before = std::fs::metadata(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::File::open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
        std::fs::set_permissions(&path, before.permissions()).unwrap();
    }
}

/// Returns the created objects of a store with their locks.
pub(crate) async fn locks(store: &dyn WormStore) -> BTreeMap<String, (u64, LockStatus)> {
    let (mut all, mut after) = (BTreeMap::new(), None::<ObjectKey>);
    loop {
        let page = store.list("", after.as_ref(), 1_000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.key.clone());
        for meta in page {
            let Some((_, name)) = meta.key.as_str().split_once('/') else { continue };
            if ObjectName::parse(name).is_ok_and(|name| !name.is_derived()) {
                all.insert(name.to_owned(), (meta.size, meta.lock));
            }
        }
    }
}

/// Commits messages, one after the other.
pub(crate) async fn write(engine: &Engine, from: u32, count: u32) {
    for n in from..from + count {
        let _receipt =
            submit_one(engine, message(&format!("wamid.{n}"), &format!("message {n}"))).await.unwrap();
    }
}

/// Commits one message that is kept for five seconds only.
pub(crate) async fn write_brief(engine: &Engine, id: &str) {
    let _receipt = submit_one(engine, numbered_message("999", id, "a brief message")).await.unwrap();
}

/// Returns the names of the objects of a kind, such as `payloads/`.
pub(crate) async fn names(store: &dyn WormStore, prefix: &str) -> Vec<String> {
    locks(store).await.into_keys().filter(|name| name.starts_with(prefix)).collect()
}

/// Returns the buckets of brief messages when there are so many: receipts go out before the inventory is up to date.
pub(crate) async fn brief_buckets(engine: &Engine, expected: usize) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    until("the inventory has the buckets", || {
        let inventory = engine.inventory().unwrap().into_iter().map(|object| object.bucket);
        buckets = inventory.filter(|bucket| bucket.class().as_str() == "brief").collect();
        buckets.sort();
        buckets.dedup();
        buckets.len() == expected
    })
    .await;
    buckets
}
