//! The state of a consent, with what shows it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EventView, MomentView};

/// The state of a consent at a moment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConsentView {
    /// The alias that was asked for.
    pub person: String,
    /// The aliases that were looked at.
    pub aliases: Vec<String>,
    /// The moment.
    pub at: MomentView,
    /// What the messages are for; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The business number's id; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The channel on which it must have been given; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// `given`, `withdrawn`, `refused`, `expired`, `unknown` or `candidate-withdrawn`.
    pub state: String,
    /// The event that decides it; absent when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<u64>,
    /// The rule by which it does.
    pub rule: String,
    /// What speaks for and against it, oldest first.
    pub evidence: Vec<SignalView>,
    /// The name of the time zone of local times.
    pub time_zone: String,
    /// Every event with a lower `seq` was looked at.
    pub complete_to: u64,
    /// The event that records this view.
    pub recorded_as: u64,
    /// How long the projections took; not part of the answer's body.
    #[serde(skip)]
    pub took: Duration,
}

/// A signal of consent, what the rules make of it, and its event.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignalView {
    /// The event.
    pub seq: u64,
    /// When it happened.
    pub at: MomentView,
    /// How it came: `api`, `keyword`, `button`, `preference`, `undelivered`, `flow`.
    pub via: String,
    /// The state it makes; absent where it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub makes: Option<String>,
    /// Why.
    pub rule: String,
    /// What it is about; everything when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The business number's id; every number when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// When the agreement that it gives ends by its own terms; never when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<MomentView>,
    /// When its payload was disposed of, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposed_on: Option<String>,
    /// The event, read from the store and proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventView>,
}
