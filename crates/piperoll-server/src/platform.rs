//! What runs beside the archive: the media fetcher, the poller, and what takes the text out of attachments.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use piperoll_extract::Extractor;
use piperoll_graph::GraphClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;
use crate::media::{MediaFetcher, MediaParts, MediaSettings, TextTaker};
use crate::poll::{PollParts, PollSettings, Poller};

/// How long a reader waits for the media state to catch up; it is told what is known then.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);

/// How the platform is reached and used.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    /// The client; without one, attachments are given up when their life ends, and nothing is polled.
    pub graph: Option<GraphClient>,
    /// How media are fetched.
    pub media: MediaSettings,
    /// What takes the text out of attachments; without it they are captured and not searchable.
    pub extractor: Option<Extractor>,
    /// What is polled.
    pub poll: PollSettings,
}

/// The running parts.
pub(crate) struct PlatformTasks {
    fetcher: MediaFetcher,
    poller: Option<Poller>,
    texts: Texts,
    looked: watch::Receiver<u64>,
}

/// The running task that takes texts out.
struct Texts {
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Texts {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Archive {
    /// Starts to fetch media and, with a client, to poll. Only the first call does something.
    ///
    /// Must be called inside the runtime that the archive was opened in.
    pub fn run_platform(&self, platform: Platform) {
        let _tasks = self.platform.get_or_init(|| PlatformTasks::start(self, platform));
    }
}

impl PlatformTasks {
    fn start(archive: &Archive, platform: Platform) -> Self {
        let (fetcher, heard) = MediaFetcher::start(MediaParts {
            engine: archive.engine.clone(),
            reader: archive.reader.clone(),
            graph: platform.graph.clone(),
            settings: platform.media,
            state: archive.media.clone(),
            now: archive.now.clone(),
            metrics: archive.metrics.media.clone(),
        });
        let looked = fetcher.looked();
        let poller = platform.graph.map(|graph| {
            Poller::start(PollParts {
                engine: archive.engine.clone(),
                graph,
                settings: platform.poll,
                state: archive.media.clone(),
                looked: looked.clone(),
                templates: heard,
                now: archive.now.clone(),
                metrics: archive.metrics.poll.clone(),
            })
        });
        let stop = CancellationToken::new();
        let taker = platform.extractor.map(|extractor| TextTaker {
            engine: archive.engine.clone(),
            reader: archive.reader.clone(),
            extractor,
            state: archive.media.clone(),
            looked: looked.clone(),
            stop: stop.clone(),
        });
        let texts = Texts { stop, task: Mutex::new(taker.map(|taker| tokio::spawn(taker.run()))) };
        Self { fetcher, poller, texts, looked }
    }

    /// Waits until the media state covers the events before `size`, within reason.
    pub(crate) async fn catch_up(&self, size: u64) {
        let mut looked = self.looked.clone();
        let caught_up = looked.wait_for(|looked| *looked >= size);
        // Too late or closing: what is known is told.
        drop(tokio::time::timeout(CATCH_UP_WITHIN, caught_up).await);
    }

    /// Stops all.
    pub(crate) async fn close(&self) {
        self.texts.stop.cancel();
        let task = self.texts.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "taking texts out did not stop in order");
        }
        if let Some(poller) = &self.poller {
            poller.close().await;
        }
        self.fetcher.close().await;
    }
}
