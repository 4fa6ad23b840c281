//! The worker: follows the ledger, keeps the list of what to fetch, and starts tries, a few at a time and fairly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::Head;
use piperoll_graph::GraphError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RetryPauses;
use super::fetch::{Fetcher, Outcome, Trouble};
use super::fold::{Folded, fold};
use super::metrics::MediaMetrics;
use super::state::{AttachmentKey, Change, MediaState, Waiting};

/// The pause between two looks at new events.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The pause after the ledger or the local state failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the worker's task owns.
pub(crate) struct Worker {
    pub(crate) state: MediaState,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) head: watch::Receiver<Head>,
    pub(crate) stop: CancellationToken,
    pub(crate) metrics: MediaMetrics,
    /// Templates that webhooks said something about.
    pub(crate) templates: mpsc::UnboundedSender<String>,
    /// Every event with a lower `seq` was looked at.
    pub(crate) looked: watch::Sender<u64>,
}

impl Worker {
    /// Works until it is stopped, whatever happens.
    pub(crate) async fn run(mut self) {
        let mut desk = Desk::default();
        let mut tries: JoinSet<(Waiting, Outcome)> = JoinSet::new();
        // What waited when the process ended is tried at once; but first it must be known what became of it.
        while !self.look(None).await {
            if self.pause(RETRY_AFTER).await {
                return;
            }
        }
        match self.state.waiting() {
            Ok(waiting) => waiting.into_iter().for_each(|waiting| desk.add(waiting, Instant::now())),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "media will not be fetched");
            }
        }
        let mut looked_at = Instant::now();
        loop {
            self.start(&mut desk, &mut tries);
            self.metrics.waiting.set(desk.waiting() as u64);
            let next_due = desk.next_due(self.fetcher.settings.concurrency);
            let due = async {
                match next_due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            // The size, and not whether it changed, because this future is dropped when another is ready first.
            let (head, known) = (&mut self.head, *self.looked.borrow());
            let new = async {
                let changed = head.wait_for(|head| head.size > known).await.map(drop);
                tokio::time::sleep_until(looked_at + LOOK_EVERY).await;
                changed
            };
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(joined) = tries.join_next() => match joined {
                    Ok((waiting, outcome)) => self.settle(&mut desk, waiting, outcome),
                    Err(error) => tracing::error!(%error, "a try to fetch media ended in a panic"),
                },
                () = due => {}
                changed = new => {
                    if changed.is_err() {
                        break;
                    }
                    looked_at = Instant::now();
                    if !self.look(Some(&mut desk)).await && self.pause(RETRY_AFTER).await {
                        break;
                    }
                }
            }
        }
        tries.shutdown().await;
    }

    /// Reads new events; false when that failed and must be done again.
    async fn look(&mut self, desk: Option<&mut Desk>) -> bool {
        let size = self.head.borrow().size;
        let (templates, mut desk) = (self.templates.clone(), desk);
        let then = |folded: Folded| {
            // What was said before the start is in the first list that is asked for.
            let Some(desk) = desk.as_deref_mut() else { return };
            // An error means that nobody polls templates.
            folded.templates.into_iter().for_each(|id| drop(templates.send(id)));
            desk.change(folded.changes);
        };
        match fold(&self.state, &self.fetcher.reader, size, then).await {
            Ok(()) => {
                let _old = self.looked.send_replace(size);
                true
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "media will be looked for again");
                false
            }
        }
    }

    /// Starts as many tries as may run.
    fn start(&self, desk: &mut Desk, tries: &mut JoinSet<(Waiting, Outcome)>) {
        let now = Instant::now();
        while let Some(waiting) = desk.take(now, self.fetcher.settings.concurrency) {
            let fetcher = self.fetcher.clone();
            let _handle = tries.spawn(async move {
                let outcome = fetcher.try_once(&waiting).await;
                (waiting, outcome)
            });
        }
    }

    /// Does what follows from a try.
    fn settle(&self, desk: &mut Desk, mut waiting: Waiting, outcome: Outcome) {
        desk.end(&waiting);
        let kept = match outcome {
            Outcome::Captured { bytes } => {
                let _ = self.metrics.captured.inc();
                let _ = self.metrics.bytes.inc_by(bytes);
                self.metrics.degraded.set(0);
                Ok(())
            }
            Outcome::Unavailable => {
                let _ = self.metrics.unavailable.inc();
                Ok(())
            }
            Outcome::Gone => self.state.forget(waiting.key),
            Outcome::Later { trouble } => {
                waiting.attempts = waiting.attempts.saturating_add(1);
                let kept = self.state.tried(&waiting);
                // A commit whose outcome stayed open may have succeeded.
                if !matches!(self.state.done(waiting.key), Ok(Some(_))) {
                    self.postpone(desk, waiting, &trouble);
                }
                kept
            }
        };
        if let Err(error) = kept {
            tracing::warn!(error = &error as &dyn std::error::Error, "a try could not be noted");
        }
    }

    fn postpone(&self, desk: &mut Desk, waiting: Waiting, trouble: &Trouble) {
        let now = Instant::now();
        let pause = self.fetcher.settings.pauses.after(waiting.attempts);
        tracing::debug!(
            seq = waiting.key.message.0,
            error = trouble as &dyn std::error::Error,
            "media: later"
        );
        match trouble {
            Trouble::Graph(GraphError::RateLimited { retry_after }) => {
                // The limit is the app's, not the object's.
                let pause = retry_after.unwrap_or(pause);
                desk.paused_until = Some(now + pause);
                desk.add(waiting, now + pause);
            }
            Trouble::Graph(GraphError::Unauthorised { .. }) => {
                if self.metrics.degraded.set(1) == 0 {
                    tracing::error!(%trouble, "media cannot be fetched; they are lost when their life ends");
                }
                desk.add(waiting, now + pause);
            }
            _ => desk.add(waiting, now + pause),
        }
    }

    /// Waits; true when it was stopped.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }
}

impl RetryPauses {
    /// Returns the pause after so many tries that failed.
    fn after(&self, attempts: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        doubled.min(self.most)
    }
}

/// What is to be fetched when, by business number.
#[derive(Debug, Default)]
struct Desk {
    queues: BTreeMap<String, BTreeSet<(Instant, AttachmentKey)>>,
    waiting: HashMap<AttachmentKey, Waiting>,
    running: HashMap<AttachmentKey, String>,
    paused_until: Option<Instant>,
}

impl Desk {
    fn add(&mut self, waiting: Waiting, due: Instant) {
        if self.running.contains_key(&waiting.key) || self.waiting.contains_key(&waiting.key) {
            return;
        }
        let _new = self.queues.entry(waiting.number.clone()).or_default().insert((due, waiting.key));
        let _old = self.waiting.insert(waiting.key, waiting);
    }

    fn change(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Wait(waiting) => self.add(waiting, Instant::now()),
                Change::Done(key, _) => self.remove(key),
                Change::WantsText(_) | Change::HasText(_) | Change::Observed { .. } => {}
            }
        }
    }

    fn remove(&mut self, key: AttachmentKey) {
        let Some(waiting) = self.waiting.remove(&key) else { return };
        if let Some(queue) = self.queues.get_mut(&waiting.number) {
            queue.retain(|(_, waiting)| *waiting != key);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
    }

    fn end(&mut self, waiting: &Waiting) {
        let _number = self.running.remove(&waiting.key);
    }

    /// Returns how many tries run for a number.
    fn running_for(&self, number: &str) -> usize {
        self.running.values().filter(|running| *running == number).count()
    }

    /// Returns the numbers that may start another try: one place is always left for the others.
    fn open_numbers(&self, concurrency: usize) -> impl Iterator<Item = (usize, Instant, &str)> {
        let most = concurrency.saturating_sub(1).max(1);
        let is_full = self.running.len() >= concurrency;
        let queues = self.queues.iter().filter(move |_| !is_full);
        queues.filter_map(move |(number, queue)| {
            let running = self.running_for(number);
            let (due, _) = queue.first()?;
            (running < most).then_some((running, *due, number.as_str()))
        })
    }

    /// Takes what is due: of the number with the fewest tries under way, what has waited for longest.
    fn take(&mut self, now: Instant, concurrency: usize) -> Option<Waiting> {
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let due = self.open_numbers(concurrency).filter(|(_, due, _)| *due <= now);
        let number = due.min().map(|(.., number)| number.to_owned())?;
        let queue = self.queues.get_mut(&number)?;
        let (_, key) = queue.pop_first()?;
        if queue.is_empty() {
            let _queue = self.queues.remove(&number);
        }
        let waiting = self.waiting.remove(&key)?;
        let _old = self.running.insert(key, number);
        Some(waiting)
    }

    /// Returns when the next try can start.
    fn next_due(&self, concurrency: usize) -> Option<Instant> {
        let due = self.open_numbers(concurrency).map(|(_, due, _)| due).min()?;
        Some(self.paused_until.map_or(due, |until| due.max(until)))
    }

    fn waiting(&self) -> usize {
        self.waiting.len() + self.running.len()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use piperoll_format::Seq;

    use super::*;

    fn waiting(number: &str, message: u64) -> Waiting {
        let key = AttachmentKey { message: Seq(message), index: 0 };
        Waiting { key, since: 0, attempts: 0, number: number.to_owned() }
    }

    #[tokio::test]
    async fn a_number_with_many_attachments_leaves_room_for_others() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        (0..10).for_each(|message| desk.add(waiting("busy", message), now));
        let first: Vec<_> = std::iter::from_fn(|| desk.take(now, 3)).collect();
        assert_eq!(first.iter().map(|waiting| waiting.key.message.0).collect::<Vec<_>>(), [0, 1]);
        desk.add(waiting("quiet", 99), now);
        assert_eq!(desk.take(now, 3).unwrap().number, "quiet");
        assert!(desk.take(now, 3).is_none(), "three run");
        desk.end(&first[0]);
        assert_eq!(desk.take(now, 3).unwrap().key.message.0, 2);
        assert_eq!(desk.waiting(), 10);
    }

    #[tokio::test]
    async fn nothing_is_started_twice_early_or_while_paused() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        let later = now + Duration::from_secs(5);
        desk.add(waiting("1", 1), later);
        desk.add(waiting("1", 1), now);
        assert!(desk.take(now, 2).is_none());
        assert_eq!(desk.next_due(2), Some(later));
        desk.paused_until = Some(later + Duration::from_secs(1));
        assert!(desk.take(later, 2).is_none());
        assert!(desk.take(later + Duration::from_secs(1), 2).is_some());
        desk.add(waiting("1", 1), now);
        assert!(desk.take(later + Duration::from_secs(1), 2).is_none(), "it runs already");
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = RetryPauses { first: Duration::from_secs(5), most: Duration::from_secs(60) };
        let seconds = [1, 2, 3, 4, 5, 60].map(|attempts| pauses.after(attempts).as_secs());
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
    }
}
