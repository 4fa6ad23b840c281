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
use piperoll_verify::{LedgerReader, ReadError};
use tokio::sync::watch;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::document::{CapturedDocument, TextDocument};
use super::read::pieces;
use super::state::{MediaState, MediaStateError};

/// Attachments that are looked up at once.
const BATCH: usize = 64;

/// The pause after something failed that may work later.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What the task owns.
pub(crate) struct TextTaker {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: LedgerReader,
    pub(crate) extractor: Extractor,
    pub(crate) state: MediaState,
    pub(crate) looked: watch::Receiver<u64>,
    pub(crate) stop: CancellationToken,
}

/// Why an attachment must be tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    State(#[from] MediaStateError),
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
        loop {
            let pause = match self.take_all().await {
                Ok(()) => None,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "texts of attachments will be tried again");
                    Some(RETRY_AFTER)
                }
            };
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                // An error means that nothing new will be heard of.
                None if self.looked.changed().await.is_err() => return,
                None => {}
            }
        }
    }

    async fn take_all(&mut self) -> Result<(), Trouble> {
        let _ = self.looked.borrow_and_update();
        loop {
            let waiting = self.state.without_text(BATCH)?;
            if waiting.is_empty() {
                return Ok(());
            }
            for captured in waiting {
                match self.take(captured).await {
                    Err(Trouble::Read(error)) if error.is_destroyed() => {}
                    done => done?,
                }
                self.state.has_text(captured)?;
            }
        }
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
