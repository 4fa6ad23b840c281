//! The evidence of a send.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::consent::SignalView;
use super::template::TemplateStateView;
use super::{EventView, MomentView};

/// Everything that shows whether a message was sent as it may be.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SendEvidenceView {
    /// The message's id.
    pub wamid: String,
    /// `PROVEN` or `NOT PROVEN`.
    pub verdict: String,
    /// What would have to be known.
    pub missing: Vec<String>,
    /// The rules it broke.
    pub violations: Vec<ViolationView>,
    /// When it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<MomentView>,
    /// The business number's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The employee who had the number then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<AssigneeView>,
    /// The aliases of the person.
    pub aliases: Vec<String>,
    /// Its content type.
    pub message_type: String,
    /// What it was for: `marketing`, `utility`, `authentication` by the template's category, or `service`.
    pub purpose: String,
    /// Its text as the person read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The event of the request, or of what was sent in another way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// The event of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<u64>,
    /// The name of the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_name: Option<String>,
    /// The template as it stood before the send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateStateView>,
    /// The state of the consent before the send.
    pub consent: String,
    /// The rule that decides it.
    pub consent_rule: String,
    /// What speaks for and against the consent, oldest first.
    pub consent_evidence: Vec<SignalView>,
    /// When the customer last wrote before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_inbound: Option<LastInboundView>,
    /// Whether that was less than 24 hours before.
    pub window_open: bool,
    /// Its statuses, oldest first.
    pub statuses: Vec<StatusView>,
    /// Every event that is named here, read from the store and proven.
    pub events: Vec<EventView>,
    /// The name of the time zone of local times.
    pub time_zone: String,
    /// Every event with a lower `seq` was looked at.
    pub complete_to: u64,
    /// The event that records this view.
    pub recorded_as: u64,
}

/// A broken rule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ViolationView {
    /// `sent-after-opt-out`, `template-not-approved` or `outside-window`.
    pub rule: String,
    /// In words.
    pub detail: String,
    /// The event that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown_by: Option<u64>,
}

/// The employee who had a business number.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AssigneeView {
    /// The employee's id.
    pub employee: String,
    /// The employee's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The event that says so.
    pub seq: u64,
}

/// The last message of a customer before a send.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LastInboundView {
    /// When.
    pub at: MomentView,
    /// The event.
    pub seq: u64,
}

/// A delivery status.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// `sent`, `delivered`, `read`, `played`, `failed` …
    pub status: String,
    /// When.
    pub at: MomentView,
    /// The event.
    pub seq: u64,
    /// Codes of errors.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<i64>,
    /// To whom, where that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}
