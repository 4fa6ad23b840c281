//! The programs under test: built once, with the profile of the tests, and found beside them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the path of `piperoll`.
#[must_use]
pub fn piperoll() -> &'static Path {
    &programs()[0]
}

/// Returns the path of `piperoll-audit`.
#[must_use]
pub fn piperoll_audit() -> &'static Path {
    &programs()[1]
}

fn programs() -> &'static [PathBuf; 2] {
    static PROGRAMS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    PROGRAMS.get_or_init(build)
}

/// Cargo knows no dependency of a test on a program of another package, so the tests ask it themselves.
fn build() -> [PathBuf; 2] {
    let executable = std::env::current_exe().unwrap();
    let profile_dir = executable.parent().and_then(Path::parent).unwrap();
    let target_dir = profile_dir.parent().unwrap();
    let profile = match profile_dir.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        // All targets of the workspace together, as the tests were built: then nothing is compiled twice.
        .args(["build", "--quiet", "--workspace", "--all-targets", "--profile", profile])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "the programs can be built");
    ["piperoll", "piperoll-audit"].map(|name| profile_dir.join(name))
}

/// Returns a command that runs a program in `dir`, with nothing of the tests' environment that would change it.
#[must_use]
pub fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let is_ours = name.to_str().is_some_and(|name| name.starts_with("PIPEROLL_"));
        if is_ours || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").current_dir(dir);
    command
}
