//! What is particular to directories: modes and times on disk, leftovers, rights, reopening.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::conformance::Fixture;
use crate::port::LockMode;

const NOW: u64 = 1_700_000_000_000_000;
const UNTIL: u64 = 1_900_000_000_123_456;

crate::conformance_tests!(fixture);

fn fixture() -> (Fixture, TempDir) {
    let dir = TempDir::new().expect("a temporary directory");
    let clock = Arc::new(ManualClock::new(NOW));
    let store = DirectoryStore::open(dir.path(), clock.clone()).expect("an empty directory is a store");
    (Fixture::with_manual_clock(Arc::new(store), clock), dir)
}

fn empty() -> (DirectoryStore, TempDir) {
    let dir = TempDir::new().expect("a temporary directory");
    (reopen(&dir), dir)
}

fn reopen(dir: &TempDir) -> DirectoryStore {
    DirectoryStore::open(dir.path(), Arc::new(ManualClock::new(NOW))).expect("the directory is a store")
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).expect("the test spells a valid key")
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Returns every path below `dir`, relative and sorted, directories ending in `/`.
fn tree(dir: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(dir).expect("it is below").display().to_string();
            paths.push(if path.is_dir() { format!("{name}/") } else { name });
            pending.extend(path.is_dir().then_some(path));
        }
    }
    paths.sort();
    paths
}

#[tokio::test]
async fn mode_and_time_on_disk_record_the_lock() {
    let (store, dir) = empty();
    store.create(&key("l/a"), text("a"), &Lock::until(UNTIL)).await.expect("a fresh key");
    store
        .create(&key("l/b"), text("b"), &Lock { retain_until: None, hold: true })
        .await
        .expect("a fresh key");
    store.put_derived(&key("l/checkpoint"), text("c")).await.expect("a fresh key");
    let stat = |name: &str| fs::metadata(dir.path().join(name)).expect("the file is there");
    assert_eq!(stat("l/a").mode() & 0o222, 0);
    assert_eq!((stat("l/a").mtime(), stat("l/a").mtime_nsec()), (1_900_000_000, 123_456_000));
    assert_eq!(stat("l/a").nlink(), 1, "the staging name is gone");
    assert_eq!((stat("l/b").mode() & 0o222, stat("l/b").mtime()), (0, 0));
    assert_eq!(stat("l/.hold-b").len(), 0);
    assert_ne!(stat("l/checkpoint").mode() & 0o200, 0);
    store.extend_retention(&key("l/a"), UNTIL + 1).await.expect("a later date");
    assert_eq!(stat("l/a").mtime_nsec(), 123_457_000);
    drop(store);
    assert_eq!(tree(dir.path()), [".staging/", "l/", "l/.hold-b", "l/a", "l/b", "l/checkpoint"]);
}

#[tokio::test]
async fn changed_modes_and_times_are_reported_as_they_are() {
    let (store, dir) = empty();
    store.create(&key("a"), text("a"), &Lock::until(UNTIL)).await.expect("a fresh key");
    let path = dir.path().join("a");
    let file = fs::File::open(&path).expect("the file is there");
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_micros(7)).expect("the owner may");
    assert_eq!(store.head(&key("a")).await.expect("it is there").lock.retain_until, Some(7));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("the owner may");
    assert_eq!(store.head(&key("a")).await.expect("it is there").lock.mode, LockMode::None);
}

#[tokio::test]
async fn a_date_that_cannot_be_recorded_is_denied() {
    let (store, dir) = empty();
    // No file system in use keeps a file time of the year 586,524.
    let created = store.create(&key("a"), text("a"), &Lock::until(u64::MAX)).await;
    assert!(matches!(created, Err(StoreError::Denied { .. })), "{created:?}");
    store.create(&key("b"), text("b"), &Lock::until(UNTIL)).await.expect("a fresh key");
    let extended = store.extend_retention(&key("b"), u64::MAX).await;
    assert!(matches!(extended, Err(StoreError::Denied { .. })), "{extended:?}");
    assert_eq!(store.head(&key("b")).await.expect("it is there").lock.retain_until, Some(UNTIL));
    drop(store);
    assert_eq!(tree(dir.path()), [".staging/", "b"]);
}

#[tokio::test]
async fn leftovers_of_dead_writers_are_removed_and_those_of_live_ones_stay() {
    let (live, dir) = empty();
    let staging = dir.path().join(".staging");
    fs::create_dir(staging.join("dead")).expect("a directory");
    fs::write(staging.join("dead/0"), "half").expect("a file");
    fs::write(staging.join("stray"), "x").expect("a file");
    let live_dirs = tree(&staging);
    assert!(live.list("", None, 10).await.expect("a listing").is_empty());
    let second = reopen(&dir);
    assert_eq!(tree(&staging).len(), 2, "one directory for each live writer");
    assert!(tree(&staging).iter().all(|path| !path.starts_with("dead") && path != "stray"));
    live.create(&key("a"), text("a"), &Lock::NONE).await.expect("the live writer was left alone");
    second.create(&key("b"), text("b"), &Lock::NONE).await.expect("so is the second");
    drop((live, second));
    assert_ne!(tree(&staging), live_dirs);
    assert!(tree(&staging).is_empty(), "a clean end leaves nothing");
}

#[tokio::test]
async fn objects_survive_reopening() {
    let (store, dir) = empty();
    store
        .create(&key("l/a"), text("a"), &Lock { retain_until: Some(UNTIL), hold: true })
        .await
        .expect("fresh");
    let before = store.list("", None, 10).await.expect("a listing");
    drop(store);
    let store = reopen(&dir);
    assert_eq!(store.list("", None, 10).await.expect("a listing"), before);
    assert_eq!(store.read_sync(&key("l/a")).expect("it is there"), "a");
    assert_eq!(store.read_range_sync(&key("l/a"), 0..1).expect("it is there"), "a");
    assert!(store.create(&key("l/a"), text("a"), &Lock::NONE).await.is_err());
}

#[tokio::test]
async fn a_store_opened_for_reading_refuses_every_write_and_leaves_no_trace() {
    let dir = TempDir::new().expect("a temporary directory");
    fs::write(dir.path().join("a"), "a").expect("a file");
    let store = DirectoryStore::open_read_only(dir.path(), Arc::new(ManualClock::new(NOW))).expect("a store");
    assert_eq!(store.get(&key("a")).await.expect("it is there"), "a");
    let denied = [
        store.create(&key("b"), text("b"), &Lock::NONE).await,
        store.put_derived(&key("a"), text("b")).await,
        store.delete_derived(&key("a")).await,
        store.delete(&key("a")).await,
        store.set_hold(&key("a"), true).await,
        store.extend_retention(&key("a"), UNTIL).await,
    ];
    for result in denied {
        assert!(matches!(result, Err(StoreError::Denied { .. })), "{result:?}");
    }
    assert!(!store.probe().await.is_passed());
    assert_eq!(tree(dir.path()), ["a"]);
}

#[tokio::test]
async fn only_an_existing_directory_is_opened_and_init_makes_one() {
    let dir = TempDir::new().expect("a temporary directory");
    let clock = Arc::new(ManualClock::new(NOW));
    fs::write(dir.path().join("file"), "").expect("a file");
    for name in ["missing", "file"] {
        let path = dir.path().join(name);
        assert!(DirectoryStore::open(&path, clock.clone()).is_err_and(|error| error.is_not_found()));
        assert!(
            DirectoryStore::open_read_only(&path, clock.clone()).is_err_and(|error| error.is_not_found())
        );
    }
    for _ in 0..2 {
        DirectoryStore::init(&dir.path().join("new"), clock.clone()).expect("a directory can be made");
    }
    assert_eq!(tree(dir.path()), ["file", "new/", "new/.staging/"]);
}

#[tokio::test]
async fn a_key_through_an_object_or_a_directory_is_denied() {
    let (store, _dir) = empty();
    store.create(&key("a/b"), text("x"), &Lock::NONE).await.expect("a fresh key");
    for name in ["a", "a/b/c"] {
        let created = store.create(&key(name), text("y"), &Lock::NONE).await;
        assert!(matches!(created, Err(StoreError::Denied { .. })), "{name}: {created:?}");
        let put = store.put_derived(&key(name), text("y")).await;
        assert!(matches!(put, Err(StoreError::Denied { .. })), "{name}: {put:?}");
    }
}

#[tokio::test]
async fn removed_directories_are_made_again() {
    let (store, dir) = empty();
    for _ in 0..2 {
        store.create(&key("a/b/c"), text("x"), &Lock::NONE).await.expect("a fresh key");
        store.put_derived(&key("d/e"), text("x")).await.expect("derived objects are replaceable");
        fs::remove_dir_all(dir.path().join("a")).expect("the owner may");
        fs::remove_dir_all(dir.path().join("d")).expect("the owner may");
    }
}

#[tokio::test]
async fn foreign_names_are_passed_over_and_links_have_no_lock() {
    let (store, dir) = empty();
    store.create(&key("a/b"), text("x"), &Lock::until(UNTIL)).await.expect("a fresh key");
    fs::write(dir.path().join("a/no key"), "").expect("a file");
    std::os::unix::fs::symlink("b", dir.path().join("a/link")).expect("a link");
    let listed = store.list("a/", None, 10).await.expect("a listing");
    let found: Vec<_> = listed.iter().map(|meta| (meta.key.as_str(), meta.lock.mode)).collect();
    assert_eq!(found, [("a/b", LockMode::Recorded), ("a/link", LockMode::None)]);
}

/// Goal: what is perhaps not durable is not read back. Method: a directory whose flush fails because a
/// file stands in its way, and later succeeds.
#[test]
fn nothing_is_read_before_a_failed_flush_has_succeeded() {
    let dir = TempDir::new().expect("a temporary directory");
    let flushes = flush::Flushes::default();
    let written = std::cell::RefCell::new(Vec::new());
    let write_anew = |path: &Path| {
        written.borrow_mut().push(path.to_owned());
        Ok(())
    };
    assert!(!flushes.has_failed());
    fs::write(dir.path().join("a"), "").expect("a file");
    let [one, two] = ["one", "two"].map(|name| dir.path().join("a/b").join(name));
    assert!(flushes.flush(&dir.path().join("a/b"), &one).is_err());
    assert!(flushes.flush(&dir.path().join("a/b"), &two).is_err());
    assert!(flushes.flush(&dir.path().join("gone"), &dir.path().join("gone/x")).is_err());
    for _ in 0..2 {
        assert!(flushes.repeat_failed(write_anew).is_err());
        assert_eq!(written.take(), [one.clone(), two.clone()], "both names are written before the flush");
    }
    fs::remove_file(dir.path().join("a")).expect("the owner may");
    fs::create_dir_all(dir.path().join("a/b")).expect("a directory");
    let refused = flushes.repeat_failed(|_| Err(std::io::ErrorKind::StorageFull.into()));
    assert!(refused.is_err() && flushes.has_failed());
    flushes.repeat_failed(write_anew).expect("it can be flushed now");
    assert!(!flushes.has_failed(), "and is forgotten");
}

/// Goal: to repeat a flush writes the file again instead of asking the kernel about the old pages.
#[tokio::test]
async fn writing_anew_gives_a_fresh_file_with_the_same_bytes_and_lock() {
    let (store, dir) = empty();
    let key = key("a/b");
    store.create(&key, text("x"), &Lock::until(UNTIL)).await.expect("a fresh key");
    let (path, before) = (dir.path().join("a/b"), store.head(&key).await.expect("it is there"));
    let metadata = || fs::metadata(&path).expect("it is there");
    let (inode, mode) = (metadata().ino(), metadata().mode());
    let staging = staging::Staging::open(dir.path()).expect("a second writer");
    staging.write_anew(&path).expect("it can be written");
    assert_ne!(metadata().ino(), inode);
    assert_eq!(metadata().mode(), mode);
    assert_eq!(store.head(&key).await.expect("it is there"), before);
    assert_eq!(store.get(&key).await.expect("it is there"), "x");
}

/// Goal: pages of a directory that is larger than what a walk holds. Method: names are written directly.
#[tokio::test]
async fn large_directories_are_listed_in_pages() {
    let (store, dir) = empty();
    fs::create_dir(dir.path().join("log")).expect("a directory");
    for number in (0..3_000).rev() {
        fs::write(dir.path().join(format!("log/{number:012}.seg")), "").expect("a file");
    }
    let (mut count, mut after) = (0, None);
    loop {
        let page = store.list("log/", after.as_ref(), 700).await.expect("a listing");
        for meta in &page {
            assert_eq!(meta.key.as_str(), format!("log/{count:012}.seg"));
            count += 1;
        }
        match page.last() {
            Some(last) => after = Some(last.key.clone()),
            None => break,
        }
    }
    assert_eq!(count, 3_000);
}

/// Goal: a full and a read-only file system are told apart, and nothing is left behind. Method: the test
/// runs itself again in a mount namespace with a tiny file system. Where the system permits no such
/// namespace, the mapping of error numbers is all that is tested.
#[test]
fn full_and_read_only_file_systems_are_reported() {
    const SCRIPT: &str = "mount -t tmpfs -o size=256k none \"$1\" && PIPEROLL_TEST_FULL_DIR=\"$1\" \"$2\" \
                          --exact directory::tests::inside_tiny_file_system && exit 0; exit 1";
    let is_permitted = |dir: &Path| {
        let mount = ["-rm", "mount", "-t", "tmpfs", "none"];
        Command::new("unshare").args(mount).arg(dir).output().is_ok_and(|output| output.status.success())
    };
    let dir = TempDir::new().expect("a temporary directory");
    if is_permitted(dir.path()) {
        let this_test = std::env::current_exe().expect("a running test has a path");
        let output = Command::new("unshare")
            .args(["-rm", "sh", "-c", SCRIPT, "sh"])
            .args([dir.path(), &this_test])
            .output()
            .expect("unshare was there a moment ago");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
    }
}

/// The inner half of the test above; outside of a tiny file system there is nothing to do.
#[tokio::test]
async fn inside_tiny_file_system() {
    let Some(dir) = std::env::var_os("PIPEROLL_TEST_FULL_DIR") else { return };
    let store = DirectoryStore::open(Path::new(&dir), Arc::new(ManualClock::new(NOW))).expect("a store");
    let big = Bytes::from(vec![7; 300 << 10]);
    for _ in 0..3 {
        let created = store.create(&key("l/big"), big.clone(), &Lock::until(UNTIL)).await;
        assert!(matches!(created, Err(StoreError::Full { .. })), "{created:?}");
        let put = store.put_derived(&key("l/big"), big.clone()).await;
        assert!(matches!(put, Err(StoreError::Full { .. })), "{put:?}");
    }
    store.create(&key("l/small"), big.slice(..100 << 10), &Lock::until(UNTIL)).await.expect("space is left");
    assert_eq!(store.list("", None, 10).await.expect("a listing").len(), 1);

    let remounted =
        Command::new("mount").args(["-o", "remount,ro,bind"]).arg(&dir).status().expect("mount is there");
    assert!(remounted.success());
    let created = store.create(&key("l/new"), text("x"), &Lock::NONE).await;
    assert!(matches!(created, Err(StoreError::Denied { .. })), "{created:?}");
    let extended = store.extend_retention(&key("l/small"), UNTIL + 1).await;
    assert!(matches!(extended, Err(StoreError::Denied { .. })), "{extended:?}");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
    let opened = DirectoryStore::open(Path::new(&dir), Arc::clone(&clock));
    assert!(matches!(opened, Err(StoreError::Denied { .. })), "{opened:?}");
    let auditor = DirectoryStore::open_read_only(Path::new(&dir), clock).expect("reading is enough");
    assert_eq!(auditor.get(&key("l/small")).await.expect("it is there").len(), 100 << 10);
}
