//! Goal: a power failure in the middle of a commit loses nothing acknowledged, whichever of its files it leaves.
//! Method: the files of one commit are taken away from a good archive in a directory, and put back as far as each
//! step of the commit gets: under a staging name, in part or whole, and under their own names, the segment last. A
//! segment that is cut short under its own name, which only a disk that lies about flushing leaves, is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use piperoll_engine::{Engine, EngineError, Receipt};
use piperoll_store::DirectoryStore;
use piperoll_tests::{TestArchive, check_receipt, message, submit_one};

/// A file and how it is named inside the store.
type File = (PathBuf, Vec<u8>);

/// An archive, what it was before its last commit, and that commit's files in the order of their creation.
struct Scene {
    archive: TestArchive,
    acknowledged: Vec<(Receipt, String)>,
    commit: Vec<File>,
}

impl Scene {
    async fn new() -> Self {
        let archive = TestArchive::in_directory().await;
        let engine = archive.open().await;
        let mut acknowledged = Vec::new();
        for n in 0..4 {
            let text = format!("text {n}");
            acknowledged.push((submit_one(&engine, message(&text, &text)).await.unwrap(), text));
        }
        engine.close().await;
        let scene = Self { archive, acknowledged, commit: Vec::new() };
        copy(&scene.ledger(), &scene.kept("ledger"));
        copy(&scene.archive.state_dir(), &scene.kept("state"));
        let before = files(&scene.ledger());
        let engine = scene.archive.open().await;
        let _receipt = submit_one(&engine, last()).await.unwrap();
        engine.close().await;
        let mut commit = files(&scene.ledger());
        commit.retain(|file| !before.iter().any(|(path, _)| *path == file.0));
        // What the segment names is created before it.
        commit.sort_by_key(|(path, _)| path.extension().is_some_and(|extension| extension == "seg"));
        assert!(commit.len() >= 2, "a pack and a segment at least");
        Self { commit, ..scene }
    }

    fn ledger(&self) -> PathBuf {
        self.archive.dir().join("store").join(self.archive.ledger().to_string())
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.archive.dir().join(format!("kept-{name}"))
    }

    /// Takes the last commit away again, and leaves a local state that knows nothing of it, or none.
    fn reset(&self, with_state: bool) {
        fs::remove_dir_all(self.ledger()).unwrap();
        copy(&self.kept("ledger"), &self.ledger());
        let _ = fs::remove_dir_all(self.archive.dir().join(STATE));
        if with_state {
            copy(&self.kept("state"), &self.archive.dir().join(STATE));
        }
    }

    /// Puts the first `named` files of the commit in place, and leaves `length` bytes of the next with a dead writer.
    fn crash(&self, named: usize, length: Option<usize>) {
        for (path, bytes) in &self.commit[..named] {
            self.put(path, bytes);
        }
        if let (Some((_, bytes)), Some(length)) = (self.commit.get(named), length) {
            let dead = self.archive.dir().join("store/.staging/0000000000000000");
            fs::create_dir_all(&dead).unwrap();
            fs::write(dead.join("0"), &bytes[..length.min(bytes.len())]).unwrap();
        }
    }

    /// Writes a file with the lock that the kept objects of its kind have.
    fn put(&self, path: &Path, bytes: &[u8]) {
        let target = self.ledger().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&target);
        fs::write(&target, bytes).unwrap();
        let file = fs::File::options().write(true).open(&target).unwrap();
        // Ten years from the archive's time, which no lock of its policies is beyond.
        let until = std::time::UNIX_EPOCH + std::time::Duration::from_micros(piperoll_tests::NOW) + TEN_YEARS;
        file.set_modified(until).unwrap();
        let mut permissions = file.metadata().unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&target, permissions).unwrap();
    }

    /// Opens it as a process of its own would after the crash.
    async fn open(&self) -> Engine {
        self.archive.open_on(self.store(), STATE).await.0
    }

    fn store(&self) -> Arc<DirectoryStore> {
        let root = self.archive.dir().join("store");
        Arc::new(DirectoryStore::open(&root, self.archive.clock.clone()).unwrap())
    }

    /// Checks that nothing acknowledged is lost, and that the commit is there once, and goes on.
    async fn check(&self, is_committed: bool, what: &str) {
        let engine = self.open().await;
        let events = self.archive.check_everything(Some(&engine)).await;
        self.acknowledged.iter().for_each(|(receipt, text)| check_receipt(&events, receipt, text));
        assert_eq!(events.len(), self.acknowledged.len() + 1 + usize::from(is_committed), "{what}");
        let again = submit_one(&engine, last()).await.unwrap();
        assert_eq!(again.repeated, is_committed, "{what}");
        let next = submit_one(&engine, message("next", "next")).await.unwrap();
        let events = self.archive.check_everything(Some(&engine)).await;
        check_receipt(&events, &again, LAST);
        check_receipt(&events, &next, "next");
        engine.close().await;
        let dead = self.archive.dir().join("store/.staging/0000000000000000");
        assert!(!dead.exists(), "{what}: what a dead writer left is removed");
    }
}

const STATE: &str = "after-crash";
const LAST: &str = "the last before the power failed";
const TEN_YEARS: std::time::Duration = std::time::Duration::from_secs(10 * 366 * 86_400);

fn last() -> piperoll_format::Submission {
    message("last", LAST)
}

/// Copies a folder with modes and times.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

/// Returns the created objects below a folder.
fn files(root: &Path) -> Vec<File> {
    let (mut found, mut waiting) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if entry.metadata().unwrap().permissions().readonly() {
                let bytes = fs::read(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), bytes));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn each_state_that_a_power_failure_leaves_is_gone_on_from() {
    let scene = Scene::new().await;
    for named in 0..=scene.commit.len() {
        let next = scene.commit.get(named).map_or(0, |(_, bytes)| bytes.len());
        for length in [None, Some(0), Some(next / 2), Some(next)] {
            let with_state = length != Some(next / 2);
            scene.reset(with_state);
            scene.crash(named, length);
            let what =
                format!("{named} files named, {length:?} bytes of the next, local state: {with_state}");
            scene.check(named == scene.commit.len(), &what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_cut_short_under_its_own_name_is_refused_until_it_is_put_back() {
    let scene = Scene::new().await;
    let (path, bytes) = scene.commit.last().unwrap();
    for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        scene.reset(true);
        scene.crash(scene.commit.len(), None);
        scene.put(path, &bytes[..length]);
        let state = scene.archive.dir().join(STATE);
        let components = TestArchive::writer_of(scene.store(), &state, 1);
        let opened = Engine::open(components, piperoll_tests::quick_settings()).await;
        let error = opened.expect_err("a torn segment is no end of a ledger");
        assert!(matches!(error, EngineError::Fatal { .. }), "{length}: {error:?}");
        let said = error.to_string();
        let expected =
            format!("object `{}` is damaged: expected a segment, found {length} bytes", path.display());
        assert!(said.contains(&expected), "{length}: {said}");
        assert_eq!(fs::read(scene.ledger().join(path)).unwrap().len(), length, "nothing is written over it");
        // From a copy, as `restore` and `scrub` do from the second store.
        scene.put(path, bytes);
        scene.check(true, "put back").await;
    }
}
