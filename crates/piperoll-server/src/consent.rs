//! Consent: the state at a moment, what shows it, and the record of it for others.

#![expect(clippy::disallowed_methods, reason = "`json!` unwraps what cannot fail")]

use std::time::Duration;

use chrono_tz::Tz;
use piperoll_format::Kind;
use piperoll_projections::{Consent, ConsentQuestion, ConsentRules, Person, Via, Weighed};
use serde_json::{Value, json};

use crate::access::Access;
use crate::archive::Archive;
use crate::disposal::Disposals;
use crate::error::ApiError;
use crate::moment::{moment, shown};
use crate::people::{Proven, read_alias};
use crate::tokens::Caller;
use crate::wire::{ConsentView, SignalView, hex};

/// What is asked about a consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentSearch {
    /// The person, by any alias.
    pub person: String,
    /// The moment as written; now when not given.
    pub at: Option<String>,
    /// What the messages are for.
    pub purpose: Option<String>,
    /// The business number's id.
    pub number: Option<String>,
    /// The channel on which it must have been given.
    pub channel: Option<String>,
    /// The time zone of the moment and of the answer.
    pub time_zone: Option<Tz>,
}

impl Archive {
    /// Sets how signals of consent are read; the first call counts.
    pub fn use_consent_rules(&self, rules: ConsentRules) {
        // Set once when the archive is put together.
        let _ = self.consent_rules.set(rules);
    }

    pub(crate) fn rules(&self) -> ConsentRules {
        self.consent_rules.get().cloned().unwrap_or_default()
    }

    /// Tells the state of a person's consent at a moment, with everything that shows it.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`](crate::ErrorCode::Invalid); those of reading and of a commit.
    pub async fn consent(&self, caller: &Caller, search: &ConsentSearch) -> Result<ConsentView, ApiError> {
        let zone = search.time_zone.unwrap_or(self.time_zone);
        let now = i64::try_from(self.now().0).unwrap_or(i64::MAX);
        let at = search.at.as_deref().map(|at| moment("at", at, zone)).transpose()?.unwrap_or(now);
        let alias = read_alias(&search.person)?;
        let complete_to = self.progress().borrow().projected;
        let ((person, found), took) = self.consent_of(&alias, at, search).await?;
        let seqs: Vec<u64> = found.evidence.iter().map(|weighed| weighed.seq).collect();
        let proven = self.prove_all(seqs).await?;
        let disposals = self.disposals().await?;
        let evidence = signals(&found.evidence, &proven, &disposals, zone);
        let access = Access {
            action: "consent",
            target: Some(&alias),
            shown: evidence.iter().map(|signal| signal.seq).collect(),
            ..Access::default()
        };
        let recorded = self.record_access(Kind::AccessView, caller, &access).await?;
        Ok(ConsentView {
            person: alias,
            aliases: person.keys().map(str::to_owned).collect(),
            at: shown(at, zone),
            purpose: search.purpose.clone(),
            number: search.number.clone(),
            channel: search.channel.clone(),
            state: found.state.as_str().to_owned(),
            decided_by: found.decided_by,
            rule: rule(found.rule, &disposals),
            evidence,
            time_zone: zone.to_string(),
            complete_to,
            recorded_as: recorded.0,
            took,
        })
    }

    async fn consent_of(
        &self,
        alias: &str,
        at: i64,
        search: &ConsentSearch,
    ) -> Result<((Person, Consent), Duration), ApiError> {
        let (alias, search, rules) = (alias.to_owned(), search.clone(), self.rules());
        self.ask_timed(move |projections| {
            let person = projections.person(&alias, Some(at))?;
            let question = ConsentQuestion {
                purpose: search.purpose.as_deref(),
                number: search.number.as_deref(),
                channel: search.channel.as_deref(),
                at,
            };
            let consent = projections.consent(&person, &question, &rules)?;
            Ok((person, consent))
        })
        .await
    }

    /// Writes a person's consents as a record with the fields of ISO/IEC TS 27560 (`schemas/consent-record.schema.json`).
    ///
    /// # Errors
    /// Those of [`Self::consent`].
    pub async fn consent_record(&self, caller: &Caller, search: &ConsentSearch) -> Result<Value, ApiError> {
        let view = self.consent(caller, search).await?;
        let aliases: Vec<&str> = view.aliases.iter().map(String::as_str).collect();
        let ledger = self.ledger().to_string();
        let record_id = record_id(&ledger, &view);
        let mut purposes: Vec<String> =
            view.evidence.iter().filter_map(|signal| signal.purpose.clone()).collect();
        purposes.sort();
        purposes.dedup();
        let statements = view.evidence.iter().filter_map(|signal| notice(signal, &ledger));
        Ok(json!({
            "schema_version": "ISO/IEC TS 27560:2023",
            "record_id": record_id,
            "pii_principal_id": view.person,
            "pii_principal_aliases": aliases,
            "pii_processing": {
                "privacy_notices": statements.collect::<Vec<_>>(),
                "purposes": purposes,
                "lawful_basis": "consent",
                "collection_methods": methods(&view),
                "withdrawal_method": "any reasonable means; recorded in the events",
                "storage_location": ledger,
            },
            "parties": [
                {"party_id": format!("ledger:{ledger}"), "party_role": "record keeper", "party_name": self.engine.genesis().origin},
                {"party_id": view.person, "party_role": "pii principal"},
            ],
            "events": view.evidence.iter().map(|signal| event_of(signal, &ledger)).collect::<Vec<_>>(),
            "state": {"value": view.state, "at": view.at.utc, "rule": view.rule, "decided_by": view.decided_by},
            "complete_to": view.complete_to,
            "recorded_as": view.recorded_as,
        }))
    }
}

/// Shows signals with their events.
pub(crate) fn signals(
    weighed: &[Weighed],
    proven: &Proven,
    disposals: &Disposals,
    zone: Tz,
) -> Vec<SignalView> {
    let shown = |one: &Weighed| SignalView {
        seq: one.seq,
        at: shown(one.at, zone),
        via: via(&one.signal.via).to_owned(),
        makes: one.makes.map(|state| state.as_str().to_owned()),
        rule: one.rule.clone(),
        purpose: one.signal.purpose.clone(),
        number: one.signal.number.clone(),
        expires_at: one.signal.expires_at.map(|at| shown(at, zone)),
        disposed_on: proven.disposed_on(one.seq, disposals),
        event: proven.view(one.seq),
    };
    weighed.iter().map(shown).collect()
}

/// Adds to the rule that decides what could have decided otherwise and is gone.
pub(crate) fn rule(rule: String, disposals: &Disposals) -> String {
    match disposals.named() {
        Some(named) => format!("{rule}; what was disposed of ({named}) does not count"),
        None => rule,
    }
}

/// Derives the record's id from what it is about, so that the same state has the same id.
fn record_id(ledger: &str, view: &ConsentView) -> String {
    use sha2::{Digest as _, Sha256};
    let mut digest = Sha256::new();
    digest.update(ledger);
    digest.update(&view.person);
    view.evidence.iter().for_each(|signal| digest.update(signal.seq.to_be_bytes()));
    hex(&digest.finalize()[..16])
}

/// The words that the person was shown, where the event holds them.
fn notice(signal: &SignalView, ledger: &str) -> Option<Value> {
    let statement = signal.event.as_ref()?.message.as_ref()?.texts.first().filter(|_| signal.via == "api")?;
    Some(json!({"text": statement, "evidence": format!("{ledger}/{}", signal.seq)}))
}

fn methods(view: &ConsentView) -> Vec<&str> {
    let mut methods: Vec<&str> = view.evidence.iter().map(|signal| signal.via.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    methods
}

fn event_of(signal: &SignalView, ledger: &str) -> Value {
    let proof = signal.event.as_ref().map(|event| &event.proof);
    json!({
        "event_id": format!("{ledger}/{}", signal.seq),
        "event_time": signal.at.utc,
        "event_state": signal.makes,
        "event_type": signal.via,
        "entity_id": "pii principal",
        "purpose": signal.purpose,
        "number": signal.number,
        "valid_until": signal.expires_at.as_ref().map(|at| &at.utc),
        "rule": signal.rule,
        "received_time": signal.event.as_ref().map(|event| &event.recorded_at),
        "evidence": proof.map(|proof| json!({"event_hash": proof.event_hash, "tree_size": proof.tree_size, "root": proof.root})),
        "disposed_on": signal.disposed_on,
    })
}

const fn via(via: &Via) -> &'static str {
    match via {
        Via::Api => "api",
        Via::Keyword { .. } => "keyword",
        Via::Button { .. } => "button",
        Via::Preference { .. } => "preference",
        Via::Undelivered => "undelivered",
        Via::Flow { .. } => "flow",
    }
}
