//! Goal: whatever somebody does to the files of an archive, both programs name it, and say so in their exit code.
//! Method: an archive made by the program is copied, damaged in one place, and verified by both.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use piperoll_tests::{Running, command, piperoll, piperoll_audit, webhook};
use serde_json::Value;
use tempfile::TempDir;

/// An archive with three messages in segments of their own, verified once.
struct Original {
    home: TempDir,
    vkey: String,
    ledger: String,
}

impl Original {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let made = command(piperoll(), home.path()).args(["--json", "init"]).output().unwrap();
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let running = Running::start(home.path(), "archive");
        let mut connection = running.connect().unwrap();
        for n in 0..3 {
            let (id, from) = (format!("wamid.{n}"), format!("1555010{n}"));
            assert_eq!(connection.signed_post(&webhook(&[(&id, &from, "some words")])).unwrap(), 200);
        }
        assert!(running.stop().success());
        let original = Self { vkey: text("vkey"), ledger: text("ledger"), home };
        assert_eq!(verify(&mut original.own("archive")), (0, vec![]));
        // The auditor keeps a checkpoint of her own.
        assert_eq!(verify(original.auditor("archive").args(["--remember", "auditor.note"])), (0, vec![]));
        original
    }

    /// Copies the archive and returns the folder of its ledger.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.home.path().join(name);
        copy_all(&self.home.path().join("archive"), &to);
        to.join("store").join(&self.ledger)
    }

    fn own(&self, dir: &str) -> Command {
        let mut own = command(piperoll(), self.home.path());
        own.args(["--json", "--dir", dir, "verify"]);
        own
    }

    fn auditor(&self, dir: &str) -> Command {
        let mut auditor = command(piperoll_audit(), self.home.path());
        auditor.args(["verify", dir, "--json", "--vkey", &self.vkey]);
        auditor
    }
}

/// Runs a verification and returns its exit code and its findings: code and object.
fn verify(command: &mut Command) -> (i32, Vec<(String, String)>) {
    let output = command.output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = answer["report"]["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    (output.status.code().unwrap(), findings.map(|one| (text(one, "code"), text(one, "object"))).collect())
}

/// Copies a folder with modes and times: they are the locks of the objects.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        let meta = fs::metadata(&from).unwrap();
        if meta.is_dir() {
            copy_all(&from, &to);
        } else {
            put(&to, &fs::read(&from).unwrap(), &meta);
        }
    }
}

fn put(path: &Path, bytes: &[u8], meta: &fs::Metadata) {
    fs::write(path, bytes).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(meta.modified().unwrap()).unwrap();
    fs::set_permissions(path, meta.permissions()).unwrap();
}

/// Replaces the bytes of a file and leaves everything else as it was.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let meta = fs::metadata(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    put(path, &bytes, &meta);
}

/// Returns the objects below a folder, oldest segment first.
fn objects(ledger: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![ledger.join(kind)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort_by_key(|path| path.file_name().unwrap().to_owned());
    found
}

fn name(ledger: &Path, object: &Path) -> String {
    object.strip_prefix(ledger).unwrap().to_str().unwrap().to_owned()
}

type Findings = Vec<(&'static str, String)>;

/// Damages one object of a ledger and returns what both programs must find.
type Damage = fn(&Path) -> Findings;

const CASES: [(&str, Damage); 12] = [
    ("flipped-pack", |ledger| {
        let pack = &objects(ledger, "payloads")[2];
        change(pack, |bytes| bytes[20] ^= 1);
        vec![("object-changed", name(ledger, pack))]
    }),
    ("cut-pack", |ledger| {
        let pack = &objects(ledger, "payloads")[2];
        change(pack, |bytes| bytes.truncate(bytes.len() - 1));
        vec![("object-changed", name(ledger, pack))]
    }),
    ("deleted-pack", |ledger| {
        let pack = &objects(ledger, "payloads")[2];
        fs::remove_file(pack).unwrap();
        vec![("object-missing", name(ledger, pack))]
    }),
    ("swapped-packs", |ledger| {
        let packs = objects(ledger, "payloads");
        let (first, second) = (fs::read(&packs[2]).unwrap(), fs::read(&packs[3]).unwrap());
        change(&packs[2], |bytes| *bytes = second);
        change(&packs[3], |bytes| *bytes = first);
        vec![("object-changed", name(ledger, &packs[2])), ("object-changed", name(ledger, &packs[3]))]
    }),
    ("deleted-keys", |ledger| {
        let keys = &objects(ledger, "keys")[0];
        fs::remove_file(keys).unwrap();
        vec![("object-missing", name(ledger, keys))]
    }),
    ("cut-segment", |ledger| {
        let segments = objects(ledger, "log");
        change(&segments[2], |bytes| bytes.truncate(bytes.len() - 1));
        vec![("segment-invalid", name(ledger, &segments[2])), ("segment-link", name(ledger, &segments[3]))]
    }),
    ("deleted-segment", |ledger| {
        let segment = &objects(ledger, "log")[2];
        fs::remove_file(segment).unwrap();
        vec![("segment-missing", name(ledger, segment))]
    }),
    ("replayed-segment", |ledger| {
        let segments = objects(ledger, "log");
        let again = ledger.join(format!("log/{:012}.seg", segments.len()));
        put(&again, &fs::read(&segments[2]).unwrap(), &fs::metadata(&segments[2]).unwrap());
        vec![("segment-misplaced", name(ledger, &again))]
    }),
    ("rolled-back", |ledger| {
        fs::remove_file(objects(ledger, "log").last().unwrap()).unwrap();
        vec![("rolled-back", "remembered checkpoint".to_owned()), ("rolled-back", "checkpoint".to_owned())]
    }),
    ("changed-checkpoint", |ledger| {
        change(&ledger.join("checkpoint"), |bytes| bytes.extend_from_slice(b"x\n"));
        vec![("derived-wrong", "checkpoint".to_owned())]
    }),
    ("foreign-object", |ledger| {
        fs::write(ledger.join("payloads/notes.txt"), b"mine").unwrap();
        vec![("foreign-object", "payloads/notes.txt".to_owned())]
    }),
    ("shorter-lock", |ledger| {
        let pack = &objects(ledger, "payloads")[2];
        let soon = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let permissions = fs::metadata(pack).unwrap().permissions();
        fs::set_permissions(pack, fs::Permissions::from_mode(0o644)).unwrap();
        fs::File::options().write(true).open(pack).unwrap().set_modified(soon).unwrap();
        fs::set_permissions(pack, permissions).unwrap();
        vec![("lock-too-short", name(ledger, pack))]
    }),
];

/// Whose key is whose is signed, so that it is safe before a later segment names the digest of its own.
#[test]
fn both_programs_find_a_changed_pseudonym() {
    let original = Original::new();
    let ledger = original.copy("changed-pseudonym");
    let gives_key = |bytes: &[u8]| {
        // Key id and pseudonym of a payload reference: keys 6 and 7, each 16 bytes.
        let both = |at: &[u8]| at.starts_with(&[0x06, 0x50]) && at[18..20] == [0x07, 0x50];
        bytes.windows(36).position(both).map(|at| at + 20)
    };
    let segments = objects(&ledger, "log");
    let newest = segments.iter().rev().find(|path| gives_key(&fs::read(path).unwrap()).is_some()).unwrap();
    change(newest, |bytes| {
        let at = gives_key(bytes).unwrap();
        bytes[at] ^= 1;
    });
    let expected = ("signature-invalid".to_owned(), name(&ledger, newest));
    for command in [original.own("changed-pseudonym"), original.auditor("changed-pseudonym")] {
        let mut command = command;
        let (exit, found) = verify(&mut command);
        assert!(exit == 3 && found.contains(&expected), "{exit} {found:?}");
    }
}

#[test]
fn both_programs_name_what_was_done_to_the_files() {
    let original = Original::new();
    for (case, damage) in CASES {
        let expected: Vec<_> = damage(&original.copy(case))
            .into_iter()
            .map(|(code, object)| (code.to_owned(), object))
            .collect();
        let (exit, mut found) = verify(&mut original.own(case));
        // Who has the key-encryption key also sees which payloads lost theirs.
        found.retain(|(code, _)| case != "deleted-keys" || code != "key-missing");
        assert_eq!((exit, &found), (3, &expected), "{case}, by piperoll");
        let (exit, found) = verify(original.auditor(case).args(["--since", "auditor.note"]));
        assert_eq!((exit, &found), (3, &expected), "{case}, by piperoll-audit");
    }
    assert_eq!(verify(&mut original.own("archive")), (0, vec![]), "the original is as it was");
}
