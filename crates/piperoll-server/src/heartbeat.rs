//! The heartbeat of a server: says in the ledger that the capture was alive, notices when a number's state changes, and
//! puts the findings of each day on record.
//!
//! It only runs while webhooks can arrive. When the store takes no commits there is no beat, and the hole says so.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use piperoll_format::{Kind, Seq, Submission};
use piperoll_projections::coverage::{Cause, State};
use piperoll_projections::{ConsentRules, ProjectionError, Projections, day, utc};
use serde::Serialize;

use crate::archive::Archive;
use crate::coverage::CoverageSettings;
use crate::error::ApiError;
use crate::gaps::Book;

/// The pause before a beat that could not be committed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long the watch waits for the projections.
const PROJECTED_WITHIN: Duration = Duration::from_secs(20);

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

    /// Commits a first beat and goes on in the background; [`Self::close`] ends that with a last beat.
    ///
    /// # Errors
    /// Those of a commit.
    pub(crate) async fn start_heartbeat(self: &Arc<Self>) -> Result<(), ApiError> {
        // A claim about the time before the start would be false.
        let from = self.record_beat(self.now_micros()).await?;
        let mut task = self.coverage.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_none() {
            *task = Some(tokio::spawn(beat_on(Arc::downgrade(self), from)));
        }
        Ok(())
    }

    /// Ends the heartbeat.
    pub(crate) async fn stop_heartbeat(&self) {
        self.coverage.stop.cancel();
        let task = self.coverage.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            drop(task.await);
        }
    }

    /// Commits a heartbeat for the time since `from` (microseconds since the epoch), and then what [`Self::look`] finds.
    /// Returns the moment until which the capture is on record.
    ///
    /// # Errors
    /// Those of reading and of a commit.
    pub async fn beat(&self, from: i64) -> Result<i64, ApiError> {
        let to = self.record_beat(from).await?;
        self.look().await?;
        Ok(to)
    }

    /// Commits a heartbeat for the time since `from`.
    pub(crate) async fn record_beat(&self, from: i64) -> Result<i64, ApiError> {
        let to = self.now_micros();
        let from = from.min(to);
        if from < to {
            self.wait_for_projections().await;
        }
        let projections = self.projections();
        // The next beat begins where this one ends.
        let counts = tokio::task::spawn_blocking(move || projections.arrivals(from, to.saturating_sub(1)));
        let counts = counts.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
        let counts = counts.iter().filter(|_| from < to);
        let numbers = counts.map(|(number, items)| Beating { number, items: *items }).collect();
        let beat = Beat { from: utc(from), to: utc(to), numbers, capturing: true };
        let _ = self.record(own(Kind::CoverageHeartbeat, &beat, to)).await?;
        Ok(to)
    }

    /// Commits how the state of each number changed, and the findings of the day before if they are due.
    async fn look(&self) -> Result<(), ApiError> {
        self.wait_for_projections().await;
        let (book, now) = (self.compute_gaps().await?, self.now_micros());
        self.note_changes(&book, now).await?;
        self.report_findings(&book, now).await
    }

    /// Waits until everything committed now is in the projections, but not for ever: a follower in trouble must not stop
    /// the watch.
    async fn wait_for_projections(&self) {
        let size = self.engine().head().borrow().size;
        if let Some(last) = size.checked_sub(1) {
            drop(tokio::time::timeout(PROJECTED_WITHIN, self.projected(Seq(last))).await);
        }
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
            // A number that begins as it should is no news.
            let (state, known) = noted.unwrap_or((State::Open, cause.cause));
            if state == interval.state && (known == cause.cause || state == State::Open) {
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
        if self.engine().genesis().created_at.0 >= (start + DAY).max(0).cast_unsigned() {
            return Ok(());
        }
        let name = day(start);
        if self.projections().has_findings(&name).map_err(ApiError::internal)? {
            return Ok(());
        }
        let (projections, rules, of_day) = (self.projections(), self.rules(), name.clone());
        let sends = tokio::task::spawn_blocking(move || violations_on(&projections, &rules, &of_day));
        let mut findings = sends.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
        findings.extend(gap_findings(book, start));
        let more = findings.len().saturating_sub(FINDINGS_MAX);
        findings.truncate(FINDINGS_MAX);
        let report = Findings { day: &name, findings, more };
        let mut submission = own(Kind::FindingReported, &report, now);
        submission.payload.facts.source_id = Some(format!("finding:{name}"));
        let _ = self.record(submission).await?;
        Ok(())
    }
}

/// Returns the gaps that touch the day that begins at `start`.
fn gap_findings(book: &Book, start: i64) -> Vec<Finding> {
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

/// Returns the rules that sends of a day broke.
fn violations_on(
    projections: &Projections,
    rules: &ConsentRules,
    day: &str,
) -> Result<Vec<Finding>, ProjectionError> {
    const PAGE: usize = 500;
    let (mut findings, mut after) = (Vec::new(), None);
    loop {
        let sends = projections.sends_on(day, after, PAGE)?;
        let Some(last) = sends.last() else { return Ok(findings) };
        after = Some((last.at, last.seq));
        for send in &sends {
            let Some(check) = projections.check_send(&send.value, rules)? else { continue };
            findings.extend(check.violations.iter().map(|violation| Finding {
                rule: format!("send.{}", violation.rule.as_str()),
                seq: Some(violation.seq),
                number: check.number.clone(),
                detail: violation.detail.clone(),
            }));
        }
    }
}

/// Beats until the archive is closed. The first beat is on record already.
async fn beat_on(archive: std::sync::Weak<Archive>, mut from: i64) {
    let Some(first) = archive.upgrade() else { return };
    let every = first.coverage.settings().heartbeat_every;
    let stop = first.coverage.stop.clone();
    let mut looked = first.look().await;
    drop(first);
    loop {
        let wait = match looked {
            Ok(()) => every,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the coverage watch will be tried again"
                );
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => break,
        }
        let Some(archive) = archive.upgrade() else { return };
        looked = match archive.record_beat(from).await {
            Ok(to) => {
                from = to;
                archive.look().await
            }
            Err(error) => {
                // While nothing can be committed nothing is received: the hole stays open in the ledger.
                from = archive.now_micros();
                Err(error)
            }
        };
    }
    if let Some(archive) = archive.upgrade() {
        drop(archive.record_beat(from).await);
    }
}

fn own(kind: Kind, document: &impl Serialize, now: i64) -> Submission {
    let document = serde_json::to_vec(document).expect("texts and numbers are always JSON");
    let mut submission = Submission::own(kind, "application/json", document);
    submission.payload.facts.occurred_at = Some(now);
    submission
}
