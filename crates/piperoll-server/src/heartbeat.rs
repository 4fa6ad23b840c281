//! The heartbeat of a server: says in the ledger that the capture was alive, notices when a number's state changes, and
//! puts the findings of each day on record.
//!
//! It only runs while webhooks can arrive. When the store takes no commits there is no beat, and the hole says so.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use piperoll_format::{Kind, Submission};
use piperoll_projections::coverage::{Cause, DOWNTIME_MIN, State};
use piperoll_projections::{day, utc};
use serde::Serialize;

use crate::archive::Archive;
use crate::coverage::{Book, CoverageSettings};
use crate::error::ApiError;

/// The pause before a beat that could not be committed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Findings in one report.
const FINDINGS_MAX: usize = 1_000;

/// Microseconds in an hour and in a day.
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

#[derive(Serialize)]
struct Beat<'a> {
    from: String,
    to: String,
    numbers: Vec<Beating<'a>>,
    capturing: bool,
}

/// What arrived for a number since the beat before.
#[derive(Serialize)]
struct Beating<'a> {
    number: &'a str,
    items: u64,
}

#[derive(Serialize)]
struct Changed<'a> {
    number: &'a str,
    state: State,
    cause: Cause,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct Findings<'a> {
    day: &'a str,
    findings: Vec<Finding>,
    /// How many there are beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Something that a person should look at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<String>,
    pub(crate) detail: String,
}

impl Archive {
    /// Sets how the capture is watched; the first call counts. [`crate::run`] watches as by default if nobody calls.
    pub fn set_coverage(&self, settings: CoverageSettings) {
        if self.coverage.settings.set(settings).is_err() {
            tracing::warn!("the settings of the coverage watch were given twice; the first ones stay");
        }
    }

    /// Starts the heartbeat in the background; [`Self::close`] ends it with a last beat.
    pub(crate) fn start_heartbeat(self: &Arc<Self>) {
        let mut task = self.coverage.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_none() {
            *task = Some(tokio::spawn(beat_on(Arc::downgrade(self))));
        }
    }

    /// Ends the heartbeat.
    pub(crate) async fn stop_heartbeat(&self) {
        self.coverage.stop.cancel();
        let task = self.coverage.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            drop(task.await);
        }
    }

    /// Commits a heartbeat for the time since `from` (microseconds), what changed, and the findings of the day before
    /// if they are due. Returns the moment until which the capture is on record.
    ///
    /// # Errors
    /// Those of reading and of a commit.
    pub async fn beat(&self, from: i64) -> Result<i64, ApiError> {
        let to = self.now_micros();
        let from = from.min(to);
        // Everything committed so far, so that the state is as of this beat.
        let size = self.engine().head().borrow().size;
        if let Some(last) = size.checked_sub(1) {
            self.projected(piperoll_format::Seq(last)).await;
        }
        let projections = self.projections();
        let counts = tokio::task::spawn_blocking(move || projections.arrivals(from, to));
        let counts = counts.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
        let numbers = counts.iter().map(|(number, items)| Beating { number, items: *items }).collect();
        let beat = Beat { from: utc(from), to: utc(to), numbers, capturing: true };
        let committed = self.record(own(Kind::CoverageHeartbeat, &beat, to)).await?;
        self.projected(committed).await;
        let book = self.compute_gaps().await?;
        self.note_changes(&book, to).await?;
        self.report_findings(&book, to).await?;
        Ok(to)
    }

    /// Commits each change of a number's state once.
    async fn note_changes(&self, book: &Book, now: i64) -> Result<(), ApiError> {
        for (number, interval, _) in &book.numbers {
            let Some((interval, cause)) =
                interval.as_ref().and_then(|found| Some((found, found.causes.last()?)))
            else {
                continue;
            };
            let noted = self.projections().noted_coverage(&number.number).map_err(ApiError::internal)?;
            if noted.is_some_and(|(state, _)| state == interval.state)
                && noted.is_some_and(|(_, known)| known == cause.cause || interval.state == State::Open)
            {
                continue;
            }
            let changed = Changed {
                number: &number.number,
                state: interval.state,
                cause: cause.cause,
                at: utc(interval.from.max(0)),
                detail: cause.detail.as_deref(),
            };
            let mut submission = own(Kind::CoverageChanged, &changed, now);
            submission.payload.facts.number = Some(number.number.clone());
            let _ = self.record(submission).await?;
            if interval.state != State::Open {
                tracing::warn!(
                    state = interval.state.as_str(),
                    cause = cause.cause.as_str(),
                    "coverage changed"
                );
            }
        }
        Ok(())
    }

    /// Commits the findings of the day before, once.
    async fn report_findings(&self, book: &Book, now: i64) -> Result<(), ApiError> {
        let hour = i64::from(self.coverage.settings().findings_hour);
        let start = (now - hour * HOUR).div_euclid(DAY) * DAY - DAY;
        let name = day(start);
        if self.projections().has_findings(&name).map_err(ApiError::internal)? {
            return Ok(());
        }
        let mut findings = self.gap_findings(book, start);
        let more = findings.len().saturating_sub(FINDINGS_MAX);
        findings.truncate(FINDINGS_MAX);
        let report = Findings { day: &name, findings, more };
        let mut submission = own(Kind::FindingReported, &report, now);
        submission.payload.facts.source_id = Some(format!("finding:{name}"));
        let _ = self.record(submission).await?;
        Ok(())
    }

    fn gap_findings(&self, book: &Book, start: i64) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (number, _, missing) in &book.numbers {
            let of_day = missing.iter().filter(|missing| missing.to >= start && missing.from < start + DAY);
            findings.extend(of_day.map(|missing| Finding {
                rule: format!("coverage.{}", missing.cause.as_str()),
                seq: missing.evidence.first().copied(),
                number: Some(number.number.clone()),
                detail: missing.cause.words().to_owned(),
            }));
        }
        findings
    }
}

/// Beats until the archive is closed.
async fn beat_on(archive: std::sync::Weak<Archive>) {
    let Some(first) = archive.upgrade() else { return };
    let CoverageSettings { heartbeat_every, .. } = first.coverage.settings().clone();
    let stop = first.coverage.stop.clone();
    // A claim about the time before the start would be false.
    let mut from = first.now_micros();
    drop(first);
    loop {
        let Some(archive) = archive.upgrade() else { return };
        let wait = match archive.beat(from).await {
            Ok(to) => {
                from = to;
                heartbeat_every
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the heartbeat will be tried again");
                // What fails for longer than a short stop leaves a hole: nothing could be received.
                if archive.now_micros() - from > DOWNTIME_MIN {
                    from = archive.now_micros();
                }
                RETRY_AFTER
            }
        };
        drop(archive);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => break,
        }
    }
    if let Some(archive) = archive.upgrade() {
        drop(archive.beat(from).await);
    }
}

fn own(kind: Kind, document: &impl Serialize, now: i64) -> Submission {
    let document = serde_json::to_vec(document).expect("texts and numbers are always JSON");
    let mut submission = Submission::own(kind, "application/json", document);
    submission.payload.facts.occurred_at = Some(now);
    submission
}
