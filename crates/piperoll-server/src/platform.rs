//! What runs beside the archive: the media fetcher, the poller, and what takes the text out of attachments.

use std::sync::{Mutex, PoisonError};

use piperoll_extract::Extractor;
use piperoll_graph::GraphClient;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;
use crate::media::{MediaFetcher, MediaParts, MediaSettings, TextTaker};
use crate::poll::{PollParts, PollSettings, Poller};

/// How the platform is reached and used.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    /// The client; without one nothing is fetched and nothing is polled. What was named meanwhile is fetched once there
    /// is one, and coverage says what was not.
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
    fetcher: Option<MediaFetcher>,
    poller: Option<Poller>,
    texts: Texts,
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
        let fetcher = platform.graph.clone().map(|graph| {
            MediaFetcher::start(MediaParts {
                engine: archive.engine.clone(),
                reader: archive.reader.clone(),
                graph,
                settings: platform.media,
                known: archive.follower.known(),
                dir: archive.state_dir.clone(),
                now: archive.now.clone(),
                metrics: archive.metrics.media.clone(),
            })
        });
        let poller = platform.graph.map(|graph| {
            Poller::start(PollParts {
                engine: archive.engine.clone(),
                graph,
                settings: platform.poll,
                known: archive.follower.known(),
                now: archive.now.clone(),
                metrics: archive.metrics.poll.clone(),
            })
        });
        let stop = CancellationToken::new();
        let taker = platform.extractor.map(|extractor| TextTaker {
            engine: archive.engine.clone(),
            reader: archive.reader.clone(),
            extractor,
            known: archive.follower.known(),
            stop: stop.clone(),
        });
        let texts = Texts { stop, task: Mutex::new(taker.map(|taker| tokio::spawn(taker.run()))) };
        Self { fetcher, poller, texts }
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
        if let Some(fetcher) = &self.fetcher {
            fetcher.close().await;
        }
    }
}
