//! `cargo xt ci`: what continuous integration runs: the lock file must be current, then the test command.

use std::process::ExitCode;

use anyhow::Result;

use crate::repository::{cargo, say};
use crate::test;

/// Runs the task.
///
/// # Errors
///
/// Fails when cargo cannot be started.
pub fn run() -> Result<ExitCode> {
    say("== lock file");
    let locked = cargo(&["metadata", "--format-version", "1", "--locked"]).output()?;
    if !locked.status.success() {
        say(String::from_utf8_lossy(&locked.stderr).trim());
        say("run `cargo update --workspace` and commit Cargo.lock");
        return Ok(ExitCode::FAILURE);
    }
    test::run()
}
