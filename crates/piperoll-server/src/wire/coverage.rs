//! Coverage and gaps as JSON.

use piperoll_projections::coverage::{
    Cause, Coverage, Interval, KnownNumber, Missing, NEVER_DELIVERED, State,
};
use piperoll_projections::utc;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How complete the capture of a number was in a time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CoverageView {
    /// The business number's id.
    pub number: String,
    /// Digits of its phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The WhatsApp account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// From this moment (RFC 3339, UTC).
    pub from: String,
    /// Until this moment.
    pub to: String,
    /// The state at the end of that time: `open`, `degraded` or `closed`.
    pub state: String,
    /// One state after the other, without holes.
    pub intervals: Vec<IntervalView>,
    /// What is missing or may be missing.
    pub missing: Vec<MissingView>,
    /// What WhatsApp never delivers, whatever the archive does.
    pub never_delivered: Vec<String>,
    /// Whether every reference in this time was followed; in a shorter time more are.
    pub is_complete: bool,
    /// Every event with a lower `seq` was looked at.
    pub complete_to: u64,
    /// The event that records this view.
    pub recorded_as: u64,
}

/// A time with one state.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IntervalView {
    /// From this moment (RFC 3339, UTC).
    pub from: String,
    /// Until this moment.
    pub to: String,
    /// `open`, `degraded` or `closed`.
    pub state: String,
    /// Why.
    pub causes: Vec<CauseView>,
}

/// Why a number has a state.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CauseView {
    /// In one word of a closed list, such as `offboarded`.
    pub cause: String,
    /// In words for people.
    pub words: String,
    /// What else was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The events that show it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<u64>,
}

/// Something that is missing or may be missing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MissingView {
    /// From this moment (RFC 3339, UTC).
    pub from: String,
    /// Until this moment.
    pub to: String,
    /// Why.
    #[serde(flatten)]
    pub why: CauseView,
    /// Whether it is certain, and not only possible.
    pub certain: bool,
    /// How many; absent where nobody can know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What can still be done to bring it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The numbers and how their capture is now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CoverageListView {
    /// One line for each number.
    pub numbers: Vec<NumberView>,
    /// Every event with a lower `seq` was looked at.
    pub complete_to: u64,
    /// The event that records this view.
    pub recorded_as: u64,
}

/// How the capture of a number is now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NumberView {
    /// The business number's id.
    pub number: String,
    /// Digits of its phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// `open`, `degraded` or `closed`.
    pub state: String,
    /// Since this moment (RFC 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why.
    pub causes: Vec<CauseView>,
    /// How many gaps are known.
    pub gaps: u64,
}

/// The gaps in the scope of a search or export.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct GapsView {
    /// The newest ones.
    pub gaps: Vec<GapView>,
    /// How many more there are.
    pub more: u64,
    /// Every event with a lower `seq` was looked at.
    pub complete_to: u64,
    /// Whether everything that was committed and projected was looked at, and every reference to a message followed.
    #[serde(default)]
    pub complete: bool,
    /// Of which moment they are (RFC 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub as_of: Option<String>,
    /// When the time that is more than three days old was last looked at for late notices.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub older_as_of: Option<String>,
}

/// A time in which something of a number is missing or may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GapView {
    /// The business number's id.
    pub number: String,
    /// From this moment (RFC 3339, UTC).
    pub from: String,
    /// Until this moment.
    pub to: String,
    /// In one word of a closed list, such as `offboarded`.
    pub cause: String,
    /// Whether it is certain, and not only possible.
    pub certain: bool,
    /// How many; absent where nobody can know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl CoverageView {
    pub(crate) fn new(
        found: &Coverage,
        span: (i64, i64),
        now: i64,
        complete_to: u64,
        recorded_as: u64,
    ) -> Self {
        let KnownNumber { number, phone, account } = found.number.clone();
        let state = found.intervals.last().map_or(State::Closed, |interval| interval.state);
        Self {
            number,
            phone,
            account,
            from: utc(span.0),
            to: utc(span.1),
            state: state.as_str().to_owned(),
            intervals: found.intervals.iter().map(IntervalView::new).collect(),
            missing: found.missing.iter().map(|missing| MissingView::new(missing, now)).collect(),
            never_delivered: NEVER_DELIVERED.map(str::to_owned).to_vec(),
            is_complete: found.is_complete,
            complete_to,
            recorded_as,
        }
    }
}

impl IntervalView {
    pub(crate) fn new(interval: &Interval) -> Self {
        Self {
            from: utc(interval.from),
            to: utc(interval.to),
            state: interval.state.as_str().to_owned(),
            causes: causes(interval),
        }
    }
}

/// Returns the causes of an interval.
pub(crate) fn causes(interval: &Interval) -> Vec<CauseView> {
    let view = |cause: Cause, detail: &Option<String>, evidence: &[u64]| CauseView {
        cause: cause.as_str().to_owned(),
        words: cause.words().to_owned(),
        detail: detail.clone(),
        evidence: evidence.to_vec(),
    };
    interval.causes.iter().map(|span| view(span.cause, &span.detail, &span.evidence)).collect()
}

impl MissingView {
    fn new(missing: &Missing, now: i64) -> Self {
        Self {
            from: utc(missing.from),
            to: utc(missing.to),
            why: CauseView {
                cause: missing.cause.as_str().to_owned(),
                words: missing.cause.words().to_owned(),
                detail: missing.detail.clone(),
                evidence: missing.evidence.clone(),
            },
            certain: missing.cause.is_certain(),
            count: (missing.count > 0).then_some(missing.count),
            remedy: missing.remedy(now),
        }
    }
}

impl GapView {
    pub(crate) fn new(number: &str, missing: &Missing) -> Self {
        Self {
            number: number.to_owned(),
            from: utc(missing.from),
            to: utc(missing.to),
            cause: missing.cause.as_str().to_owned(),
            certain: missing.cause.is_certain(),
            count: (missing.count > 0).then_some(missing.count),
        }
    }
}
