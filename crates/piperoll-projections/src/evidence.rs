//! A send and what allowed it: consent, template and service window at that time.

use piperoll_sources::{Direction, Origin, TemplateRef};
use serde::{Deserialize, Serialize};

use crate::consent::{Consent, ConsentQuestion, ConsentRules, ConsentState, consent};
use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Table};
use crate::person::Person;
use crate::send::{SendFact, day_entity};
use crate::signal::Signal;
use crate::talk::{About, Entry, Role};
use crate::version::TemplateState;

/// How long after a customer's message a business may write freely, in microseconds.
pub const WINDOW: i64 = 24 * 3_600 * 1_000_000;

/// Signals that are read for one alias.
const SIGNALS_MAX: usize = 10_000;
/// Rows that are searched for the last message of a customer.
const ROWS_MAX: usize = 2_000;
/// Facts that are read about one send.
const FACTS_MAX: usize = 1_000;

/// The service window at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When the customer last wrote before, microseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_inbound_at: Option<i64>,
    /// The event of that message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_inbound: Option<u64>,
    /// Whether that was less than 24 hours before.
    pub is_open: bool,
}

/// A send with everything that is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendCheck {
    /// When it was sent, microseconds since the epoch; absent when only statuses are known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<i64>,
    /// The request, or the event that shows what was sent in another way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<u64>,
    /// Whether it was asked for through the API, so that the platform answered.
    pub is_api: bool,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<u64>,
    /// The HTTP status of the answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer_status: Option<i64>,
    /// The message ids.
    pub wamids: Vec<String>,
    /// The business number's id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number: Option<String>,
    /// The person.
    pub person: Person,
    /// The content type.
    pub message_type: String,
    /// The template that was named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<TemplateRef>,
    /// The template as it stood then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template_state: Option<TemplateState>,
    /// What it was for: `marketing`, `utility`, `authentication` by the template's category, or `service`.
    pub purpose: String,
    /// The consent before it.
    pub consent: Consent,
    /// The service window then.
    pub window: Window,
    /// Its statuses.
    pub statuses: Vec<(i64, u64, String)>,
    /// What is not known and would have to be.
    pub missing: Vec<String>,
    /// Which rules it broke.
    pub violations: Vec<Violation>,
}

/// A rule that a send can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViolationRule {
    /// The person had withdrawn, refused or let expire their consent, or may have.
    SentAfterOptOut,
    /// The template was not approved.
    TemplateNotApproved,
    /// No template, and the customer had not written for 24 hours.
    OutsideWindow,
}

impl ViolationRule {
    /// Returns the text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SentAfterOptOut => "sent-after-opt-out",
            Self::TemplateNotApproved => "template-not-approved",
            Self::OutsideWindow => "outside-window",
        }
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which.
    pub rule: ViolationRule,
    /// The send.
    pub seq: u64,
    /// The event that shows it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shown_by: Option<u64>,
    /// In words, without naming anybody.
    pub detail: String,
}

/// Tells which rules a send broke, from what was the case then.
#[must_use]
pub fn violations(check: &SendCheck) -> Vec<Violation> {
    let (Some(at), Some(seq)) = (check.at, check.request) else { return Vec::new() };
    let mut found = Vec::new();
    let mut add = |rule, shown_by, detail: String| found.push(Violation { rule, seq, shown_by, detail });
    let state = check.consent.state;
    // Whoever writes to a business is answered, whatever they think of its marketing.
    let needs_consent = check.purpose != "service" || !check.window.is_open;
    if needs_consent && !matches!(state, ConsentState::Given | ConsentState::Unknown) {
        let detail = format!("sent for {} while the consent was {}", check.purpose, state.as_str());
        add(ViolationRule::SentAfterOptOut, check.consent.decided_by, detail);
    }
    if check.template.is_some() {
        let state = check.template_state.as_ref();
        if let Some((state, status)) = state.and_then(|state| Some((state, state.status.as_ref()?)))
            && !state.is_approved()
        {
            let detail = format!("sent from a template whose status was {}", status.value);
            add(ViolationRule::TemplateNotApproved, Some(status.seq), detail);
        }
    } else if check.is_api && !check.window.is_open && check.message_type != "reaction" {
        let detail = match check.window.last_inbound_at {
            Some(last) => {
                format!("free text {} h after the customer's last message", (at - last) / 3_600_000_000)
            }
            None => "free text without any message of the customer before".to_owned(),
        };
        add(ViolationRule::OutsideWindow, check.window.last_inbound, detail);
    }
    found
}

/// Lists what would have to be known for the send to be proven.
fn missing(check: &SendCheck) -> Vec<String> {
    if check.request.is_none() {
        let known = if check.statuses.is_empty() {
            "no event is about this message"
        } else {
            "its content was not captured, only statuses"
        };
        return vec![known.to_owned()];
    }
    let mut missing = Vec::new();
    if check.is_api {
        match (check.answer, check.answer_status) {
            (None, _) => missing.push("the answer to the request".to_owned()),
            (_, Some(200..=299)) => {}
            (_, Some(status)) => missing.push(format!("an accepted request (the answer was {status})")),
            (_, None) => missing.push("an answer of the platform (there was none)".to_owned()),
        }
    }
    if check.statuses.is_empty() {
        missing.push("a delivery status".to_owned());
    }
    if check.purpose != "service" && check.consent.state != ConsentState::Given {
        let state = check.consent.state.as_str();
        missing.push(format!("a consent for {} before the send (it was {state})", check.purpose));
    }
    if check.template.is_some() {
        missing_of_template(check.template_state.as_ref(), &mut missing);
    } else if check.is_api && !check.window.is_open && check.message_type != "reaction" {
        missing.push("a message of the customer in the 24 hours before".to_owned());
    }
    missing
}

fn missing_of_template(state: Option<&TemplateState>, missing: &mut Vec<String>) {
    let Some(state) = state else {
        missing.push("the template: nothing was told of it".to_owned());
        return;
    };
    match &state.status {
        Some(_) if state.is_approved() => {}
        Some(status) => missing.push(format!("an approved template (its status was {})", status.value)),
        None => missing.push("the template's status before the send".to_owned()),
    }
    if state.version.is_none() {
        missing.push("the template's content before the send".to_owned());
    } else if let Some(changed) = &state.changed_since {
        missing.push(format!("the template's content after its change in event {}", changed.seq));
    }
}

impl Projections {
    /// Returns every signal of consent of a person.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn signals(&self, person: &Person) -> Result<Vec<Fact<Signal>>, ProjectionError> {
        let mut signals = Vec::new();
        for alias in person.keys() {
            signals.extend(self.facts(Table::Consent, alias, i64::MIN..=i64::MAX, SIGNALS_MAX)?);
        }
        Ok(signals)
    }

    /// Returns the state of a person's consent.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn consent(
        &self,
        person: &Person,
        question: &ConsentQuestion<'_>,
        rules: &ConsentRules,
    ) -> Result<Consent, ProjectionError> {
        Ok(consent(self.signals(person)?, question, rules))
    }

    /// Returns the service window of a person with a business number at a time (microseconds since the epoch).
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn window(&self, person: &Person, number: &str, at: i64) -> Result<Window, ProjectionError> {
        let mut last: Option<(i64, u64)> = None;
        for conversation in person.conversations(number) {
            // A second is the sender's unit: what was written in the second of the send came before it.
            let rows = self.newest::<Entry>(Table::Conversation, &conversation, i64::MIN..=at, ROWS_MAX)?;
            let is_inbound = |fact: &&Fact<Entry>| {
                fact.value.direction == Some(Direction::Inbound)
                    && matches!(fact.value.role, Role::Message | Role::Reaction | Role::Notice)
                    && fact.value.origin == Some(Origin::Customer)
            };
            let found = rows.iter().find(is_inbound).map(|fact| (fact.at, fact.seq));
            last = last.max(found);
        }
        Ok(Window {
            last_inbound_at: last.map(|(at, _)| at),
            last_inbound: last.map(|(_, seq)| seq),
            is_open: last.is_some_and(|(last, _)| at - last < WINDOW),
        })
    }

    /// Returns the journal ids of the sends of a day (UTC, `2026-11-22`) after an event, with the event of the request.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn sends_on(
        &self,
        day: &str,
        after: Option<(i64, u64)>,
        limit: usize,
    ) -> Result<Vec<Fact<String>>, ProjectionError> {
        let start = after.map_or(i64::MIN, |(at, _)| at);
        // More than asked for, since those at the very time of the last one come again.
        let facts =
            self.facts::<SendFact>(Table::Send, &day_entity(day), start..=i64::MAX, limit + FACTS_MAX)?;
        let new = facts.into_iter().filter(|fact| after.is_none_or(|after| (fact.at, fact.seq) > after));
        let ids = new.filter_map(|fact| match fact.value {
            SendFact::OnDay { journal_id } => Some(Fact { at: fact.at, seq: fact.seq, value: journal_id }),
            _ => None,
        });
        Ok(ids.take(limit).collect())
    }

    /// Checks a message by its id; nothing if no event is about it.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn check_message(
        &self,
        wamid: &str,
        rules: &ConsentRules,
    ) -> Result<Option<SendCheck>, ProjectionError> {
        let about = self.about(wamid, "")?;
        if about.is_empty() {
            return Ok(None);
        }
        let journal = about.iter().find_map(|fact| match &fact.value {
            About::Answered { journal_id } => Some(journal_id.clone()),
            _ => None,
        });
        if let Some(journal_id) = journal
            && let Some(check) = self.check_send(&journal_id, rules)?
        {
            return Ok(Some(check));
        }
        let mut check = SendCheck { wamids: vec![wamid.to_owned()], ..SendCheck::default() };
        let mut alias = None;
        for fact in about {
            match fact.value {
                About::Message {
                    direction: Some(Direction::Outbound),
                    number,
                    person,
                    message_type,
                    template,
                    ..
                } if check.request.is_none() => {
                    (check.at, check.request) = (Some(fact.at), Some(fact.seq));
                    (check.number, check.message_type, check.template) = (number, message_type, template);
                    alias = person.or(alias);
                }
                About::Status { status, person, .. } => {
                    check.statuses.push((fact.at, fact.seq, status));
                    alias = alias.or(person);
                }
                _ => {}
            }
        }
        self.finish(check, alias.as_deref(), rules).map(Some)
    }

    /// Checks a send by its journal id; nothing if no request is known under it.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn check_send(
        &self,
        journal_id: &str,
        rules: &ConsentRules,
    ) -> Result<Option<SendCheck>, ProjectionError> {
        let mut check = SendCheck { is_api: true, ..SendCheck::default() };
        let mut alias = None;
        let facts = self.facts::<SendFact>(Table::Send, journal_id, i64::MIN..=i64::MAX, FACTS_MAX)?;
        for Fact { at, seq, value } in facts {
            match value {
                SendFact::Requested { number, person, message_type, template } if check.request.is_none() => {
                    (check.at, check.request, alias) = (Some(at), Some(seq), person);
                    (check.number, check.message_type, check.template) = (number, message_type, template);
                }
                SendFact::Answered { status, wamids } => {
                    (check.answer, check.answer_status) = (Some(seq), status);
                    check.wamids.extend(wamids);
                }
                _ => {}
            }
        }
        if check.request.is_none() {
            return Ok(None);
        }
        for wamid in check.wamids.clone() {
            for fact in self.about(&wamid, check.number.as_deref().unwrap_or_default())? {
                if let About::Status { status, .. } = fact.value {
                    check.statuses.push((fact.at, fact.seq, status));
                }
            }
        }
        self.finish(check, alias.as_deref(), rules).map(Some)
    }

    /// Adds what was the case at the time, and the verdict.
    fn finish(
        &self,
        mut check: SendCheck,
        alias: Option<&str>,
        rules: &ConsentRules,
    ) -> Result<SendCheck, ProjectionError> {
        check.statuses.sort();
        check.purpose = "service".to_owned();
        if let Some(alias) = alias {
            check.person = self.person(alias, check.at)?;
        }
        if let Some(at) = check.at {
            let before = at.saturating_sub(1);
            if let Some(template) = &check.template {
                if let Some(name) = &template.name {
                    check.template_state = self.template_at(name, template.language.as_deref(), before)?;
                }
                let category = check.template_state.as_ref().and_then(|state| state.category.as_ref());
                // Of an unknown category the strictest is assumed.
                let category = category.map_or("MARKETING", |category| &category.value);
                check.purpose = category.to_ascii_lowercase();
            }
            let number = check.number.as_deref();
            let question =
                ConsentQuestion { purpose: Some(&check.purpose), number, channel: None, at: before };
            check.consent = self.consent(&check.person, &question, rules)?;
            check.window = self.window(&check.person, number.unwrap_or_default(), at)?;
        }
        check.missing = missing(&check);
        check.violations = violations(&check);
        Ok(check)
    }
}

impl Person {
    /// Returns the ids of this person's conversations with a business number.
    #[must_use]
    pub fn conversations(&self, number: &str) -> Vec<String> {
        let counterparts = self.keys().filter_map(|alias| Some(alias.split_once(':')?.1));
        counterparts.map(|counterpart| [number, ":", counterpart].concat()).collect()
    }
}
