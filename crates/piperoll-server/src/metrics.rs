//! Counters and gauges, without a label that could name a person.

use std::sync::atomic::{AtomicI64, AtomicU64};

use piperoll_format::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::archive::Archive;
use crate::media::MediaMetrics;
use crate::poll::PollMetrics;

/// What is counted while requests are served.
pub(crate) struct Metrics {
    registry: Registry,
    /// Webhook deliveries that were committed.
    pub(crate) deliveries: Counter,
    /// Items in them.
    pub(crate) items: Counter,
    /// Items that had been committed before.
    pub(crate) repeats: Counter,
    /// Deliveries with a missing or wrong signature.
    pub(crate) bad_signatures: Counter,
    /// Deliveries that were too large.
    pub(crate) too_large: Counter,
    /// Deliveries that could not be committed.
    pub(crate) refused: Counter,
    /// Events handed in through the API.
    pub(crate) events: Counter,
    /// Searches.
    pub(crate) searches: Counter,
    /// The media fetcher's.
    pub(crate) media: MediaMetrics,
    /// The poller's.
    pub(crate) poll: PollMetrics,
    size: Gauge<u64, AtomicU64>,
    covered: Gauge<u64, AtomicU64>,
    projected: Gauge<u64, AtomicU64>,
    snapshot_events: Gauge<u64, AtomicU64>,
    snapshot_taken_seconds: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
    ready: Gauge<u64, AtomicU64>,
    replica_lag_events: Gauge<u64, AtomicU64>,
    replica_lag_seconds: Gauge<u64, AtomicU64>,
    replica_still_held: Gauge<u64, AtomicU64>,
    clock_off_seconds: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("piperoll");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let deliveries = counter("webhook_deliveries", "Webhook deliveries acknowledged");
        let items = counter("webhook_items", "Items in acknowledged webhook deliveries");
        let repeats = counter("webhook_repeats", "Items that had been committed before");
        let bad_signatures =
            counter("webhook_bad_signatures", "Deliveries with a missing or wrong signature");
        let too_large = counter("webhook_too_large", "Deliveries over the size limit");
        let refused = counter("webhook_refused", "Deliveries that could not be committed");
        let events = counter("api_events", "Events handed in through the API");
        let searches = counter("searches", "Searches answered");
        let (media, poll) = (MediaMetrics::default(), PollMetrics::default());
        media.register(&mut registry);
        poll.register(&mut registry);
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let size = gauge("events", "Events in the ledger");
        let covered = gauge("index_events", "Events that the search index covers");
        let projected = gauge("projection_events", "Events that the projections cover");
        let snapshot_events =
            gauge("snapshot_events", "Events that the newest snapshot has, if one is known");
        let snapshot_taken_seconds =
            gauge("snapshot_taken_timestamp_seconds", "When the newest snapshot was taken, if one is known");
        let waiting = gauge("waiting_events", "Events that wait for a commit");
        let ready = gauge("ready", "1 while commits succeed");
        let replica_lag_events = gauge("replica_lag_events", "Events that the replica lacks");
        let replica_lag_seconds =
            gauge("replica_lag_seconds", "How long the oldest event that the replica lacks has waited");
        let replica_still_held = gauge(
            "replica_still_held_objects",
            "Objects that the replica holds and the first store does not",
        );
        let clock_off_seconds = Gauge::default();
        registry.register(
            "clock_off_seconds",
            "How far this host's clock is ahead of where it should stand; 0 unless it has jumped",
            clock_off_seconds.clone(),
        );
        Self {
            clock_off_seconds,
            replica_still_held,
            registry,
            deliveries,
            items,
            repeats,
            bad_signatures,
            too_large,
            refused,
            events,
            searches,
            media,
            poll,
            size,
            covered,
            projected,
            snapshot_events,
            snapshot_taken_seconds,
            waiting,
            ready,
            replica_lag_events,
            replica_lag_seconds,
        }
    }
}

impl Archive {
    /// Writes all metrics in the `OpenMetrics` text format.
    pub(crate) fn metrics_text(&self) -> String {
        let metrics = &self.metrics;
        metrics.size.set(self.engine.head().borrow().size);
        let progress = *self.progress().borrow();
        metrics.covered.set(progress.covered);
        metrics.projected.set(progress.projected);
        let newest = self.snapshots.newest();
        metrics.snapshot_events.set(newest.map_or(0, |newest| newest.events));
        metrics.snapshot_taken_seconds.set(newest.map_or(0, |newest| newest.taken_at.0 / Timestamp::SECOND));
        metrics.waiting.set(self.engine.waiting() as u64);
        metrics.ready.set(u64::from(self.engine.trouble().borrow().is_none()));
        let (lag_events, lag_seconds) = self.replica_lag();
        metrics.replica_lag_events.set(lag_events);
        metrics.replica_lag_seconds.set(lag_seconds);
        let held = self.replica_progress().map_or(0, |progress| progress.borrow().still_held);
        metrics.replica_still_held.set(held);
        let jump = *self.engine.clock_jump().borrow();
        metrics.clock_off_seconds.set(jump.map_or(0, |jump| jump.seconds()));
        let mut text = String::new();
        encode(&mut text, &metrics.registry).expect("writing to a string does not fail");
        text
    }
}
