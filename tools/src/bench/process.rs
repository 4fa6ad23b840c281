//! Starts other programs, says why they failed, and stops them by their number.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::now;
use crate::repository::say;

/// How long a server may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Runs a program to its end and gives what it wrote to standard output.
///
/// # Errors
///
/// Fails when it cannot be started or ends with a failure; the message has the end of what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", command.get_program().display()))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(stdout);
    }
    let said = format!("{stdout}{}", String::from_utf8_lossy(&stderr));
    let last: Vec<&str> = said.trim().lines().rev().take(12).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    bail!("`{}` failed ({status}): {}", command.get_program().display(), last.join("\n"))
}

/// Runs a program to its end and gives how long that took.
///
/// # Errors
///
/// As [`output`].
pub(super) fn timed(command: &mut Command) -> Result<(Duration, String)> {
    let started = now();
    let text = output(command)?;
    Ok((started.elapsed(), text))
}

/// Says whether this process may do everything.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Installs a Debian package unless `found` already finds what it brings.
///
/// # Errors
///
/// Fails when it is absent and cannot be installed.
pub(crate) fn install(package: &str, found: impl Fn() -> bool) -> Result<()> {
    if found() {
        return Ok(());
    }
    say(&format!("installing {package}"));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        output(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let installed = apt(&["update"]).and_then(|_| apt(&["install", "-y", package]));
    match installed {
        Ok(_) if found() => Ok(()),
        Ok(_) => bail!("`{package}` was installed, but not found afterwards"),
        Err(error) => Err(error.context(format!("install `{package}`, or leave out `--peers`"))),
    }
}

/// Asks a process to stop and waits; kills it when that takes too long.
///
/// # Errors
///
/// Fails when it had to be killed.
pub(super) fn stop(child: &mut Child) -> Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    output(Command::new("kill").args(["-TERM", &child.id().to_string()]))?;
    if wait_until(STOP_MAX, || child.try_wait().is_ok_and(|status| status.is_some())) {
        return Ok(());
    }
    child.kill()?;
    child.wait()?;
    bail!("expected process {} to stop within {} s", child.id(), STOP_MAX.as_secs())
}

/// Looks again and again until something is true; false when it takes longer than `limit`.
pub(crate) fn wait_until(limit: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let started: Instant = now();
    while started.elapsed() < limit {
        if is_true() {
            return true;
        }
        pause();
    }
    false
}

#[expect(clippy::disallowed_methods, reason = "another process gives no other sign")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Sums the apparent sizes of all files below `dir` for which `counts` says so, given the path below `dir`.
///
/// # Errors
///
/// Fails when a directory cannot be read.
pub(super) fn bytes_below(dir: &Path, counts: &dyn Fn(&Path) -> bool) -> Result<u64> {
    let mut sum = 0;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(path);
            } else if counts(path.strip_prefix(dir).unwrap_or(&path)) {
                sum += metadata.len();
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use std::process::Command;

    use super::{bytes_below, output, stop};

    #[test]
    fn failure_says_what_the_program_said() {
        let failed = output(Command::new("sh").args(["-c", "echo first; echo reason >&2; exit 3"]));
        let message = failed.unwrap_err().to_string();
        assert!(message.contains("reason") && message.contains('3'), "{message}");
        assert_eq!(output(Command::new("echo").arg("hello")).unwrap(), "hello\n");
    }

    #[test]
    fn process_is_stopped() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        stop(&mut child).unwrap();
        assert!(child.try_wait().unwrap().is_some());
        stop(&mut child).unwrap();
    }

    #[test]
    fn sizes_are_those_of_the_chosen_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/one"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("a/two"), [0; 5]).unwrap();
        assert_eq!(bytes_below(dir.path(), &|_| true).unwrap(), 15);
        assert_eq!(bytes_below(dir.path(), &|path| path.starts_with("a/b")).unwrap(), 10);
    }
}
