//! A histogram of latencies: 64 steps in each power of two, so a quantile is at most 1.6 % too high.

use std::time::Duration;

const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;
/// Nanoseconds up to 2^40, which is 18 minutes; slower counts as that.
const OCTAVES: usize = 40 - STEP_BITS as usize + 1;

/// Counts of latencies, in nanoseconds.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Histogram {
    /// Gives a histogram without latencies.
    pub(super) fn new() -> Self {
        Self { counts: vec![0; STEPS * OCTAVES], total: 0, max: Duration::ZERO }
    }

    /// Counts one latency.
    pub(super) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[position(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(latency);
    }

    /// Gives the number of latencies.
    pub(super) fn count(&self) -> u64 {
        self.total
    }

    /// Gives the largest latency, exactly.
    pub(super) fn max(&self) -> Duration {
        self.max
    }

    /// Gives the latency that a `fraction` of all does not exceed; zero if there are none.
    pub(super) fn quantile(&self, fraction: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank between 0 and a count far below 2^53"
        )]
        let rank = ((self.total as f64 * fraction).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (position, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper_bound(position)).min(self.max);
            }
        }
        Duration::ZERO
    }
}

/// Gives the bucket of a value: below [`STEPS`] each its own, above by its leading bits.
fn position(nanos: u64) -> usize {
    let octave = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let step = usize::try_from(nanos >> octave).unwrap_or(usize::MAX);
    let position = if octave == 0 { step } else { step + octave as usize * STEPS };
    position.min(STEPS * OCTAVES - 1)
}

/// Gives the largest value of a bucket.
fn upper_bound(position: usize) -> u64 {
    let octave = (position / STEPS).saturating_sub(1);
    let step = position - octave * STEPS;
    ((step as u64 + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Histogram, position, upper_bound};

    #[test]
    fn bounds_and_positions_agree() {
        for nanos in (0..5_000).chain((0..40).map(|bit| 1 << bit)).chain((1..40).map(|bit| (1 << bit) - 1)) {
            let at = position(nanos);
            assert!(upper_bound(at) >= nanos, "{nanos}");
            assert!(upper_bound(at) - nanos <= nanos / 64, "{nanos}");
            assert!(position(nanos + 1) - at <= 1, "{nanos}");
        }
        assert_eq!(position(u64::MAX), position(1 << 50));
    }

    #[test]
    fn quantiles_are_at_most_one_step_too_high() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert_eq!(histogram.count(), 1_000);
        assert_eq!(histogram.max(), Duration::from_millis(1));
        for (fraction, micros) in [(0.5, 500), (0.99, 990), (1.0, 1_000)] {
            let found = histogram.quantile(fraction).as_nanos();
            let exact = Duration::from_micros(micros).as_nanos();
            assert!((exact..=exact + exact / 60).contains(&found), "{fraction}: {found}");
        }
    }
}
