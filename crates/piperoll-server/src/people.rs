//! People: whose aliases belong together, for views, searches and exports.

use std::collections::HashMap;
use std::time::Duration;

use chrono_tz::Tz;
use piperoll_format::{Kind, Seq};
use piperoll_projections::{Person, ProjectionError, Projections, alias_of};
use piperoll_verify::prove::{Evidence, Prover};
use tokio::time::Instant;

use crate::access::Access;
use crate::archive::Archive;
use crate::disposal::Disposals;
use crate::error::{ApiError, ErrorCode};
use crate::moment::{moment, shown};
use crate::read::view;
use crate::tokens::Caller;
use crate::wire::{AliasView, EventView, NameView, PersonView};

impl From<ProjectionError> for ApiError {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::NeedsRebuild { .. } => {
                Self::new(ErrorCode::Unavailable, "the projections are being made anew").because(error)
            }
            ProjectionError::Database(_) => Self::internal(error),
        }
    }
}

/// Events that were read and proven for one view.
pub(crate) struct Proven {
    prover: Prover,
    by_seq: HashMap<u64, Evidence>,
}

impl Proven {
    /// Returns an event's evidence; nothing for one that is behind the checkpoint.
    pub(crate) fn get(&self, seq: u64) -> Option<&Evidence> {
        self.by_seq.get(&seq)
    }

    /// Shows an event.
    pub(crate) fn view(&self, seq: u64) -> Option<EventView> {
        self.get(seq).map(|evidence| view(&self.prover, evidence))
    }

    /// Returns the first part of an event's payload as JSON.
    pub(crate) fn document(&self, seq: u64) -> Option<serde_json::Value> {
        let opened = self.get(seq)?.payload.as_ref().ok()?;
        serde_json::from_slice(opened.payload.parts.first()?).ok()
    }

    /// Names the bucket, as `class/period`, that an event's payload is or was in; its core says so for good.
    pub(crate) fn bucket_of(&self, seq: u64) -> Option<String> {
        Some(self.get(seq)?.event.pack.as_ref()?.bucket.to_string())
    }

    /// Tells when an event's payload was disposed of, if it is gone for good and its disposal is on record.
    pub(crate) fn disposed_on(&self, seq: u64, disposals: &Disposals) -> Option<String> {
        let evidence = self.get(seq)?;
        let is_destroyed = matches!(&evidence.payload, Err(error) if error.is_destroyed());
        let bucket = &evidence.event.pack.as_ref().filter(|_| is_destroyed)?.bucket;
        disposals.of(bucket).map(str::to_owned)
    }
}

impl Archive {
    /// Shows the person who has an alias, or had it at a moment as written.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`]; those of reading and of a commit.
    pub async fn person(
        &self,
        caller: &Caller,
        person: &str,
        at: Option<&str>,
        zone: Option<Tz>,
    ) -> Result<PersonView, ApiError> {
        let zone = zone.unwrap_or(self.time_zone);
        let at = at.map(|at| moment("at", at, zone)).transpose()?;
        let alias = read_alias(person)?;
        let (asked, complete_to) = (alias.clone(), self.progress().borrow().projected);
        let found = self.ask(move |projections| projections.person(&asked, at)).await?;
        let access = Access { action: "person", target: Some(&alias), ..Access::default() };
        let recorded = self.record_access(Kind::AccessView, caller, &access).await?;
        let aliases = found.aliases.into_iter().map(|alias| AliasView {
            alias: alias.alias,
            since: alias.since.map(|at| shown(at, zone)),
            until: alias.until.map(|at| shown(at, zone)),
            seq: alias.seq,
        });
        let names = found.names.into_iter();
        Ok(PersonView {
            person: alias,
            aliases: aliases.collect(),
            names: names
                .map(|name| NameView { name: name.name, since: shown(name.since, zone), seq: name.seq })
                .collect(),
            shared: found.shared,
            cut: found.cut,
            time_zone: zone.to_string(),
            complete_to,
            recorded_as: recorded.0,
        })
    }

    /// Asks the projections away from the async threads.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Projections) -> Result<T, ProjectionError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let projections = self.projections();
        let answered = tokio::task::spawn_blocking(move || question(&projections));
        Ok(answered.await.map_err(ApiError::internal)??)
    }

    /// Asks the projections as [`Self::ask`] does, and tells how long they took.
    pub(crate) async fn ask_timed<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Projections) -> Result<T, ProjectionError> + Send + 'static,
    ) -> Result<(T, Duration), ApiError> {
        let timed = move |projections: &Projections| {
            let started = Instant::now();
            let answer = question(projections)?;
            Ok((answer, started.elapsed()))
        };
        self.ask(timed).await
    }

    /// Reads events and proves them; those behind the newest checkpoint are left out.
    pub(crate) async fn prove_all(&self, seqs: Vec<u64>) -> Result<Proven, ApiError> {
        let prover = self.prover()?;
        let size = prover.checkpoint().size;
        let mut wanted: Vec<Seq> = seqs.into_iter().filter(|seq| *seq < size).map(Seq).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let evidence = prover.prove_many(&wanted).await?;
        let by_seq = wanted.iter().map(|seq| seq.0).zip(evidence).collect();
        Ok(Proven { prover, by_seq })
    }

    /// Replaces every `person:` in a query by all aliases of that person.
    pub(crate) fn expand_persons(&self, typed: &str) -> Result<String, ApiError> {
        expand(typed, |person| {
            let alias = read_alias(person)?;
            let found = self.projections().person(&alias, None)?;
            Ok(clause(&found))
        })
    }
}

/// Reads an alias as people type it.
pub(crate) fn read_alias(text: &str) -> Result<String, ApiError> {
    alias_of(text).ok_or_else(|| {
        let found: String = text.chars().take(80).collect();
        let message = format!(
            "expected a person such as `+4915550001`, `DE.1001`, `@name`, `wa:…`, `bsuid:…` or `username:…`, \
             found `{found}`"
        );
        ApiError::new(ErrorCode::Invalid, message)
    })
}

/// Writes all aliases of a person as a part of a query.
fn clause(person: &Person) -> String {
    let values = person.aliases.iter().filter_map(|alias| Some(alias.alias.split_once(':')?.1));
    let fields: Vec<String> = values.map(|value| format!("with:\"{}\"", value.replace('"', ""))).collect();
    format!("({})", fields.join(" OR "))
}

/// Replaces `person:value` and `person:"value"` outside quotes.
fn expand(
    typed: &str,
    mut clause_of: impl FnMut(&str) -> Result<String, ApiError>,
) -> Result<String, ApiError> {
    const FIELD: &str = "person:";
    let mut expanded = String::with_capacity(typed.len());
    let mut rest = typed;
    let mut is_quoted = false;
    while let Some(next) = rest.chars().next() {
        let starts = expanded.is_empty() || expanded.ends_with([' ', '\t', '(', '-']);
        let is_field = rest.get(..FIELD.len()).is_some_and(|start| start.eq_ignore_ascii_case(FIELD));
        if !is_quoted && starts && is_field {
            let (value, behind) = value_of(&rest[FIELD.len()..]);
            expanded.push_str(&clause_of(value)?);
            rest = behind;
            continue;
        }
        is_quoted ^= next == '"';
        expanded.push(next);
        rest = &rest[next.len_utf8()..];
    }
    Ok(expanded)
}

/// Takes a value, quoted or not, and returns what is behind it.
fn value_of(text: &str) -> (&str, &str) {
    if let Some((value, behind)) = text.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
        return (value, behind);
    }
    text.split_at(text.find([' ', '\t', ')', '(']).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn person_is_replaced_outside_quotes_only() {
        let rows = [
            ("person:491 invoice", "<491> invoice"),
            ("(person:\"+49 1\" OR x)", "(<+49 1> OR x)"),
            ("NOT Person:DE.1", "NOT <DE.1>"),
            ("\"person:491\"", "\"person:491\""),
            ("salesperson:491", "salesperson:491"),
            ("ü person:", "ü <>"),
        ];
        for (typed, expected) in rows {
            let expanded = expand(typed, |value| Ok(format!("<{value}>"))).unwrap();
            assert_eq!(expanded, expected);
        }
    }
}
