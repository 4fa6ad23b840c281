//! How the writer waits for the pool: as a thread or as a task.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::components::Executor;

/// Wakes one waiter. A ring that nobody waits for yet ends the next wait at once.
#[derive(Debug)]
pub(crate) enum Bell {
    /// Blocks the thread, which has nothing else to do, because the timer of the runtime knows whole milliseconds only.
    Thread { is_rung: Mutex<bool>, rung: Condvar },
    /// Waits in the runtime, and so in its time.
    Task(Notify),
}

impl Bell {
    pub(crate) fn new(executor: Executor) -> Self {
        match executor {
            Executor::Thread => Self::Thread { is_rung: Mutex::new(false), rung: Condvar::new() },
            Executor::Task => Self::Task(Notify::new()),
        }
    }

    pub(crate) fn ring(&self) {
        match self {
            Self::Thread { is_rung, rung } => {
                *is_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
                rung.notify_one();
            }
            Self::Task(notify) => notify.notify_one(),
        }
    }

    /// Waits for a ring, for at most `limit` if there is one.
    pub(crate) async fn wait(&self, limit: Option<Duration>) {
        match (self, limit) {
            (Self::Thread { is_rung, rung }, limit) => {
                let mut is_rung = is_rung.lock().unwrap_or_else(PoisonError::into_inner);
                let silent = |is_rung: &mut bool| !*is_rung;
                is_rung = match limit {
                    Some(limit) => {
                        let waited = rung.wait_timeout_while(is_rung, limit, silent);
                        waited.unwrap_or_else(PoisonError::into_inner).0
                    }
                    None => rung.wait_while(is_rung, silent).unwrap_or_else(PoisonError::into_inner),
                };
                *is_rung = false;
            }
            (Self::Task(notify), Some(limit)) => {
                // Whether it rang or not makes no difference to the caller.
                let _in_time = tokio::time::timeout(limit, notify.notified()).await;
            }
            (Self::Task(notify), None) => notify.notified().await,
        }
    }
}
