//! The bounded pool: what waits for the next commit.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use piperoll_format::SubmissionGroup;
use tokio::sync::oneshot;

use crate::components::Settings;
use crate::error::EngineError;
use crate::receipt::Receipt;

/// How a submission is answered.
pub(crate) type Reply = oneshot::Sender<Result<Vec<Receipt>, EngineError>>;

/// A group that waits, with its answer's address.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) group: SubmissionGroup,
    pub(crate) reply: Reply,
}

#[derive(Debug, Default)]
struct Queue {
    groups: VecDeque<Pending>,
    events: usize,
    bytes: usize,
    /// Set when nothing is accepted any more, with the reason.
    closed: Option<EngineError>,
}

/// Submitters push, the writer takes.
#[derive(Debug)]
pub(crate) struct Pool {
    queue: Mutex<Queue>,
    filled: Condvar,
    settings: Settings,
}

impl Pool {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { queue: Mutex::default(), filled: Condvar::new(), settings }
    }

    /// Adds a group, or refuses it when the pool is full or closed.
    pub(crate) fn push(&self, pending: Pending) -> Result<(), EngineError> {
        let (events, bytes) = (pending.group.events(), pending.group.bytes());
        let mut queue = self.queue();
        if let Some(reason) = &queue.closed {
            return Err(reason.clone());
        }
        // A group larger than the whole pool is taken when nothing else waits.
        let full = queue.events + events > self.settings.pool_events_max
            || queue.bytes + bytes > self.settings.pool_bytes_max;
        if full && queue.events > 0 {
            return Err(EngineError::Busy { events: queue.events });
        }
        queue.events += events;
        queue.bytes += bytes;
        queue.groups.push_back(pending);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for groups and takes as many as one commit may hold; `None` when the pool is closed and empty.
    ///
    /// `expected` is how many events the commit before had: their senders are likely to send again at once, and
    /// waiting for them a moment makes one commit out of two. An idle archive (`expected` of 1) never waits.
    pub(crate) fn take(&self, expected: usize) -> Option<Vec<Pending>> {
        let mut queue = self.queue();
        while queue.groups.is_empty() {
            if queue.closed.is_some() {
                return None;
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let enough = expected.min(self.settings.commit_events_max);
        if queue.events < enough && queue.closed.is_none() {
            let waiting = |queue: &mut Queue| queue.events < enough && queue.closed.is_none();
            let waited = self.filled.wait_timeout_while(queue, self.settings.linger, waiting);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(self.drain(&mut queue))
    }

    fn drain(&self, queue: &mut Queue) -> Vec<Pending> {
        let (mut events, mut bytes) = (0, 0);
        let mut taken = Vec::new();
        while let Some(next) = queue.groups.front() {
            let (next_events, next_bytes) = (next.group.events(), next.group.bytes());
            let over = events + next_events > self.settings.commit_events_max
                || bytes + next_bytes > self.settings.commit_bytes_max;
            if over && !taken.is_empty() {
                break;
            }
            events += next_events;
            bytes += next_bytes;
            taken.extend(queue.groups.pop_front());
        }
        queue.events -= events;
        queue.bytes -= bytes;
        taken
    }

    /// Accepts nothing any more; what waits is still taken, unless `drop_waiting`.
    pub(crate) fn close(&self, reason: &EngineError, drop_waiting: bool) {
        let mut queue = self.queue();
        queue.closed.get_or_insert_with(|| reason.clone());
        if drop_waiting {
            for pending in std::mem::take(&mut queue.groups) {
                // The submitter may have gone; then nobody waits for the answer.
                drop(pending.reply.send(Err(reason.clone())));
            }
            (queue.events, queue.bytes) = (0, 0);
        }
        drop(queue);
        self.filled.notify_all();
    }

    /// Returns how many events wait.
    pub(crate) fn events(&self) -> usize {
        self.queue().events
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every update leaves the queue consistent, so a panic elsewhere does not spoil it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
