//! A template at a time: the version in force, its status and its category.

use serde::{Deserialize, Serialize};

use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Table};
use crate::template::{TemplateFact, id_entity};

/// Facts that are read for one template.
const FACTS_MAX: usize = 10_000;

/// A template as it stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateState {
    /// Its language.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// The version in force; absent when none was seen before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<TemplateVersion>,
    /// Its status then, and the event that says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<Told>,
    /// Its category then, and the event that says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub category: Option<Told>,
    /// A change of its texts that no snapshot followed before the time: the version may be out of date.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changed_since: Option<Told>,
    /// Every version that was seen up to the time, oldest first.
    pub versions: Vec<TemplateVersion>,
}

/// A version of a template's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateVersion {
    /// SHA-256 of its components, hexadecimal.
    pub content_hash: String,
    /// When it was first seen, microseconds since the epoch.
    pub since: i64,
    /// The event that holds it.
    pub seq: u64,
}

/// A value, since when, and the event that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The value.
    pub value: String,
    /// When it was told, microseconds since the epoch.
    pub since: i64,
    /// The event.
    pub seq: u64,
}

impl TemplateState {
    /// Tells whether messages may be made from it: approved, also after an objection or with a warning.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        let status = self.status.as_ref().map(|status| status.value.as_str());
        matches!(status, Some("APPROVED" | "REINSTATED" | "FLAGGED"))
    }
}

/// Computes a template's state at a time from its facts, for one language if one is given.
#[must_use]
pub fn template_state(mut facts: Vec<Fact<TemplateFact>>, language: Option<&str>, at: i64) -> TemplateState {
    facts.sort_by_key(|fact| (fact.at, fact.seq));
    facts.dedup_by_key(|fact| fact.seq);
    let mut state = TemplateState { language: language.map(str::to_owned), ..TemplateState::default() };
    for Fact { at: since, seq, value: fact } in facts {
        let is_other = language.zip(fact.language.as_deref()).is_some_and(|(asked, found)| asked != found);
        if since > at || is_other {
            continue;
        }
        let told = |value: String| Told { value, since, seq };
        state.language = state.language.take().or(fact.language);
        state.id = fact.id.or(state.id.take());
        state.category = fact.category.map(told).or(state.category.take());
        // A webhook about quality or category has no status.
        state.status = fact.status.map(told).or(state.status.take());
        if fact.components_changed {
            state.changed_since = Some(Told { value: "components changed".to_owned(), since, seq });
        }
        if let Some(content_hash) = fact.content_hash {
            state.changed_since = None;
            let version = TemplateVersion { content_hash, since, seq };
            if state.version.as_ref().is_none_or(|known| known.content_hash != version.content_hash) {
                state.versions.push(version.clone());
                state.version = Some(version);
            }
        }
    }
    state
}

impl Projections {
    /// Returns everything that was told about a template by name, and by the ids that the name had.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn template_facts(&self, name: &str) -> Result<Vec<Fact<TemplateFact>>, ProjectionError> {
        let always = i64::MIN..=i64::MAX;
        let mut facts: Vec<Fact<TemplateFact>> =
            self.facts(Table::Template, name, always.clone(), FACTS_MAX)?;
        let mut ids: Vec<(String, Option<String>)> = Vec::new();
        for fact in &facts {
            if let Some(id) = &fact.value.id
                && !ids.iter().any(|(known, _)| known == id)
            {
                ids.push((id.clone(), fact.value.language.clone()));
            }
        }
        for (id, language) in ids {
            let more: Vec<Fact<TemplateFact>> =
                self.facts(Table::Template, &id_entity(&id), always.clone(), FACTS_MAX)?;
            facts.extend(more.into_iter().map(|mut fact| {
                fact.value.language = fact.value.language.or_else(|| language.clone());
                fact
            }));
        }
        Ok(facts)
    }

    /// Returns a template as it stood at a time (microseconds since the epoch); nothing if nothing was told of it.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn template_at(
        &self,
        name: &str,
        language: Option<&str>,
        at: i64,
    ) -> Result<Option<TemplateState>, ProjectionError> {
        let facts = self.template_facts(name)?;
        let is_known = !facts.is_empty();
        Ok(is_known.then(|| template_state(facts, language, at)))
    }

    /// Returns the languages that a template was seen in.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn template_languages(&self, name: &str) -> Result<Vec<String>, ProjectionError> {
        let facts = self.template_facts(name)?;
        let mut languages: Vec<String> = facts.into_iter().filter_map(|fact| fact.value.language).collect();
        languages.sort_unstable();
        languages.dedup();
        Ok(languages)
    }
}
