//! Sends through the API: what was asked for and what was answered.

use piperoll_format::Kind;
use piperoll_sources::TemplateRef;
use serde::{Deserialize, Serialize};

use crate::alias::first_alias;
use crate::fact::{Facts, Observed, Table};
use crate::talk::number_of;
use crate::time::day;

/// A fact of [`Table::Send`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendFact {
    /// Somebody asked for it.
    Requested {
        /// The business number's id.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        number: Option<String>,
        /// To whom, by the first alias.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        person: Option<String>,
        /// Its content type.
        message_type: String,
        /// The template that it was made from.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        template: Option<TemplateRef>,
    },
    /// The platform answered.
    Answered {
        /// The HTTP status; absent when there was no answer.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        status: Option<i64>,
        /// The ids that it gave.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        wamids: Vec<String>,
    },
    /// The entity is a day, and this send was asked for on it.
    OnDay {
        /// What ties the request to its answer.
        journal_id: String,
    },
}

/// The entity that lists the sends of a day (UTC, `2026-11-22`).
pub(crate) fn day_entity(day: &str) -> String {
    format!("@{day}")
}

/// Adds what an event says about a send.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let (message, at) = (observed.message, observed.at());
    let Some(send) = &message.send else { return };
    match observed.kind {
        Kind::SendRequested => {
            let requested = SendFact::Requested {
                number: number_of(message),
                person: first_alias(message),
                message_type: message.message_type.clone(),
                template: message.template.clone(),
            };
            facts.put(Table::Send, &send.journal_id, at, &requested);
            let listed = SendFact::OnDay { journal_id: send.journal_id.clone() };
            facts.put(Table::Send, &day_entity(&day(at)), at, &listed);
        }
        Kind::SendAnswered => {
            let answered = SendFact::Answered { status: send.status, wamids: send.wamids.clone() };
            facts.put(Table::Send, &send.journal_id, at, &answered);
        }
        _ => {}
    }
}
