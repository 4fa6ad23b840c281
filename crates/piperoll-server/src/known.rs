//! The projections with how far they are, for tasks that work off what was folded and for readers of it.

use std::time::Duration;

use piperoll_projections::{ProjectionError, Projections};
use tokio::sync::watch;

use crate::follow::Progress;
use crate::place::blocking;
use crate::project::{Projected, sound};

/// How long somebody who asks waits for the projections to catch up; then they are told what is known.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);

/// What was folded, as far as it is. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Known {
    projected: Projected,
    progress: watch::Receiver<Progress>,
}

impl Known {
    pub(crate) const fn new(projected: Projected, progress: watch::Receiver<Progress>) -> Self {
        Self { projected, progress }
    }

    /// Returns the position before which every event is folded.
    pub(crate) fn position(&self) -> u64 {
        self.progress.borrow().projected
    }

    /// Waits until the events before `size` are folded; false when nothing will be folded any more.
    pub(crate) async fn reach(&mut self, size: u64) -> bool {
        self.progress.wait_for(|progress| progress.projected >= size).await.is_ok()
    }

    /// Waits until the events before `size` are folded, within reason.
    pub(crate) async fn catch_up(&self, size: u64) {
        let mut known = self.clone();
        drop(tokio::time::timeout(CATCH_UP_WITHIN, known.reach(size)).await);
    }

    /// Reads the projections on this thread, which must not be an async one.
    pub(crate) fn read_here<T>(
        &self,
        read: impl FnOnce(&Projections) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        sound(|| read(&self.projected.current()))
    }

    /// Reads the projections away from the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Projections) -> Result<T, ProjectionError> + Send + 'static,
    ) -> Result<T, ProjectionError> {
        let known = self.clone();
        blocking(move || known.read_here(read)).await
    }
}
