//! Text of captured attachments: taken out in a process of its own, and committed beside them for searching.
//!
//! The text is an event, so that a new index does not have to parse every attachment again, and so that it is
//! destroyed with what it was taken from.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use piperoll_engine::{Engine, EngineError};
use piperoll_extract::{Extracted, Extractor, NoText};
use piperoll_format::{Kind, Seq, Submission, SubmissionGroup};
use piperoll_projections::{CapturedAttachment, Fact, ProjectionError};
use piperoll_verify::{LedgerReader, ReadError};
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::document::{CapturedDocument, TextDocument};
use super::read::pieces;
use crate::known::Known;

/// Attachments that are looked up at once.
const BATCH: usize = 64;

/// The pause after something failed that may work later.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What the task owns.
pub(crate) struct TextTaker {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: LedgerReader,
    pub(crate) extractor: Extractor,
    pub(crate) known: Known,
    pub(crate) stop: CancellationToken,
}

/// Why an attachment must be tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    State(#[from] ProjectionError),
    #[error("the ledger could not be read")]
    Read(#[from] ReadError),
    #[error("the ledger does not take events")]
    Commit(#[from] EngineError),
    #[error("the text could not be taken out")]
    Extract(#[source] NoText),
}

impl TextTaker {
    /// Works until it is stopped, whatever happens.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let _stopped = stop.run_until_cancelled(self.work()).await;
    }

    async fn work(&mut self) {
        // First it must be known which texts were taken out before.
        let (mut next, mut position) = (0, self.engine.head().borrow().size);
        loop {
            if !self.known.reach(position).await {
                return;
            }
            match self.take_all(&mut next).await {
                Ok(()) => position = next + 1,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "texts of attachments will be tried again"
                    );
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    /// Works off the list from position `next` on, and moves that.
    async fn take_all(&self, next: &mut u64) -> Result<(), Trouble> {
        loop {
            let (from, position) = (*next, self.known.position());
            let listed =
                self.known.read(move |projections| projections.captured_attachments(from, BATCH)).await?;
            let is_last = listed.len() < BATCH;
            for captured in listed {
                let seq = Seq(captured.seq);
                if self.is_wanted(&captured).await? {
                    match self.take(seq).await {
                        Err(Trouble::Read(error)) if error.is_destroyed() => {}
                        done => done?,
                    }
                }
                *next = seq.0 + 1;
            }
            if is_last {
                *next = position.max(*next);
                return Ok(());
            }
        }
    }

    /// Tells whether an attachment may have text that was not taken out.
    async fn is_wanted(&self, captured: &Fact<CapturedAttachment>) -> Result<bool, Trouble> {
        let (seq, attachment) = (captured.seq, &captured.value);
        let media_type = attachment.media_type.as_deref().unwrap_or_default();
        let name = attachment.extension.as_ref().map(|extension| format!(".{extension}"));
        if !Extractor::supports(media_type, name.as_deref()) {
            return Ok(false);
        }
        Ok(!self.known.read(move |projections| projections.has_attachment_text(seq)).await?)
    }

    /// Takes the text out of one attachment, and commits it or the reason why there is none.
    async fn take(&self, captured: Seq) -> Result<(), Trouble> {
        let payload = self.reader.read(captured).await?.payload?.payload;
        let document = payload.parts.first().map(Vec::as_slice).unwrap_or_default();
        // What is no such document names no attachment.
        let Ok(document) = serde_json::from_slice::<CapturedDocument>(document) else { return Ok(()) };
        let media_type = document.mime_type.as_deref().unwrap_or_default();
        if !Extractor::supports(media_type, document.filename.as_deref()) {
            return Ok(());
        }
        let stream = pieces(self.reader.clone(), document.parts.iter().copied().map(Seq).collect());
        let input = pin!(StreamReader::new(stream.map_err(std::io::Error::other)));
        let size = document.size;
        let found = self.extractor.extract(media_type, document.filename.as_deref(), size, input).await;
        let text = TextDocument::new(captured, &document, final_answer(found)?);
        let text = serde_json::to_vec(&text).expect("texts and numbers are always JSON");
        let mut event = Submission::own(Kind::MediaText, "application/json", text);
        event.payload.facts.subject = payload.facts.subject;
        event.payload.facts.number = payload.facts.number;
        event.payload.facts.source_id = Some(format!("text:{captured}"));
        let _receipt = self.engine.submit(SubmissionGroup::single(event)).await?;
        Ok(())
    }
}

/// Tells what will always fail from what may work later.
fn final_answer(found: Result<Extracted, NoText>) -> Result<Result<Extracted, NoText>, Trouble> {
    match found {
        Err(error @ NoText::NotStarted(_)) => Err(Trouble::Extract(error)),
        other => Ok(other),
    }
}
