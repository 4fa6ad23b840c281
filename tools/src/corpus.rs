//! `cargo xt corpus`: writes the generated traffic and fixtures that are committed, or checks that they are
//! what the generator makes.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::repository;
use crate::traffic::{Fixture, Profile, Target, Traffic, Webhook, fixtures};

/// Where the demo traffic is, from the root of the repository.
pub const DEMO_TRAFFIC: &str = "crates/piperoll-cli/demo/traffic.jsonl.zst";
/// Where the webhook fixtures are, from the root of the repository.
pub const FIXTURES: &str = "tests/fixtures/webhooks/whatsapp";

const SEED: u64 = 1;
const COMPRESSION_LEVEL: i32 = 19;
/// The compressed traffic is part of the program and of every clone.
const DEMO_BYTES_MAX: usize = 1024 * 1024;

/// Arguments of `cargo xt corpus`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; fail if a committed file differs from what the generator makes
    #[arg(long)]
    check: bool,
}

/// Runs the task.
///
/// # Errors
///
/// Fails when a file cannot be read or written.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let root = repository::root();
    if !arguments.check {
        repository::say(&write(&root)?);
        return Ok(ExitCode::SUCCESS);
    }
    let differences = check(&root);
    for difference in &differences {
        repository::say(difference);
    }
    if differences.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    repository::say("run `cargo xt corpus` and commit the result");
    Ok(ExitCode::FAILURE)
}

/// Writes the demo traffic and the fixtures under `root` and reports what was written.
///
/// # Errors
///
/// Fails when a file cannot be written, or when the traffic is larger than 1 MiB compressed.
pub fn write(root: &Path) -> Result<String> {
    let lines = demo_lines();
    let compressed = zstd::encode_all(lines.as_slice(), COMPRESSION_LEVEL).context("cannot compress")?;
    if compressed.len() > DEMO_BYTES_MAX {
        bail!("expected at most {DEMO_BYTES_MAX} bytes of compressed traffic, found {}", compressed.len());
    }
    let path = root.join(DEMO_TRAFFIC);
    fs::create_dir_all(path.parent().expect("the path has a folder"))?;
    fs::write(&path, &compressed).with_context(|| format!("cannot write `{}`", path.display()))?;
    let folder = root.join(FIXTURES);
    fs::create_dir_all(&folder)?;
    let fixtures = fixtures();
    for Fixture { name, body } in &fixtures {
        fs::write(folder.join(name), body).with_context(|| format!("cannot write fixture `{name}`"))?;
    }
    Ok(format!(
        "{} bodies, {} bytes ({} compressed); {} fixtures",
        lines.split(|byte| *byte == b'\n').count() - 1,
        lines.len(),
        compressed.len(),
        fixtures.len()
    ))
}

/// Compares what is committed under `root` with what the generator makes; gives one line per difference.
/// A file that cannot be read is a difference; fixtures that somebody wrote by hand may stand beside.
#[must_use]
pub fn check(root: &Path) -> Vec<String> {
    let mut differences = Vec::new();
    // The lines count, not the compressed bytes: another release of zstd may pack them differently.
    let committed = fs::read(root.join(DEMO_TRAFFIC)).and_then(|bytes| zstd::decode_all(bytes.as_slice()));
    if committed.ok().as_deref() != Some(&demo_lines()) {
        differences.push(format!("`{DEMO_TRAFFIC}` is not what the generator makes"));
    }
    let folder = root.join(FIXTURES);
    for Fixture { name, body } in fixtures() {
        if fs::read(folder.join(&name)).ok() != Some(body) {
            differences.push(format!("`{FIXTURES}/{name}` is not what the generator makes"));
        }
    }
    differences
}

/// Writes the demo traffic as lines of JSON: `label`, `at` (Unix seconds), `target` and `body` (the exact
/// body as a string).
fn demo_lines() -> Vec<u8> {
    let mut lines = Vec::new();
    for Webhook { body, label, at, target } in Traffic::new(SEED, &Profile::demo()) {
        let target = match target {
            Target::Webhook => "webhook",
            Target::Event => "event",
        };
        let body = String::from_utf8(body).expect("the bodies are ASCII");
        let body = serde_json::Value::from(body);
        let line = format!(r#"{{"label":"{label}","at":{at},"target":"{target}","body":{body}}}"#);
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{DEMO_TRAFFIC, FIXTURES, check, write};

    #[test]
    fn changed_and_missing_files_are_differences() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        write(folder.path())?;
        assert_eq!(check(folder.path()), Vec::<String>::new());
        std::fs::write(folder.path().join(FIXTURES).join("messages-text.json"), "{}")?;
        std::fs::remove_file(folder.path().join(DEMO_TRAFFIC))?;
        assert_eq!(check(folder.path()).len(), 2);
        Ok(())
    }
}
