//! Reads an item of WhatsApp as people do.

mod content;
pub(crate) mod detail;
mod members;
mod part;
mod person;
mod plain;
mod single;
mod talk;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use piperoll_format::Kind;
use serde::Deserialize;

use self::part::Parts;
use self::person::Surroundings;
use super::scalar::{Scalar, time};
use super::split::split;
use super::translation::Translation;
use crate::message::Message;
use crate::project::Captured;

/// Reads an item of one of the `whatsapp.` kinds.
pub(crate) fn project(kind: Kind, captured: &Captured<'_>) -> Message {
    let surroundings = Surroundings {
        number: captured.number.map(Cow::Borrowed),
        subject: captured.subject.map(Cow::Borrowed),
        ..Surroundings::default()
    };
    if !captured.whole {
        let slices = captured.parts.iter().filter_map(|part| std::str::from_utf8(part).ok());
        return read(kind, &Parts::sort(kind, slices), &surroundings);
    }
    let body = captured.parts.first().and_then(|body| std::str::from_utf8(body).ok());
    let is_simple = is_conversation(kind) && captured.subject.is_some();
    if let Some(single) = body.filter(|_| is_simple).and_then(single::read) {
        let mut surroundings = surroundings.clone();
        surroundings.number = surroundings.number.or(single.number);
        (surroundings.phone, surroundings.account) = (single.phone, single.account);
        let message = read(kind, &single.parts, &surroundings);
        // Without a time of its own it may have that of its surroundings.
        if message.occurred_at.is_some() {
            return message;
        }
    }
    cut(kind, captured, surroundings)
}

/// Tells whether items of a kind are plain messages or statuses.
const fn is_conversation(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::WhatsappMessage
            | Kind::WhatsappEcho
            | Kind::WhatsappEdit
            | Kind::WhatsappRevoke
            | Kind::WhatsappReaction
            | Kind::WhatsappSystem
            | Kind::WhatsappStatus
    )
}

/// Reads the first item of a whole body.
fn cut<'a>(kind: Kind, captured: &Captured<'a>, mut surroundings: Surroundings<'a>) -> Message {
    // A whole body is cut again, so that both ways of storing an item are read alike.
    let body = captured.parts.first().copied().unwrap_or_default();
    let Some(item) = split(body).items.into_iter().next() else { return Message::default() };
    let outer = std::str::from_utf8(body).ok().and_then(|body| serde_json::from_str::<Outer<'_>>(body).ok());
    if let Some(entry) = outer.and_then(|outer| outer.entry.into_iter().next()) {
        surroundings.account = entry.id.take();
        let value = entry.changes.into_iter().next().and_then(|change| change.value).unwrap_or_default();
        let metadata = value.metadata;
        surroundings.phone = metadata.and_then(|metadata| metadata.display_phone_number.take());
    }
    surroundings.number = surroundings.number.or(item.number.map(Cow::Owned));
    surroundings.subject = surroundings.subject.or(item.subject.map(Cow::Owned));
    let slices = item.ranges.iter().filter_map(|range| std::str::from_utf8(body.get(range.clone())?).ok());
    let mut message = read(kind, &Parts::sort(kind, slices), &surroundings);
    message.occurred_at = message.occurred_at.or(item.occurred_at);
    if kind == Kind::WhatsappHistory {
        message.history_chunks = std::str::from_utf8(body).map(detail::history_chunks).unwrap_or_default();
    }
    message
}

/// Reads the body of a request to send.
pub(crate) fn read_send(request: &serde_json::Value, message: &mut Message) {
    let text = request.to_string();
    if let Ok(raw) = serde_json::from_str(&text) {
        content::read(raw, message);
    }
}

/// Reads the translation of another sender's fact.
pub(crate) fn project_translation(kind: Kind, fact: &Translation, captured: &Captured<'_>) -> Message {
    let surroundings = Surroundings {
        number: captured.number.or(fact.number.as_deref()).map(Cow::Borrowed),
        phone: fact.phone.as_deref().map(Cow::Borrowed),
        account: fact.account.as_deref().map(Cow::Borrowed),
        subject: captured.subject.map(Cow::Borrowed),
    };
    let element = Translation::raw(&fact.element);
    let contact = fact.contact.as_ref().map(Translation::raw);
    let mut message = read(kind, &Parts::known(&element, contact.as_deref()), &surroundings);
    if let Some(content) = &fact.content {
        content::read(&Translation::raw(content), &mut message);
    }
    let facts = fact.facts(&element);
    message.source_id = message.source_id.or(facts.id.map(Cow::into_owned));
    message.occurred_at = message.occurred_at.or(time(facts.time.as_deref()).0);
    message.origin = fact.origin.or(message.origin);
    message
}

fn read(kind: Kind, parts: &Parts<'_>, surroundings: &Surroundings<'_>) -> Message {
    let mut message = match kind {
        Kind::WhatsappMessage
        | Kind::WhatsappEcho
        | Kind::WhatsappHistory
        | Kind::WhatsappEdit
        | Kind::WhatsappRevoke
        | Kind::WhatsappReaction
        | Kind::WhatsappSystem
        | Kind::WhatsappStandby => talk::message_or_status(kind, parts, surroundings),
        Kind::WhatsappStatus => talk::status(kind, parts, surroundings),
        Kind::WhatsappCall => talk::call(parts, surroundings),
        _ => plain::read(kind, parts, surroundings),
    };
    if message.message_type.is_empty() {
        let kind = kind.as_str();
        message.message_type = kind.strip_prefix("whatsapp.").unwrap_or(kind).to_owned();
    }
    message.account = surroundings.account.as_deref().map(str::to_owned);
    let Message { from, to, texts, .. } = &mut message;
    // A name that came with the item but not for its person can still be found.
    parts.contacts.iter().for_each(|contact| contact.read_name(from.iter().chain(to.iter()), texts));
    parts.read_others(&mut message.texts);
    message
}

/// The layers around a single item that name the business.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    entry: Vec<OuterEntry<'a>>,
}

#[derive(Deserialize)]
struct OuterEntry<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    changes: Vec<OuterChange<'a>>,
}

#[derive(Deserialize)]
struct OuterChange<'a> {
    #[serde(borrow, default)]
    value: Option<OuterValue<'a>>,
}

#[derive(Default, Deserialize)]
struct OuterValue<'a> {
    #[serde(borrow, default)]
    metadata: Option<OuterMetadata<'a>>,
}

#[derive(Deserialize)]
struct OuterMetadata<'a> {
    #[serde(borrow, default)]
    display_phone_number: Scalar<'a>,
}
