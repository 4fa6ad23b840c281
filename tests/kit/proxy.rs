//! A proxy between a client and an HTTP service that breaks requests and answers on demand.
//!
//! It understands as much of HTTP/1.1 as S3 clients use: bodies with a length. Each request goes to the service on a
//! connection of its own. The header `Host` is left as it is, because signatures cover it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What becomes of a request that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// The service never sees it; the answer has this status and error code.
    Refused(u16, &'static str),
    /// The connection breaks in the middle of the request's body; the service never sees it whole.
    CutInBody,
    /// The service does it, and the connection breaks before the answer.
    AnswerLost,
    /// The service does it, and the answer waits until the client has given up.
    Slow,
    /// The service does it, and the answer has another `ETag`.
    WrongEtag,
    /// The answer, a list of versions, lacks the last ones.
    StaleList,
}

/// A rule: which requests meet which fault, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireRule {
    /// The method.
    pub method: &'static str,
    /// A part of the path with the query.
    pub contains: String,
    /// What happens.
    pub fault: WireFault,
    /// How many requests meet it; `None` for all until [`Proxy::heal`].
    pub times: Option<u32>,
}

/// A running proxy; it stops when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients connect.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<WireRule>,
    met: u32,
}

impl Proxy {
    /// Starts a proxy before the service at `upstream`, such as `http://127.0.0.1:8333`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (state, upstream) = (shared.clone(), upstream.clone());
                // A connection that breaks is what this proxy is for.
                let _connection = tokio::spawn(async move { serve(client, &upstream, &state).await });
            }
        });
        Self { endpoint, state, task }
    }

    /// Adds a rule; of several that match, the earliest is met.
    ///
    /// # Panics
    /// When another thread panicked.
    pub fn inject(&self, rule: WireRule) {
        self.state.lock().unwrap().rules.push(rule);
    }

    /// Removes all rules and returns how many requests met one.
    ///
    /// # Panics
    /// When another thread panicked.
    pub fn heal(&self) -> u32 {
        let mut state = self.state.lock().unwrap();
        state.rules.clear();
        std::mem::take(&mut state.met)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn meet(&mut self, method: &str, path: &str) -> Option<WireFault> {
        let matches = |rule: &WireRule| rule.method == method && path.contains(&rule.contains);
        let at = self.rules.iter().position(matches)?;
        let fault = self.rules[at].fault;
        self.met += 1;
        if let Some(times) = &mut self.rules[at].times {
            *times -= 1;
            if *times == 0 {
                let _used_up = self.rules.remove(at);
            }
        }
        Some(fault)
    }
}

/// A message of HTTP, its head as it came.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    fn write(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

async fn serve(mut client: TcpStream, upstream: &str, state: &Mutex<State>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let head = read_head(&mut client, &mut buffer).await?;
        let mut words = head.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let fault = state.lock().unwrap().meet(&method, &path);
        let length = content_length(&head).unwrap_or_default();
        if fault == Some(WireFault::CutInBody) {
            read_to(&mut client, &mut buffer, length / 2).await?;
            return None;
        }
        read_to(&mut client, &mut buffer, length).await?;
        let request = Message { head, body: buffer.drain(..length).collect() };
        if let Some(WireFault::Refused(status, code)) = fault {
            let body = format!("<Error><Code>{code}</Code><Message>injected fault</Message></Error>");
            let head = format!("HTTP/1.1 {status} Refused\r\nContent-Length: {}\r\n\r\n", body.len());
            client.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
            continue;
        }
        let answer = forward(upstream, &method, &request).await?;
        match fault {
            Some(WireFault::AnswerLost) => return None,
            Some(WireFault::Slow) => {
                // Nothing more comes from the client: it reads, or has gone.
                let _gone = client.read(&mut [0]).await;
                return None;
            }
            Some(WireFault::WrongEtag) => {
                client.write_all(&with_etag(answer).write()).await.ok()?;
            }
            Some(WireFault::StaleList) => client.write_all(&without_last(answer).write()).await.ok()?,
            _ => client.write_all(&answer.write()).await.ok()?,
        }
    }
}

async fn forward(upstream: &str, method: &str, request: &Message) -> Option<Message> {
    let mut service = TcpStream::connect(upstream).await.ok()?;
    service.write_all(&request.write()).await.ok()?;
    let mut buffer = Vec::new();
    let mut head = read_head(&mut service, &mut buffer).await?;
    while head.starts_with("HTTP/1.1 100") {
        head = read_head(&mut service, &mut buffer).await?;
    }
    let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
    let length = match content_length(&head) {
        _ if method == "HEAD" || status == 204 || status == 304 => 0,
        Some(length) => length,
        None if head.to_ascii_lowercase().contains("transfer-encoding: chunked") => {
            return read_chunks(&mut service, buffer, &head).await;
        }
        None => 0,
    };
    read_to(&mut service, &mut buffer, length).await?;
    Some(Message { head, body: buffer.drain(..length).collect() })
}

/// Reads a body in chunks and gives it a length.
async fn read_chunks(service: &mut TcpStream, mut buffer: Vec<u8>, head: &str) -> Option<Message> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            match buffer.windows(2).position(|pair| pair == b"\r\n") {
                Some(end) => break end,
                None => fill(service, &mut buffer).await?,
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).ok()?.trim(), 16).ok()?;
        read_to(service, &mut buffer, end + 2 + size + 2).await?;
        body.extend_from_slice(&buffer[end + 2..end + 2 + size]);
        let _chunk = buffer.drain(..end + 2 + size + 2);
        if size == 0 {
            break;
        }
    }
    let lines: Vec<&str> =
        head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("transfer-encoding")).collect();
    let head = lines.join("\r\n").trim_end().to_owned();
    Some(Message { head: format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len()), body })
}

fn with_etag(answer: Message) -> Message {
    let lines = answer.head.split("\r\n").map(|line| match line.to_ascii_lowercase().starts_with("etag:") {
        true => "ETag: \"00000000000000000000000000000000\"",
        false => line,
    });
    Message { head: lines.collect::<Vec<_>>().join("\r\n"), body: answer.body }
}

/// Removes the last versions of a listing.
fn without_last(answer: Message) -> Message {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let (Some(start), Some(end)) = (text.rfind("<Version>"), text.rfind("</Version>")) else { return answer };
    let body = format!("{}{}", &text[..start], &text[end + "</Version>".len()..]).into_bytes();
    let lines = answer.head.split("\r\n").map(|line| {
        match line.to_ascii_lowercase().starts_with("content-length:") {
            true => format!("Content-Length: {}", body.len()),
            false => line.to_owned(),
        }
    });
    Message { head: lines.collect::<Vec<_>>().join("\r\n"), body }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut part = [0; 16_384];
    let length = stream.read(&mut part).await.ok()?;
    buffer.extend_from_slice(&part[..length]);
    (length > 0).then_some(())
}

async fn read_to(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<()> {
    while buffer.len() < length {
        fill(stream, buffer).await?;
    }
    Some(())
}

/// Takes a head with its empty line off the buffer.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return String::from_utf8(buffer.drain(..end + 4).collect()).ok();
        }
        fill(stream, buffer).await?;
    }
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}
