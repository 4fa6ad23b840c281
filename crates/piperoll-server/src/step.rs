//! From events that are read to what they do to index and projections. What becomes of a batch is pure, so that batches
//! are made in parallel.

use std::ops::Range;

use futures::StreamExt as _;
use piperoll_export::message_of;
use piperoll_format::{Bucket, DisposalOrder, Kind, Seq};
use piperoll_index::Document;
use piperoll_projections::{Observed, Rows};
use piperoll_verify::{LedgerReader, ReadError, ReadEvent};
use tokio::sync::mpsc;

use crate::place::blocking;
use crate::project::Change;

/// Batches of the reader that are prepared at the same time.
const BATCHES_AHEAD: usize = 2;

/// Batches that wait to be applied: as many as are prepared while the index writes a file.
pub(crate) const BATCHES_WAITING: usize = 8;

/// What becomes of one batch of events.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) steps: Vec<Step>,
    pub(crate) changes: Vec<Change>,
    pub(crate) forgotten: Vec<Bucket>,
    /// Facts that are not among the changes yet.
    rows: Rows,
    /// The event after the batch.
    pub(crate) next: u64,
}

/// What one event does to the index.
pub(crate) enum Step {
    Index(Box<Document>),
    Forget(Bucket),
}

/// From which events on something is made.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Documents for the index.
    pub(crate) documents: u64,
    /// Facts for the projections.
    pub(crate) facts: u64,
}

/// Reads and prepares events in a task of its own, so that reading goes on while batches are applied. It ends when
/// nobody takes them any more.
pub(crate) fn read_ahead(
    reader: &LedgerReader,
    range: Range<Seq>,
    wanted: Wanted,
) -> mpsc::Receiver<Result<Batch, ReadError>> {
    let events = reader.stream_of(range.start, range.end, is_read);
    let mut batches =
        events.map(move |batch| blocking(move || steps(batch?, wanted))).buffered(BATCHES_AHEAD);
    let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
    drop(tokio::spawn(async move {
        while let Some(batch) = batches.next().await {
            if sender.send(batch).await.is_err() {
                return;
            }
        }
    }));
    receiver
}

/// Fails when the store did not answer: then the batch is read again, and no event is left out for good.
fn steps(events: Vec<ReadEvent>, wanted: Wanted) -> Result<Batch, ReadError> {
    let mut unread = events.iter().filter_map(|read| read.payload.as_ref().err());
    if let Some(error) = unread.find(|error| matches!(error, ReadError::Store(_))) {
        return Err(error.clone());
    }
    let next = events.last().map_or(0, |read| read.event.seq().0 + 1);
    let (steps, rows) = (Vec::with_capacity(events.len()), Rows::of_events(events.len()));
    let mut batch = Batch { steps, rows, next, ..Batch::default() };
    events.into_iter().for_each(|read| step(read, wanted, &mut batch));
    batch.close_rows();
    Ok(batch)
}

impl Batch {
    /// Makes the facts so far a change of their own: what comes next acts on them.
    fn close_rows(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            rows.sort();
            self.changes.push(Change::Add(rows));
        }
    }
}

/// Tells whether an event has something to find: a piece of an attachment has not.
fn is_read(kind: Kind) -> bool {
    kind != Kind::MediaPart
}

fn step(read: ReadEvent, wanted: Wanted, batch: &mut Batch) {
    let core = &read.event.core;
    let opened = match read.payload {
        Ok(opened) => opened,
        Err(ReadError::LeftOut { .. }) => return,
        // What was destroyed is not searchable; nothing is wrong with that.
        Err(error) if error.is_destroyed() => return,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(seq = core.seq.0, error, "an event cannot be read and will not be found");
            return;
        }
    };
    let payload = &opened.payload;
    if matches!(core.kind, Kind::DisposalOrdered | Kind::DisposalCompleted) {
        let order = payload.parts.first().and_then(|part| DisposalOrder::decode(part).ok());
        if let Some(DisposalOrder { bucket, .. }) = order {
            batch.close_rows();
            batch.changes.push(Change::Forget(bucket.clone()));
            batch.steps.push(Step::Forget(bucket.clone()));
            batch.forgotten.push(bucket);
        }
    }
    let message = message_of(core.kind, payload);
    let bucket = read.event.pack.as_ref().map(|pack| pack.bucket.to_string()).unwrap_or_default();
    let observed = Observed {
        seq: core.seq.0,
        kind: core.kind,
        recorded_at: core.recorded_at,
        bucket: &bucket,
        payload,
        message: &message,
    };
    if core.seq.0 >= wanted.facts {
        piperoll_projections::fold(&observed, &mut batch.rows);
    }
    // A skeleton has nothing to read: its items are documents of their own.
    let is_document = !matches!(core.kind, Kind::DisposalOrdered | Kind::DisposalCompleted | Kind::Delivery);
    if is_document && core.seq.0 >= wanted.documents {
        batch.steps.push(Step::Index(Box::new(Document {
            seq: core.seq.0,
            kind: core.kind,
            recorded_at: core.recorded_at,
            class: core.class.as_str().to_owned(),
            bucket,
            message,
        })));
    }
}
