//! Goal: when the disk fails under a running server, it answers "not now" and says what failed; nothing acknowledged is
//! lost or stored twice, and after the disk is well again it goes on by itself.
//! Method: `strace` lets system calls of the real process on chosen files end with EIO. Where it is not installed or may
//! not attach to a process, the tests say so.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use piperoll_tests::{Running, command, piperoll, webhook};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// How long a server may take until it takes webhooks again.
const WELL_WITHIN: Duration = Duration::from_secs(60);

/// Files that the server writes before they have a name, from now on.
const STAGED: usize = 400;

/// A failing disk, as one process sees it; it is well again when this ends.
struct Failing {
    strace: Child,
    log: PathBuf,
    /// Kept open, because strace goes on telling of threads.
    _said: BufReader<ChildStderr>,
}

impl Failing {
    /// Lets system calls of a process on these files fail from now on; nothing where that is not possible.
    fn begin(process: Pid, calls: &str, files: &[PathBuf], log: PathBuf) -> Option<Self> {
        let mut strace = strace(calls, files);
        let strace = strace.arg("-o").arg(&log).args(["-p", &process.to_string()]).stderr(Stdio::piped());
        let mut strace = match strace.spawn() {
            Ok(strace) => strace,
            Err(error) => {
                eprintln!("not tested: strace: {error}");
                return None;
            }
        };
        let mut said = BufReader::new(strace.stderr.take().unwrap());
        let mut all = String::new();
        while !all.contains(" attached") {
            if said.read_line(&mut all).unwrap() == 0 {
                eprintln!("not tested: {all}");
                let _ended = strace.wait().unwrap();
                return None;
            }
        }
        Some(Self { strace, log, _said: said })
    }

    /// Makes the disk well again and returns how many calls failed.
    fn end(mut self) -> usize {
        kill_process(Pid::from_child(&self.strace), Signal::INT).unwrap();
        let _ended = self.strace.wait().unwrap();
        fs::read_to_string(&self.log).unwrap().matches("EIO (Input/output error) (INJECTED)").count()
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        drop(self.strace.kill());
        drop(self.strace.wait());
    }
}

/// Returns a command that lets `calls` on these files fail.
fn strace(calls: &str, files: &[PathBuf]) -> Command {
    let mut strace = Command::new("strace");
    let _strace =
        strace.args(["-f", "-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error=EIO")]);
    for file in files {
        let _strace = strace.arg("-P").arg(file);
    }
    strace
}

/// An archive whose server runs.
struct Archive {
    home: tempfile::TempDir,
    server: Running,
}

impl Archive {
    fn create() -> Self {
        let home = tempfile::tempdir().unwrap();
        let _created = run(home.path(), &["init"]);
        let server = Running::start(home.path(), "archive");
        let archive = Self { home, server };
        assert_eq!(archive.send("before"), 200);
        archive
    }

    fn send(&self, id: &str) -> u16 {
        let body = webhook(&[(id, "15550100", "some words of a customer")]);
        self.server.connect().unwrap().signed_post(&body).unwrap()
    }

    /// Sends until it is acknowledged.
    fn send_until_taken(&self, id: &str) {
        let started = Instant::now();
        while self.send(id) != 200 {
            assert!(started.elapsed() < WELL_WITHIN, "`{id}` is not taken: {}", self.log());
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("serve.log")).unwrap()
    }

    fn store(&self) -> PathBuf {
        self.home.path().join("archive/store").canonicalize().unwrap()
    }

    /// Returns every file and directory of the store.
    fn objects(&self) -> Vec<PathBuf> {
        let (mut found, mut next) = (Vec::new(), vec![self.store()]);
        while let Some(path) = next.pop() {
            if path.is_dir() {
                next.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            found.push(path);
        }
        found
    }

    /// Returns where objects with this ending are.
    fn dirs_of(&self, extension: &str) -> Vec<PathBuf> {
        let objects =
            self.objects().into_iter().filter(|path| path.extension().is_some_and(|it| it == extension));
        let mut dirs: Vec<PathBuf> = objects.map(|path| path.parent().unwrap().to_owned()).collect();
        dirs.sort();
        dirs.dedup();
        dirs
    }

    /// Returns the names of files that the server will write next.
    fn staged(&self) -> Vec<PathBuf> {
        let writers = fs::read_dir(self.store().join(".staging")).unwrap().map(|entry| entry.unwrap().path());
        writers.flat_map(|writer| (0..STAGED).map(move |number| writer.join(number.to_string()))).collect()
    }

    /// Returns the names of the next segments, as the server writes them: from its working directory on.
    fn next_segments(&self) -> Vec<PathBuf> {
        let log = self.dirs_of("seg").remove(0);
        let count = fs::read_dir(&log).unwrap().count();
        let log = Path::new("archive/store").join(log.strip_prefix(self.store()).unwrap());
        (count..count + 20).map(|number| log.join(format!("{number:012}.seg"))).collect()
    }

    fn fail(&self, calls: &str, files: &[PathBuf]) -> Option<Failing> {
        Failing::begin(self.server.id(), calls, files, self.home.path().join("strace.log"))
    }

    /// Stops the server and checks that everything is there once, and clean.
    fn check(self, ids: &[&str]) {
        assert!(self.server.stop().success());
        let verified = run(self.home.path(), &["verify"]);
        assert_eq!(verified["report"]["findings"], json!([]), "{verified}");
        let found = run(self.home.path(), &["search", "kind:whatsapp.message"]);
        assert_eq!(found["total"], ids.len(), "{ids:?} once each: {found}");
    }
}

/// Runs a command on the archive, which must succeed, and returns what it prints.
fn run(home: &Path, arguments: &[&str]) -> Value {
    let output =
        command(piperoll(), home).args(["--json", "--dir", "archive"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A webhook on a failing disk is refused, the log says why, and it is taken when the disk is well again.
fn refused_and_taken_later(calls: &str, files: impl Fn(&Archive) -> Vec<PathBuf>, named: &str) {
    let archive = Archive::create();
    let Some(failing) = archive.fail(calls, &files(&archive)) else { return };
    assert_eq!(archive.send("during"), 503);
    assert!(failing.end() > 0, "a call has failed");
    let log = archive.log();
    let told = log.lines().any(|line| line.contains(named) && line.contains("Input/output error"));
    assert!(told, "{log}");
    archive.send_until_taken("during");
    archive.send_until_taken("after");
    archive.check(&["before", "during", "after"]);
}

#[test]
fn flush_of_a_new_object_fails() {
    refused_and_taken_later("fsync", Archive::staged, "payloads/");
}

#[test]
fn write_of_a_new_object_fails() {
    refused_and_taken_later("write", Archive::staged, "payloads/");
}

#[test]
fn naming_a_segment_fails() {
    refused_and_taken_later("linkat", Archive::next_segments, "log/");
}

#[test]
fn flush_of_the_directory_of_segments_fails() {
    refused_and_taken_later("fsync", |archive| archive.dirs_of("seg"), "log/");
}

#[test]
fn flush_of_the_directory_of_packs_fails() {
    refused_and_taken_later("fsync", |archive| archive.dirs_of("pack"), "payloads/");
}

#[test]
fn disk_that_is_well_again_while_a_commit_is_tried_loses_nothing() {
    let archive = Archive::create();
    let dirs = archive.dirs_of("seg");
    let Some(failing) = archive.fail("fsync", &dirs) else { return };
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| archive.send("during"));
        let started = Instant::now();
        let log = archive.home.path().join("strace.log");
        while !fs::read_to_string(&log).is_ok_and(|log| log.contains("(INJECTED)")) {
            assert!(started.elapsed() < WELL_WITHIN, "a flush fails");
            std::thread::yield_now();
        }
        assert!(failing.end() > 0);
        assert_eq!(sending.join().unwrap(), 200, "{}", archive.log());
    });
    archive.check(&["before", "during"]);
}

#[test]
fn segment_that_cannot_be_read_is_named_and_nothing_is_changed() {
    let archive = Archive::create();
    let newest =
        archive.objects().into_iter().filter(|path| path.extension().is_some_and(|it| it == "seg")).max();
    let newest = newest.unwrap();
    // Whether strace may attach, here for a file that nobody reads, says whether it may trace.
    let Some(failing) = archive.fail("read,pread64", &["/nowhere".into()]) else { return };
    drop(failing);
    let Archive { home, server } = archive;
    assert!(server.stop().success());
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["verify"]] {
        let mut failing = strace("read,pread64", std::slice::from_ref(&newest));
        let output = failing
            .args(["-o", "/dev/null"])
            .arg(piperoll())
            .args(["--dir", "archive"])
            .args(arguments)
            .current_dir(home.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!output.status.success(), "{arguments:?}: {said}");
        let name = newest.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(name) && said.contains("Input/output error"), "{arguments:?}: {said}");
    }
    let server = Running::start(home.path(), "archive");
    let archive = Archive { home, server };
    archive.send_until_taken("after");
    archive.check(&["before", "after"]);
}
