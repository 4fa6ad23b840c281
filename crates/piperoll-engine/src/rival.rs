//! Another writer on the same ledger: how both get their turns, and when one gives way for good.
//!
//! A writer that lost a race reads the end of the ledger again, which takes longer than to go on from one's own commit;
//! so it would lose to a busy rival for ever. Therefore who wins while a rival is near lets it go first, and
//! who loses waits for a random while, so that two writers do not run in step.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use crate::components::Entropy;
use crate::error::EngineError;

/// Lost races in a row below which no writer stops, however long they took.
const RACES_MIN: u32 = 8;

/// How long a batch takes part in races before its senders are told to come again.
const BATCH_MAX: Duration = Duration::from_secs(10);

/// The longest pause after the first lost race; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(2);

/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// A rival that won no race for so long has gone.
const NEAR_FOR: Duration = Duration::from_secs(10);

/// What a writer knows of another one.
#[derive(Debug)]
pub(crate) struct Rival {
    patience: Duration,
    /// Races lost since the last commit of ours.
    lost: u32,
    losing_since: Option<Instant>,
    batch_since: Option<Instant>,
    seen: Option<Instant>,
}

/// Why a batch was given back: others were quicker each time.
#[derive(Debug, Error)]
#[error("another writer of this ledger was quicker, {lost} times in a row")]
struct Outrun {
    lost: u32,
}

impl Rival {
    pub(crate) const fn new(patience: Duration) -> Self {
        Self { patience, lost: 0, losing_since: None, batch_since: None, seen: None }
    }

    /// A new batch takes part from here on.
    pub(crate) const fn begin(&mut self) {
        self.batch_since = None;
    }

    /// Notes a lost race at `now`; an error says that the batch, or the writer, gives way.
    pub(crate) fn lost(&mut self, now: Instant) -> Result<(), EngineError> {
        self.lost = self.lost.saturating_add(1);
        self.seen = Some(now);
        let losing = now - *self.losing_since.get_or_insert(now);
        let racing = now - *self.batch_since.get_or_insert(now);
        if losing >= self.patience && self.lost >= RACES_MIN {
            return Err(EngineError::fatal("another writer keeps winning this ledger; stop it first"));
        }
        if racing >= BATCH_MAX {
            return Err(EngineError::unavailable(Outrun { lost: self.lost }));
        }
        Ok(())
    }

    /// Notes a commit of ours.
    pub(crate) const fn won(&mut self) {
        (self.lost, self.losing_since) = (0, None);
    }

    /// How long to wait before the next race after a lost one.
    pub(crate) fn pause(&self, entropy: &mut dyn Entropy) -> Duration {
        let longest = PAUSE_FIRST * (1 << self.lost.saturating_sub(1).min(16));
        part_of(longest.min(PAUSE_MAX), entropy)
    }

    /// Whether another writer was there lately.
    pub(crate) fn is_near(&self, now: Instant) -> bool {
        self.seen.is_some_and(|seen| now - seen < NEAR_FOR)
    }

    /// How long to stay away after a commit that `took` so long, for a rival that was there lately.
    pub(crate) fn yielding(&self, now: Instant, took: Duration, entropy: &mut dyn Entropy) -> Duration {
        if !self.is_near(now) {
            return Duration::ZERO;
        }
        // Its turn takes about as long as ours, and it must read the end of the ledger before.
        (took + part_of(took * 2, entropy)).min(PAUSE_MAX)
    }
}

/// Returns a random part of `longest`.
fn part_of(longest: Duration, entropy: &mut dyn Entropy) -> Duration {
    let mut draw = [0; 4];
    entropy.fill(&mut draw);
    longest.mul_f64(f64::from(u32::from_le_bytes(draw)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Most;

    impl Entropy for Most {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(0xff);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn writer_stops_only_when_it_loses_often_and_for_long() {
        let mut rival = Rival::new(Duration::from_secs(60));
        let start = Instant::now();
        for second in 0..60 {
            rival.begin();
            assert!(rival.lost(start + Duration::from_secs(second)).is_ok(), "after {second} s");
        }
        let end = rival.lost(start + Duration::from_secs(60));
        assert!(matches!(end, Err(EngineError::Fatal { .. })), "{end:?}");
        rival.won();
        assert!(rival.lost(start + Duration::from_secs(61)).is_ok(), "a commit begins anew");
        // Seven long races are too few.
        for minutes in 2..8 {
            rival.begin();
            assert!(rival.lost(start + Duration::from_secs(minutes * 60)).is_ok(), "after {minutes} min");
        }
        rival.begin();
        assert!(rival.lost(start + Duration::from_secs(480)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn batch_is_given_back_before_its_senders_have_gone() {
        let mut rival = Rival::new(Duration::from_secs(60));
        let start = Instant::now();
        assert!(rival.lost(start).is_ok());
        let late = rival.lost(start + BATCH_MAX);
        assert!(matches!(late, Err(EngineError::Unavailable { .. })), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound_and_end_when_the_rival_has_gone() {
        let mut rival = Rival::new(Duration::from_secs(60));
        let start = Instant::now();
        assert_eq!(rival.yielding(start, Duration::from_millis(4), &mut Most), Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            drop(rival.lost(start));
            pauses.push(rival.pause(&mut Most).as_millis());
        }
        assert_eq!(pauses[..9], [2, 4, 8, 16, 32, 64, 128, 250, 250]);
        assert_eq!(pauses[39], 250);
        let took = Duration::from_millis(4);
        assert_eq!(rival.yielding(start, took, &mut Most), Duration::from_millis(12));
        assert_eq!(rival.yielding(start + NEAR_FOR, took, &mut Most), Duration::ZERO);
    }
}
