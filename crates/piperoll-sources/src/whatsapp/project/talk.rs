//! Messages, statuses and calls.

use std::borrow::Cow;

use piperoll_format::Kind;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::element::{self, Facts, Person, Side};
use super::super::scalar::{Scalar, time};
use super::super::signal;
use super::content;
use super::detail;
use super::members::Members;
use super::part::{Parts, read_or_default, read_value};
use super::person::{Surroundings, counterpart, party};
use crate::detail::HistoryDetail;
use crate::message::{Direction, Message, Origin, Reference, Relation};
use crate::text;

/// The members that tell what an element of a conversation is.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Shape<'a> {
    #[serde(borrow, default)]
    pub(super) from: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) from_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) to: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) to_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) from_parent_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) to_parent_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) group_id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) status: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) history_context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) threads: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct HistoryContext<'a> {
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(default)]
    from_me: Option<bool>,
}

/// Reads a message, or what else a standby or history item may be.
pub(super) fn message_or_status(kind: Kind, parts: &Parts<'_>, surroundings: &Surroundings<'_>) -> Message {
    let Some(raw) = parts.element else { return Message::default() };
    match &parts.members {
        Some(members) => read_message(kind, (raw, Some(members)), parts, surroundings),
        None => read_message(kind, (raw, Members::read(raw).as_ref()), parts, surroundings),
    }
}

/// Reads a message by its members, or one part after the other where they are odd.
pub(super) fn read_message(
    kind: Kind,
    (raw, members): (&RawValue, Option<&Members<'_>>),
    parts: &Parts<'_>,
    surroundings: &Surroundings<'_>,
) -> Message {
    let read = || read_or_default::<Shape<'_>>(Some(raw));
    let shape = members.map_or_else(|| Cow::Owned(read()), |members| Cow::Borrowed(&members.shape));
    if kind == Kind::WhatsappStandby && shape.status.get().is_some() {
        return status(kind, parts, surroundings);
    }
    let (direction, origin) = side(kind, &shape, parts, surroundings);
    let side = if direction == Some(Direction::Outbound) { Side::Business } else { Side::Person };
    let facts = match members {
        Some(members) => element::message_of(members.head.clone(), kind, side),
        None => element::message(raw, kind, side).unwrap_or_else(|_| Facts::malformed(kind)),
    };
    let named = facts.person;
    let person = match kind {
        Kind::WhatsappHistory => counterpart(&parts.contacts, surroundings).or(|| named),
        _ => named.or(|| counterpart(&[], surroundings)),
    };
    let mut message = Message {
        source_id: facts.id.map(Cow::into_owned),
        direction,
        origin,
        number: surroundings.business_number(),
        conversation: surroundings.conversation(shape.group_id.get(), &person),
        occurred_at: time(facts.time.as_deref()).0,
        ..Message::default()
    };
    let mut person = party(&person, &parts.contacts);
    if let Some(person) = &mut person {
        let parent = shape.from_parent_user_id.owned().or_else(|| shape.to_parent_user_id.owned());
        person.parent_user_id = person.parent_user_id.take().or(parent);
    }
    if let Some(raw) = shape.history_context {
        let context: HistoryContext<'_> = read_or_default(Some(raw));
        let status = context.status.get().map(str::to_ascii_lowercase);
        message.history = Some(HistoryDetail { status, from_me: context.from_me });
    }
    match direction {
        Some(Direction::Outbound) => {
            message.from = surroundings.business_party(shape.from.get());
            message.to = person.into_iter().collect();
        }
        _ => {
            message.from = person;
            message.to = surroundings.business_party(None).into_iter().collect();
        }
    }
    match (shape.message, members) {
        (Some(request), _) => content::read_request(request, raw, &mut message),
        (None, Some(members)) => content::read_members(&members.content, &mut message),
        (None, None) => content::read(raw, &mut message),
    }
    if shape.threads.is_some() {
        text::readable(&read_value(raw), &mut message.texts);
    }
    message
}

/// Returns which way a message went and who made it.
fn side(
    kind: Kind,
    shape: &Shape<'_>,
    parts: &Parts<'_>,
    surroundings: &Surroundings<'_>,
) -> (Option<Direction>, Option<Origin>) {
    match kind {
        Kind::WhatsappEcho => (Some(Direction::Outbound), Some(Origin::App)),
        Kind::WhatsappSystem => (None, Some(Origin::Platform)),
        Kind::WhatsappStandby if shape.message.is_some() || shape.to.get().is_some() => {
            (Some(Direction::Outbound), Some(Origin::Agent))
        }
        Kind::WhatsappHistory => (history_direction(shape, parts, surroundings), Some(Origin::History)),
        _ => (Some(Direction::Inbound), Some(Origin::Customer)),
    }
}

/// Compares the sender of an old message with the person of its thread, else trusts what the phone says.
fn history_direction(
    shape: &Shape<'_>,
    parts: &Parts<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<Direction> {
    let to_direction = |is_person: bool| if is_person { Direction::Inbound } else { Direction::Outbound };
    let sender = Person::new(shape.from.clone(), shape.from_user_id.clone());
    let business = Person::new(Scalar(surroundings.phone.clone()), Scalar::default());
    let recipient = Person::new(shape.to.clone(), shape.to_user_id.clone());
    if let (Some(sender), Some(business)) = (sender.subject(), business.subject()) {
        return Some(to_direction(sender != business));
    }
    if let Some(from_me) = read_or_default::<HistoryContext<'_>>(shape.history_context).from_me {
        return Some(to_direction(!from_me));
    }
    let person = counterpart(&parts.contacts, surroundings);
    let from: Vec<String> = sender.identities().collect();
    if from.is_empty() {
        return None;
    }
    if person.identities().any(|identity| from.contains(&identity)) {
        return Some(Direction::Inbound);
    }
    (person.phone.is_some() || recipient.subject().is_some()).then_some(Direction::Outbound)
}

#[derive(Default, Deserialize)]
struct StatusContent<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(borrow, default)]
    recipient_id: Scalar<'a>,
    #[serde(borrow, default)]
    recipient_type: Scalar<'a>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pricing: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    biz_opaque_callback_data: Scalar<'a>,
}

impl StatusContent<'_> {
    fn has_detail(&self) -> bool {
        self.pricing.is_some()
            || self.conversation.is_some()
            || self.biz_opaque_callback_data.get().is_some()
            || self.recipient_type.get() == Some("group")
    }
}

/// Reads a delivery status. It has no direction: WhatsApp reports it.
pub(super) fn status(kind: Kind, parts: &Parts<'_>, surroundings: &Surroundings<'_>) -> Message {
    let Some(raw) = parts.element else { return Message::default() };
    let facts = element::status(raw, kind).unwrap_or_else(|_| Facts::malformed(kind));
    let content: StatusContent<'_> = read_or_default(parts.element);
    let group = content.recipient_id.get().filter(|_| content.recipient_type.get() == Some("group"));
    let person = facts.person.or(|| counterpart(&[], surroundings));
    let mut message = Message {
        source_id: facts.id.map(Cow::into_owned),
        message_type: content.status.owned().unwrap_or_default(),
        origin: Some(Origin::Platform),
        number: surroundings.business_number(),
        conversation: surroundings.conversation(group, &person),
        occurred_at: time(facts.time.as_deref()).0,
        to: party(&person, &parts.contacts).into_iter().collect(),
        ..Message::default()
    };
    let of = content.id.owned();
    message.references.extend(of.map(|source_id| Reference { relation: Relation::StatusOf, source_id }));
    if let Some(errors) = content.errors {
        content::read_errors(&read_value(errors), &mut message);
    }
    if content.has_detail() {
        message.status = detail::status(&parts.value());
    }
    message
}

/// Reads a call, its recording or transcript, or its status.
pub(super) fn call(parts: &Parts<'_>, surroundings: &Surroundings<'_>) -> Message {
    let kind = Kind::WhatsappCall;
    let value = parts.value();
    if value.get("event").is_none() && value.get("type").and_then(Value::as_str) == Some("call") {
        return status(kind, parts, surroundings);
    }
    let Some(raw) = parts.element else { return Message::default() };
    let facts = signal::call(raw).unwrap_or_else(|_| Facts::malformed(kind));
    let is_outbound = value.get("direction").and_then(Value::as_str) == Some("BUSINESS_INITIATED");
    let string = |key: &str| value.get(key).and_then(Value::as_str);
    let person = facts.person.or(|| counterpart(&[], surroundings));
    let conversation = surroundings.conversation(None, &person);
    let person = party(&person, &parts.contacts);
    let (direction, origin, from, to) = if is_outbound {
        (Direction::Outbound, Origin::Api, surroundings.business_party(string("from")), person)
    } else {
        (Direction::Inbound, Origin::Customer, person, surroundings.business_party(string("to")))
    };
    let mut message = Message {
        // The call's own id: the fact's also names the event in the call.
        source_id: string("id").map(str::to_owned),
        message_type: string("event").unwrap_or_default().to_owned(),
        direction: Some(direction),
        origin: Some(origin),
        from,
        to: to.into_iter().collect(),
        number: surroundings.business_number(),
        conversation,
        occurred_at: time(facts.time.as_deref()).0,
        ..Message::default()
    };
    text::push(string("status").unwrap_or_default(), &mut message.texts);
    for (holder, media) in [("call_recording", "audio"), ("call_transcript", "document")] {
        if let Some(found) = value.get(holder).and_then(|holder| holder.get(media)) {
            message.attachments.push(content::attachment(media, found));
        }
    }
    if let Some(errors) = value.get("errors") {
        content::read_errors(errors, &mut message);
    }
    message
}
