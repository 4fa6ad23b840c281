//! The media fetcher: a follower that fetches what messages name and commits it beside them.
//!
//! What is still to be fetched follows from the ledger alone: attachments of messages for which there is neither a
//! `media.captured` nor a `media.unavailable` event. The list on local disk spares reading the ledger again.

pub(crate) mod digest;
mod document;
mod fetch;
mod fold;
mod metrics;
mod read;
mod receive;
mod state;
mod text;
mod work;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use piperoll_engine::Engine;
use piperoll_graph::GraphClient;
use piperoll_verify::LedgerReader;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::archive::Now;
pub(crate) use document::CapturedDocument;
pub(crate) use metrics::MediaMetrics;
pub(crate) use read::AttachmentBody;
pub(crate) use state::MediaState;
pub use state::MediaStateError;
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

/// What the fetcher works with.
pub(crate) struct MediaParts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: LedgerReader,
    pub(crate) graph: Option<GraphClient>,
    pub(crate) settings: MediaSettings,
    pub(crate) state: MediaState,
    pub(crate) now: Now,
    pub(crate) metrics: MediaMetrics,
}

/// The running fetcher.
pub(crate) struct MediaFetcher {
    stop: CancellationToken,
    looked: watch::Receiver<u64>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl MediaFetcher {
    /// Starts to follow and to fetch. The other end hears of templates that webhooks said something about.
    pub(crate) fn start(parts: MediaParts) -> (Self, mpsc::UnboundedReceiver<String>) {
        let stop = CancellationToken::new();
        let (templates, heard) = mpsc::unbounded_channel();
        let (sender, looked) = watch::channel(0);
        let head = parts.engine.head();
        let fetcher = fetch::Fetcher {
            engine: parts.engine,
            reader: parts.reader,
            graph: parts.graph,
            settings: parts.settings,
            dir: parts.state.dir().to_owned(),
            now: parts.now,
            pieces: Semaphore::new(fetch::PIECES_IN_FLIGHT),
        };
        let worker = work::Worker {
            state: parts.state,
            fetcher: Arc::new(fetcher),
            head,
            stop: stop.clone(),
            metrics: parts.metrics,
            templates,
            looked: sender,
        };
        let task = tokio::spawn(worker.run());
        (Self { stop, looked, task: Mutex::new(Some(task)) }, heard)
    }

    /// Tells how far the list of what to fetch is: every event with a lower `seq` was looked at.
    pub(crate) fn looked(&self) -> watch::Receiver<u64> {
        self.looked.clone()
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
