//! People: which aliases belong together, since when, and under which names; and who had a business number.

use piperoll_format::Kind;
use piperoll_sources::{IdentityChange, Message};
use serde::{Deserialize, Serialize};

use crate::alias::{aliases, person_of};
use crate::fact::{Facts, Observed, Table};

/// What ties an alias to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tie {
    /// They came together in one item, perhaps with a name.
    Seen {
        /// The other aliases.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        with: Vec<String>,
        /// The name that came along.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        name: Option<String>,
    },
    /// The person left one alias for another.
    Changed {
        /// The one before.
        from: String,
        /// The one after.
        to: String,
    },
}

/// A [`Tie`] as it is written.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum NewTie<'a> {
    Seen {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        with: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
    },
}

/// A business number in the hands of an employee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The employee's id.
    pub employee: String,
    /// The employee's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The end, microseconds since the epoch, exclusive; open when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<i64>,
}

/// Adds what an event says about people and assignments.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let message = observed.message;
    match observed.kind {
        Kind::AssignmentRecorded => fold_assignment(observed, facts),
        // A group has no aliases, and its members come and go.
        Kind::WhatsappGroup => {}
        _ => fold_sighting(observed, facts),
    }
    if let Some(change) = &message.identity {
        fold_change(change, message, observed.at(), facts);
    }
}

fn fold_sighting(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    // A system notice about a changed number names the new one; what ties both is the change.
    if observed.message.identity.is_some() {
        return;
    }
    let Some(party) = person_of(observed.message) else { return };
    let known = aliases(party);
    if known.len() < 2 && party.name.is_none() {
        return;
    }
    for alias in &known {
        let with = known.iter().filter(|other| *other != alias).map(String::as_str).collect();
        let tie = NewTie::Seen { with, name: party.name.as_deref() };
        facts.put_daily(Table::Person, alias, observed.at(), &tie);
    }
}

fn fold_change(change: &IdentityChange, message: &Message, at: i64, facts: &mut Facts<'_>) {
    let pairs = [
        ("wa:", &change.previous_phone, &change.phone),
        ("bsuid:", &change.previous_user_id, &change.user_id),
        ("parent:", &change.previous_parent_user_id, &change.parent_user_id),
    ];
    let alias = |prefix: &str, id: &Option<String>| id.as_ref().map(|id| [prefix, id].concat());
    for (prefix, from, to) in pairs {
        if let (Some(from), Some(to)) = (alias(prefix, from), alias(prefix, to))
            && from != to
        {
            let tie = Tie::Changed { from: from.clone(), to: to.clone() };
            facts.put(Table::Person, &from, at, &tie);
            facts.put(Table::Person, &to, at, &tie);
        }
    }
    // What they are after the change belongs together, and so does what they were before.
    let after = [("wa:", &change.phone), ("bsuid:", &change.user_id), ("parent:", &change.parent_user_id)];
    let after: Vec<String> = after.iter().filter_map(|(prefix, id)| alias(prefix, id)).collect();
    let sender = message.from.as_ref().map(aliases).unwrap_or_default();
    let user_before = alias("bsuid:", &change.previous_user_id);
    let before = [alias("wa:", &change.previous_phone), user_before.clone()];
    let before: Vec<String> = before.into_iter().flatten().collect();
    for group in [after, before] {
        for one in &group {
            let with: Vec<String> = group.iter().filter(|other| *other != one).cloned().collect();
            if !with.is_empty() {
                facts.put_daily(Table::Person, one, at, &Tie::Seen { with, name: None });
            }
        }
    }
    // A notice without the former id still came from somebody.
    if let (None, Some(to)) = (&user_before, alias("bsuid:", &change.user_id))
        && let Some(from) = sender.iter().find(|alias| alias.starts_with("bsuid:") && **alias != to)
    {
        let tie = Tie::Changed { from: from.clone(), to: to.clone() };
        facts.put(Table::Person, from, at, &tie);
        facts.put(Table::Person, &to, at, &tie);
    }
}

/// The document of an `assignment.recorded` event, as far as it is read here.
#[derive(Deserialize)]
struct AssignmentDocument {
    number: String,
    employee: Employee,
    from: String,
    until: Option<String>,
}

#[derive(Deserialize)]
struct Employee {
    id: String,
    name: Option<String>,
}

fn fold_assignment(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let body = observed.payload.parts.first().map(Vec::as_slice).unwrap_or_default();
    let Ok(document) = serde_json::from_slice::<AssignmentDocument>(body) else { return };
    let Some(from) = crate::time::micros(&document.from) else { return };
    let until = document.until.as_deref().and_then(crate::time::micros);
    let value = Assignment { employee: document.employee.id, name: document.employee.name, until };
    facts.put(Table::Assignment, &document.number, from, &value);
}
