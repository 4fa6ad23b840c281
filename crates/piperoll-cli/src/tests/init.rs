//! Tests of the creation of archives.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use piperoll_policy::shipped;
use piperoll_tlog::note::key::VerifierKey;

use crate::command::init::{create, demo_policies};
use crate::config::Store;
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, exit_of};
use crate::secret::LedgerSecrets;
use crate::store::the_ledger;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn new_archive_has_its_layout_and_secrets_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let directory = ArchiveDirectory::new(&dir.path().join("archive"));
    let created = create(&directory, None, &demo_policies().unwrap(), &Store::default()).await.unwrap();
    assert_eq!(created.origin, format!("piperoll.local/{}", &created.ledger[..8]));
    let vkey = VerifierKey::parse(&created.vkey).unwrap();
    assert_eq!(vkey.name().as_str(), created.origin);
    let secrets = LedgerSecrets::read(&directory).unwrap();
    assert_eq!(*vkey.public_key(), secrets.signing.verifying_key());
    assert_ne!(secrets.signing.to_bytes(), secrets.next.to_bytes());
    for path in [directory.signing_key(), directory.next_key(), directory.kek(), directory.tokens()] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert_eq!(mode(&directory.secrets()), 0o700);
    assert!(!fs::read_to_string(directory.tokens()).unwrap().contains(&created.token));
    assert!(directory.store().join(&created.ledger).join("genesis").is_file());
    assert_eq!(directory.policy_set().unwrap().policies().len(), demo_policies().unwrap().len());
    let store = directory.open_store_read_only().unwrap();
    assert_eq!(the_ledger(&*store).await.unwrap().to_string(), created.ledger);
}

#[tokio::test]
async fn creation_refuses_what_exists_and_leaves_it_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "mine").unwrap();
    let directory = ArchiveDirectory::new(dir.path());
    let refused = create(&directory, None, &demo_policies().unwrap(), &Store::default()).await.unwrap_err();
    assert_eq!(exit_of(&refused), Exit::Conflict);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn wrong_origin_or_policies_create_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("archive");
    let directory = ArchiveDirectory::new(&root);
    let refused =
        create(&directory, Some("a b"), &demo_policies().unwrap(), &Store::default()).await.unwrap_err();
    assert_eq!(exit_of(&refused), Exit::Usage);
    let (name, text) = shipped().iter().find(|(name, _)| *name == "demo.toml").unwrap();
    let uncovered = [((*name).to_owned(), (*text).to_owned())];
    assert_eq!(
        exit_of(&create(&directory, None, &uncovered, &Store::default()).await.unwrap_err()),
        Exit::Usage
    );
    let malformed = [("x.toml".to_owned(), "id = 1".to_owned())];
    assert_eq!(
        exit_of(&create(&directory, None, &malformed, &Store::default()).await.unwrap_err()),
        Exit::Usage
    );
    assert!(!root.exists());
}
