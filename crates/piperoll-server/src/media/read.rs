//! Reading an attachment back: its pieces in their order, and its digest at the end.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use piperoll_format::{Kind, Seq};
use piperoll_projections::Outcome;
use piperoll_verify::{LedgerReader, ReadError};
use sha2::{Digest as _, Sha256};

use super::digest::read_sha256;
use super::document::{CapturedDocument, UnavailableDocument};
use crate::access::Access;
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::tokens::Caller;
use crate::wire::AttachmentView;

/// Pieces that are read ahead while others are sent.
const PIECES_AHEAD: usize = 2;

/// An attachment on its way out.
pub(crate) struct AttachmentBody {
    /// The bytes; the stream breaks off if they are not what was captured.
    pub(crate) body: Body,
    /// The length in bytes.
    pub(crate) size: u64,
    /// The media type that the sender claims.
    pub(crate) mime_type: Option<String>,
    /// The file name that the sender claims.
    pub(crate) filename: Option<String>,
    /// The SHA-256 of the bytes, hexadecimal.
    pub(crate) sha256: String,
}

impl Archive {
    /// Returns the attachment `index` of an event, after that was put on the record.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when the event has no such attachment or it was not captured, with the reason;
    /// [`ErrorCode::Destroyed`]; those of reading and of a commit.
    pub(crate) async fn attachment(
        &self,
        caller: &Caller,
        seq: Seq,
        index: u32,
    ) -> Result<AttachmentBody, ApiError> {
        let mut outcome = self.outcome(seq, index).await?;
        if outcome.is_none() {
            let size = self.engine.head().borrow().size;
            self.follower.known().catch_up(size).await;
            outcome = self.outcome(seq, index).await?;
        }
        let captured = match outcome {
            Some(Outcome::Captured(by)) => Seq(by),
            Some(Outcome::Unavailable(by)) => {
                let why = read_document::<UnavailableDocument>(&self.reader, Seq(by)).await?.detail;
                let message = format!("attachment {index} of event {seq} is not available: {why}");
                return Err(ApiError::new(ErrorCode::NotFound, message));
            }
            None => {
                let message = format!("attachment {index} of event {seq} is not captured");
                return Err(ApiError::new(ErrorCode::NotFound, message));
            }
        };
        let document: CapturedDocument = read_document(&self.reader, captured).await?;
        let target = format!("event {seq} attachment {index}");
        let access = Access {
            action: "attachment",
            target: Some(&target),
            shown: [seq.0, captured.0].into_iter().chain(document.parts.iter().copied()).collect(),
            ..Access::default()
        };
        let _ = self.record_access(Kind::AccessView, caller, &access).await?;
        // The first piece is read before the answer begins, so that what was destroyed is an error and no empty file.
        let first = match document.parts.first() {
            Some(part) => Some(piece(&self.reader, Seq(*part)).await?),
            None => None,
        };
        Ok(AttachmentBody {
            body: body(self.reader.clone(), &document, first),
            size: document.size,
            mime_type: document.mime_type,
            filename: document.filename,
            sha256: document.sha256,
        })
    }

    /// Tells for each attachment of an event what became of it, as far as is projected.
    pub(crate) async fn attachment_views(
        &self,
        seq: Seq,
        count: usize,
    ) -> Result<Vec<AttachmentView>, ApiError> {
        let mut views = Vec::with_capacity(count);
        for index in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            views.push(match self.outcome(seq, index).await? {
                Some(Outcome::Captured(by)) => AttachmentView::captured(index, by),
                Some(Outcome::Unavailable(by)) => {
                    let document = read_document::<UnavailableDocument>(&self.reader, Seq(by)).await;
                    AttachmentView::unavailable(index, by, document.ok().map(|document| document.detail))
                }
                None => AttachmentView::waiting(index),
            });
        }
        Ok(views)
    }

    /// Tells what became of an attachment, as far as is projected.
    pub(crate) async fn outcome(&self, seq: Seq, index: u32) -> Result<Option<Outcome>, ApiError> {
        let known = self.follower.known();
        let outcome = known.read(move |projections| projections.attachment_outcome(seq.0, index)).await;
        outcome.map_err(ApiError::internal)
    }
}

pub(super) async fn read_document<T: serde::de::DeserializeOwned>(
    reader: &LedgerReader,
    seq: Seq,
) -> Result<T, ApiError> {
    let read = reader.read(seq).await?;
    let opened = read.payload?;
    let document = opened.payload.parts.first().map(Vec::as_slice).unwrap_or_default();
    serde_json::from_slice(document).map_err(ApiError::internal)
}

async fn piece(reader: &LedgerReader, seq: Seq) -> Result<Bytes, ReadError> {
    let read = reader.read(seq).await?;
    let mut parts = read.payload?.payload.parts;
    let bytes = parts.drain(..).next().unwrap_or_default();
    Ok(bytes.into())
}

/// Reads pieces in the order given.
pub(super) fn pieces(
    reader: LedgerReader,
    parts: Vec<Seq>,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static {
    let read = move |seq| {
        let reader = reader.clone();
        async move { piece(&reader, seq).await }
    };
    stream::iter(parts).map(read).buffered(PIECES_AHEAD)
}

/// Why an attachment breaks off.
#[derive(Clone, Debug, thiserror::Error)]
enum BrokenOff {
    #[error("a piece cannot be read")]
    Read(#[from] Arc<ReadError>),
    #[error("the pieces are not what was captured")]
    Digest,
}

fn body(reader: LedgerReader, document: &CapturedDocument, first: Option<Bytes>) -> Body {
    let expected = read_sha256(&document.sha256);
    let rest = pieces(reader, document.parts.iter().skip(1).map(|part| Seq(*part)).collect());
    let rest = rest.map_err(|error| BrokenOff::Read(Arc::new(error)));
    let pieces = stream::iter(first.map(Ok)).chain(rest).map(Some).chain(stream::iter([None]));
    let mut hasher = Sha256::new();
    let checked = pieces.filter_map(move |piece| {
        let checked = match piece {
            Some(Ok(bytes)) => {
                hasher.update(&bytes);
                Some(Ok(bytes))
            }
            Some(Err(error)) => Some(Err(error)),
            None if expected == Some(hasher.finalize_reset().into()) => None,
            None => Some(Err(BrokenOff::Digest)),
        };
        if let Some(Err(error)) = &checked {
            tracing::error!(%error, "an attachment broke off; run a verification");
        }
        std::future::ready(checked)
    });
    Body::from_stream(checked)
}
