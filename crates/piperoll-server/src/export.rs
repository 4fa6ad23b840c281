//! Exports: everything that matches a query, in the order of the ledger, each event with its proof.
//!
//! Dense stretches of hits are read as ranges, scattered ones by themselves. Lines are made on other threads than
//! those that read, and at most a few blocks of them wait for the receiver.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use piperoll_export::{Gap, Header, Production, event_line};
use piperoll_format::{Kind, Seq};
use piperoll_verify::prove::{Evidence, Prover};
use piperoll_verify::{LedgerReader, ReadError, ReadEvent};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::access::Access;
use crate::archive::Archive;
use crate::error::ApiError;
use crate::media::AttachmentDesk;
use crate::read::Search;
use crate::tokens::Caller;
use crate::wire::GapView;

/// Blocks of lines that wait for the receiver.
const BLOCKS_AHEAD: usize = 4;

/// About how long the line of an event is.
const LINE_BYTES: usize = 4 * 1024;

/// Hits that are further apart than this are not read as one range.
const GAP_MAX: u64 = 16;

/// Fewer hits than this are not worth reading as a range.
const RANGE_HITS_MIN: usize = 32;

/// An export that has begun: blocks of JSON lines, until the channel ends. An error in it means that the export is
/// not complete; a complete one ends with a line that says so.
#[derive(Debug)]
pub struct Export {
    /// How many events it will have.
    pub events: usize,
    /// The lines.
    pub blocks: mpsc::Receiver<Result<Bytes, ApiError>>,
}

impl Archive {
    /// Exports what matches a query; the page of the search is not used.
    ///
    /// # Errors
    /// Those of [`Archive::search`].
    pub async fn export(&self, caller: &Caller, search: &Search) -> Result<Export, ApiError> {
        let query = self.parse(search)?;
        let canonical = query.to_string();
        let gaps = self.gaps_now(&query).await;
        let (hits, _) = self.find_up_to(query, usize::MAX, None).await?;
        let known = self.follower.known();
        let committed = self.engine.head().borrow().size;
        known.catch_up(committed).await;
        let prover = self.prover()?;
        let size = prover.checkpoint().size;
        let seqs: Vec<Seq> =
            hits.hits.iter().rev().map(|hit| Seq(hit.seq)).filter(|seq| seq.0 < size).collect();
        let access = Access {
            action: "export",
            query: Some(&canonical),
            typed: Some(&search.query),
            hits: Some(hits.total),
            ..Access::default()
        };
        let _ = self.record_access(Kind::AccessExport, caller, &access).await?;
        let header = Header {
            ledger: self.ledger().to_string(),
            origin: self.engine.genesis().origin.clone(),
            vkey: self.reader.vkey().to_string(),
            checkpoint: prover.note().to_owned(),
            query: Some(canonical),
            complete_to: hits.complete_to,
            exported_at: self.now().to_string(),
            exported_by: caller.name.clone(),
            gaps: gaps.gaps.iter().map(gap).collect(),
            more_gaps: gaps.more,
            gaps_complete: gaps.complete,
            gaps_as_of: gaps.as_of,
        };
        let (sender, blocks) = mpsc::channel(BLOCKS_AHEAD);
        let events = seqs.len();
        let attachments = AttachmentDesk::new(known, self.reader.clone());
        let writing = Writing { reader: self.reader.clone(), attachments, prover, sender };
        drop(tokio::spawn(writing.run(header, seqs)));
        Ok(Export { events, blocks })
    }
}

fn gap(gap: &GapView) -> Gap {
    let GapView { number, from, to, cause, certain, count } = gap.clone();
    Gap { number, from, to, cause, certain, count }
}

/// Everything that an export's task owns.
struct Writing {
    reader: LedgerReader,
    attachments: AttachmentDesk,
    prover: Prover,
    sender: mpsc::Sender<Result<Bytes, ApiError>>,
}

impl Writing {
    /// Writes until the end, or until the receiver has gone.
    async fn run(self, header: Header, seqs: Vec<Seq>) {
        if let Err(error) = self.write(&header, &seqs).await {
            // Without a receiver nobody needs to know.
            drop(self.sender.send(Err(error)).await);
        }
    }

    async fn write(&self, header: &Header, seqs: &[Seq]) -> Result<(), ApiError> {
        let mut production = Production::default();
        if self.sender.send(Ok(production.header(header).into())).await.is_err() {
            return Ok(());
        }
        let mut blocks = self.blocks(seqs);
        while let Some(block) = blocks.next().await {
            let block = block?.await.map_err(ApiError::internal)?;
            production.events(&block.lines, block.events, block.without_payload);
            if self.sender.send(Ok(block.lines.into())).await.is_err() {
                return Ok(());
            }
        }
        let (last, _) = production.footer();
        // The receiver may have gone at the very end.
        drop(self.sender.send(Ok(last.into())).await);
        Ok(())
    }

    /// Makes the lines, in order: while one block is proven and another written, the next are read.
    fn blocks(&self, seqs: &[Seq]) -> BoxStream<'static, Result<JoinHandle<Block>, ApiError>> {
        let runs: Vec<Vec<Seq>> = runs(seqs).into_iter().map(|run| seqs[run].to_vec()).collect();
        let (reader, prover, attachments) =
            (self.reader.clone(), self.prover.clone(), self.attachments.clone());
        let batches = stream::iter(runs).flat_map(move |run| read(reader.clone(), run));
        batches
            .map(move |batch| prove(prover.clone(), attachments.clone(), batch))
            .buffered(BLOCKS_AHEAD)
            .boxed()
    }
}

type Batch = Result<Vec<ReadEvent>, ReadError>;

fn read(reader: LedgerReader, run: Vec<Seq>) -> BoxStream<'static, Batch> {
    if run.len() < RANGE_HITS_MIN {
        let read = async move { reader.payload_many(&run).await.into_iter().collect() };
        return stream::once(read).boxed();
    }
    let batches = reader.stream(run[0], run[run.len() - 1].next());
    let wanted = move |read: &ReadEvent| run.binary_search(&read.event.seq()).is_ok();
    batches.map_ok(move |batch| batch.into_iter().filter(&wanted).collect()).boxed()
}

async fn prove(
    prover: Prover,
    attachments: AttachmentDesk,
    batch: Batch,
) -> Result<JoinHandle<Block>, ApiError> {
    Ok(lines(prover.prove_read(batch?).await?, attachments))
}

/// The lines of some events.
struct Block {
    lines: Vec<u8>,
    events: u64,
    without_payload: u64,
}

/// Makes lines on another thread.
fn lines(evidence: Vec<Evidence>, attachments: AttachmentDesk) -> JoinHandle<Block> {
    tokio::task::spawn_blocking(move || {
        let mut lines = Vec::with_capacity(evidence.len() * LINE_BYTES);
        let mut told = |seq, message: &_| attachments.lines_of(Seq(seq), message);
        evidence.iter().for_each(|evidence| event_line(evidence, &mut told, &mut lines));
        let without_payload = evidence.iter().filter(|evidence| evidence.payload.is_err()).count();
        Block { lines, events: evidence.len() as u64, without_payload: without_payload as u64 }
    })
}

/// Cuts hits into runs that are either dense, or short enough to be read one by one.
fn runs(seqs: &[Seq]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for at in 1..=seqs.len() {
        let ends = at == seqs.len() || seqs[at].0 - seqs[at - 1].0 > GAP_MAX;
        if !ends {
            continue;
        }
        let run = start..at;
        match runs.last_mut() {
            // Short runs are put together, so that they are read in parallel.
            Some(last) if run.len() < RANGE_HITS_MIN && last.len() + run.len() < RANGE_HITS_MIN => {
                last.end = at;
            }
            _ => runs.push(run),
        }
        start = at;
    }
    runs
}
