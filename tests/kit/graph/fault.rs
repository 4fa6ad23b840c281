//! What the Graph API does wrong.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde_json::json;

/// What one request meets instead of an orderly answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphFault {
    /// An error answer with a status and Meta's error code.
    Error {
        /// The HTTP status.
        status: u16,
        /// The code in the body.
        code: i64,
    },
    /// 429 with `Retry-After`.
    RateLimited {
        /// Seconds to wait.
        seconds: u64,
    },
    /// A redirect to another address.
    Redirect {
        /// Where to.
        to: String,
    },
    /// The answer's bytes with this pause between pieces of 64 KiB; the first piece comes at once.
    Slow {
        /// The pause.
        pause: Duration,
    },
    /// The connection is cut after so many bytes of the body.
    Cut {
        /// Bytes that arrive.
        after: usize,
    },
    /// No answer ever comes.
    Silence,
    /// JSON of so many bytes.
    HugeJson {
        /// At least this many.
        bytes: usize,
    },
    /// The download is labelled as another media type.
    WrongType {
        /// The type that is told.
        mime_type: String,
    },
    /// Something that is no JSON, with status 200.
    NoJson,
    /// The media information tells another digest.
    WrongHash,
    /// The media information tells another length.
    WrongLength {
        /// The length that is told.
        bytes: u64,
    },
    /// The media information gives this address for the bytes.
    OtherUrl {
        /// The address.
        url: String,
    },
}

/// Pieces in which slow answers come.
const PIECE: usize = 64 * 1024;

impl GraphFault {
    /// Returns the answer where the fault is one whatever was asked for.
    pub(super) async fn answer(&self) -> Option<Response> {
        Some(match self {
            Self::Error { status, code } => error(*status, *code),
            Self::RateLimited { seconds } => {
                let mut response = error(429, 130_429);
                let value = seconds.to_string().parse().unwrap();
                let _ = response.headers_mut().insert("retry-after", value);
                response
            }
            Self::Redirect { to } => (StatusCode::FOUND, [("location", to.as_str())]).into_response(),
            Self::Silence => std::future::pending().await,
            Self::HugeJson { bytes } => {
                let text = format!("{{\"data\":[\"{}\"]}}", "x".repeat(*bytes));
                ([("content-type", "application/json")], text).into_response()
            }
            Self::NoJson => ([("content-type", "text/html")], "<html>").into_response(),
            _ => return None,
        })
    }

    /// Sends bytes the way the fault has it.
    pub(super) fn body(&self, bytes: &Bytes) -> Option<Body> {
        match self {
            Self::Slow { pause } => {
                let (bytes, pause) = (bytes.clone(), *pause);
                let starts = (0..bytes.len()).step_by(PIECE);
                let pieces: Vec<Bytes> =
                    starts.map(|at| bytes.slice(at..bytes.len().min(at + PIECE))).collect();
                // The first tick comes at once.
                let paced = (pieces.into_iter(), tokio::time::interval(pause));
                let pieces = stream::unfold(paced, |(mut pieces, mut ticks)| async move {
                    let piece = pieces.next()?;
                    let _now = ticks.tick().await;
                    Some((Ok::<_, Infallible>(piece), (pieces, ticks)))
                });
                Some(Body::from_stream(pieces))
            }
            Self::Cut { after } => {
                let first = bytes.slice(..bytes.len().min(*after));
                let cut = std::io::Error::other("cut");
                Some(Body::from_stream(stream::iter([Ok(first), Err(cut)])))
            }
            _ => None,
        }
    }
}

/// An error as Meta writes it.
pub(super) fn error(status: u16, code: i64) -> Response {
    let body = json!({"error": {"message": "(#1) made up", "type": "OAuthException", "code": code,
        "fbtrace_id": "Afake"}});
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}
