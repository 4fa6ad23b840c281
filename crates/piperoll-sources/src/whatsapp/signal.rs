//! Elements that are no messages: contacts, preferences, identities, calls, groups, errors, handovers.

use std::borrow::Cow;

use piperoll_format::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::element::{Ambiguous, Facts, Person, head, joined};
use super::scalar::Scalar;
use crate::item::Flag;

#[derive(Deserialize)]
struct StateHead<'a> {
    #[serde(borrow, default)]
    contact: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action: Scalar<'a>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct StateContact<'a> {
    #[serde(borrow, default)]
    phone_number: Scalar<'a>,
    #[serde(borrow, default)]
    user_id: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct StateMetadata<'a> {
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
}

/// Reads an element of `state_sync[]`; its identity is the contact, the action and the time.
pub(super) fn state(raw: &RawValue) -> Result<Facts<'_>, Ambiguous> {
    let kind = Kind::WhatsappContact;
    let Some(found) = head::<StateHead<'_>>(raw)? else { return Ok(Facts::malformed(kind)) };
    let contact = inner::<StateContact<'_>>(found.contact)?;
    let time = inner::<StateMetadata<'_>>(found.metadata)?.timestamp.take();
    let whose = contact.phone_number.get().or_else(|| contact.user_id.get());
    let id = whose.map(|whose| joined(&[Some(whose), found.action.get(), time.as_deref()]));
    let flag = found.action.get().is_none().then_some(Flag::Malformed);
    let person = Person::new(contact.phone_number, contact.user_id);
    Ok(Facts { kind, id: id.map(Cow::Owned), person, time, flag })
}

fn inner<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> Result<T, Ambiguous> {
    raw.map_or(Ok(T::default()), |raw| Ok(head(raw)?.unwrap_or_default()))
}

#[derive(Deserialize)]
struct PreferenceHead<'a> {
    #[serde(borrow, default)]
    wa_id: Scalar<'a>,
    #[serde(borrow, default)]
    user_id: Scalar<'a>,
    #[serde(borrow, default)]
    category: Scalar<'a>,
    #[serde(borrow, default)]
    value: Scalar<'a>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
}

/// Reads an element of `user_preferences[]`; its identity is the person, the category, the choice and the time.
pub(super) fn preference(raw: &RawValue) -> Result<Facts<'_>, Ambiguous> {
    let kind = Kind::WhatsappPreference;
    let Some(head) = head::<PreferenceHead<'_>>(raw)? else { return Ok(Facts::malformed(kind)) };
    let flag = head.value.get().is_none().then_some(Flag::Malformed);
    let person = Person::new(head.wa_id, head.user_id);
    let id = person.subject().map(|subject| {
        joined(&[Some(&subject), head.category.get(), head.value.get(), head.timestamp.get()])
    });
    Ok(Facts { kind, id: id.map(Cow::Owned), person, time: head.timestamp.take(), flag })
}

#[derive(Deserialize)]
struct IdentityHead<'a> {
    #[serde(borrow, default)]
    wa_id: Scalar<'a>,
    #[serde(borrow, default)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct IdentityChange<'a> {
    #[serde(borrow, default)]
    previous: Scalar<'a>,
    #[serde(borrow, default)]
    current: Scalar<'a>,
}

/// Reads an element of `user_id_update[]`. Its person is the one known so far: the phone number, else the previous id.
pub(super) fn identity(raw: &RawValue) -> Result<Facts<'_>, Ambiguous> {
    let kind = Kind::WhatsappIdentity;
    let Some(found) = head::<IdentityHead<'_>>(raw)? else { return Ok(Facts::malformed(kind)) };
    let change = inner::<IdentityChange<'_>>(found.user_id)?;
    let flag = change.current.get().is_none().then_some(Flag::Malformed);
    let user_id = change.previous.take().or_else(|| change.current.take());
    let person = Person { phone: found.wa_id.take(), user_id, group: None };
    Ok(Facts { kind, id: None, person, time: found.timestamp.take(), flag })
}

#[derive(Deserialize)]
struct CallHead<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    event: Scalar<'a>,
    #[serde(borrow, default)]
    direction: Scalar<'a>,
    #[serde(borrow, default)]
    from: Scalar<'a>,
    #[serde(borrow, default)]
    from_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    to: Scalar<'a>,
    #[serde(borrow, default)]
    to_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
}

/// Reads an element of `calls[]`; its identity is the call and the event in it.
pub(super) fn call(raw: &RawValue) -> Result<Facts<'_>, Ambiguous> {
    let kind = Kind::WhatsappCall;
    let Some(head) = head::<CallHead<'_>>(raw)? else { return Ok(Facts::malformed(kind)) };
    let flag = head.event.get().is_none().then_some(Flag::Malformed);
    let id = head.id.get().map(|id| joined(&[Some(id), head.event.get()]));
    let person = if head.direction.get() == Some("BUSINESS_INITIATED") {
        Person::new(head.to, head.to_user_id)
    } else {
        Person::new(head.from, head.from_user_id)
    };
    Ok(Facts { kind, id: id.map(Cow::Owned), person, time: head.timestamp.take(), flag })
}

#[derive(Deserialize)]
struct GroupHead<'a> {
    #[serde(borrow, default)]
    group_id: Scalar<'a>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
}

/// Reads an element of `groups[]`. It has no id of its own: a request id stands for several webhooks.
pub(super) fn group(raw: &RawValue) -> Result<Facts<'_>, Ambiguous> {
    let kind = Kind::WhatsappGroup;
    let Some(head) = head::<GroupHead<'_>>(raw)? else { return Ok(Facts::malformed(kind)) };
    let person = Person { group: head.group_id.take(), ..Person::default() };
    Ok(Facts { kind, id: None, person, time: head.timestamp.take(), flag: None })
}

/// Reads an element of an out-of-band `errors[]`; it names nobody and has no time.
pub(super) fn error(raw: &RawValue) -> Facts<'_> {
    let flag = (!raw.get().starts_with('{')).then_some(Flag::Malformed);
    Facts { kind: Kind::WhatsappError, id: None, person: Person::default(), time: None, flag }
}

#[derive(Default, Deserialize)]
struct HandoverHead<'a> {
    #[serde(borrow, default)]
    sender: Option<&'a RawValue>,
    #[serde(borrow, default)]
    recipient: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct HandoverParty<'a> {
    #[serde(borrow, default)]
    phone_number: Scalar<'a>,
    #[serde(borrow, default)]
    user_id: Scalar<'a>,
    #[serde(borrow, default)]
    phone_number_id: Scalar<'a>,
}

/// Reads the value of a handover: whose conversation it is about and on which business number.
pub(super) fn handover(raw: &RawValue) -> Result<(Facts<'_>, Option<String>), Ambiguous> {
    let kind = Kind::WhatsappHandover;
    let Some(found) = head::<HandoverHead<'_>>(raw)? else { return Ok((Facts::malformed(kind), None)) };
    let sender = inner::<HandoverParty<'_>>(found.sender)?;
    let number = inner::<HandoverParty<'_>>(found.recipient)?.phone_number_id.owned();
    let person = Person::new(sender.phone_number, sender.user_id);
    Ok((Facts { kind, id: None, person, time: found.timestamp.take(), flag: None }, number))
}

#[derive(Default, Deserialize)]
struct EventHead<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    wa_id: Scalar<'a>,
    #[serde(borrow, default)]
    user_id: Scalar<'a>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
}

/// Reads the translation of another sender's event that has no counterpart among Meta's elements.
pub(super) fn event(raw: &RawValue, kind: Kind) -> Result<Facts<'_>, Ambiguous> {
    let Some(head) = head::<EventHead<'_>>(raw)? else { return Ok(Facts::malformed(kind)) };
    let person = Person::new(head.wa_id, head.user_id);
    Ok(Facts { kind, id: head.id.take(), person, time: head.timestamp.take(), flag: None })
}
