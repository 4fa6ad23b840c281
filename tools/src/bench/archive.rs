//! Our own programs: built for release, run as separate processes on a directory, stopped by their number.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::http::{Connection, write_request};
use super::machine::{field, number, processor_time};
use super::process::{bytes_below, output, stop, wait_until};
use super::supply::{APP_SECRET, VERIFY_TOKEN};
use crate::repository::cargo;

/// How long a server may take until it is ready; a large archive is checked and its index caught up first.
const READY_MAX: Duration = Duration::from_secs(180);

/// Builds packages for release and gives their programs, in order.
///
/// # Errors
///
/// Fails when cargo does, or when it makes no program of one of the names.
pub(super) fn build<const N: usize>(packages: &[&str], names: [&str; N]) -> Result<[PathBuf; N]> {
    let mut arguments = vec!["build", "--release", "--message-format", "json-render-diagnostics"];
    for package in packages {
        arguments.extend(["--package", package]);
    }
    let built = cargo(&arguments).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(built.status.success(), "`cargo build --release` failed");
    let said = String::from_utf8_lossy(&built.stdout).into_owned();
    let messages: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let program = |name: &str| {
        messages.iter().find_map(|message| {
            let path = message["executable"].as_str()?;
            (message["target"]["name"] == name).then(|| PathBuf::from(path))
        })
    };
    let mut programs = [const { PathBuf::new() }; N];
    for (place, name) in programs.iter_mut().zip(names) {
        *place =
            program(name).with_context(|| format!("expected a program `{name}` from cargo, found none"))?;
    }
    Ok(programs)
}

/// A bucket in which archives are kept, and by whose rights.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// `s3://bucket/prefix`, below which each archive has its own prefix.
    pub(super) url: String,
    /// The service, when it is not AWS.
    pub(super) endpoint: Option<String>,
    /// Variables with credentials, when they are not those of the caller.
    pub(super) environment: Vec<(String, String)>,
}

/// An archive in a directory, with its store there or in a bucket.
#[derive(Debug)]
pub(super) struct Archive {
    program: PathBuf,
    dir: PathBuf,
    bucket: Option<Bucket>,
    /// The admin's token.
    pub(super) token: String,
    /// The key that the auditor's program wants.
    pub(super) vkey: String,
}

impl Archive {
    /// Creates one with the default policies.
    ///
    /// # Errors
    ///
    /// Fails when `piperoll init` does.
    pub(super) fn create(program: &Path, dir: &Path) -> Result<Self> {
        Self::init(program, dir, None)
    }

    /// Creates one whose store is a new prefix in a bucket, named as the directory is.
    ///
    /// # Errors
    ///
    /// Fails when `piperoll init` does.
    pub(super) fn create_in(program: &Path, dir: &Path, bucket: &Bucket) -> Result<Self> {
        let name = dir.file_name().unwrap_or_default().display();
        let stamp = now_micros();
        Self::init(
            program,
            dir,
            Some(Bucket { url: format!("{}/{stamp}-{name}", bucket.url), ..bucket.clone() }),
        )
    }

    fn init(program: &Path, dir: &Path, bucket: Option<Bucket>) -> Result<Self> {
        let mut archive = Self {
            program: program.to_owned(),
            dir: dir.to_owned(),
            bucket,
            token: String::new(),
            vkey: String::new(),
        };
        let mut init = archive.command(&["init", "--json"]);
        if let Some(Bucket { url, endpoint, .. }) = &archive.bucket {
            init.args(["--mode", "governance", "--store", url]);
            init.args(endpoint.iter().flat_map(|endpoint| ["--endpoint", endpoint]));
        }
        let said = output(&mut init)?;
        let created: Value =
            serde_json::from_str(&said).with_context(|| format!("expected JSON, found `{said}`"))?;
        let text = |name: &str| {
            let value = created[name].as_str().map(str::to_owned);
            value.with_context(|| format!("expected `{name}` from init, found `{said}`"))
        };
        archive.token = text("token")?;
        archive.vkey = text("vkey")?;
        Ok(archive)
    }

    /// Prepares a command on the directory; nothing of the caller's own configuration reaches it.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PIPEROLL_") {
                command.env_remove(name);
            }
        }
        command.env("PIPEROLL_WHATSAPP_APP_SECRET", APP_SECRET);
        command.env("PIPEROLL_WHATSAPP_VERIFY_TOKEN", VERIFY_TOKEN);
        command.envs(self.bucket.iter().flat_map(|bucket| bucket.environment.clone()));
        command.arg("--dir").arg(&self.dir).args(arguments);
        command
    }

    /// Starts a server on a free port and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Fails when it ends or is not ready in time; what it said is in a log beside the directory.
    pub(super) fn serve(&self) -> Result<Server> {
        self.serve_with(&[])
    }

    /// Starts a server with further variables, on a free port, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`Self::serve`].
    pub(super) fn serve_with(&self, environment: &[(&str, &str)]) -> Result<Server> {
        let log_path = self.log();
        let log = File::options().create(true).append(true).open(&log_path)?;
        let form = if self.bucket.is_some() { "json" } else { "text" };
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0", "--log", form]);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start the server")?;
        let mut server = Server { child, address: String::new() };
        let note = self.dir.join("run/serve.json");
        wait_until(READY_MAX, || server.has_ended() || server.is_ready(&note));
        if server.address.is_empty() {
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            bail!("expected the server to become ready, found: {}", said.trim());
        }
        Ok(server)
    }

    /// Gives the file with what the server said.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// Deletes everything on this machine that the store can give back, while nothing runs.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be deleted.
    pub(super) fn forget_derived(&self) -> Result<()> {
        fs::remove_dir_all(self.dir.join("state")).context("cannot delete derived state")
    }

    /// Deletes the projections alone, while nothing runs.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be deleted.
    pub(super) fn forget_projections(&self) -> Result<()> {
        fs::remove_file(self.dir.join("state/projections.redb")).context("cannot delete the projections")
    }

    /// Prepares a verification by the auditor's program, by the rights of `reader`.
    pub(super) fn audit(&self, audit: &Path, reader: &Bucket) -> Command {
        let mut command = Command::new(audit);
        command.arg("verify");
        match &self.bucket {
            Some(Bucket { url, endpoint, .. }) => {
                command.arg(url).args(endpoint.iter().flat_map(|endpoint| ["--endpoint", endpoint]));
            }
            None => {
                command.arg(self.store());
            }
        }
        command.args(["--vkey", &self.vkey]).envs(reader.environment.clone());
        command
    }

    /// Gives the directory of its store.
    pub(super) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Sums the sizes of the files that the record consists of.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be read.
    pub(super) fn record_bytes(&self) -> Result<u64> {
        bytes_below(&self.store(), &|path| !is_derived(path))
    }

    /// Sums the sizes of the files in the store that can be made again from the record.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be read.
    pub(super) fn derived_bytes(&self) -> Result<u64> {
        bytes_below(&self.store(), &is_derived)
    }

    /// Sums the sizes of the files of the search index.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be read.
    pub(super) fn index_bytes(&self) -> Result<u64> {
        bytes_below(&self.dir.join("state/index"), &|_| true)
    }
}

/// Tiles and the newest checkpoint; everything else in the store is the record.
fn is_derived(path: &Path) -> bool {
    path.iter().any(|part| part == "tile" || part == "checkpoint")
}

/// A running server; stopped when dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Host and port.
    pub(super) address: String,
}

/// Memory of a process, in MB (10^6 bytes).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Memory {
    /// The most that was resident at a time, with mapped files.
    pub(super) peak: f64,
    /// What is resident now and belongs to no file.
    pub(super) anonymous: f64,
}

impl Server {
    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Looks for the note that the server leaves when it listens, and asks it.
    fn is_ready(&mut self, note: &Path) -> bool {
        let note: Option<Value> = fs::read(note).ok().and_then(|note| serde_json::from_slice(&note).ok());
        let address = note.as_ref().and_then(|note| note["url"].as_str()).and_then(host_and_port);
        let Some(address) = address else { return false };
        if get_status(&address, "/ready").is_ok_and(|status| status == 200) {
            self.address = address;
        }
        !self.address.is_empty()
    }

    /// Reads how much memory the server uses and used.
    ///
    /// # Errors
    ///
    /// Fails when the server has ended.
    pub(super) fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .context("the server has ended")?;
        let megabytes = |name: &str| {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let kib = field(&status, name).and_then(|value| number(&value)).map(|kib| kib as f64);
            kib.map(|kib| kib * 1024.0 / 1e6).with_context(|| format!("expected `{name}` in its status"))
        };
        Ok(Memory { peak: megabytes("VmHWM")?, anonymous: megabytes("RssAnon")? })
    }

    /// Reads how long the server used the processors so far.
    ///
    /// # Errors
    ///
    /// Fails when the server has ended.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        processor_time(&self.child.id().to_string())
    }

    /// Stops the server and waits for it.
    ///
    /// # Errors
    ///
    /// Fails when it does not stop by itself.
    pub(super) fn stop(mut self) -> Result<()> {
        stop(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Stopped already, or the bench is failing and says so elsewhere.
        let _stopped = stop(&mut self.child);
    }
}

#[expect(clippy::disallowed_methods, reason = "it only makes a name that no other run has")]
fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

fn host_and_port(url: &str) -> Option<String> {
    url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').to_owned())
}

fn get_status(address: &str, path: &str) -> Result<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut request = Vec::new();
    write_request(&mut request, "GET", path, &[], b"");
    runtime.block_on(async { Connection::open(address).await?.status(&request).await })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{host_and_port, is_derived};

    #[test]
    fn address_is_cut_out_of_the_url() {
        assert_eq!(host_and_port("http://127.0.0.1:41234/").as_deref(), Some("127.0.0.1:41234"));
        assert_eq!(host_and_port("unix:/x"), None);
    }

    #[test]
    fn tiles_are_derived() {
        assert!(is_derived(Path::new("ab12/tile/0/001")) && is_derived(Path::new("ab12/checkpoint")));
        assert!(!is_derived(Path::new("ab12/log/000000000001.seg")));
    }
}
