//! A template at a moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{EventView, MomentView};

/// A template as it stood at a moment, in each language.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TemplateView {
    /// Its name.
    pub name: String,
    /// The moment.
    pub at: MomentView,
    /// How it stood, by language.
    pub languages: Vec<TemplateStateView>,
    /// The events that show it, read from the store and proven.
    pub events: Vec<EventView>,
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

/// A template in one language as it stood.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct TemplateStateView {
    /// The language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The template's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its status then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ToldView>,
    /// Its category then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<ToldView>,
    /// The version in force; absent when none was seen before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionOfTemplateView>,
    /// A change of its texts that no snapshot followed before the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<ToldView>,
    /// The content of the version in force: its components.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub components: Option<Value>,
    /// The content as text, without parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Every version that was seen up to the moment, oldest first.
    pub versions: Vec<VersionOfTemplateView>,
}

/// A value, since when, and the event that says so.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ToldView {
    /// The value.
    pub value: String,
    /// When it was told.
    pub since: MomentView,
    /// The event.
    pub seq: u64,
}

/// A version of a template's content.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionOfTemplateView {
    /// SHA-256 of its components (JSON without spaces, keys in byte order), hexadecimal.
    pub content_hash: String,
    /// When it was first seen.
    pub since: MomentView,
    /// The event that holds it.
    pub seq: u64,
}
