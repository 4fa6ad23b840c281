//! From events to what is to be fetched: reads the ledger from where it stopped the last time.

use futures::StreamExt as _;
use piperoll_export::message_of;
use piperoll_format::{Kind, Seq};
use piperoll_verify::{LedgerReader, ReadError, ReadEvent};

use super::document;
use super::state::{AttachmentKey, Change, MediaState, MediaStateError, Waiting};

/// The content type of a message in the history whose medium was not handed over.
pub(crate) const PLACEHOLDER: &str = "media_placeholder";

/// Why the local state is behind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FoldError {
    #[error("the ledger could not be read")]
    Read(#[from] ReadError),
    #[error(transparent)]
    State(#[from] MediaStateError),
}

/// What new events bring beside changes of the state.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) changes: Vec<Change>,
    /// Templates that webhooks said something about: id.
    pub(crate) templates: Vec<String>,
}

/// Reads the events up to `size` into the state, and hands each batch's changes on.
pub(crate) async fn fold(
    state: &MediaState,
    reader: &LedgerReader,
    size: u64,
    mut then: impl FnMut(Folded),
) -> Result<(), FoldError> {
    let cursor = state.cursor()?;
    if cursor >= size {
        return Ok(());
    }
    let mut batches = reader.stream_of(Seq(cursor), Seq(size), is_wanted);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let state = state.clone();
        let folded = tokio::task::spawn_blocking(move || -> Result<Folded, FoldError> {
            let (folded, next) = fold_batch(&batch)?;
            state.apply(&folded.changes, next)?;
            Ok(folded)
        });
        match folded.await {
            Ok(folded) => then(folded?),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Tells whether events of a kind can name an attachment, or say what became of one.
fn is_wanted(kind: Kind) -> bool {
    match kind {
        Kind::WhatsappStatus | Kind::WhatsappContact | Kind::WhatsappReaction | Kind::WhatsappRevoke => false,
        Kind::MediaCaptured | Kind::MediaUnavailable | Kind::MediaText => true,
        Kind::AccountObserved | Kind::TemplateSnapshot => true,
        kind => kind.as_str().starts_with("whatsapp."),
    }
}

fn fold_batch(events: &[ReadEvent]) -> Result<(Folded, u64), ReadError> {
    let mut folded = Folded::default();
    let mut next = 0;
    for read in events {
        next = read.event.seq().0 + 1;
        match &read.payload {
            Ok(_) => fold_one(read, &mut folded),
            // The store did not answer: the batch is read again, and nothing is left out for good.
            Err(error @ ReadError::Store(_)) => return Err(error.clone()),
            // What was destroyed needs no attachments, and what cannot be read is the verifier's to report.
            Err(_) => {}
        }
    }
    Ok((folded, next))
}

fn fold_one(read: &ReadEvent, folded: &mut Folded) {
    let Ok(opened) = &read.payload else { return };
    let (core, payload) = (&read.event.core, &opened.payload);
    if !core.kind.as_str().starts_with("whatsapp.") {
        let document = payload.parts.first().map(Vec::as_slice).unwrap_or_default();
        folded.changes.extend(document::read(core.kind, core.seq, core.recorded_at.0, document));
        return;
    }
    let message = message_of(core.kind, payload);
    if core.kind == Kind::WhatsappTemplate {
        folded.templates.extend(message.template.and_then(|template| template.id));
        return;
    }
    let is_placeholder = message.message_type == PLACEHOLDER;
    let fetchable = message.attachments.iter().enumerate().filter(|(_, found)| found.media_id.is_some());
    let indices = fetchable.map(|(index, _)| index).chain(is_placeholder.then_some(0));
    folded.changes.extend(indices.map(|index| {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        Change::Wait(Waiting {
            key: AttachmentKey { message: core.seq, index },
            since: core.recorded_at.0,
            attempts: 0,
            number: payload.facts.number.clone().unwrap_or_default(),
        })
    }));
}
