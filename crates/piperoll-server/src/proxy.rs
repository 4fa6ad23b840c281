//! The way to the Cloud API's send endpoints that archives what goes through it.
//!
//! The request is committed before it is passed on and its answer before it is given back. The caller's token for
//! the platform is passed on and never kept. What the store did not take is on a list on the local disk, and becomes a
//! gap on the record as soon as the store takes events again, after a crash too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use piperoll_format::{Kind, Submission, SubmissionGroup, Timestamp};
use piperoll_graph::{Forward, Forwarded, Forwarder, GraphError};
use piperoll_projections::coverage::Cause;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::archive::Archive;
use crate::error::ApiError;
use crate::journal::{Answer, Origin, Sent};
use crate::tokens::Caller;
use crate::unrecorded::{Unarchived, Unrecorded};
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

/// What went through without being archived.
#[derive(Debug)]
pub(crate) struct Gaps {
    unrecorded: Unrecorded,
    /// Whether somebody waits for the store to record them.
    is_waiting: AtomicBool,
}

impl Gaps {
    /// Takes up what a process before this one left in `dir`.
    pub(crate) fn open(dir: &Path) -> Self {
        Self { unrecorded: Unrecorded::open(dir), is_waiting: AtomicBool::new(false) }
    }
}

/// What is missing of one number.
#[derive(Debug)]
struct Gap {
    events: u64,
    from: Timestamp,
    to: Timestamp,
    ids: Sha256,
}

#[derive(Serialize)]
struct Degraded<'a> {
    number: &'a str,
    state: &'a str,
    cause: &'a str,
    at: String,
    to: String,
    count: u64,
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
        let missing = |events, to: Timestamp| Unarchived {
            id: journal_id.clone(),
            number: outgoing.number.clone(),
            from: now.0,
            to: to.0,
            events,
        };
        let mut is_noted = false;
        if let Err(error) = self.record(requested.clone()).await {
            if proxy.on_archive_failure == OnArchiveFailure::Refuse {
                let _ = self.metrics.refused.inc();
                return Err(error.into());
            }
            // On the disk before it goes out: whoever dies behind this line leaves a gap that is known.
            self.note_missing(missing(2, now), true).await;
            is_noted = true;
            // It is tried once more together with the answer.
            items.push(requested);
        }
        let answer = proxy.forwarder.send(outgoing.forward).await;
        let failure = answer.as_ref().err().map(ToString::to_string);
        let found = match &answer {
            Ok(answer) => Answer { status: Some(answer.status), body: &answer.body, failure: None },
            Err(_) => Answer { status: None, body: b"", failure: failure.as_deref() },
        };
        let answered = self.now();
        let origin = Origin { caller: &caller, received_at: answered };
        items.push(sent.answered(&found, micros(answered), &origin));
        let events = items.len() as u64;
        let archived = self.engine.submit(SubmissionGroup { delivery: None, items }).await;
        let is_archived = archived.is_ok();
        match archived {
            Ok(_) if is_noted => self.settle(vec![journal_id.clone()]).await,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a request to send went through without being archived whole"
                );
                self.note_missing(missing(events, answered), false).await;
                self.record_gaps_later();
            }
        }
        Ok(Passed { journal_id, answer, is_archived })
    }

    /// Keeps on the local disk what is not archived.
    async fn note_missing(&self, missing: Unarchived, is_under_way: bool) {
        let unrecorded = self.gaps.unrecorded.clone();
        kept(tokio::task::spawn_blocking(move || unrecorded.add(missing, is_under_way)).await);
    }

    async fn settle(&self, ids: Vec<String>) {
        let unrecorded = self.gaps.unrecorded.clone();
        kept(tokio::task::spawn_blocking(move || unrecorded.settle(&ids)).await);
    }

    /// Sees to it that the gaps are recorded when the store takes events again.
    pub(crate) fn record_gaps_later(self: &Arc<Self>) {
        if !self.gaps.is_waiting.swap(true, Ordering::SeqCst) {
            drop(tokio::spawn(record_gaps(Arc::downgrade(self))));
        }
    }

    /// Records the gaps so far; what cannot be recorded stays on the list.
    ///
    /// # Errors
    /// Those of a commit.
    pub(crate) async fn record_gaps(&self) -> Result<(), ApiError> {
        let entries = self.gaps.unrecorded.entries();
        if entries.is_empty() {
            return Ok(());
        }
        let mut gaps: BTreeMap<&str, Gap> = BTreeMap::new();
        for entry in &entries {
            let (from, to) = (Timestamp(entry.from), Timestamp(entry.to));
            let empty = || Gap { events: 0, from, to, ids: Sha256::new() };
            let gap = gaps.entry(&entry.number).or_insert_with(empty);
            gap.events += entry.events;
            gap.from = gap.from.min(from);
            gap.to = gap.to.max(to);
            gap.ids.update(&entry.id);
        }
        let items = gaps.into_iter().map(|(number, gap)| degraded(number, gap)).collect();
        let _receipts = self.engine.submit(SubmissionGroup { delivery: None, items }).await?;
        self.settle(entries.into_iter().map(|entry| entry.id).collect()).await;
        Ok(())
    }
}

/// The event that says what is missing. The same entries give the same event, so that a crash between its commit and the
/// end of the list records nothing twice.
fn degraded(number: &str, gap: Gap) -> Submission {
    let Gap { events, from, to, ids } = gap;
    let document = Degraded {
        number,
        state: "degraded",
        cause: Cause::SendNotArchived.as_str(),
        at: from.to_string(),
        to: to.to_string(),
        count: events,
        detail: format!("{events} requests or answers between {from} and {to} were not archived"),
    };
    let document = serde_json::to_vec(&document).expect("texts are always JSON");
    let mut submission = Submission::own(Kind::CoverageChanged, "application/json", document);
    submission.payload.facts.number = Some(number.to_owned());
    submission.payload.facts.source_id = Some(format!("unarchived-sends:{}", hex(&ids.finalize()[..16])));
    submission.payload.facts.occurred_at = Some(micros(from));
    submission
}

/// Says when the local disk does not take what must not be lost.
fn kept(done: Result<std::io::Result<()>, tokio::task::JoinError>) {
    let error = match done {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(error) => std::io::Error::other(error),
    };
    tracing::error!(%error, "the list of sends that were not archived cannot be written: a crash now loses a gap");
}

/// Waits until the store takes events again and records what was missed.
async fn record_gaps(archive: std::sync::Weak<Archive>) {
    loop {
        let Some(mut trouble) = archive.upgrade().map(|archive| archive.engine.trouble()) else { return };
        // An error means that the writer has gone; the next process records what is on the list.
        if trouble.wait_for(Option::is_none).await.is_err() {
            return;
        }
        let Some(archive) = archive.upgrade() else { return };
        match archive.record_gaps().await {
            Ok(()) => {
                archive.gaps.is_waiting.store(false, Ordering::SeqCst);
                // What came in between saw somebody waiting.
                if archive.gaps.unrecorded.entries().is_empty()
                    || archive.gaps.is_waiting.swap(true, Ordering::SeqCst)
                {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a gap cannot be recorded yet");
                drop((archive, error));
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

fn micros(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
