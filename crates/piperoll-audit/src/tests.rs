//! Tests of arguments, exit codes and of finding the ledger.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use std::fs;

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::error::{Exit, exit_of};
use crate::place::{Place, find};

const LEDGER: &str = "00112233445566778899aabbccddeeff";
const OTHER: &str = "ffeeddccbbaa99887766554433221100";

#[test]
fn verify_cli() {
    Cli::command().debug_assert();
}

#[test]
fn help_documents_every_exit_code() {
    let help = Cli::command().render_long_help().to_string();
    for exit in [0, 1, 2, 3, 4, 10, 11, 12, 130] {
        assert!(help.contains(&format!("\n  {exit:>3}  ")), "{exit} in {help}");
    }
}

#[test]
fn ledger_is_found_from_archive_store_and_ledger_directory() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let store = root.join("store");
    fs::create_dir_all(store.join(LEDGER)).unwrap();
    fs::create_dir_all(store.join(".probe")).unwrap();
    let expected = Place { store: store.clone(), ledger: LEDGER.parse().unwrap() };
    for named in [root.clone(), store.clone(), store.join(LEDGER)] {
        assert_eq!(find(&named, None).unwrap(), expected, "{}", named.display());
    }
    let other = OTHER.parse().unwrap();
    for named in [root.clone(), store.join(LEDGER), root.join("nothing")] {
        assert_eq!(exit_of(&find(&named, Some(other)).unwrap_err()), Exit::NotFound);
    }
    fs::create_dir_all(store.join(OTHER)).unwrap();
    assert_eq!(exit_of(&find(&root, None).unwrap_err()), Exit::Conflict);
    assert_eq!(find(&root, Some(other)).unwrap().ledger, other);
}

#[test]
fn empty_directory_has_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(exit_of(&find(dir.path(), None).unwrap_err()), Exit::NotFound);
}
