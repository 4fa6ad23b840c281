//! The poller: asks the platform at intervals about numbers, subscriptions and templates, and commits what is new.
//!
//! A callback that somebody diverts, a number that was disconnected, a template that was edited in place: the platform
//! tells each of them late or never by itself.

mod event;
mod metrics;
mod reconcile;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use piperoll_engine::{Engine, EngineError};
use piperoll_format::{Submission, SubmissionGroup};
use piperoll_graph::{GraphClient, GraphError, Template};
use piperoll_projections::{ProjectionError, observation};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use metrics::PollMetrics;

use self::event::About;
use crate::archive::Now;
use crate::known::Known;

/// What the platform is asked about, and how often.
#[derive(Clone, Debug)]
pub struct PollSettings {
    /// The pause between two rounds.
    pub every: Duration,
    /// How long an answer that does not change goes without being committed again.
    pub unchanged_after: Duration,
    /// The numbers that are asked about.
    pub numbers: Vec<PolledNumber>,
    /// Where the platform is to send webhooks; without it only a change of the address is noticed.
    pub expected_callback: Option<String>,
    /// Whether the platform's list of messages is compared with what was captured.
    pub message_history: bool,
    /// Whether the platform's counts of messages are compared with what was captured.
    pub message_counts: bool,
}

/// A number that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledNumber {
    /// Its `phone_number_id`.
    pub id: String,
    /// The WhatsApp Business Account that it belongs to.
    pub account: Option<String>,
}

impl Default for PollSettings {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(600),
            unchanged_after: Duration::from_secs(24 * 3_600),
            numbers: Vec::new(),
            expected_callback: None,
            message_history: false,
            message_counts: false,
        }
    }
}

/// Webhooks about templates that are looked at together.
const TOLD_MAX: usize = 1_000;

/// What the poller works with.
pub(crate) struct PollParts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) graph: GraphClient,
    pub(crate) settings: PollSettings,
    /// What was committed before.
    pub(crate) known: Known,
    pub(crate) now: Now,
    pub(crate) metrics: PollMetrics,
}

/// The running poller.
pub(crate) struct Poller {
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Poller {
    /// Starts; the first round begins when it is known what was committed before.
    pub(crate) fn start(parts: PollParts) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let polling = Polling {
            parts,
            committed: HashMap::new(),
            heard: 0,
            phones: HashMap::new(),
            reconciled: HashMap::new(),
        };
        let task = tokio::spawn(async move {
            tokio::select! {
                () = polling.run() => {}
                () = stopped.cancelled() => {}
            }
        });
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Stops.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the poller did not stop in order");
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    State(#[from] ProjectionError),
    #[error("the ledger does not take events")]
    Commit(#[from] EngineError),
}

struct Polling {
    parts: PollParts,
    /// What this process committed, which is projected a little later.
    committed: HashMap<String, ([u8; 32], u64)>,
    /// Webhooks about templates before this position were heard of.
    heard: u64,
    /// The phone number of each number, digits.
    phones: HashMap<String, String>,
    /// When each number was last reconciled, microseconds since the epoch.
    reconciled: HashMap<String, i64>,
}

impl Polling {
    async fn run(mut self) {
        let size = self.parts.engine.head().borrow().size;
        // Nothing more is projected when the archive is closing.
        if !self.parts.known.reach(size).await {
            return;
        }
        // What was said before is in the first list that is asked for.
        self.heard = size;
        loop {
            let pause = self.round().await;
            let next = tokio::time::Instant::now() + pause;
            loop {
                let position = self.heard + 1;
                let is_going_on = tokio::select! {
                    () = tokio::time::sleep_until(next) => break,
                    is_going_on = self.parts.known.reach(position) => is_going_on,
                };
                if !is_going_on {
                    return;
                }
                self.hear().await;
            }
        }
    }

    /// Asks about the templates that webhooks said something about.
    async fn hear(&mut self) {
        let (from, position) = (self.heard, self.parts.known.position());
        let told = self.parts.known.read(move |projections| projections.templates_told(from, TOLD_MAX)).await;
        match told {
            Ok(told) => {
                let more = told.len() == TOLD_MAX;
                let last = told.last().map(|told| told.seq + 1).filter(|_| more);
                for id in told.into_iter().map(|told| told.value).collect::<BTreeSet<_>>() {
                    self.template_heard(&id).await;
                }
                self.heard = last.unwrap_or(position);
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "changes of templates were not heard of; the next round asks for all"
                );
                self.heard = position;
            }
        }
    }

    /// Asks about everything once; returns how long to wait for the next round.
    async fn round(&mut self) -> Duration {
        let every = self.parts.settings.every;
        let numbers = self.parts.settings.numbers.clone();
        let accounts: BTreeSet<String> = numbers.iter().filter_map(|number| number.account.clone()).collect();
        let mut pause = every;
        for number in numbers {
            let asked = [self.number(&number).await, self.webhook(&number.id).await];
            asked.into_iter().for_each(|asked| pause = pause.max(self.settle(asked)));
            let reconciled = self.reconcile(&number).await;
            pause = pause.max(self.settle(reconciled));
        }
        for account in accounts {
            let asked = [self.subscriptions(&account).await, self.templates(&account).await];
            asked.into_iter().for_each(|asked| pause = pause.max(self.settle(asked)));
        }
        pause
    }

    /// Counts, and returns how long the platform asks to wait.
    fn settle(&self, asked: Result<(), PollError>) -> Duration {
        let _ = self.parts.metrics.polls.inc();
        let Err(error) = asked else { return Duration::ZERO };
        let _ = self.parts.metrics.failures.inc();
        tracing::warn!(error = &error as &dyn std::error::Error, "the platform was asked in vain");
        match error {
            PollError::Graph(GraphError::RateLimited { retry_after }) => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    async fn number(&mut self, number: &PolledNumber) -> Result<(), PollError> {
        let PolledNumber { id, account } = number;
        let answer = self.parts.graph.phone_number(id).await;
        let phone = answer.as_ref().ok().and_then(|answer| answer.get("display_phone_number")?.as_str());
        if let Some(phone) = phone {
            let digits = phone.chars().filter(char::is_ascii_digit).collect();
            let _known = self.phones.insert(id.clone(), digits);
        }
        let (number, account) = (Some(id.as_str()), account.as_deref());
        self.observe(About { object: "phone_number", id, number, account, ..About::default() }, answer).await
    }

    async fn webhook(&mut self, id: &str) -> Result<(), PollError> {
        let answer = self.parts.graph.webhook_configuration(id).await;
        let expected = self.parts.settings.expected_callback.clone();
        let (number, expected_callback) = (Some(id), expected.as_deref());
        let object = "webhook_configuration";
        self.observe(About { object, id, number, expected_callback, ..About::default() }, answer).await
    }

    async fn subscriptions(&mut self, account: &str) -> Result<(), PollError> {
        let answer = self.parts.graph.subscribed_apps(account).await;
        let expected = self.parts.settings.expected_callback.clone();
        let (object, id, expected_callback) = ("subscribed_apps", account, expected.as_deref());
        self.observe(About { object, id, expected_callback, ..About::default() }, answer).await
    }

    /// Takes a snapshot of each template that is new or has changed, and of the list, which shows what was deleted.
    async fn templates(&mut self, account: &str) -> Result<(), PollError> {
        let listed = self.parts.graph.templates(account).await;
        if let Ok(templates) = &listed {
            for template in templates {
                self.snapshot(template).await?;
            }
        }
        let about = About { object: "template_list", id: account, ..About::default() };
        self.observe(about, listed.map(|listed| event::list_of(&listed))).await
    }

    async fn template_heard(&mut self, id: &str) {
        let asked = match self.parts.graph.template(id).await {
            Ok(template) => self.snapshot(&template).await,
            // A webhook says that a template was deleted; the event itself is the record of that.
            Err(GraphError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        };
        let _pause = self.settle(asked);
    }

    async fn snapshot(&mut self, template: &Template) -> Result<(), PollError> {
        let Some(key) = observation::template_key(&template.answer) else { return Ok(()) };
        let digest = observation::compared(&template.answer);
        if self.last(&key).await?.is_some_and(|(last, _)| last == digest) {
            return Ok(());
        }
        let now = (self.parts.now)().0;
        self.commit(event::snapshot(template, &digest, now)).await?;
        let _old = self.committed.insert(key, (digest, now));
        Ok(())
    }

    /// Commits an answer that differs from the last one, or that was not committed for long. A refusal is an answer.
    async fn observe(
        &mut self,
        about: About<'_>,
        answer: Result<Value, GraphError>,
    ) -> Result<(), PollError> {
        let (status, answer) = match answer {
            Ok(answer) => (200, answer),
            Err(GraphError::NotFound) => (404, Value::Null),
            Err(GraphError::Unauthorised { status, code }) => (status, event::refusal(code)),
            Err(error) => return Err(error.into()),
        };
        let digest = observation::observed_digest(status, &answer, [about.account, about.expected_callback]);
        let (key, now) = (format!("{}:{}", about.object, about.id), (self.parts.now)().0);
        let unchanged = u64::try_from(self.parts.settings.unchanged_after.as_micros()).unwrap_or(u64::MAX);
        let last = self.last(&key).await?;
        if last.is_some_and(|(last, at)| last == digest && now < at.saturating_add(unchanged)) {
            return Ok(());
        }
        self.commit(event::observed(about, status, answer, now)).await?;
        let _ = self.parts.metrics.observed.inc();
        let _old = self.committed.insert(key, (digest, now));
        Ok(())
    }

    async fn last(&self, key: &str) -> Result<Option<([u8; 32], u64)>, ProjectionError> {
        if let Some(committed) = self.committed.get(key) {
            return Ok(Some(*committed));
        }
        let key = key.to_owned();
        self.parts.known.read(move |projections| projections.last_observed(&key)).await
    }

    async fn commit(&self, submission: Submission) -> Result<(), EngineError> {
        self.parts.engine.submit(SubmissionGroup::single(submission)).await.map(drop)
    }
}
