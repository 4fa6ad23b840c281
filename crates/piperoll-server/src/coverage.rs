//! Coverage for people: a number's capture over time, all numbers now, and the gaps in the scope of a search.
//!
//! Gaps beside a search are computed from the projections as they are when somebody asks. What was found in the older
//! part of each number's time is kept for that and found anew now and then; every answer says of which moment both are.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeZone as _};
use chrono_tz::Tz;
use piperoll_format::Kind;
use piperoll_index::{Query, Scope};
use piperoll_projections::coverage::{Canary, CoverageOptions, Interval, KnownNumber, Missing, State};
use piperoll_projections::{ProjectionError, utc};
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::gaps::{Book, GapKeeper, GapQuestion};
use crate::tokens::Caller;
use crate::wire::{CoverageListView, CoverageView, GapView, GapsView, NumberView, causes};

/// Gaps that one answer names.
const GAPS_MAX: usize = 20;

/// References that are followed when somebody asks for one number.
const REFERENCES_MAX: usize = 100_000;

/// The time that is looked at unless somebody says otherwise, in microseconds.
const SPAN: i64 = 30 * 24 * 3_600_000_000;

/// How the capture is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageSettings {
    /// How often a heartbeat is committed.
    pub heartbeat_every: Duration,
    /// The hour (UTC) after which the findings of the day before are committed.
    pub findings_hour: u32,
    /// Test messages that are expected.
    pub canaries: Vec<Canary>,
}

impl Default for CoverageSettings {
    fn default() -> Self {
        Self { heartbeat_every: Duration::from_secs(15 * 60), findings_hour: 1, canaries: Vec::new() }
    }
}

/// What an archive keeps for coverage.
#[derive(Debug, Default)]
pub(crate) struct CoverageDesk {
    pub(crate) settings: OnceLock<CoverageSettings>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    pub(crate) gaps: Arc<GapKeeper>,
}

impl CoverageDesk {
    /// Returns the settings in effect.
    pub(crate) fn settings(&self) -> &CoverageSettings {
        self.settings.get_or_init(CoverageSettings::default)
    }
}

impl Archive {
    /// Tells how complete the capture of a number was. `from` and `to` are days or moments as written.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when nothing is known about the number; [`ErrorCode::Invalid`] for times; those of a
    /// commit.
    pub async fn coverage(
        &self,
        caller: &Caller,
        number: &str,
        from: Option<&str>,
        to: Option<&str>,
        zone: Option<Tz>,
    ) -> Result<CoverageView, ApiError> {
        let (zone, now) = (zone.unwrap_or(self.time_zone), self.now_micros());
        let to = to.map(|to| moment("to", to, zone, true)).transpose()?.unwrap_or(now).min(now);
        let from = from.map(|from| moment("from", from, zone, false)).transpose()?;
        let from = from.unwrap_or_else(|| to.saturating_sub(SPAN));
        if from >= to {
            let message = format!("field `from`: expected a moment before {}, found {}", utc(to), utc(from));
            return Err(ApiError::new(ErrorCode::Invalid, message));
        }
        let projected = self.progress().borrow().projected;
        let (projections, canaries) = (self.projections(), self.coverage.settings().canaries.clone());
        let wanted = number.to_owned();
        let found = computed(move || {
            let Some(number) = projections.number(&wanted)? else { return Ok(None) };
            let options = CoverageOptions { now, canaries: &canaries, references_max: REFERENCES_MAX };
            projections.coverage(&number, from, to, &options).map(Some)
        })
        .await?;
        let access = Access { action: "coverage", target: Some(number), ..Access::default() };
        let recorded = self.record_access(Kind::AccessView, caller, &access).await?;
        let found = found.ok_or_else(|| {
            ApiError::new(ErrorCode::NotFound, format!("nothing is known about the number `{number}`"))
        })?;
        Ok(CoverageView::new(&found, (from, to), now, projected, recorded.0))
    }

    /// Lists the numbers and how their capture is now.
    ///
    /// # Errors
    /// Those of reading and of a commit.
    pub async fn coverage_list(&self, caller: &Caller) -> Result<CoverageListView, ApiError> {
        let book = self.compute_gaps().await?;
        let access = Access { action: "coverage", ..Access::default() };
        let recorded = self.record_access(Kind::AccessView, caller, &access).await?;
        let view = |(number, now, missing): &(KnownNumber, Option<Interval>, Vec<Missing>)| NumberView {
            number: number.number.clone(),
            phone: number.phone.clone(),
            state: now.as_ref().map_or(State::Closed, |now| now.state).as_str().to_owned(),
            since: now.as_ref().map(|now| utc(now.from)),
            causes: now.as_ref().map(causes).unwrap_or_default(),
            gaps: missing.len() as u64,
        };
        Ok(CoverageListView {
            numbers: book.numbers.iter().map(view).collect(),
            complete_to: book.projected,
            recorded_as: recorded.0,
        })
    }

    /// Names the gaps in the scope of a search: those of now where they are known soon, otherwise those of a moment
    /// before.
    pub(crate) async fn gaps_soon(&self, query: &Query) -> GapsView {
        self.gaps_in(query, self.coverage.gaps.book_soon(self.gap_question()).await)
    }

    /// Names the gaps in the scope of an export, of now.
    pub(crate) async fn gaps_now(&self, query: &Query) -> GapsView {
        self.gaps_in(query, self.compute_gaps().await)
    }

    /// Names the gaps in the scope of a query, the newest first.
    ///
    /// Nobody is stopped by projections that are out of order: then `complete_to` is 0, nothing was looked at.
    fn gaps_in(&self, query: &Query, found: Result<Arc<Book>, ApiError>) -> GapsView {
        let projected = self.progress().borrow().projected;
        let (book, scope) = match found {
            Ok(book) => (book, query.scope()),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the gaps of a search are not known"
                );
                return GapsView::default();
            }
        };
        let mut found: Vec<(&KnownNumber, &Missing)> = Vec::new();
        for (number, _, missing) in book.numbers.iter().filter(|(number, ..)| is_in(number, &scope)) {
            found.extend(
                missing.iter().filter(|missing| touches(missing, &scope)).map(|missing| (number, missing)),
            );
        }
        found.sort_by_key(|(_, missing)| std::cmp::Reverse((missing.to, missing.from)));
        let more = found.len().saturating_sub(GAPS_MAX) as u64;
        let gaps = found.iter().take(GAPS_MAX).map(|(number, missing)| GapView::new(&number.number, missing));
        GapsView {
            gaps: gaps.collect(),
            more,
            complete_to: book.projected,
            complete: book.is_complete && book.projected >= projected,
            as_of: Some(utc(book.at)),
            older_as_of: Some(utc(book.older_at)),
        }
    }

    /// Computes the gaps of all numbers, of now.
    pub(crate) async fn compute_gaps(&self) -> Result<Arc<Book>, ApiError> {
        self.coverage.gaps.book(self.gap_question()).await
    }

    fn gap_question(&self) -> GapQuestion {
        GapQuestion {
            projections: self.projections(),
            canaries: self.coverage.settings().canaries.clone(),
            projected: self.progress().borrow().projected,
            now: self.now_micros(),
        }
    }

    /// Returns the time in signed microseconds, as facts have it.
    pub(crate) fn now_micros(&self) -> i64 {
        i64::try_from(self.now().0).unwrap_or(i64::MAX)
    }
}

/// Reads the projections away from the async threads.
pub(crate) async fn computed<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProjectionError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?;
    done.map_err(ApiError::internal)
}

fn is_in(number: &KnownNumber, scope: &Scope) -> bool {
    let named = |text: &String| *text == number.number || number.phone.as_ref() == Some(text);
    scope.numbers.is_empty() || scope.numbers.iter().any(named)
}

fn touches(missing: &Missing, scope: &Scope) -> bool {
    let micros = |time: piperoll_format::Timestamp| i64::try_from(time.0).unwrap_or(i64::MAX);
    scope.from.is_none_or(|from| missing.to >= micros(from))
        && scope.to.is_none_or(|to| missing.from < micros(to))
}

/// Reads a moment in RFC 3339, or a day of `zone`: its beginning, or its end.
fn moment(field: &str, text: &str, zone: Tz, is_end: bool) -> Result<i64, ApiError> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_micros());
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let day = day.and_then(|day| if is_end { day.checked_add_days(Days::new(1)) } else { Some(day) });
    let start = day.and_then(|day| zone.from_local_datetime(&day.and_hms_opt(0, 0, 0)?).earliest());
    start.map(|start| start.timestamp_micros()).ok_or_else(|| {
        let found: String = text.chars().take(40).collect();
        let message =
            format!("field `{field}`: expected a day such as `2026-11-21` or RFC 3339, found `{found}`");
        ApiError::new(ErrorCode::Invalid, message)
    })
}
