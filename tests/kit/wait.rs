//! Waiting for a condition that another thread or process brings about.

use std::time::{Duration, Instant};

/// How long a condition may take on a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds and returns how long that took.
///
/// # Panics
/// When it does not hold for half a minute; `what` says what was waited for.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "waited in vain: {what}");
        let _now = ticks.tick().await;
    }
    started.elapsed()
}
