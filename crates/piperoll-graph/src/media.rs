//! Media: where an object is, and its bytes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::client::{GraphClient, failure};
use crate::error::GraphError;

/// What the platform tells about a media object.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaInfo {
    /// Where the bytes are, for five minutes; with a secret in its query.
    pub url: String,
    /// The media type.
    pub mime_type: Option<String>,
    /// The SHA-256 of the bytes, as written: hexadecimal or base64.
    pub sha256: Option<String>,
    /// The length in bytes.
    pub file_size: Option<u64>,
}

impl std::fmt::Debug for MediaInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaInfo").field("mime_type", &self.mime_type).finish_non_exhaustive()
    }
}

/// The bytes of a media object as they arrive; the stream ends with an error when they are not whole.
pub struct Download {
    /// The length that was announced.
    pub length: Option<u64>,
    /// The media type that was announced.
    pub media_type: Option<String>,
    bytes: BoxStream<'static, Result<Bytes, GraphError>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Stream for Download {
    type Item = Result<Bytes, GraphError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.bytes.poll_next_unpin(context)
    }
}

impl GraphClient {
    /// Asks where a media object is; `number` is the business number that got it, which the platform checks.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn media_info(&self, id: &str, number: Option<&str>) -> Result<MediaInfo, GraphError> {
        let query: Vec<(&str, &str)> = number.map(|number| ("phone_number_id", number)).into_iter().collect();
        let answer = self.get(&[id], &query).await?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        let size = answer.get("file_size");
        let size = size.and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok()));
        let url = text("url").ok_or(GraphError::Malformed { expected: "`url`" })?;
        Ok(MediaInfo { url, mime_type: text("mime_type"), sha256: text("sha256"), file_size: size })
    }

    /// Downloads what [`Self::media_info`] found, with the token. At most `limit` bytes are taken.
    ///
    /// # Errors
    /// [`GraphError::Expired`] when the address no longer works; others of [`GraphError`], also from the stream.
    pub async fn media_download(&self, url: &str, limit: u64) -> Result<Download, GraphError> {
        self.download(url, limit, true).await
    }

    /// Downloads from an address that somebody else than the platform gave: never with the token, and only from the
    /// listed hosts.
    ///
    /// # Errors
    /// Those of [`Self::media_download`].
    pub async fn link_download(&self, url: &str, limit: u64) -> Result<Download, GraphError> {
        self.download(url, limit, false).await
    }

    async fn download(&self, url: &str, limit: u64, with_token: bool) -> Result<Download, GraphError> {
        let url = self.hosts.check(url)?;
        let response = self.open(url, with_token).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(GraphError::Expired),
            _ => return Err(failure(response).await),
        }
        let length = response.content_length();
        if length.is_some_and(|length| length > limit) {
            return Err(GraphError::TooLarge { limit });
        }
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.map(str::to_owned);
        let mut taken = 0_u64;
        let bytes = response.bytes_stream().map(move |piece| {
            let piece = piece.map_err(GraphError::transport)?;
            taken += piece.len() as u64;
            if taken > limit { Err(GraphError::TooLarge { limit }) } else { Ok(piece) }
        });
        Ok(Download { length, media_type, bytes: bytes.boxed() })
    }
}
