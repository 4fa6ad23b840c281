//! A change of the retention policies is put on the record before anything is kept under the new ones.

use std::fs;
use std::io;

use anyhow::Context as _;
use piperoll_engine::Engine;
use piperoll_format::{Kind, Submission, SubmissionGroup};
use piperoll_policy::{Policy, PolicySet, compare};
use serde::Serialize;

use crate::directory::{ArchiveDirectory, replace_secret_file};

/// What a recorded change of policies says that it is about.
pub(crate) const CHANGED_POLICIES: &str = "policies";

/// What is recorded about a change.
#[derive(Serialize)]
struct Changed<'a> {
    what: &'static str,
    changes: Vec<String>,
    /// The policies in force from here on, in their canonical form.
    policies: &'a [String],
}

/// Commits a `config.changed` event when the policies in force are not those recorded last.
///
/// Must come before any other commit of this process: the verifier compares locks with the policies in genesis up to
/// the segment that holds this event.
pub(crate) async fn record_change(directory: &ArchiveDirectory, engine: &Engine) -> anyhow::Result<()> {
    let known = match read_known(directory)? {
        Some(known) => known,
        None => engine.genesis().policies.clone(),
    };
    let known: Vec<Policy> = known
        .iter()
        .map(|text| Policy::parse("recorded policy", text))
        .collect::<Result<_, _>>()
        .context("read the policies recorded last")?;
    let in_force = canonical(engine.policies());
    let mut before: Vec<String> = known.iter().map(Policy::canonical).collect();
    before.sort_unstable();
    if before == in_force {
        return Ok(());
    }
    let changes = compare(&known, engine.policies()).iter().map(ToString::to_string).collect();
    let document = serde_json::to_vec(&Changed { what: CHANGED_POLICIES, changes, policies: &in_force })?;
    let changed = Submission::own(Kind::ConfigChanged, "application/json", document);
    let _receipts =
        engine.submit(SubmissionGroup::single(changed)).await.context("record the change of policies")?;
    // When this is lost, the change is recorded once more, which harms nobody.
    replace_secret_file(&directory.recorded_policies(), &serde_json::to_vec(&in_force)?)
}

fn canonical(set: &PolicySet) -> Vec<String> {
    let mut texts: Vec<String> = set.policies().iter().map(Policy::canonical).collect();
    texts.sort_unstable();
    texts
}

fn read_known(directory: &ArchiveDirectory) -> anyhow::Result<Option<Vec<String>>> {
    let path = directory.recorded_policies();
    match fs::read(&path) {
        Ok(bytes) => {
            Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("read `{}`", path.display()))?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read `{}`", path.display())),
    }
}
