//! As much of HTTP/1.1 as a load generator needs: requests as prepared bytes, responses cut by
//! `Content-Length` or chunks. It spends as little as possible, because it shares the cores with the server.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response larger than this is not one of ours.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

/// Appends a request; the connection stays open after it.
pub(super) fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) {
    out.extend_from_slice(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n").as_bytes());
    for (name, value) in headers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() {
        out.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// Escapes a value of a query string.
pub(super) fn escape(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A persistent connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One response, in the buffer of its connection.
#[derive(Debug)]
pub(super) struct Response<'a> {
    /// The status code.
    pub(super) status: u16,
    /// Status line and header fields.
    pub(super) head: &'a str,
    /// The content without chunk sizes.
    pub(super) body: Vec<u8>,
}

impl Connection {
    /// Connects to `127.0.0.1:port` or the like.
    pub(super) async fn open(address: &str) -> Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a prepared request and gives the status; the content is read and thrown away.
    pub(super) async fn status(&mut self, request: &[u8]) -> Result<u16> {
        Ok(self.exchange(request).await?.status)
    }

    /// Sends a prepared request and gives the response.
    pub(super) async fn call(&mut self, request: &[u8]) -> Result<Response<'_>> {
        let layout = self.exchange(request).await?;
        let head = std::str::from_utf8(&self.buffer[..layout.head_end]).context("the head is not text")?;
        let body = layout.parts.iter().flat_map(|part| &self.buffer[part.clone()]).copied().collect();
        Ok(Response { status: layout.status, head, body })
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Layout> {
        self.buffer.clear();
        self.stream.write_all(request).await.context("cannot send")?;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.context("cannot receive")?;
            ensure!(read > 0, "expected a response, found the end of the connection");
            if let Some(layout) = parse(&self.buffer)? {
                return Ok(layout);
            }
            ensure!(self.buffer.len() < RESPONSE_BYTES_MAX, "expected a shorter response");
        }
    }
}

impl Response<'_> {
    /// Gives the value of a header field.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

/// Where the parts of a complete response are.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    status: u16,
    head_end: usize,
    parts: Vec<Range<usize>>,
}

/// Reads a response; `None` if bytes are missing.
fn parse(bytes: &[u8]) -> Result<Option<Layout>> {
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..head_end]).context("the head is not text")?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("expected a status line, found {:?}", head.lines().next()))?;
    let start = head_end + 4;
    let parts = if let Some(length) = header(head, "content-length") {
        let length: usize = length.parse().context("the content length is no number")?;
        (bytes.len() >= start + length).then(|| vec![Range { start, end: start + length }])
    } else if header(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        chunks(bytes, start)?
    } else if status == 204 {
        Some(Vec::new())
    } else {
        bail!("expected a content length or chunks, found neither")
    };
    Ok(parts.map(|parts| Layout { status, head_end, parts }))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Finds the chunks from `at` on; `None` if bytes are missing. Trailers are not expected.
fn chunks(bytes: &[u8], mut at: usize) -> Result<Option<Vec<Range<usize>>>> {
    let mut parts = Vec::new();
    loop {
        let Some(line_end) = bytes[at..].windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&bytes[at..at + line_end]).context("a chunk size is not text")?;
        let size = usize::from_str_radix(size, 16).context("a chunk size is no number")?;
        at += line_end + 2;
        if bytes.len() < at + size + 2 {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(parts));
        }
        parts.push(at..at + size);
        at += size + 2;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::{escape, parse, write_request};

    #[track_caller]
    fn check(response: &str, status: u16, body: &str) {
        for end in 0..response.len() {
            assert_eq!(parse(&response.as_bytes()[..end]).unwrap(), None, "{end}");
        }
        let layout = parse(response.as_bytes()).unwrap().unwrap();
        assert_eq!(layout.status, status);
        let found: String = layout.parts.into_iter().map(|part| &response[part]).collect();
        assert_eq!(found, body);
    }

    #[test]
    fn responses_are_cut_by_length_and_by_chunks() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, "hello");
        check("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n", 503, "");
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n, universe\r\n0\r\n\r\n",
            200,
            "hello, universe",
        );
    }

    #[test]
    fn other_answers_are_errors() {
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
    }

    #[test]
    fn request_has_a_length_only_with_a_body() {
        let mut out = Vec::new();
        write_request(&mut out, "GET", "/ready", &[("Authorization", "Bearer x")], b"");
        write_request(&mut out, "POST", "/p", &[], b"{}");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "GET /ready HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n\
             POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(escape("\"a b\" number:1 ż"), "%22a%20b%22%20number%3A1%20%C5%BC");
    }
}
