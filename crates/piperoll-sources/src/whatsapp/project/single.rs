//! The one item of a whole body, which is what almost every event holds, read in one pass.

use std::borrow::Cow;

use piperoll_format::Kind;
use serde_json::value::RawValue;

use super::super::element;
use super::super::envelope::{Change, Entry, Envelope, NamedMetadata, ValueOf};
use super::super::split::OBJECT;
use super::members::Members;
use super::part::{Parts, is_element};
use super::person::Contact;

/// The slices of the item, and what its surroundings say.
pub(super) struct Single<'a> {
    pub(super) parts: Parts<'a>,
    pub(super) number: Option<Cow<'a, str>>,
    pub(super) phone: Option<Cow<'a, str>>,
    pub(super) account: Option<Cow<'a, str>>,
}

type Value<'a> = Box<ValueOf<'a, NamedMetadata<'a>>>;

/// Reads a body with one message or status and the contacts beside it. Nothing where it has anything else, or anything
/// odd: then it must be cut.
pub(super) fn read(body: &str) -> Option<Single<'_>> {
    let envelope: Envelope<'_, Value<'_>> = serde_json::from_str(body).ok()?;
    let is_known = envelope.object.as_ref().is_none_or(|object| object.get() == Some(OBJECT));
    let Entry { id, changes, field: outer_field, others: beside, .. } = only(envelope.entry?)?;
    let Change { field, value, others } = only(changes?)?;
    if !is_known || !envelope.others.is_empty() || !beside.is_empty() || !others.is_empty() {
        return None;
    }
    let (field, outer_field) = (field.unwrap_or_default(), outer_field.unwrap_or_default());
    if matches!(field.get().or(outer_field.get()), Some("standby" | "history")) {
        return None;
    }
    let value = value?;
    if holds_others(&value) {
        return None;
    }
    let is_status = value.statuses.as_ref().is_some_and(|statuses| !statuses.is_empty());
    let arrays = [value.messages, value.statuses, value.message_echoes];
    let element = only(arrays.into_iter().flatten().flatten().collect())?;
    let metadata = value.metadata;
    let (number, phone) = metadata.map_or((None, None), |metadata| {
        (
            metadata.phone_number_id.unwrap_or_default().take(),
            metadata.display_phone_number.unwrap_or_default().take(),
        )
    });
    let parts = read_parts(element, is_status, value.contacts.unwrap_or_default())?;
    Some(Single { parts, number, phone, account: id.unwrap_or_default().take() })
}

/// Whether a value has anything but messages, statuses, contacts and its number.
fn holds_others(value: &Value<'_>) -> bool {
    let arrays = [
        &value.history,
        &value.state_sync,
        &value.user_preferences,
        &value.user_id_update,
        &value.calls,
        &value.groups,
        &value.errors,
    ];
    let metadata = value.metadata.as_ref();
    value.standby.is_some()
        || arrays.iter().any(|array| array.is_some())
        || !value.others.is_empty()
        || metadata.is_some_and(|metadata| !metadata.others.is_empty())
}

/// Tells the slices apart as [`Parts::sort`] does.
fn read_parts<'a>(element: &'a RawValue, is_status: bool, contacts: Vec<&'a RawValue>) -> Option<Parts<'a>> {
    let members = if is_status { None } else { Some(Members::read(element)?) };
    let is_certain = match &members {
        Some(members) => members.is_element(),
        // Of a status with a key twice nothing is told.
        None => is_element(element) && element::status(element, Kind::WhatsappStatus).is_ok(),
    };
    if !is_certain {
        return None;
    }
    let contacts = contacts.into_iter().map(Contact::read_certain).collect::<Option<_>>()?;
    Some(Parts::sorted(element, members, contacts))
}

fn only<T>(mut list: Vec<T>) -> Option<T> {
    let last = list.pop();
    last.filter(|_| list.is_empty())
}

#[cfg(test)]
mod tests;
