//! The archive's own heartbeat: between two beats that do not touch, it was not running.

use serde::{Deserialize, Serialize};

use super::interval::Span;
use super::{Cause, HOUR, State};
use crate::fact::Fact;

/// Shorter stops of the archive are not reported: WhatsApp repeats within minutes. Microseconds.
pub const DOWNTIME_MIN: i64 = HOUR / 4;

/// After a stop of this length WhatsApp has dropped what it could not deliver (Meta's endpoint page: retries end after
/// 36 hours; another page says 7 days, the worse one counts). Microseconds.
pub const DOWNTIME_CERTAIN: i64 = 36 * HOUR;

/// A beat: the archive was receiving all this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beat {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Finds the times without a beat, up to `now`. Before the first beat nothing is claimed.
pub(super) fn downtimes(beats: &[Fact<Beat>], now: i64) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut known: Option<(i64, u64)> = None;
    for beat in beats {
        if let Some((until, seq)) = known {
            spans.extend(downtime(until, beat.value.from, vec![seq, beat.seq]));
        }
        known = Some(known.map_or((beat.value.to, beat.seq), |known| known.max((beat.value.to, beat.seq))));
    }
    if let Some((until, seq)) = known {
        // Beats come at an interval, so the last one may be that old while all is well.
        spans
            .extend(downtime(until, now, vec![seq]).filter(|span| span.to - span.from > HOUR + DOWNTIME_MIN));
    }
    spans
}

fn downtime(from: i64, to: i64, evidence: Vec<u64>) -> Option<Span> {
    let (state, cause) = match to - from {
        length if length <= DOWNTIME_MIN => return None,
        length if length <= DOWNTIME_CERTAIN => (State::Degraded, Cause::Downtime),
        _ => (State::Closed, Cause::DowntimeLost),
    };
    Some(Span { from, to, state, cause, evidence, detail: None })
}
