//! A real server process, and the little HTTP client that talks to it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::binary::{command, piperoll};
use crate::http::sign;
use crate::served::APP_SECRET;

/// A server that does not answer for so long has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// `piperoll serve` on a free port; killed when it is dropped. Its log goes to `serve.log` beside the archive.
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: String,
}

impl Running {
    /// Starts a server on the archive in `dir`, which `home` holds, and waits until it listens.
    ///
    /// # Panics
    /// When it ends instead.
    #[must_use]
    pub fn start(home: &Path, dir: &str) -> Self {
        Self::start_with(home, dir, &[])
    }

    /// Starts a server as [`Running::start`] does, with further variables in its environment.
    ///
    /// # Panics
    /// When it ends instead.
    #[must_use]
    pub fn start_with(home: &Path, dir: &str, environment: &[(String, String)]) -> Self {
        Self::spawn(home, dir, environment, command(piperoll(), home))
    }

    /// Starts a server as [`Running::start_with`] does, which gets an error where it exceeds a limit on the size of files
    /// and is not killed for it.
    ///
    /// # Panics
    /// When it ends instead.
    #[must_use]
    pub fn start_ignoring_file_limits(home: &Path, dir: &str, environment: &[(String, String)]) -> Self {
        let mut shell = command(Path::new("sh"), home);
        let _shell = shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(piperoll());
        Self::spawn(home, dir, environment, shell)
    }

    fn spawn(home: &Path, dir: &str, environment: &[(String, String)], mut command: Command) -> Self {
        let log = File::options().create(true).append(true).open(home.join("serve.log")).unwrap();
        let mut child = command
            .args(["--json", "--dir", dir, "serve", "--listen", "127.0.0.1:0"])
            .env("PIPEROLL_WHATSAPP_APP_SECRET", APP_SECRET)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let _length = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(home.join("serve.log")).unwrap();
            panic!("the server did not start: {error}: {line}\n{log}")
        });
        let address = listening["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { child, address }
    }

    /// Connects to the server.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::open(&self.address)
    }

    /// Returns host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the process's id.
    #[must_use]
    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Kills the process with SIGKILL, which it cannot see coming.
    pub fn kill(&self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).unwrap();
    }

    /// Asks the process to end and waits for it.
    pub fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One HTTP/1.1 connection that is used for one request after another.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to host and port.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a webhook with its signature and returns the status.
    ///
    /// # Errors
    /// Those of the connection; whether the webhook was stored is then unknown.
    pub fn signed_post(&mut self, body: &[u8]) -> io::Result<u16> {
        let signature = sign(APP_SECRET, body);
        let headers = format!("content-type: application/json\r\nx-hub-signature-256: {signature}\r\n");
        Ok(self.request("POST /webhooks/whatsapp", &headers, body)?.0)
    }

    /// Sends a body with headers, each with its line end.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        self.request(&format!("POST {path}"), headers, body)
    }

    /// Asks with a token.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn get(&mut self, path: &str, token: &str) -> io::Result<(u16, Vec<u8>)> {
        self.request(&format!("GET {path}"), &format!("authorization: Bearer {token}\r\n"), b"")
    }

    fn request(&mut self, line: &str, headers: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nhost: archive\r\ncontent-length: {length}\r\n{headers}\r\n");
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        self.read_answer()
    }

    fn read_answer(&mut self) -> io::Result<(u16, Vec<u8>)> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "an answer that is no HTTP");
        let status =
            self.read_line()?.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.read_line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("content-length", value) => length = value.parse().map_err(|_| malformed())?,
                ("transfer-encoding", value) => is_chunked = value == "chunked",
                _ => {}
            }
        }
        let mut body = self.read_bytes(length)?;
        while is_chunked {
            let size = usize::from_str_radix(&self.read_line()?, 16).map_err(|_| malformed())?;
            body.extend(self.read_bytes(size)?);
            let _line_end = self.read_line()?;
            is_chunked = size > 0;
        }
        Ok((status, body))
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn read_bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
