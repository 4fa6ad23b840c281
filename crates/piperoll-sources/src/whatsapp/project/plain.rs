//! Items that are no conversation: contacts, preferences, identities, groups, handovers, templates, accounts, errors.

use std::borrow::Cow;

use piperoll_format::Kind;
use serde_json::Value;

use super::super::element::{Facts, Person};
use super::super::scalar::time;
use super::super::signal;
use super::content;
use super::detail;
use super::part::Parts;
use super::person::{Surroundings, counterpart, digits, party};
use crate::document::{id, string};
use crate::message::{Direction, Message, Origin, Party, TemplateRef};
use crate::text;

/// Reads an item of a kind that has no content types.
pub(super) fn read(kind: Kind, parts: &Parts<'_>, surroundings: &Surroundings<'_>) -> Message {
    let Some(raw) = parts.element else { return Message::default() };
    let facts = match kind {
        Kind::WhatsappContact => signal::state(raw),
        Kind::WhatsappPreference => signal::preference(raw),
        Kind::WhatsappIdentity => signal::identity(raw),
        Kind::WhatsappGroup => signal::group(raw),
        Kind::WhatsappHandover => signal::handover(raw).map(|(facts, _)| facts),
        _ => Ok(Facts::plain(kind)),
    };
    let facts = facts.unwrap_or_else(|_| Facts::malformed(kind));
    let value = parts.value();
    let mut message = Message {
        source_id: facts.id.map(Cow::into_owned),
        message_type: type_of(kind, &value).unwrap_or_default(),
        origin: Some(Origin::Platform),
        number: surroundings.business_number(),
        occurred_at: time(facts.time.as_deref()).0,
        ..Message::default()
    };
    if is_about_person(kind) {
        let person = facts.person;
        let person =
            if person.group.is_some() { person } else { person.or(|| counterpart(&[], surroundings)) };
        message.conversation = surroundings.conversation(None, &person);
        message.from = about(kind, &person, parts, &value);
    }
    match kind {
        Kind::WhatsappTemplate => read_template_event(&value, &mut message),
        Kind::WhatsappError => content::read_errors(&value, &mut message),
        Kind::WhatsappPreference => {
            message.direction = Some(Direction::Inbound);
            message.origin = Some(Origin::Customer);
            detail::read_preference(&value, &mut message);
            text::readable(&value, &mut message.texts);
        }
        Kind::WhatsappContact => {
            message.origin = Some(Origin::App);
            let contact = value.get("contact").unwrap_or(&value);
            let keys = ["full_name", "first_name", "username", "phone_number"];
            keys.iter().for_each(|key| text::push_at(contact, key, &mut message.texts));
        }
        Kind::WhatsappGroup => {
            text::readable(&value, &mut message.texts);
            message.to = members(&value);
            let errors = value.get("errors").and_then(Value::as_array).into_iter().flatten();
            message.error_codes.extend(errors.filter_map(|error| error.get("code")?.as_i64()));
        }
        Kind::WhatsappIdentity => {
            detail::read_identity(&value, &mut message);
            text::readable(&value, &mut message.texts);
        }
        _ => text::readable(&value, &mut message.texts),
    }
    message
}

/// Returns the people in the lists of a group's change: added, removed, asking to join.
fn members(group: &Value) -> Vec<Party> {
    let lists = group.as_object().into_iter().flat_map(|group| group.values()).filter_map(Value::as_array);
    let member = |member: &Value| {
        let phone = string(member, "wa_id").or_else(|| string(member, "input"));
        let party = Party {
            phone: phone.as_deref().map(digits),
            user_id: string(member, "user_id"),
            username: string(member, "username"),
            ..Party::default()
        };
        (party != Party::default()).then_some(party)
    };
    lists.flatten().filter_map(member).collect()
}

fn is_about_person(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::WhatsappContact
            | Kind::WhatsappPreference
            | Kind::WhatsappIdentity
            | Kind::WhatsappGroup
            | Kind::WhatsappHandover
    )
}

/// Returns the person that an item is about, with the name that a contact of the Business app carries.
fn about(kind: Kind, person: &Person<'_>, parts: &Parts<'_>, value: &Value) -> Option<Party> {
    if person.group.is_some() {
        return None;
    }
    let mut party = party(person, &parts.contacts);
    if kind == Kind::WhatsappContact
        && let Some(party) = &mut party
        && let Some(contact) = value.get("contact")
    {
        party.name = string(contact, "full_name").or_else(|| string(contact, "first_name"));
        party.username = string(contact, "username");
        party.user_id = string(contact, "user_id");
        party.parent_user_id = string(contact, "parent_user_id");
    }
    if kind == Kind::WhatsappIdentity
        && let Some(party) = &mut party
        && let Some(current) = value.get("user_id").and_then(|change| string(change, "current"))
    {
        party.user_id = Some(current);
    }
    party
}

/// Returns what happened, by the first member of the kind that tells.
fn type_of(kind: Kind, value: &Value) -> Option<String> {
    let keys: &[&str] = match kind {
        Kind::WhatsappContact => &["action"],
        Kind::WhatsappPreference => &["value"],
        Kind::WhatsappGroup | Kind::WhatsappHandover => &["type"],
        Kind::WhatsappTemplate => &["event", "new_quality_score", "new_category"],
        Kind::WhatsappIdentity | Kind::WhatsappError => &[],
        _ => &["event", "decision", "alert_type", "status"],
    };
    let nested = || value.get("alert_info").and_then(|info| string(info, "alert_type"));
    keys.iter().find_map(|key| string(value, key)).or_else(nested)
}

/// Reads a change of a template: its name, and the new texts if they came along.
fn read_template_event(value: &Value, message: &mut Message) {
    let found = TemplateRef {
        name: string(value, "message_template_name"),
        language: string(value, "message_template_language"),
        id: id(value, "message_template_id"),
    };
    message.template = (found != TemplateRef::default()).then_some(found);
    detail::read_template_change(value, message);
    if message.message_type.is_empty() && value.get("message_template_element").is_some() {
        message.message_type = "components".to_owned();
    }
    text::readable(value, &mut message.texts);
}
