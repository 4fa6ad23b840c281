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
    /// Whether the store's own clock says so, and not only what this machine has seen.
    pub is_by_store: bool,
}

impl ClockJump {
    /// Whether it is ahead, so that retention seems to have ended which has not.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.after > self.before
    }

    /// How many seconds it is ahead; less than 0 when it is behind.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        let micros = i128::from(self.after.0) - i128::from(self.before.0);
        i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX)
    }

    fn document(&self, is_seen_while_running: bool) -> String {
        let Self { before, after, .. } = self;
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
    /// Whether `good` is by the store's clock.
    is_by_store: bool,
}

/// What an engine knows about the time when it opens a ledger.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opening {
    /// When the newest event was recorded; 0 for a new ledger.
    pub(crate) recorded_at: Timestamp,
    /// The time by the store's own clock, if it has one and told.
    pub(crate) store: Option<u64>,
    /// What this machine remembers.
    pub(crate) remembered: Remembered,
    /// Whether somebody has checked the clock.
    pub(crate) is_confirmed: bool,
}

/// What local state remembers of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The jump that was recorded last and has not been made good.
    pub(crate) unresolved: Option<Unresolved>,
    /// When a jump was last over, by the clock that is right, in µs; the ledger's own time may be ahead of it for good.
    pub(crate) right: Option<u64>,
}

/// A recorded jump that nobody has seen the end of: where the clock should have stood, and where it stood, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Unresolved {
    fn offset(self) -> i128 {
        i128::from(self.after) - i128::from(self.before)
    }

    /// Whether a clock that says `now` can still stand as wrong as it stood then.
    fn lasts(self, now: u64) -> bool {
        if self.after > self.before {
            now.saturating_add(micros(JUMP_MIN)) >= self.after
        } else {
            now.saturating_add(micros(JUMP_MIN)) < self.before
        }
    }
}

impl ClockWatch {
    /// Starts from what is known and the clock as it stands.
    ///
    /// The store's clock decides where there is one. Otherwise a jump that was recorded lasts until the clock is seen to
    /// stand elsewhere, or until somebody confirms it; and the ledger's own time shows the rest.
    pub(crate) fn new(clock: Arc<dyn Clock>, opening: Opening) -> Self {
        let (now, elapsed) = (clock.now_micros(), clock.elapsed_micros());
        let Opening { recorded_at, store, remembered: Remembered { unresolved, right }, is_confirmed } =
            opening;
        let is_ahead = recorded_at.0 > 0 && now > recorded_at.0.saturating_add(micros(REST_MAX));
        let is_behind = match right {
            Some(right) => right > now.saturating_add(micros(JUMP_MIN)),
            None => recorded_at.0 > now.saturating_add(micros(JUMP_MIN)),
        };
        let is_off = |time: u64| now.abs_diff(time) > micros(JUMP_MIN);
        let good = match (store, unresolved) {
            (Some(store), _) => {
                if is_off(store) {
                    store
                } else {
                    now
                }
            }
            (None, _) if is_confirmed => now,
            (None, Some(jump)) if jump.lasts(now) => {
                u64::try_from(i128::from(now) - jump.offset()).unwrap_or(0)
            }
            // The clock was set right while nothing ran, and the newest events still have the wrong time.
            (None, Some(jump)) if now >= jump.before => now,
            (None, _) if is_ahead || is_behind => recorded_at.0,
            (None, _) => now,
        };
        let recorded = unresolved.map_or(0, Unresolved::offset);
        let is_by_store = store.is_some();
        let line = Line { good: (good, elapsed), recorded, is_seen: good == now, is_by_store };
        let watch = Self { clock, line: Mutex::new(line), doubt: watch::Sender::new(None) };
        let _jump = watch.jump();
        watch
    }

    /// Compares the clock with the store's, which decides.
    pub(crate) fn compare(&self, store: u64) -> Option<ClockJump> {
        let (now, elapsed) = (self.clock.now_micros(), self.clock.elapsed_micros());
        let mut line = self.line();
        line.is_by_store = true;
        if now.abs_diff(store) > micros(JUMP_MIN) {
            line.good = (store, elapsed);
        } else {
            (line.good, line.is_seen) = ((now, elapsed), true);
        }
        drop(line);
        self.jump()
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
        let jump = (now.abs_diff(expected) > micros(JUMP_MIN)).then_some(ClockJump {
            before: Timestamp(expected),
            after: Timestamp(now),
            is_by_store: line.is_by_store,
        });
        if jump.is_none() {
            // Time services correct in small steps, which must not add up to a jump.
            (line.good, line.is_seen) = ((now, elapsed), true);
        }
        self.doubt.send_if_modified(|doubt| std::mem::replace(doubt, jump) != jump);
        jump
    }

    /// Whether there is a jump that was not recorded yet, or the return from one.
    pub(crate) fn is_unrecorded(&self) -> bool {
        let jump = self.jump();
        self.line().is_news(jump)
    }

    /// Returns the event about a jump that was not recorded yet, and the return from one.
    pub(crate) fn unrecorded(&self) -> Option<SubmissionGroup> {
        let jump = self.jump();
        let line = self.line();
        if !line.is_news(jump) {
            return None;
        }
        let now = self.now();
        let jump = jump.unwrap_or_else(|| {
            let before = i128::from(now.0) + line.recorded;
            let before = Timestamp(u64::try_from(before).unwrap_or(0));
            ClockJump { before, after: now, is_by_store: line.is_by_store }
        });
        tracing::error!(before = %jump.before, after = %jump.after, "the clock has jumped");
        let document = jump.document(line.is_seen).into_bytes();
        Some(SubmissionGroup::single(Submission::own(Kind::ClockJumped, "application/json", document)))
    }

    /// Remembers that the present jump, or the return from one, is in the ledger; returns what the next start
    /// must know.
    pub(crate) fn recorded(&self) -> Remembered {
        let jump = self.jump();
        self.line().recorded = offset(jump);
        let unresolved = jump.map(|jump| Unresolved { before: jump.before.0, after: jump.after.0 });
        Remembered { unresolved, right: jump.is_none().then(|| self.now().0) }
    }

    pub(crate) fn doubt(&self) -> watch::Receiver<Option<ClockJump>> {
        self.doubt.subscribe()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Every update leaves the line consistent.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Whether this is not what was last recorded.
    fn is_news(&self, jump: Option<ClockJump>) -> bool {
        (offset(jump) - self.recorded).unsigned_abs() > u128::from(micros(JUMP_MIN))
    }
}

fn offset(jump: Option<ClockJump>) -> i128 {
    jump.map_or(0, |jump| i128::from(jump.after.0) - i128::from(jump.before.0))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
