//! A Ceph object gateway 16.2 on loopback, as Debian 12 has it: a real service that ignores `If-None-Match` in
//! versioned buckets. The archive must refuse it.
//!
//! One monitor, one disk in memory, one gateway, each in the foreground below a keeper of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::bench::process::{install, is_root, output, wait_until};
use crate::repository::say;
use crate::s3::{ask, free_ports};
use crate::s3_daemon::Daemon;

const VERSION: &str = "16.2.";

/// How long the disk and the gateway may each take until they answer.
const START_MAX: Duration = Duration::from_secs(60);

const KEY: &str = "ceph";
const SECRET: &str = "ceph-secret";

/// A running gateway; stops when it is dropped, or when this process ends in any way.
#[derive(Debug)]
pub(crate) struct Gateway {
    _daemons: Vec<Daemon>,
    endpoint: String,
}

impl Gateway {
    /// Installs the gateway if need be and if that is possible, and starts it; `None` where this version of it
    /// cannot be had, which is said.
    ///
    /// # Errors
    ///
    /// Fails when it is installed and does not start.
    pub(crate) fn start() -> Result<Option<Self>> {
        if let Err(error) = find() {
            say(&format!("Ceph {VERSION}x is not here, its test is skipped: {error:#}"));
            return Ok(None);
        }
        let dir = tempfile::tempdir()?.keep();
        let ports = free_ports(3)?;
        let (monitor, gateway) = (format!("[v2:127.0.0.1:{}]", ports[0]), ports[2]);
        let (fsid, disk) = (uuid()?, uuid()?);
        for folder in ["mon", "osd", "run", "crash", "keep-mon", "keep-osd"] {
            fs::create_dir(dir.join(folder))?;
        }
        fs::write(dir.join("ceph.conf"), configuration(&dir, &fsid, &monitor, gateway))?;
        make_monitor(&dir, &fsid, &monitor)?;
        let mut daemons = vec![daemon(&dir, "ceph-mon -f -i a", "keep-mon")?];
        make_disk(&dir, &disk)?;
        daemons.push(daemon(&dir, "ceph-osd -f -i 0", "keep-osd")?);
        let is_up = || ceph(&dir, "ceph osd stat").is_ok_and(|said| said.contains("1 up"));
        if !wait_until(START_MAX, is_up) {
            bail!("Ceph's disk did not start: {}", daemons[1].said());
        }
        daemons.push(daemon(&dir, "radosgw -f -n client.rgw", ".")?);
        if !wait_until(START_MAX, || ask(gateway, "/").is_ok_and(|answer| answer.starts_with("HTTP/1.1"))) {
            bail!("Ceph's gateway did not answer: {}", daemons[2].said());
        }
        let user = format!(
            "radosgw-admin user create --uid=test --display-name=test --access-key={KEY} --secret-key={SECRET}"
        );
        let _made = ceph(&dir, &user)?;
        Ok(Some(Self { _daemons: daemons, endpoint: format!("http://127.0.0.1:{gateway}") }))
    }

    /// Returns the variables that tell tests about the gateway.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let variables = [("ENDPOINT", self.endpoint.as_str()), ("ADMIN_KEY", KEY), ("ADMIN_SECRET", SECRET)];
        let named = variables.into_iter();
        named.map(|(name, value)| (format!("PIPEROLL_CEPH_{name}"), value.to_owned())).collect()
    }
}

/// Finds the programs, after installing them if they are not there.
fn find() -> Result<()> {
    let is_found = || output(Command::new("radosgw").arg("--version")).is_ok_and(|it| it.contains(VERSION));
    if !is_found() {
        if !is_root() {
            bail!("only root can install Debian packages");
        }
        let candidate = output(Command::new("apt-cache").args(["policy", "radosgw"]))?;
        if !candidate.contains(&format!("Candidate: {VERSION}")) {
            // The lists of packages may not be there yet.
            let _updated = output(Command::new("apt-get").arg("update"))?;
            let candidate = output(Command::new("apt-cache").args(["policy", "radosgw"]))?;
            if !candidate.contains(&format!("Candidate: {VERSION}")) {
                bail!("this system has another version of it, or none");
            }
        }
    }
    for (package, program) in
        [("ceph-mon", "ceph-mon"), ("ceph-osd", "ceph-osd"), ("ceph-common", "ceph"), ("radosgw", "radosgw")]
    {
        let has_program =
            || output(Command::new(program).arg("--version")).is_ok_and(|it| it.contains(VERSION));
        install(package, has_program)?;
    }
    Ok(())
}

/// Returns an identity of the kernel's making.
fn uuid() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

fn configuration(dir: &Path, fsid: &str, monitor: &str, gateway: u16) -> String {
    let dir = dir.display();
    format!(
        "[global]
fsid = {fsid}
mon initial members = a
mon host = {monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = {dir}/keyring
log file = /dev/null
pid file = {dir}/run/$name.pid
admin socket = {dir}/run/$name.asok
run dir = {dir}/run
crash dir = {dir}/crash
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 2
mon data avail crit = 1
osd objectstore = memstore
memstore device bytes = 1073741824
[mon.a]
mon data = {dir}/mon
[osd.0]
osd data = {dir}/osd
keyring = {dir}/osd/keyring
[client.rgw]
keyring = {dir}/gateway.keyring
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw thread pool size = 32
"
    )
}

fn make_monitor(dir: &Path, fsid: &str, monitor: &str) -> Result<()> {
    let at = dir.display();
    for command in [
        format!("ceph-authtool {at}/keyring --create-keyring --gen-key -n mon. --cap mon allow+*"),
        format!("ceph-authtool {at}/keyring --gen-key -n client.admin --cap mon allow+* --cap osd allow+*"),
        format!("monmaptool --create --addv a {monitor} --fsid {fsid} {at}/monmap"),
        format!("ceph-mon --mkfs -i a --monmap {at}/monmap --keyring {at}/keyring"),
    ] {
        let _made = ceph(dir, &command)?;
    }
    Ok(())
}

fn make_disk(dir: &Path, disk: &str) -> Result<()> {
    let at = dir.display();
    for command in [
        format!("ceph-authtool {at}/osd/keyring --create-keyring --gen-key -n osd.0"),
        format!("ceph osd new {disk} 0"),
        format!("ceph auth add osd.0 osd allow+* mon allow+profile+osd -i {at}/osd/keyring"),
        format!("ceph auth get-or-create client.rgw mon allow+rw osd allow+rwx -o {at}/gateway.keyring"),
        format!("ceph-osd -i 0 --mkfs --osd-uuid {disk}"),
    ] {
        let _made = ceph(dir, &command)?;
    }
    Ok(())
}

/// Runs a command of Ceph's, written with spaces between arguments and `+` for spaces inside them.
fn ceph(dir: &Path, command: &str) -> Result<String> {
    let words = words(dir, command);
    output(Command::new(&words[0]).args(&words[1..]))
}

fn words(dir: &Path, command: &str) -> Vec<String> {
    let mut words: Vec<String> = command.split(' ').map(|word| word.replace('+', " ")).collect();
    let has_configuration = !matches!(words[0].as_str(), "ceph-authtool" | "monmaptool");
    if has_configuration {
        words.extend(["-c".to_owned(), dir.join("ceph.conf").display().to_string()]);
    }
    words
}

/// Starts a daemon, with a folder of its own or the whole one, which goes with it.
fn daemon(dir: &Path, command: &str, folder: &str) -> Result<Daemon> {
    Daemon::start(&words(dir, command), &dir.join(folder))
}
