//! Where the repository is and how tasks speak and start programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Gives the folder with the root manifest.
pub(crate) fn root() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"));
    tools.parent().expect("the tools are in a folder of the repository").to_owned()
}

/// Writes a line to standard output; a closed pipe is not an error.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to tell when standard output is closed.
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prepares the cargo that runs this program, in the root of the repository.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}
