//! Tests of the backup of keys.

use std::fs;

use crate::backup::{Cost, open, restore, seal};
use crate::directory::{ArchiveDirectory, create_secret_directory};
use crate::error::{Exit, exit_of};
use crate::secret::LedgerSecrets;

const PASSPHRASE: &str = "correct horse battery staple";

fn archive(root: &std::path::Path) -> ArchiveDirectory {
    let directory = ArchiveDirectory::new(root);
    create_secret_directory(&directory.secrets()).unwrap();
    LedgerSecrets::generate().unwrap().create(&directory).unwrap();
    directory
}

#[test]
fn lost_keys_come_back_and_present_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let directory = archive(dir.path());
    let before = LedgerSecrets::read(&directory).unwrap();
    let sealed = seal(&directory, PASSPHRASE, Cost::TINY).unwrap();
    let files = open(&sealed, PASSPHRASE).unwrap();
    assert_eq!(restore(&directory, &files).unwrap(), 0, "nothing was missing");
    fs::remove_file(directory.kek()).unwrap();
    fs::remove_file(directory.next_key()).unwrap();
    assert_eq!(exit_of(&LedgerSecrets::read(&directory).unwrap_err()), Exit::KeyUnknown);
    assert_eq!(restore(&directory, &files).unwrap(), 2);
    let after = LedgerSecrets::read(&directory).unwrap();
    assert_eq!(after.kek.expose(), before.kek.expose());
    assert_eq!(after.signing.to_bytes(), before.signing.to_bytes());
    assert_eq!(after.next.to_bytes(), before.next.to_bytes());
}

#[test]
fn backup_shows_no_key_and_opens_with_its_passphrase_only() {
    let dir = tempfile::tempdir().unwrap();
    let directory = archive(dir.path());
    let sealed = seal(&directory, PASSPHRASE, Cost::TINY).unwrap();
    let kek = fs::read_to_string(directory.kek()).unwrap();
    assert!(!sealed.contains(kek.lines().nth(1).unwrap()));
    let wrong = open(&sealed, "correct horse battery stable").unwrap_err();
    assert_eq!(exit_of(&wrong), Exit::KeyUnknown);
    assert_eq!(exit_of(&seal(&directory, "short", Cost::TINY).unwrap_err()), Exit::Usage);
}

#[test]
fn changed_backup_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = seal(&archive(dir.path()), PASSPHRASE, Cost::TINY).unwrap();
    let lines: Vec<&str> = sealed.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let last = if line.ends_with('A') { "B" } else { "A" };
        changed[index] = format!("{last}{}", &line[1..]);
        assert!(open(&changed.join("\n"), PASSPHRASE).is_err(), "line {index}");
        assert!(open(&lines[..index].join("\n"), PASSPHRASE).is_err(), "cut before line {index}");
    }
    assert!(open(&sealed.replace("argon2id 64 ", "argon2id 4294967295 "), PASSPHRASE).is_err());
}

#[test]
fn backup_never_replaces_the_key_of_another_archive() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = open(&seal(&archive(one.path()), PASSPHRASE, Cost::TINY).unwrap(), PASSPHRASE).unwrap();
    let directory = archive(other.path());
    let before = fs::read(directory.kek()).unwrap();
    assert_eq!(exit_of(&restore(&directory, &files).unwrap_err()), Exit::Conflict);
    assert_eq!(fs::read(directory.kek()).unwrap(), before);
}
