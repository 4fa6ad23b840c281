//! What is counted while the platform is asked.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of the poller. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct PollMetrics {
    /// Questions asked.
    pub(crate) polls: Counter,
    /// Questions without an answer.
    pub(crate) failures: Counter,
    /// Answers committed because they were new.
    pub(crate) observed: Counter,
}

impl PollMetrics {
    /// Makes them part of what is shown.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("graph_polls", "Questions to the platform", self.polls.clone());
        registry.register("graph_poll_failures", "Questions without an answer", self.failures.clone());
        registry.register(
            "graph_observations",
            "Answers committed because they were new",
            self.observed.clone(),
        );
    }
}
