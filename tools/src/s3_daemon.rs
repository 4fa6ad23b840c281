//! A program in the background that cannot outlive this one.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Runs the program, waits for the end of its own input, kills the program by its number, and removes its
/// folder. The input ends when the writer drops it or dies.
const KEEPER: &str = r#"
dir=$1; shift
"$@" < /dev/null & server=$!
while read -r line; do :; done
kill -9 "$server" 2> /dev/null
wait "$server" 2> /dev/null
rm -rf "$dir"
"#;

/// A running program; it is killed and its folder removed when this is dropped, and also when this process is
/// killed: a shell between them waits for the end of a pipe.
#[derive(Debug)]
pub(crate) struct Daemon {
    keeper: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program that stays in the foreground. What it says goes to a file in `dir`, which it owns.
    ///
    /// # Errors
    ///
    /// Fails when no shell can be started.
    pub(crate) fn start(command: &[String], dir: &Path) -> Result<Self> {
        let log = dir.join("output");
        let file = File::create(&log)?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(dir).args(command);
        // Ctrl-C goes to this process alone, whose end the keeper sees.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let keeper = keeper.spawn().context("cannot start a shell")?;
        Ok(Self { keeper, log })
    }

    /// Returns the last lines of what the program said.
    pub(crate) fn said(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // A keeper that cannot be waited for has ended already.
        let _ended = self.keeper.wait();
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::Daemon;
    use crate::bench::process::wait_until;

    #[test]
    fn program_ends_with_its_handle() {
        let dir = tempfile::tempdir().unwrap().keep();
        let script = format!("echo $$ > {0}/pid; echo hello; exec sleep 600", dir.display());
        let daemon = Daemon::start(&["sh".to_owned(), "-c".to_owned(), script], &dir).unwrap();
        let pid = || std::fs::read_to_string(dir.join("pid")).ok().filter(|pid| pid.ends_with('\n'));
        assert!(wait_until(Duration::from_secs(10), || pid().is_some()));
        let process = Path::new("/proc").join(pid().unwrap().trim());
        assert!(process.exists());
        assert_eq!(daemon.said(), "hello");
        drop(daemon);
        assert!(!process.exists() && !dir.exists());
    }
}
