//! Goal: a directory store on a disk that is full, read-only, or that refuses a write in its middle gives a clear answer,
//! loses nothing acknowledged, and goes on when the disk does.
//! Method: the test binary runs itself in a mount namespace of its own, on a small file system in memory. Where that is
//! not allowed, it says so; the limit on the size of files works everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use piperoll_engine::{Engine, EngineError, Receipt};
use piperoll_store::{DirectoryStore, SystemClock};
use piperoll_tests::{TestArchive, check_receipt, message, submit_one};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Says where the small file system is mounted, or where the limited process works.
const PLACE: &str = "PIPEROLL_TEST_DISK";

/// Runs one of the tests below in a process of its own, after `prepare`, in a shell.
fn run_inside(test: &str, place: &Path, namespace: bool, prepare: &str) -> (bool, String) {
    let script = format!("{prepare} exec \"$0\" {test} --exact --nocapture");
    let mut command = if namespace { Command::new("unshare") } else { Command::new("sh") };
    if namespace {
        command.args(["--user", "--map-root-user", "--mount", "sh"]);
    }
    let output =
        command.args(["-c", &script]).arg(std::env::current_exe().unwrap()).env(PLACE, place).output();
    match output {
        Ok(output) => (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => (false, error.to_string()),
    }
}

/// Runs a test on a file system of 4 MiB, if this machine lets us mount one.
fn on_small_disk(test: &str) {
    let (can_mount, why) =
        run_inside("no_such_test", &std::env::temp_dir(), true, "mount -t tmpfs tmpfs /mnt &&");
    if !can_mount {
        eprintln!("not tested: no file system can be mounted here: {why}");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size=4m tmpfs '{}' &&", place.path().display());
    let (success, output) = run_inside(test, place.path(), true, &mount);
    assert!(success, "{output}");
}

fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

type Acknowledged = Vec<(Receipt, String)>;

/// Makes an archive whose objects are in `place`, and whose local state is elsewhere.
async fn archive_in(place: &Path) -> TestArchive {
    let store = DirectoryStore::init(&place.join("store"), Arc::new(SystemClock)).unwrap();
    TestArchive::on(Arc::new(store)).await
}

/// Text of so many KiB that does not get smaller.
fn text(id: &str, kib: usize) -> String {
    let mut bytes = vec![0; kib * 512];
    blake3::Hasher::new().update(id.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn send(
    engine: &Engine,
    id: &str,
    kib: usize,
    acknowledged: &mut Acknowledged,
) -> Result<(), EngineError> {
    let text = text(id, kib);
    acknowledged.push((submit_one(engine, message(id, &text)).await?, text));
    Ok(())
}

async fn check(archive: &TestArchive, engine: &Engine, acknowledged: &Acknowledged) {
    let events = archive.check_everything(Some(engine)).await;
    acknowledged.iter().for_each(|(receipt, text)| check_receipt(&events, receipt, text));
}

/// Checks that the answer is a plain "not now" and that the engine says so.
#[track_caller]
fn check_refused(engine: &Engine, answer: &Result<(), EngineError>) {
    assert!(matches!(answer, Err(EngineError::Unavailable { .. })), "{answer:?}");
    assert!(engine.trouble().borrow().is_some());
}

#[test]
fn full_disk() {
    on_small_disk("disk::inside_full_disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_full_disk() {
    let Some(place) = place() else { return };
    let ballast = place.join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let archive = archive_in(&place).await;
    let engine = archive.open().await;
    let mut acknowledged = Vec::new();
    let mut n = 0;
    let refused = loop {
        n += 1;
        let answer = send(&engine, &n.to_string(), 256, &mut acknowledged).await;
        if answer.is_err() {
            break answer;
        }
    };
    assert!(n > 5, "it was not full from the beginning");
    check_refused(&engine, &refused);
    let said = format!("{refused:?}");
    assert!(said.contains("Full"), "{said}");
    check(&archive, &engine, &acknowledged).await;
    std::fs::remove_file(&ballast).unwrap();
    send(&engine, &n.to_string(), 256, &mut acknowledged).await.unwrap();
    check(&archive, &engine, &acknowledged).await;
    assert_eq!(archive.unreferenced().await, Vec::<String>::new(), "the same batch uses what was written");
}

#[test]
fn read_only_disk() {
    on_small_disk("disk::inside_read_only_disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_read_only_disk() {
    let Some(place) = place() else { return };
    let remount = |how: &str| {
        let status = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&place).status();
        assert!(status.unwrap().success());
    };
    let archive = archive_in(&place).await;
    let engine = archive.open().await;
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        send(&engine, &format!("before {round}"), 4, &mut acknowledged).await.unwrap();
        remount("ro");
        for n in 0..2 {
            let refused = send(&engine, &format!("{round} {n}"), 4, &mut acknowledged).await;
            check_refused(&engine, &refused);
        }
        check(&archive, &engine, &acknowledged).await;
        remount("rw");
        send(&engine, &format!("{round} 1"), 4, &mut acknowledged).await.unwrap();
        assert_eq!(*engine.trouble().borrow(), None);
        check(&archive, &engine, &acknowledged).await;
    }
}

#[test]
fn write_that_fails_in_its_middle() {
    let place = tempfile::tempdir().unwrap();
    // The signal that comes with the limit would end the process.
    let (success, output) = run_inside("disk::inside_limited_files", place.path(), false, "trap '' XFSZ;");
    assert!(success, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_limited_files() {
    let Some(place) = place() else { return };
    let archive = archive_in(&place).await;
    let engine = archive.open().await;
    let mut acknowledged = Vec::new();
    send(&engine, "before", 4, &mut acknowledged).await.unwrap();
    check(&archive, &engine, &acknowledged).await;
    let unlimited = getrlimit(Resource::Fsize);
    // The local state is not written while the pack fails, and is larger than this.
    setrlimit(Resource::Fsize, Rlimit { current: Some(128 << 10), ..unlimited }).unwrap();
    let refused = send(&engine, "large", 512, &mut acknowledged).await;
    setrlimit(Resource::Fsize, unlimited).unwrap();
    check_refused(&engine, &refused);
    check(&archive, &engine, &acknowledged).await;
    assert_eq!(archive.unreferenced().await, Vec::<String>::new(), "nothing torn has a name");
    send(&engine, "large", 512, &mut acknowledged).await.unwrap();
    check(&archive, &engine, &acknowledged).await;
}
