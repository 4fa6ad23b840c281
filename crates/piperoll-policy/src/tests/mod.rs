//! Tests of the whole crate; golden files are in `golden/`.
//!
//! With `PIPEROLL_UPDATE_GOLDEN=1` the golden files and the JSON Schema are written instead of compared; look at
//! the difference before committing it.

mod bucket;
mod change;
mod decision;
mod disposal;
mod file;
mod property;
mod schema;
mod shipped_files;

use std::fs;
use std::path::{Path, PathBuf};

use piperoll_format::{Bucket, Timestamp};

use crate::{Policy, PolicySet, shipped};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[track_caller]
fn check_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("PIPEROLL_UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "golden/{name} differs; PIPEROLL_UPDATE_GOLDEN=1 writes:\n{actual}");
}

/// Builds a set of shipped policies by id.
fn shipped_set(ids: &[&str]) -> PolicySet {
    PolicySet::new(ids.iter().map(|id| shipped_policy(id)).collect()).unwrap()
}

fn shipped_policy(id: &str) -> Policy {
    let name = format!("{id}.toml");
    let (name, text) = shipped().iter().find(|(found, _)| *found == name).expect("a shipped policy");
    Policy::parse(name, text).unwrap()
}

/// Writes a policy file with the given periods; `rest` is TOML that ends with the match rules.
fn policy_text(id: &str, keep: &str, dispose_after: &str, rest: &str) -> String {
    format!(
        "id = \"{id}\"\nversion = 1\ntitle = \"T\"\nlegal_basis = \"L\"\nsummary = \"S\"\nkeep = \"{keep}\"\n\
         dispose_after = \"{dispose_after}\"\nclock = \"recorded\"\n{rest}\n"
    )
}

fn policy(id: &str, keep: &str, dispose_after: &str, rest: &str) -> Policy {
    Policy::parse(&format!("{id}.toml"), &policy_text(id, keep, dispose_after, rest)).unwrap()
}

/// Reads RFC 3339.
fn at(text: &str) -> Timestamp {
    Timestamp::from_utc(text.parse().unwrap())
}

fn bucket_named(text: &str) -> Bucket {
    text.parse().unwrap()
}
