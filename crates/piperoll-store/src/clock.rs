//! Time as a parameter.
//!
//! Nothing in the libraries asks the operating system for the time; they take a [`Clock`].

use std::fmt::Debug;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of wall-clock time, and of the time that really passes.
pub trait Clock: Send + Sync + Debug {
    /// Returns the time in µs since the Unix epoch, UTC. It may step back; callers that need order
    /// keep the last value themselves.
    fn now_micros(&self) -> u64;

    /// Returns the µs since some moment of this process's life. It never steps, whatever becomes of the wall clock,
    /// so the difference of two answers tells how far the wall clock should have gone. A clock that knows nothing
    /// better answers with the wall clock, which never jumps in comparison with itself.
    fn elapsed_micros(&self) -> u64 {
        self.now_micros()
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the single place where the archive asks for the time")]
    fn now_micros(&self) -> u64 {
        // A clock before 1970 is not set at all; zero makes that visible instead of failing.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        micros(since_epoch)
    }

    #[expect(clippy::disallowed_methods, reason = "the single place where the archive asks for the time")]
    fn elapsed_micros(&self) -> u64 {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        // The first answer may come before `START` is set; both are then the same moment.
        micros(Instant::now().saturating_duration_since(*START))
    }
}

/// A clock that moves only when it is told to; for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicU64,
    elapsed: AtomicU64,
}

impl ManualClock {
    /// Starts at `micros` µs since the Unix epoch.
    pub fn new(micros: u64) -> Self {
        Self { now: AtomicU64::new(micros), elapsed: AtomicU64::new(0) }
    }

    /// Jumps to `micros` µs since the Unix epoch, forwards or backwards, while no time passes.
    pub fn set(&self, micros: u64) {
        self.now.store(micros, Ordering::SeqCst);
    }

    /// Lets `step`, cut to whole µs, pass, and returns the new time.
    pub fn advance(&self, step: Duration) -> u64 {
        let step = micros(step);
        self.elapsed.fetch_add(step, Ordering::SeqCst);
        self.now.fetch_add(step, Ordering::SeqCst) + step
    }
}

impl Clock for ManualClock {
    fn now_micros(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    fn elapsed_micros(&self) -> u64 {
        self.elapsed.load(Ordering::SeqCst)
    }
}

/// Returns a duration in whole µs; 2^64 µs are 584,000 years.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(5);
        assert_eq!(clock.now_micros(), 5);
        assert_eq!(clock.advance(Duration::from_millis(2)), 2_005);
        assert_eq!(clock.now_micros(), 2_005);
        clock.set(1);
        assert_eq!(clock.now_micros(), 1);
        assert_eq!(clock.elapsed_micros(), 2_000, "a jump takes no time");
    }

    #[test]
    fn system_clock_is_in_this_century() {
        let year_2020_micros = 1_577_836_800_000_000;
        let year_2100_micros = 4_102_444_800_000_000;
        assert!((year_2020_micros..year_2100_micros).contains(&SystemClock.now_micros()));
    }
}
