//! One try to have one attachment: find it, download it, commit its pieces, then say what they are.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use piperoll_engine::{Engine, EngineError};
use piperoll_export::message_of;
use piperoll_format::{Facts, Kind, Submission, SubmissionGroup};
use piperoll_graph::{Download, GraphClient, GraphError, MediaInfo};
use piperoll_projections::{PLACEHOLDER, ProjectionError};
use piperoll_sources::Attachment;
use piperoll_verify::{LedgerReader, ReadError};
use tokio::sync::Semaphore;

use super::document::{CapturedDocument, Reason, UnavailableDocument};
use super::receive::{Keep, PIECE_BYTES, Piece, ReceiveError, Received, receive};
use super::{AttachmentKey, MediaSettings, Waiting, digest};
use crate::archive::Now;
use crate::known::Known;
use crate::wire::hex;

/// Addresses that are asked for in one try.
const ADDRESSES_MAX: usize = 3;

/// Tries after which an object that the platform does not know is given up.
const NOT_FOUND_TRIES: u32 = 5;

/// Pieces of all attachments together that wait for a commit; messages must find room in the pool beside them.
pub(super) const PIECES_IN_FLIGHT: usize = 6;

/// Pieces of all attachments together that are kept in memory: as many as four films of 25 MB have.
pub(super) const PIECES_IN_MEMORY: usize = 24;

/// Pieces of one attachment that are read ahead.
const PIECES_AHEAD: usize = 4;

/// The pause before an event that found a full pool is handed in again.
const COMMIT_AGAIN: Duration = Duration::from_millis(200);

/// What a try works with.
pub(crate) struct Fetcher {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: LedgerReader,
    pub(crate) graph: GraphClient,
    pub(crate) settings: MediaSettings,
    pub(crate) known: Known,
    /// Where downloads are until they are committed.
    pub(crate) keep: Keep,
    pub(crate) now: Now,
    pub(crate) pieces: Semaphore,
}

/// What became of a try.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is captured; so many bytes.
    Captured { bytes: u64 },
    /// It is given up, and that is committed.
    Unavailable,
    /// There is nothing to do: the message was destroyed, or it is known by now what became of the attachment.
    Gone,
    /// It must be tried again.
    Later { trouble: Trouble },
}

/// Why a try did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the local disk failed")]
    Disk(#[source] std::io::Error),
    #[error("the ledger could not be read")]
    Read(#[source] ReadError),
    #[error("the projections could not be read")]
    Projections(#[source] ProjectionError),
    #[error("the ledger does not take events")]
    Commit(#[source] EngineError),
}

impl From<ReceiveError> for Trouble {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Graph(error) => Self::Graph(error),
            ReceiveError::Disk(error) => Self::Disk(error),
        }
    }
}

impl Trouble {
    /// Returns why an attachment with this trouble is given up in the end.
    const fn reason(&self) -> Reason {
        match self {
            Self::Graph(GraphError::Expired) => Reason::Expired,
            Self::Graph(GraphError::NotFound) => Reason::NotFound,
            Self::Graph(GraphError::TooLarge { .. }) => Reason::TooLarge,
            Self::Graph(GraphError::RefusedHost { .. }) => Reason::RefusedHost,
            Self::Graph(GraphError::Unauthorised { .. }) => Reason::Unauthorised,
            _ => Reason::GaveUp,
        }
    }

    /// Tells whether the trouble is the archive's own, so that it says nothing about the attachment.
    const fn is_own(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Read(_) | Self::Projections(_) | Self::Commit(_))
    }
}

/// An attachment with what its message says about it.
struct Wanted {
    attachment: Attachment,
    subject: Option<String>,
    number: Option<String>,
    is_placeholder: bool,
}

impl Fetcher {
    /// Tries once; `waiting.attempts` are the tries before.
    pub(crate) async fn try_once(&self, waiting: &Waiting) -> Outcome {
        // A commit whose outcome stayed open may have succeeded, and another writer may have been here.
        let AttachmentKey { message, index } = waiting.key;
        match self.known.read(move |known| known.attachment_outcome(message.0, index)).await {
            Ok(None) => {}
            Ok(Some(_)) => return Outcome::Gone,
            Err(error) => return Outcome::Later { trouble: Trouble::Projections(error) },
        }
        let wanted = match self.wanted(waiting).await {
            Ok(Some(wanted)) => wanted,
            Ok(None) => return Outcome::Gone,
            Err(trouble) => return Outcome::Later { trouble },
        };
        if wanted.is_placeholder {
            let detail = "the history names a medium and does not say where it is";
            return self.give_up(waiting, &wanted, Reason::Placeholder, detail.to_owned()).await;
        }
        match self.capture(waiting, &wanted).await {
            Ok(bytes) => Outcome::Captured { bytes },
            Err(trouble) if self.is_hopeless(waiting, &trouble) => {
                self.give_up(waiting, &wanted, trouble.reason(), trouble.to_string()).await
            }
            Err(trouble) => Outcome::Later { trouble },
        }
    }

    /// Decides whether another try can help.
    fn is_hopeless(&self, waiting: &Waiting, trouble: &Trouble) -> bool {
        let life = u64::try_from(self.settings.life.as_micros()).unwrap_or(u64::MAX);
        let is_over = (self.now)().0 >= waiting.since.saturating_add(life);
        match trouble {
            trouble if trouble.is_own() => false,
            Trouble::Graph(GraphError::TooLarge { .. }) => true,
            Trouble::Graph(GraphError::NotFound) => is_over || waiting.attempts + 1 >= NOT_FOUND_TRIES,
            _ => is_over,
        }
    }

    /// Reads the message again; nothing of it is kept between tries. `None` when there is nothing to fetch any more.
    async fn wanted(&self, waiting: &Waiting) -> Result<Option<Wanted>, Trouble> {
        let read = self.reader.read(waiting.key.message).await.map_err(Trouble::Read)?;
        let opened = match read.payload {
            Ok(opened) => opened,
            Err(error) if error.is_destroyed() => return Ok(None),
            Err(error) => return Err(Trouble::Read(error)),
        };
        let message = message_of(read.event.core.kind, &opened.payload);
        let is_placeholder = message.message_type == PLACEHOLDER;
        let attachment = message.attachments.into_iter().nth(waiting.key.index as usize);
        let attachment = match attachment {
            Some(attachment) => attachment,
            None if is_placeholder => Attachment::default(),
            None => return Ok(None),
        };
        let Facts { subject, number, .. } = opened.payload.facts;
        Ok(Some(Wanted { attachment, subject, number, is_placeholder }))
    }

    /// Downloads and commits; returns the length.
    async fn capture(&self, waiting: &Waiting, wanted: &Wanted) -> Result<u64, Trouble> {
        let graph = &self.graph;
        let id = wanted.attachment.media_id.as_deref().unwrap_or_default();
        let (received, info, source) = if id.contains("://") {
            let download = graph.link_download(id, self.settings.bytes_max).await?;
            (receive(download, &self.keep).await?, None, "link")
        } else {
            let (received, info) = self.ask_platform(graph, id, wanted.number.as_deref()).await?;
            (received, Some(info), "graph")
        };
        let parts = self.commit_pieces(wanted, received.pieces).await?;
        let (attachment, told) = (&wanted.attachment, |info: &MediaInfo| info.sha256.clone());
        let declared = attachment.sha256.clone().or_else(|| info.as_ref().and_then(told));
        let document = CapturedDocument {
            message_seq: waiting.key.message.0,
            attachment: waiting.key.index,
            media_id: attachment.media_id.clone(),
            mime_type: attachment.mime_type.clone().or_else(|| info.and_then(|info| info.mime_type)),
            filename: attachment.filename.clone(),
            size: received.size,
            sha256: hex(&received.sha256),
            matches_declared: digest::matches(declared.as_deref(), &received.sha256),
            declared_sha256: declared,
            parts,
            attempts: waiting.attempts + 1,
            source: source.to_owned(),
        };
        if document.matches_declared == Some(false) {
            tracing::warn!(seq = document.message_seq, "an attachment is not what its message declares");
        }
        let document = serde_json::to_vec(&document).expect("texts and numbers are always JSON");
        let source_id = format!("media:{}:{}", waiting.key.message, waiting.key.index);
        let event = own(Kind::MediaCaptured, "application/json", document, wanted, Some(source_id));
        self.commit(event).await?;
        Ok(received.size)
    }

    async fn ask_platform(
        &self,
        graph: &GraphClient,
        id: &str,
        number: Option<&str>,
    ) -> Result<(Received, MediaInfo), Trouble> {
        for _ in 0..ADDRESSES_MAX {
            let info = graph.media_info(id, number).await?;
            let download: Download = match graph.media_download(&info.url, self.settings.bytes_max).await {
                Err(GraphError::Expired) => continue,
                other => other?,
            };
            return Ok((receive(download, &self.keep).await?, info));
        }
        Err(GraphError::Expired.into())
    }

    /// Commits the pieces, a few at a time, and returns their positions in their order.
    async fn commit_pieces(&self, wanted: &Wanted, pieces: Vec<Piece>) -> Result<Vec<u64>, Trouble> {
        let pieces = pieces.into_iter().map(async |piece| {
            let in_flight = self.pieces.acquire().await.expect("the semaphore is never closed");
            let (bytes, room) = piece.bytes().await.map_err(Trouble::Disk)?;
            debug_assert!(bytes.len() <= PIECE_BYTES, "a piece has its size");
            let part = own(Kind::MediaPart, "application/octet-stream", bytes, wanted, None);
            let seq = self.commit(part).await?;
            drop((in_flight, room));
            Ok(seq)
        });
        stream::iter(pieces).buffered(PIECES_AHEAD).try_collect().await
    }

    async fn give_up(&self, waiting: &Waiting, wanted: &Wanted, reason: Reason, detail: String) -> Outcome {
        let document = UnavailableDocument {
            message_seq: waiting.key.message.0,
            attachment: waiting.key.index,
            media_id: wanted.attachment.media_id.clone(),
            reason,
            detail,
            attempts: waiting.attempts + u32::from(!wanted.is_placeholder),
            r#final: true,
        };
        let document = serde_json::to_vec(&document).expect("texts and numbers are always JSON");
        let source_id = format!("media-unavailable:{}:{}", waiting.key.message, waiting.key.index);
        let event = own(Kind::MediaUnavailable, "application/json", document, wanted, Some(source_id));
        match self.commit(event).await {
            Ok(_) => Outcome::Unavailable,
            Err(trouble) => Outcome::Later { trouble },
        }
    }

    /// Commits one event; waits while the pool is full, because messages go first.
    async fn commit(&self, submission: Submission) -> Result<u64, Trouble> {
        let group = SubmissionGroup::single(submission);
        let receipts = self.engine.submit_patiently(group, COMMIT_AGAIN).await.map_err(Trouble::Commit)?;
        Ok(receipts.first().expect("a group of one has one receipt").seq.0)
    }
}

/// An event of the archive's own about somebody's message: under the same key, and as long-lived as the message.
fn own(
    kind: Kind,
    media_type: &str,
    document: Vec<u8>,
    wanted: &Wanted,
    source_id: Option<String>,
) -> Submission {
    let mut submission = Submission::own(kind, media_type, document);
    submission.payload.facts.subject.clone_from(&wanted.subject);
    submission.payload.facts.number.clone_from(&wanted.number);
    submission.payload.facts.source_id = source_id;
    submission
}
