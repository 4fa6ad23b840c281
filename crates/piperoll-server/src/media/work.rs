//! The worker: reads on in the list of what messages name, and starts tries, a few at a time and fairly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::Head;
use piperoll_format::Seq;
use piperoll_graph::GraphError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fetch::{Fetcher, Outcome, Trouble};
use super::metrics::MediaMetrics;
use super::tries::{Tried, Tries};
use super::{AttachmentKey, RetryPauses, Waiting};
use crate::known::Known;

/// The pause after the projections failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long tries that failed may be in memory only.
const SAVE_AFTER: Duration = Duration::from_secs(5);

/// Attachments that are read at once.
const PAGE: usize = 4_096;

/// What the worker's task owns.
pub(crate) struct Worker {
    pub(crate) known: Known,
    /// What events before this position name is on the desk.
    pub(crate) next: u64,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) head: watch::Receiver<Head>,
    pub(crate) stop: CancellationToken,
    pub(crate) metrics: MediaMetrics,
    pub(crate) tries: Tries,
}

impl Worker {
    /// Works until it is stopped, whatever happens.
    pub(crate) async fn run(mut self) {
        let mut desk = Desk::default();
        let mut tries: JoinSet<(Waiting, Outcome)> = JoinSet::new();
        // First it must be known what became of everything that is named.
        let size = self.head.borrow().size;
        if self.stop.clone().run_until_cancelled(self.known.reach(size)).await != Some(true) {
            return;
        }
        while !self.look(&mut desk).await {
            if self.pause(RETRY_AFTER).await {
                return;
            }
        }
        self.tries.retain(|key| desk.waiting.contains_key(&key));
        // The first failure is kept at once.
        let now = Instant::now();
        let mut saved_at = now.checked_sub(SAVE_AFTER).unwrap_or(now);
        loop {
            self.start(&mut desk, &mut tries);
            self.metrics.waiting.set(desk.waiting() as u64);
            let save_at = self.tries.is_changed().then_some(saved_at + SAVE_AFTER);
            let next_due = desk.next_due(self.fetcher.settings.concurrency).into_iter().chain(save_at).min();
            let due = async {
                match next_due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let beyond = self.next + 1;
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(joined) = tries.join_next() => match joined {
                    Ok((waiting, outcome)) => self.settle(&mut desk, waiting, outcome),
                    Err(error) => tracing::error!(%error, "a try to fetch media ended in a panic"),
                },
                () = due => if save_at.is_some_and(|save_at| save_at <= Instant::now()) {
                    self.save();
                    saved_at = Instant::now();
                },
                is_going_on = self.known.reach(beyond) => {
                    let looked = is_going_on && (self.look(&mut desk).await || !self.pause(RETRY_AFTER).await);
                    if !looked {
                        break;
                    }
                }
            }
        }
        tries.shutdown().await;
        self.save();
    }

    fn save(&mut self) {
        if self.tries.is_changed()
            && let Err(error) = self.tries.save()
        {
            tracing::warn!(%error, "after a restart, media will be tried at once");
        }
    }

    /// Puts what new events name on the desk; false when that failed and must be done again.
    async fn look(&mut self, desk: &mut Desk) -> bool {
        loop {
            let (from, position) = (self.next, self.known.position());
            let listed = self.known.read(move |projections| {
                let named = projections.named_attachments(from, PAGE)?;
                let (next, is_last) = (named.last().map(|named| named.seq + 1), named.len() < PAGE);
                let mut waiting = Vec::new();
                for named in named {
                    if projections.attachment_outcome(named.seq, named.value.index)?.is_none() {
                        waiting.push(Waiting {
                            key: AttachmentKey { message: Seq(named.seq), index: named.value.index },
                            since: named.value.since,
                            attempts: 0,
                            number: named.value.number.unwrap_or_default(),
                        });
                    }
                }
                Ok((waiting, next.filter(|_| !is_last)))
            });
            let (waiting, next) = match listed.await {
                Ok(listed) => listed,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "media will be looked for again"
                    );
                    return false;
                }
            };
            waiting.into_iter().for_each(|waiting| self.add(desk, waiting));
            self.next = next.unwrap_or_else(|| position.max(self.next));
            if next.is_none() {
                return true;
            }
        }
    }

    /// Puts an attachment on the desk, due when an earlier process would have tried it again.
    fn add(&self, desk: &mut Desk, mut waiting: Waiting) {
        let mut due = Instant::now();
        if let Some(Tried { attempts, next_at }) = self.tries.get(waiting.key) {
            waiting.attempts = attempts;
            // A clock that was wrong must not keep it waiting.
            let pause = Duration::from_micros(next_at.saturating_sub((self.fetcher.now)().0));
            due += pause.min(self.fetcher.settings.pauses.most);
        }
        desk.add(waiting, due);
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
    fn settle(&mut self, desk: &mut Desk, mut waiting: Waiting, outcome: Outcome) {
        desk.end(&waiting);
        match outcome {
            Outcome::Captured { bytes } => {
                let _ = self.metrics.captured.inc();
                let _ = self.metrics.bytes.inc_by(bytes);
                self.metrics.degraded.set(0);
            }
            Outcome::Unavailable => drop(self.metrics.unavailable.inc()),
            Outcome::Gone => {}
            Outcome::Later { trouble } => {
                waiting.attempts = waiting.attempts.saturating_add(1);
                self.postpone(desk, waiting, &trouble);
                return;
            }
        }
        self.tries.forget(waiting.key);
    }

    fn postpone(&mut self, desk: &mut Desk, waiting: Waiting, trouble: &Trouble) {
        let now = Instant::now();
        let mut pause = self.fetcher.settings.pauses.after(waiting.attempts);
        tracing::debug!(
            seq = waiting.key.message.0,
            error = trouble as &dyn std::error::Error,
            "media: later"
        );
        match trouble {
            Trouble::Graph(GraphError::RateLimited { retry_after }) => {
                // The limit is the app's, not the object's.
                pause = retry_after.unwrap_or(pause);
                desk.paused_until = Some(now + pause);
            }
            Trouble::Graph(GraphError::Unauthorised { .. }) if self.metrics.degraded.set(1) == 0 => {
                tracing::error!(%trouble, "media cannot be fetched; they are lost when their life ends");
            }
            _ => {}
        }
        let next_at = (self.fetcher.now)().0.saturating_add(micros(pause));
        self.tries.note(waiting.key, Tried { attempts: waiting.attempts, next_at });
        desk.add(waiting, now + pause);
    }

    /// Waits; true when it was stopped.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }
}

fn micros(pause: Duration) -> u64 {
    u64::try_from(pause.as_micros()).unwrap_or(u64::MAX)
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
