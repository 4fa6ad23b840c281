//! The bounded pool: what waits for the next commit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use piperoll_format::SubmissionGroup;
use tokio::sync::oneshot;

use crate::bell::Bell;
use crate::components::Settings;
use crate::error::EngineError;
use crate::receipt::Receipt;

/// The longest wait for further events on a store whose commits take long.
const LINGER_MAX: Duration = Duration::from_millis(50);

/// How a submission is answered.
pub(crate) type Answer = Result<Vec<Receipt>, EngineError>;

/// A group that waits, with its answer's address.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) group: SubmissionGroup,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// A group that was not taken, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) pending: Pending,
    pub(crate) error: EngineError,
}

#[derive(Debug, Default)]
struct Queue {
    groups: VecDeque<Pending>,
    events: usize,
    bytes: usize,
    /// As many events as the writer waits for; `None` while it does not wait.
    wanted: Option<usize>,
    /// Set when nothing is accepted any more, with the reason.
    closed: Option<EngineError>,
}

/// Submitters push, the writer takes.
#[derive(Debug)]
pub(crate) struct Pool {
    queue: Mutex<Queue>,
    /// Rung once when the queue has what the writer waits for, and not for each group before.
    filled: Bell,
    settings: Settings,
}

impl Pool {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { queue: Mutex::default(), filled: Bell::new(settings.executor), settings }
    }

    /// Adds a group, or gives it back when the pool is full or closed.
    pub(crate) fn push(&self, pending: Pending) -> Result<(), Box<Refused>> {
        let (events, bytes) = (pending.group.events(), pending.group.bytes());
        let mut queue = self.queue();
        if let Some(reason) = &queue.closed {
            return Err(Box::new(Refused { pending, error: reason.clone() }));
        }
        // A group larger than the whole pool is taken when nothing else waits.
        let full = queue.events + events > self.settings.pool_events_max
            || queue.bytes + bytes > self.settings.pool_bytes_max;
        if full && queue.events > 0 {
            let error = EngineError::Busy { events: queue.events };
            return Err(Box::new(Refused { pending, error }));
        }
        queue.events += events;
        queue.bytes += bytes;
        queue.groups.push_back(pending);
        let is_enough = |wanted| queue.events >= wanted || self.fills_a_commit(&queue);
        let rings = queue.wanted.is_some_and(is_enough);
        if rings {
            queue.wanted = None;
        }
        drop(queue);
        if rings {
            self.filled.ring();
        }
        Ok(())
    }

    /// Waits for groups and takes as many as one commit may hold; `None` when the pool is closed and empty.
    ///
    /// `expected` is how many events the commit before had: their senders are likely to send again at once, and
    /// waiting for them a moment makes one commit out of two; when that commit `took` long, a longer moment costs little.
    /// An idle archive (`expected` of 1) never waits.
    pub(crate) async fn take(&self, expected: usize, took: Duration) -> Option<Vec<Pending>> {
        while self.lacks(1) {
            self.filled.wait(None).await;
        }
        if self.lacks(expected.min(self.settings.commit_events_max)) {
            let linger = self.settings.linger.max((took / 2).min(LINGER_MAX));
            self.filled.wait(Some(linger)).await;
        }
        let mut queue = self.queue();
        queue.wanted = None;
        if queue.groups.is_empty() { None } else { Some(self.drain(&mut queue)) }
    }

    /// Whether fewer than `events` wait and more may come; then the bell rings when as many wait.
    fn lacks(&self, events: usize) -> bool {
        let mut queue = self.queue();
        let lacks = queue.events < events && !self.fills_a_commit(&queue) && queue.closed.is_none();
        queue.wanted = lacks.then_some(events);
        lacks
    }

    /// Whether as many bytes wait as one commit may hold, however few events they are.
    const fn fills_a_commit(&self, queue: &Queue) -> bool {
        queue.bytes >= self.settings.commit_bytes_max
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
        self.filled.ring();
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
