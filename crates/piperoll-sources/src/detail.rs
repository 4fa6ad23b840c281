//! What a message says beyond its texts, as far as something is decided by it: statuses, reactions, choices,
//! consent, templates, identities, history.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a delivery status reports beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDetail {
    /// Whether it is charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billable: Option<bool>,
    /// The pricing model: `CBP` or `PMP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing_model: Option<String>,
    /// The pricing type: `regular`, `free_customer_service`, `free_entry_point`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing_type: Option<String>,
    /// The category it is charged as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What opened the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_origin: Option<String>,
    /// What the sender of the message gave along (`biz_opaque_callback_data`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_data: Option<String>,
    /// Whose status it is, in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
}

/// A reaction to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The emoji; absent when a reaction was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

/// How a message was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarded {
    /// At least once.
    Forwarded,
    /// More than five times.
    Frequently,
}

/// The advertisement that a message came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// `ad` or `post`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// Its headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The click's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
}

/// The product that an enquiry is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
    /// The product in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retailer_id: Option<String>,
}

/// What a person chose from what was offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// `button` (of a template), `button_reply`, `list_reply`.
    pub choice_type: String,
    /// What the business named it: the payload or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// What the person read on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What a message of the history synchronisation says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryDetail {
    /// The state that the phone knew, in lower case: `read`, `delivered`, `sent`, `pending`, `played`, `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whether the business wrote it, if the phone says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_me: Option<bool>,
}

/// The position of a piece of the history synchronisation. It stands outside the slices of its messages, so it is
/// told by the delivery, or by the only message of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryChunk {
    /// 0 for the last day, 1 up to 90 days, 2 up to 180 days.
    pub phase: i64,
    /// The order within the phase, as the sender numbers it.
    pub chunk_order: i64,
    /// Percent done; 100 is the end.
    pub progress: i64,
}

/// A person's choice in WhatsApp about messages of a category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// `stop`, `resume` or `signup`.
    pub value: String,
    /// What it is about: `marketing_messages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What WhatsApp says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The sign-up that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signup_id: Option<String>,
}

/// What changed about a template, or how it stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateDetail {
    /// The status or the event that changed it, as written: `APPROVED`, `PAUSED` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The category it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The category it had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_category: Option<String>,
    /// The category that the platform wants it to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct_category: Option<String>,
    /// The quality it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Why, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether its texts changed; the new ones need a snapshot.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub components_changed: bool,
    /// The whole definition, where it came along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<Value>,
}

/// A person's identities before and after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityChange {
    /// The phone number before, digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_phone: Option<String>,
    /// The phone number after, digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The business-scoped user id before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_user_id: Option<String>,
    /// The business-scoped user id after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The parent user id before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_parent_user_id: Option<String>,
    /// The parent user id after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_user_id: Option<String>,
}

/// A request to send, or its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendDetail {
    /// What ties a request to its answer.
    pub journal_id: String,
    /// How it reached the archive: `proxy` or `journal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The HTTP status of the answer; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// The ids that the platform gave to the messages.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub wamids: Vec<String>,
}
