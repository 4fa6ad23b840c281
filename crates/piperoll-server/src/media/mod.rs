//! The media fetcher: a follower that fetches what messages name and commits it beside them.
//!
//! What is still to be fetched follows from the ledger alone: attachments of messages for which there is neither a
//! `media.captured` nor a `media.unavailable` event. The projections keep that list, whether anything is fetched or not.

mod desk;
pub(crate) mod digest;
mod document;
mod fetch;
mod metrics;
mod read;
mod receive;
mod text;
mod tries;
mod work;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use piperoll_engine::Engine;
use piperoll_format::Seq;
use piperoll_graph::GraphClient;
use piperoll_verify::LedgerReader;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::archive::Now;
use crate::known::Known;
pub(crate) use desk::AttachmentDesk;
pub(crate) use document::CapturedDocument;
pub(crate) use metrics::MediaMetrics;
pub(crate) use read::AttachmentBody;
pub(crate) use text::TextTaker;

/// How media are fetched.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Bytes of an attachment that are taken at most: the platform's own limit with some room.
    pub bytes_max: u64,
    /// How long the platform keeps what a webhook names: 7 days, or 1 hour for numbers without storage.
    pub life: Duration,
    /// Attachments that are fetched at the same time.
    pub concurrency: usize,
    /// The pauses between tries.
    pub pauses: RetryPauses,
}

/// Pauses between tries: each twice as long as the one before.
#[derive(Clone, Copy, Debug)]
pub struct RetryPauses {
    /// After the first try.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            bytes_max: 110 * 1024 * 1024,
            life: Duration::from_secs(7 * 24 * 3_600),
            concurrency: 4,
            pauses: RetryPauses { first: Duration::from_secs(5), most: Duration::from_secs(3_600) },
        }
    }
}

/// An attachment: the message that names it, and which of its attachments it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AttachmentKey {
    pub(crate) message: Seq,
    pub(crate) index: u32,
}

/// An attachment that is neither captured nor given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) key: AttachmentKey,
    /// When the message was recorded, in microseconds.
    pub(crate) since: u64,
    /// Tries that failed.
    pub(crate) attempts: u32,
    /// The business number, empty if unknown.
    pub(crate) number: String,
}

/// What the fetcher works with.
pub(crate) struct MediaParts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: LedgerReader,
    pub(crate) graph: GraphClient,
    pub(crate) settings: MediaSettings,
    pub(crate) known: Known,
    /// Where local state is.
    pub(crate) dir: PathBuf,
    pub(crate) now: Now,
    pub(crate) metrics: MediaMetrics,
}

/// The running fetcher.
pub(crate) struct MediaFetcher {
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl MediaFetcher {
    /// Starts to fetch what is named.
    pub(crate) fn start(parts: MediaParts) -> Self {
        let stop = CancellationToken::new();
        let head = parts.engine.head();
        let tries = tries::Tries::open(&parts.dir, parts.engine.ledger());
        let fetcher = fetch::Fetcher {
            engine: parts.engine,
            reader: parts.reader,
            graph: parts.graph,
            settings: parts.settings,
            known: parts.known.clone(),
            keep: receive::Keep { room: Arc::new(Semaphore::new(fetch::PIECES_IN_MEMORY)), dir: parts.dir },
            now: parts.now,
            pieces: Semaphore::new(fetch::PIECES_IN_FLIGHT),
        };
        let worker = work::Worker {
            known: parts.known,
            next: 0,
            fetcher: Arc::new(fetcher),
            head,
            stop: stop.clone(),
            metrics: parts.metrics,
            tries,
        };
        let task = tokio::spawn(worker.run());
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Stops; what is under way is given up and fetched again after the next start.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the media fetcher did not stop in order");
        }
    }
}

impl Drop for MediaFetcher {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
