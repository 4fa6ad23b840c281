//! Watching the wall clock: it is compared with the time that really passes, and with the ledger's own time.
//!
//! The reasons are in `schemas/decisions/0012-a-clock-that-jumps.md`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use piperoll_format::{Kind, Submission, SubmissionGroup, Timestamp};
use piperoll_store::Clock;
use tokio::sync::watch;

/// A wall clock that is further away from where it should be has jumped. Time services correct by far less.
const JUMP_MIN: Duration = Duration::from_secs(3_600);

/// A ledger that was at rest for longer when an engine opens it is more likely a clock that is ahead.
const REST_MAX: Duration = Duration::from_secs(400 * 86_400);

/// A wall clock that stands where it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// Where it should stand: the last good time and what has really passed since.
    pub before: Timestamp,
    /// Where it stands.
    pub after: Timestamp,
}

impl ClockJump {
    /// Whether it is ahead, so that retention seems to have ended which has not.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.after > self.before
    }

    fn document(&self, is_seen_while_running: bool) -> String {
        let Self { before, after } = self;
        let sign = if self.is_ahead() { "" } else { "-" };
        let by = after.0.abs_diff(before.0);
        format!(
            r#"{{"before":"{before}","after":"{after}","by_micros":{sign}{by},"monotonic":{is_seen_while_running}}}"#
        )
    }
}

/// Compares the clock with itself.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    clock: Arc<dyn Clock>,
    line: Mutex<Line>,
    doubt: watch::Sender<Option<ClockJump>>,
}

/// Where the wall clock should stand.
#[derive(Debug)]
struct Line {
    /// A wall time that is believed, in µs, and the elapsed time at that moment.
    good: (u64, u64),
    /// How far off the clock was when a jump was last recorded, in µs.
    recorded: i128,
    /// Whether `good` was seen by this process and not read from the ledger.
    is_seen: bool,
}

impl ClockWatch {
    /// Starts from the ledger's time, 0 for a new one, and the clock as it stands.
    pub(crate) fn new(clock: Arc<dyn Clock>, recorded_at: Timestamp) -> Self {
        let (now, elapsed) = (clock.now_micros(), clock.elapsed_micros());
        let is_ahead = recorded_at.0 > 0 && now > recorded_at.0.saturating_add(micros(REST_MAX));
        let is_behind = recorded_at.0 > now.saturating_add(micros(JUMP_MIN));
        let is_seen = !is_ahead && !is_behind;
        let good = if is_seen { now } else { recorded_at.0 };
        let line = Line { good: (good, elapsed), recorded: 0, is_seen };
        let watch = Self { clock, line: Mutex::new(line), doubt: watch::Sender::new(None) };
        let _jump = watch.jump();
        watch
    }

    /// Returns the time, right or wrong.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_micros())
    }

    /// Tells whether the clock stands where it cannot, now.
    pub(crate) fn jump(&self) -> Option<ClockJump> {
        let (now, elapsed) = (self.clock.now_micros(), self.clock.elapsed_micros());
        let mut line = self.line();
        let expected = line.good.0.saturating_add(elapsed.saturating_sub(line.good.1));
        let jump = (now.abs_diff(expected) > micros(JUMP_MIN))
            .then_some(ClockJump { before: Timestamp(expected), after: Timestamp(now) });
        if jump.is_none() {
            // Time services correct in small steps, which must not add up to a jump.
            (line.good, line.is_seen) = ((now, elapsed), true);
        }
        self.doubt.send_if_modified(|doubt| std::mem::replace(doubt, jump) != jump);
        jump
    }

    /// Returns the event about a jump that was not recorded yet, and the return from one.
    pub(crate) fn unrecorded(&self) -> Option<SubmissionGroup> {
        let jump = self.jump();
        let line = self.line();
        if (offset(jump) - line.recorded).unsigned_abs() <= u128::from(micros(JUMP_MIN)) {
            return None;
        }
        let now = self.now();
        let jump = jump.unwrap_or_else(|| {
            let before = i128::from(now.0) + line.recorded;
            ClockJump { before: Timestamp(u64::try_from(before).unwrap_or(0)), after: now }
        });
        tracing::error!(before = %jump.before, after = %jump.after, "the clock has jumped");
        let document = jump.document(line.is_seen).into_bytes();
        Some(SubmissionGroup::single(Submission::own(Kind::ClockJumped, "application/json", document)))
    }

    /// Remembers that the present jump, or the return from one, is in the ledger.
    pub(crate) fn recorded(&self) {
        let jump = self.jump();
        self.line().recorded = offset(jump);
    }

    pub(crate) fn doubt(&self) -> watch::Receiver<Option<ClockJump>> {
        self.doubt.subscribe()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Every update leaves the line consistent.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn offset(jump: Option<ClockJump>) -> i128 {
    jump.map_or(0, |jump| i128::from(jump.after.0) - i128::from(jump.before.0))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
