//! Templates: every version that was seen, and their status and category over time.

use piperoll_format::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::fact::{Facts, Observed, Table};

/// A fact of [`Table::Template`]: how a template stood, or what changed about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateFact {
    /// Where it is known from: `snapshot`, `webhook`, or `echo` (a definition that came with a message).
    pub source: String,
    /// The template's id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// Its language.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<String>,
    /// Its status, or the event that changed it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<String>,
    /// Its category.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub category: Option<String>,
    /// SHA-256 of its components, hexadecimal; absent where they did not come along.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_hash: Option<String>,
    /// Whether its components changed without coming along.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub components_changed: bool,
    /// Why, as the platform writes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Adds what an event says about a template.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let message = observed.message;
    let source = match observed.kind {
        Kind::TemplateSnapshot => "snapshot",
        Kind::WhatsappTemplate => "webhook",
        Kind::WhatsappStandby => "echo",
        _ => return,
    };
    let (Some(detail), Some(template)) = (&message.template_detail, &message.template) else { return };
    if source == "echo" && detail.components.is_none() {
        return;
    }
    let fact = TemplateFact {
        source: source.to_owned(),
        id: template.id.clone(),
        language: template.language.clone(),
        status: detail.status.as_deref().map(str::to_ascii_uppercase),
        category: detail.category.as_deref().map(str::to_ascii_uppercase),
        content_hash: detail.components.as_ref().map(content_hash),
        components_changed: detail.components_changed,
        reason: detail.reason.clone(),
    };
    // A change of category names the id only.
    let by_id = || template.id.as_deref().map(id_entity);
    if let Some(entity) = template.name.clone().or_else(by_id) {
        facts.put(Table::Template, &entity, observed.at(), &fact);
    }
}

/// The entity of a template that is known by its id only.
pub(crate) fn id_entity(id: &str) -> String {
    format!("#{id}")
}

/// Returns the SHA-256 of a template's components, hexadecimal: over JSON without spaces, keys in byte order.
#[must_use]
pub fn content_hash(components: &Value) -> String {
    let digest = Sha256::digest(ordered(components).to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Orders the keys of every object, whatever order the JSON library keeps.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(ordered).collect(),
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            Value::Object(members.into_iter().map(|(key, value)| (key.clone(), ordered(value))).collect())
        }
        other => other.clone(),
    }
}
