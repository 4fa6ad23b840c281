//! The way to the Cloud API's send endpoints that archives what goes through it.
//!
//! The request is committed before it is passed on and its answer before it is given back. The caller's token for
//! the platform is passed on and never kept. What the store did not take is counted, and becomes a gap on the record
//! as soon as the store takes events again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use piperoll_format::{Kind, Submission, SubmissionGroup, Timestamp};
use piperoll_graph::{Forward, Forwarded, Forwarder, GraphError};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::archive::Archive;
use crate::error::ApiError;
use crate::journal::{Answer, Origin, Sent};
use crate::tokens::Caller;
use crate::wire::{Endpoint, hex};

/// The pause before a gap that could not be recorded is recorded again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The proxy to the send endpoints.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Passes requests on.
    pub forwarder: Forwarder,
    /// What becomes of a request that cannot be archived.
    pub on_archive_failure: OnArchiveFailure,
}

/// What becomes of a request to send that cannot be archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnArchiveFailure {
    /// It is refused and not sent.
    #[default]
    Refuse,
    /// It is sent, and the gap is recorded when the store takes events again.
    Forward,
}

/// A request to pass on, checked.
pub(crate) struct Outgoing {
    pub(crate) endpoint: Endpoint,
    pub(crate) number: String,
    pub(crate) request: Box<RawValue>,
    pub(crate) forward: Forward,
}

/// How a request to send ended.
pub(crate) struct Passed {
    pub(crate) journal_id: String,
    /// The answer, or why there is none.
    pub(crate) answer: Result<Forwarded, GraphError>,
    /// Whether request and answer are on the record.
    pub(crate) is_archived: bool,
}

/// What went through without being archived, by number.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Mutex<BTreeMap<String, Gap>>);

#[derive(Clone, Copy, Debug)]
struct Gap {
    events: u64,
    from: Timestamp,
    to: Timestamp,
}

#[derive(Serialize)]
struct Degraded<'a> {
    number: &'a str,
    state: &'a str,
    cause: &'a str,
    at: String,
    detail: String,
}

impl Archive {
    /// Archives a request to send, passes it on, archives the answer and returns it.
    ///
    /// # Errors
    /// Those of a commit, when what cannot be archived is to be refused; nothing was sent then.
    pub(crate) async fn pass_on(
        self: Arc<Self>,
        proxy: Proxy,
        caller: Caller,
        outgoing: Outgoing,
    ) -> Result<Passed, ApiError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("an archive that cannot draw random ids must stop");
        let journal_id = hex(&random);
        let now = self.now();
        let sent = Sent {
            journal_id: &journal_id,
            via: "proxy",
            endpoint: outgoing.endpoint,
            number: &outgoing.number,
            request: &outgoing.request,
            sent_at: micros(now),
        };
        let requested = sent.requested(&Origin { caller: &caller, received_at: now });
        let mut items = Vec::new();
        if let Err(error) = self.record(requested.clone()).await {
            if proxy.on_archive_failure == OnArchiveFailure::Refuse {
                let _ = self.metrics.refused.inc();
                return Err(error.into());
            }
            // It is tried once more together with the answer.
            items.push(requested);
        }
        let answer = proxy.forwarder.send(outgoing.forward).await;
        let failure = answer.as_ref().err().map(ToString::to_string);
        let found = match &answer {
            Ok(answer) => Answer { status: Some(answer.status), body: &answer.body, failure: None },
            Err(_) => Answer { status: None, body: b"", failure: failure.as_deref() },
        };
        let now = self.now();
        items.push(sent.answered(&found, micros(now), &Origin { caller: &caller, received_at: now }));
        let missing = items.len() as u64;
        let archived = self.engine.submit(SubmissionGroup { delivery: None, items }).await;
        let is_archived = archived.is_ok();
        if let Err(error) = archived {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "a request to send went through without being archived whole");
            self.note_gap(&outgoing.number, missing, now);
        }
        Ok(Passed { journal_id, answer, is_archived })
    }

    /// Counts what was not archived and sees to it that the gap is recorded.
    fn note_gap(self: &Arc<Self>, number: &str, events: u64, now: Timestamp) {
        let mut gaps = self.gaps.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = gaps.is_empty();
        let gap = gaps.entry(number.to_owned()).or_insert(Gap { events: 0, from: now, to: now });
        gap.events += events;
        gap.to = now;
        if is_first {
            drop(tokio::spawn(record_gaps(Arc::downgrade(self))));
        }
    }

    /// Records the gaps so far; what cannot be recorded stays counted.
    async fn record_gaps(&self) -> Result<(), ApiError> {
        let gaps = std::mem::take(&mut *self.gaps.0.lock().unwrap_or_else(PoisonError::into_inner));
        if gaps.is_empty() {
            return Ok(());
        }
        let items = gaps.iter().map(|(number, gap)| self.degraded(number, gap)).collect();
        let recorded = self.engine.submit(SubmissionGroup { delivery: None, items }).await;
        if recorded.is_err() {
            let mut counted = self.gaps.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, gap) in gaps {
                let known = counted.entry(number).or_insert(Gap { events: 0, ..gap });
                known.events += gap.events;
                known.from = known.from.min(gap.from);
                known.to = known.to.max(gap.to);
            }
        }
        Ok(recorded.map(drop)?)
    }

    fn degraded(&self, number: &str, gap: &Gap) -> Submission {
        let Gap { events, from, to } = gap;
        let document = Degraded {
            number,
            state: "degraded",
            cause: "send-not-archived",
            at: from.to_string(),
            detail: format!("{events} requests or answers between {from} and {to} were not archived"),
        };
        let document = serde_json::to_vec(&document).expect("texts are always JSON");
        let mut submission = Submission::own(Kind::CoverageChanged, "application/json", document);
        submission.payload.facts.number = Some(number.to_owned());
        submission.payload.facts.occurred_at = Some(micros(*from));
        submission
    }
}

/// Waits until the store takes events again and records what was missed.
async fn record_gaps(archive: std::sync::Weak<Archive>) {
    loop {
        let Some(mut trouble) = archive.upgrade().map(|archive| archive.engine.trouble()) else { return };
        // An error means that the writer has gone; nothing can be recorded any more.
        if trouble.wait_for(Option::is_none).await.is_err() {
            return;
        }
        let Some(archive) = archive.upgrade() else { return };
        let Err(error) = archive.record_gaps().await else { return };
        tracing::warn!(error = &error as &dyn std::error::Error, "a gap cannot be recorded yet");
        drop((archive, error));
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

fn micros(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
