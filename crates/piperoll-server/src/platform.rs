//! What runs beside the archive and talks to the platform: the media fetcher and the poller.

use std::sync::Arc;
use std::time::Duration;

use piperoll_graph::GraphClient;
use tokio::sync::watch;

use crate::media::{MediaFetcher, MediaParts, MediaSettings};
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
    /// What is polled.
    pub poll: PollSettings,
}

/// The running parts.
pub(crate) struct PlatformTasks {
    fetcher: MediaFetcher,
    poller: Option<Poller>,
    looked: watch::Receiver<u64>,
}

impl PlatformTasks {
    /// Starts both; the poller only with a client.
    pub(crate) fn start(platform: Platform, media: MediaParts, metrics: crate::poll::PollMetrics) -> Self {
        let (engine, state, now) = (Arc::clone(&media.engine), media.state.clone(), media.now.clone());
        let (fetcher, heard) = MediaFetcher::start(media);
        let looked = fetcher.looked();
        let poller = platform.graph.map(|graph| {
            Poller::start(PollParts {
                engine,
                graph,
                settings: platform.poll,
                state,
                looked: looked.clone(),
                templates: heard,
                now,
                metrics,
            })
        });
        Self { fetcher, poller, looked }
    }

    /// Waits until the media state covers the events before `size`, within reason.
    pub(crate) async fn catch_up(&self, size: u64) {
        let mut looked = self.looked.clone();
        let caught_up = looked.wait_for(|looked| *looked >= size);
        // Too late or closing: what is known is told.
        drop(tokio::time::timeout(CATCH_UP_WITHIN, caught_up).await);
    }

    /// Stops both.
    pub(crate) async fn close(&self) {
        if let Some(poller) = &self.poller {
            poller.close().await;
        }
        self.fetcher.close().await;
    }
}
