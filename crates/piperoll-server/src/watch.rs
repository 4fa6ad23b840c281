//! Looks after a store that stopped taking commits: tries again by itself, so that the archive becomes ready without
//! traffic.
//!
//! What it commits then is a `ledger.started` event that says since when nothing could be committed. It also compares the
//! clock of this host with the store's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use piperoll_engine::{ClockJump, Engine, EngineError};
use piperoll_format::{Kind, Submission, SubmissionGroup};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The pause between two tries.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// The pause between two comparisons of the clock with the store's.
const COMPARE_EVERY: Duration = Duration::from_secs(60);

/// The running watch.
pub(crate) struct Watch {
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Watch {
    pub(crate) fn start(engine: Arc<Engine>) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = watch(&engine) => {}
                () = watch_clock(&engine) => {}
                () = stopped.cancelled() => {}
            }
        });
        Self { stop, task: Mutex::new(Some(task)) }
    }

    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            drop(task.await);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Returns when the writer has stopped for good.
async fn watch(engine: &Engine) {
    let mut trouble = engine.trouble();
    loop {
        // An error means that the writer has gone.
        let Ok(reason) = trouble.wait_for(Option::is_some).await.map(|reason| reason.clone()) else { return };
        tracing::error!(reason, "commits fail");
        if !resume(engine).await {
            return;
        }
        tracing::info!("commits succeed again");
    }
}

/// Compares the clock with the store's now and then, and puts a jump on the record also where nothing comes in.
async fn watch_clock(engine: &Engine) {
    loop {
        let jump = engine.compare_clock().await;
        if engine.has_unrecorded_jump() {
            if let Some(ClockJump { before, after, is_by_store }) = jump {
                tracing::error!(%before, %after, is_by_store, "the clock of this host is wrong");
            }
            // The writer puts the jump before this event. What cannot be committed now is seen again.
            let document = br#"{"reason":"the clock of this host was compared"}"#.to_vec();
            let compared = Submission::own(Kind::LedgerStarted, "application/json", document);
            drop(engine.submit(SubmissionGroup::single(compared)).await);
        }
        tokio::time::sleep(COMPARE_EVERY).await;
    }
}

/// Tries until a commit succeeds; false when none ever will.
async fn resume(engine: &Engine) -> bool {
    loop {
        tokio::time::sleep(TRY_EVERY).await;
        if engine.trouble().borrow().is_none() {
            return true;
        }
        let document = br#"{"reason":"the store takes commits again"}"#.to_vec();
        let resumed = Submission::own(Kind::LedgerStarted, "application/json", document);
        match engine.submit(SubmissionGroup::single(resumed)).await {
            Ok(_) => return true,
            Err(EngineError::Busy { .. } | EngineError::Unavailable { .. }) => {}
            Err(EngineError::Invalid { .. } | EngineError::Fatal { .. }) => return false,
        }
    }
}
