//! Access to an archive: over HTTP when a server runs, otherwise through the same routes inside this process.
//!
//! Either way a request goes through the server's router with a token, so that access is recorded the same.

use std::io::Read as _;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use piperoll_sources::whatsapp::SIGNATURE_HEADER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt as _;

use anyhow::Context as _;

use crate::args::Global;
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};
use crate::lock::Running;
use crate::serve::Opened;

/// The largest answer that is read into memory; longer ones are streamed.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The size of a piece of a file that is sent.
const FILE_PIECE_BYTES: usize = 256 * 1024;

/// A way to the routes of an archive.
#[derive(Debug)]
pub(crate) struct Client {
    way: Way,
    token: String,
}

#[derive(Debug)]
enum Way {
    Http { client: Box<HttpClient<HttpConnector, Body>>, base: String },
    Local { router: Router, opened: Box<Opened> },
}

impl Client {
    /// Connects as the options say: to the named server, to the one that runs on the directory, or to the directory.
    pub(crate) async fn connect(global: &Global) -> anyhow::Result<Self> {
        if let Some(url) = &global.server {
            let token = global.token.clone().ok_or_else(|| {
                Failure::new(Exit::Usage, "a server needs a token").hint("give --token or set PIPEROLL_TOKEN")
            })?;
            return Self::http(url, token);
        }
        let directory = ArchiveDirectory::existing(global.directory())?;
        if let Some((running, local_token)) = Running::find(&directory)? {
            return Self::http(&running.url, global.token.clone().unwrap_or(local_token));
        }
        let opened = Opened::for_command(&directory, global).await?;
        let (router, local_token) = (opened.router(), opened.local_token().to_owned());
        let token = global.token.clone().unwrap_or(local_token);
        Ok(Self { way: Way::Local { router, opened: Box::new(opened) }, token })
    }

    /// Uses a server over HTTP.
    pub(crate) fn http(url: &str, token: String) -> anyhow::Result<Self> {
        let refused = |reason: &str| Failure::new(Exit::Usage, format!("server `{url}`: {reason}"));
        let uri: Uri = url.parse().map_err(|_| refused("expected a URL such as `http://127.0.0.1:8722`"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                let hint =
                    "put a TLS proxy before the server and use an http address inside, or an SSH tunnel";
                return Err(refused("this version speaks no TLS").hint(hint).into());
            }
            _ => return Err(refused("expected a URL such as `http://127.0.0.1:8722`").into()),
        }
        let client = Box::new(HttpClient::builder(TokioExecutor::new()).build(HttpConnector::new()));
        Ok(Self { way: Way::Http { client, base: url.trim_end_matches('/').to_owned() }, token })
    }

    /// Ends the access; an archive opened for it is closed in order.
    pub(crate) async fn close(self) {
        if let Way::Local { opened, .. } = self.way {
            opened.close().await;
        }
    }

    /// Asks for JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        read_json(self.send(Method::GET, path, None).await?).await
    }

    /// Asks for bytes.
    pub(crate) async fn get_bytes(&self, path: &str) -> anyhow::Result<Bytes> {
        read_all(self.send(Method::GET, path, None).await?).await
    }

    /// Asks for bytes that may be many, to be read piece by piece.
    pub(crate) async fn get_stream(&self, path: &str) -> anyhow::Result<Body> {
        self.send(Method::GET, path, None).await
    }

    /// Delivers a webhook with its signature.
    pub(crate) async fn deliver(&self, body: Bytes, signature: &str) -> anyhow::Result<()> {
        let request = self.request(Method::POST, "/webhooks/whatsapp").header(SIGNATURE_HEADER, signature);
        let _answer = read_all(self.answer(request.body(Body::from(body))).await?).await?;
        Ok(())
    }

    /// Journals a send.
    pub(crate) async fn journal(&self, body: Bytes) -> anyhow::Result<()> {
        let request = self.request(Method::POST, "/v1/sends").header(CONTENT_TYPE, "application/json");
        let _answer = read_all(self.answer(request.body(Body::from(body))).await?).await?;
        Ok(())
    }

    /// Hands in an event from another channel.
    pub(crate) async fn hand_in(&self, body: Bytes) -> anyhow::Result<()> {
        let request = self.request(Method::POST, "/v1/events").header(CONTENT_TYPE, "application/json");
        let _answer = read_all(self.answer(request.body(Body::from(body))).await?).await?;
        Ok(())
    }

    /// Sends JSON and reads JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        read_json(self.send(Method::POST, path, Some(serde_json::to_vec(body)?)).await?).await
    }

    /// Sends a file and reads JSON.
    pub(crate) async fn post_file<T: DeserializeOwned>(
        &self,
        path: &str,
        file: std::fs::File,
    ) -> anyhow::Result<T> {
        let pieces = futures::stream::try_unfold(file, |mut file| async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; FILE_PIECE_BYTES];
                let read = file.read(&mut piece)?;
                piece.truncate(read);
                std::io::Result::Ok((piece, file))
            });
            let (piece, file) = read.await.map_err(std::io::Error::other)??;
            std::io::Result::Ok((!piece.is_empty()).then_some((Bytes::from(piece), file)))
        });
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/octet-stream");
        read_json(self.answer(request.body(Body::from_stream(pieces))).await?).await
    }

    /// Orders something that has no answer but its acceptance.
    pub(crate) async fn order(&self, path: &str) -> anyhow::Result<()> {
        let _answer = read_all(self.send(Method::POST, path, None).await?).await?;
        Ok(())
    }

    /// Deletes something and reads JSON, if there is an answer.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        let _answer = read_all(self.send(Method::DELETE, path, None).await?).await?;
        Ok(())
    }

    /// Sends a request and returns the body of a good answer.
    async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> anyhow::Result<Body> {
        let request = self.request(method, path);
        self.answer(match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(Body::from(body)),
            None => request.body(Body::empty()),
        })
        .await
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let base = match &self.way {
            Way::Http { base, .. } => base.as_str(),
            Way::Local { .. } => "",
        };
        let request = Request::builder().method(method).uri(format!("{base}{path}"));
        request.header(AUTHORIZATION, format!("Bearer {}", self.token))
    }

    async fn answer(&self, request: Result<Request<Body>, hyper::http::Error>) -> anyhow::Result<Body> {
        let request = request.map_err(|error| {
            anyhow::Error::new(error)
                .context(Failure::new(Exit::Usage, "the request cannot be written as HTTP"))
        })?;
        let answer = match &self.way {
            Way::Http { client, base } => {
                client.request(request).await.with_context(|| unreachable(base))?.map(Body::new)
            }
            Way::Local { router, .. } => router.clone().oneshot(request).await?,
        };
        let (parts, body) = answer.into_parts();
        if parts.status.is_success() {
            return Ok(body);
        }
        Err(refusal(parts.status, &read_all(body).await?).into())
    }
}

fn unreachable(base: &str) -> Failure {
    Failure::new(Exit::Failed, format!("server `{base}` cannot be reached")).hint("is it running?")
}

async fn read_all(body: Body) -> anyhow::Result<Bytes> {
    axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.context("read the answer")
}

async fn read_json<T: DeserializeOwned>(body: Body) -> anyhow::Result<T> {
    let bytes = read_all(body).await?;
    serde_json::from_slice(&bytes).context("the answer is not of this version's form")
}

/// Turns a server's refusal into an error with the exit code for it.
fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| error["error"][name].as_str().map(str::to_owned);
    let code = text("code");
    let exit = match code.as_deref() {
        Some("bad-query" | "invalid") => Exit::Usage,
        Some("conflict") => Exit::Conflict,
        _ => Exit::Failed,
    };
    let message = text("message").unwrap_or_else(|| format!("the server answered {status}"));
    let mut failure = Failure::new(exit, message);
    if let Some(hint) = text("hint") {
        failure = failure.hint(hint);
    }
    match code {
        Some(code) => failure.code(code),
        None => failure,
    }
}

/// Writes an address with the parameters that are given.
pub(crate) fn query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let given =
        parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_deref()?))));
    format!("{path}?{}", given.collect::<Vec<_>>().join("&"))
}

/// Writes a value into the path or query part of an address.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// Reads the next piece of a streamed answer.
pub(crate) async fn next_piece(body: &mut Body) -> anyhow::Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.context("the answer broke off")?.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}
