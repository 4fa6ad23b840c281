//! Templates: the version in force at a moment, its status and its category.

use chrono_tz::Tz;
use piperoll_format::Kind;
use piperoll_projections::{TemplateState, TemplateVersion, Told, render};
use serde_json::Value;

use crate::access::Access;
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::moment::{moment, shown};
use crate::people::Proven;
use crate::tokens::Caller;
use crate::wire::{TemplateStateView, TemplateView, ToldView, VersionOfTemplateView};

impl Archive {
    /// Shows a template as it stood at a moment as written, in one language or in each.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when nothing was told of it before; [`ErrorCode::Invalid`]; those of reading and of a
    /// commit.
    pub async fn template(
        &self,
        caller: &Caller,
        name: &str,
        language: Option<&str>,
        at: Option<&str>,
        zone: Option<Tz>,
    ) -> Result<TemplateView, ApiError> {
        let zone = zone.unwrap_or(self.time_zone);
        let now = i64::try_from(self.now().0).unwrap_or(i64::MAX);
        let at = at.map(|at| moment("at", at, zone)).transpose()?.unwrap_or(now);
        let complete_to = self.progress().borrow().projected;
        let (asked, wanted) = (name.to_owned(), language.map(str::to_owned));
        let (states, took) = self
            .ask_timed(move |projections| {
                let languages = match wanted {
                    Some(language) => vec![language],
                    None => projections.template_languages(&asked)?,
                };
                let states =
                    languages.iter().map(|language| projections.template_at(&asked, Some(language), at));
                states.collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let is_told = |state: &TemplateState| state.version.is_some() || state.status.is_some();
        let states: Vec<TemplateState> = states.into_iter().flatten().filter(is_told).collect();
        let mut events: Vec<u64> = states.iter().flat_map(seqs_of).collect();
        events.sort_unstable();
        events.dedup();
        let proven = self.prove_all(events.clone()).await?;
        let access =
            Access { action: "template", target: Some(name), shown: events.clone(), ..Access::default() };
        let recorded = self.record_access(Kind::AccessView, caller, &access).await?;
        if states.is_empty() {
            let message = format!("nothing was told of the template `{name}` before {}", shown(at, zone).utc);
            return Err(ApiError::new(ErrorCode::NotFound, message));
        }
        Ok(TemplateView {
            name: name.to_owned(),
            at: shown(at, zone),
            languages: states.iter().map(|state| state_view(state, &proven, zone)).collect(),
            events: events.into_iter().filter_map(|seq| proven.view(seq)).collect(),
            time_zone: zone.to_string(),
            complete_to,
            recorded_as: recorded.0,
            took,
        })
    }
}

/// Returns the events that a state rests on.
pub(crate) fn seqs_of(state: &TemplateState) -> impl Iterator<Item = u64> + use<> {
    let told = [&state.status, &state.category, &state.changed_since];
    let told: Vec<u64> = told.into_iter().flatten().map(|told| told.seq).collect();
    told.into_iter().chain(state.version.as_ref().map(|version| version.seq))
}

/// Shows a state with the content of its version.
pub(crate) fn state_view(state: &TemplateState, proven: &Proven, zone: Tz) -> TemplateStateView {
    let components = state.version.as_ref().and_then(|version| components(version.seq, proven));
    TemplateStateView {
        language: state.language.clone(),
        id: state.id.clone(),
        status: state.status.as_ref().map(|told| told_view(told, zone)),
        category: state.category.as_ref().map(|told| told_view(told, zone)),
        version: state.version.as_ref().map(|version| version_view(version, zone)),
        changed_since: state.changed_since.as_ref().map(|told| told_view(told, zone)),
        text: components.as_ref().map(|components| render(components, None)),
        components,
        versions: state.versions.iter().map(|version| version_view(version, zone)).collect(),
    }
}

/// Returns the components that the event of a version holds.
pub(crate) fn components(seq: u64, proven: &Proven) -> Option<Value> {
    let message = proven.view(seq)?.message?;
    message.template_detail?.components
}

fn told_view(told: &Told, zone: Tz) -> ToldView {
    ToldView { value: told.value.clone(), since: shown(told.since, zone), seq: told.seq }
}

fn version_view(version: &TemplateVersion, zone: Tz) -> VersionOfTemplateView {
    VersionOfTemplateView {
        content_hash: version.content_hash.clone(),
        since: shown(version.since, zone),
        seq: version.seq,
    }
}
