//! What is counted while media are fetched.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters and gauges of the media fetcher. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct MediaMetrics {
    /// Attachments captured.
    pub(crate) captured: Counter,
    /// Attachments given up.
    pub(crate) unavailable: Counter,
    /// Bytes of captured attachments.
    pub(crate) bytes: Counter,
    /// Attachments that are neither captured nor given up.
    pub(crate) waiting: Gauge<u64, AtomicU64>,
    /// 1 while the platform refuses the token.
    pub(crate) degraded: Gauge<u64, AtomicU64>,
}

impl MediaMetrics {
    /// Makes them part of what is shown.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("media_captured", "Attachments captured", self.captured.clone());
        registry.register("media_unavailable", "Attachments given up", self.unavailable.clone());
        registry.register("media_bytes", "Bytes of captured attachments", self.bytes.clone());
        registry.register("media_waiting", "Attachments to be fetched", self.waiting.clone());
        registry.register("media_degraded", "1 while the platform refuses the token", self.degraded.clone());
    }
}
