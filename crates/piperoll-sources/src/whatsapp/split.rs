//! Cuts a delivery into items: one for every array element, or for the value of a change that has no arrays.
//!
//! The rule that makes single people erasable: whatever is not known to be impersonal belongs to an item, its own
//! or the first of its surroundings. What stays (the skeleton) holds brackets, field names, account and business
//! numbers, and times of notification.

use std::borrow::Cow;
use std::iter;

use piperoll_format::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cutter::{Cutter, Place};
use super::element::{self, Ambiguous, Facts, Person, Side, head};
use super::envelope::{Change, Chunk, ContactHead, Elements, Entry, Envelope, Thread, Value};
use super::json::range_in;
use super::scalar::Scalar;
use super::{field, signal};
use crate::item::{Flag, Item, Split};

pub(super) const OBJECT: &str = "whatsapp_business_account";

/// Finds the items of a delivery. It never fails: a body whose envelope cannot be read, or in which a key that
/// matters stands twice, is one item of kind [`Kind::Unrecognised`] that covers all of it.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    let items = std::str::from_utf8(body).ok().and_then(read).filter(|items| !items.is_empty());
    Split { items: items.unwrap_or_else(|| vec![unrecognised(body)]) }
}

/// Returns the one item of a body that is not understood.
pub(super) fn unrecognised(body: &[u8]) -> Item {
    Item {
        kind: Kind::Unrecognised,
        source_id: None,
        subject: None,
        number: None,
        occurred_at: None,
        ranges: iter::once(0..body.len()).collect(),
        flags: Vec::new(),
    }
}

/// Why a body was not cut.
enum Refusal {
    /// The place of a whole value is needed, and values were read without keeping it.
    NeedsRaw,
    /// A key is repeated.
    Ambiguous,
}

impl From<Ambiguous> for Refusal {
    fn from(_: Ambiguous) -> Self {
        Self::Ambiguous
    }
}

/// Reads the body once with typed values, which is all that message traffic needs, and again with raw values when
/// the place of a whole value is wanted or one of them is odd.
fn read(body: &str) -> Option<Vec<Item>> {
    if let Ok(envelope) = serde_json::from_str::<Envelope<'_, Box<Value<'_>>>>(body) {
        match cut(body, envelope) {
            Ok(items) => return Some(items),
            Err(Refusal::Ambiguous) => return None,
            Err(Refusal::NeedsRaw) => {}
        }
    }
    let envelope = serde_json::from_str::<Envelope<'_, &RawValue>>(body).ok()?;
    cut(body, envelope).ok()
}

/// A value that can be read, and its text if that was kept. Boxed: moving a value costs more than allocating it.
type Opened<'a> = (Option<Box<Value<'a>>>, Option<&'a RawValue>);

/// The value of a change, read or still raw.
trait Content<'a>: Deserialize<'a> {
    /// Opens the value.
    fn open(self) -> Result<Opened<'a>, Ambiguous>;
}

impl<'a> Content<'a> for Box<Value<'a>> {
    fn open(self) -> Result<Opened<'a>, Ambiguous> {
        Ok((Some(self), None))
    }
}

impl<'a> Content<'a> for &'a RawValue {
    fn open(self) -> Result<Opened<'a>, Ambiguous> {
        Ok((head(self)?, Some(self)))
    }
}

fn cut<'a, V: Content<'a>>(body: &'a str, envelope: Envelope<'a, V>) -> Result<Vec<Item>, Refusal> {
    if envelope.object.as_ref().is_some_and(|object| object.get() != Some(OBJECT)) {
        return Ok(Vec::new());
    }
    let mut cutter = Cutter::new(body);
    for entry in envelope.entry.into_iter().flatten() {
        let first = cutter.count();
        let Entry { id, time, changes, field, others } = entry;
        let (id, time, outer_field) =
            (id.unwrap_or_default(), time.unwrap_or_default(), field.unwrap_or_default());
        for Change { field, value, others } in changes.into_iter().flatten() {
            let first = cutter.count();
            if let Some(value) = value {
                let field = field.unwrap_or_default();
                let field = field.get().or(outer_field.get()).unwrap_or_default();
                let (value, raw) = value.open()?;
                cut_change(&mut cutter, field, value, raw, Sent { account: &id, time: &time })?;
            }
            cutter.attach_all(first, &others);
        }
        cutter.attach_all(first, &others);
    }
    cutter.attach_all(0, &envelope.others);
    Ok(cutter.finish())
}

/// What an entry says for all its changes.
#[derive(Clone, Copy)]
struct Sent<'e> {
    account: &'e Scalar<'e>,
    time: &'e Scalar<'e>,
}

fn cut_change<'a>(
    cutter: &mut Cutter<'a>,
    field: &str,
    value: Option<Box<Value<'a>>>,
    raw: Option<&'a RawValue>,
    sent: Sent<'_>,
) -> Result<(), Refusal> {
    let Some(mut value) = value else {
        let raw = raw.ok_or(Refusal::NeedsRaw)?;
        let place = Place { number: None, account: sent.account.get(), sent_at: sent.time.get() };
        cutter.push(place, Facts::malformed(field::kind_of(field)), range_in(cutter.body, raw));
        return Ok(());
    };
    let metadata = value.metadata.take();
    let number = metadata.as_ref().and_then(|metadata| metadata.phone_number_id.as_ref()?.get());
    let place = Place { number, account: sent.account.get(), sent_at: sent.time.get() };
    let first = cutter.count();
    cutter.open_change();
    let contacts =
        [value.contacts.take(), value.standby.as_mut().and_then(|standby| standby.contacts.take())];
    let others = [
        std::mem::take(&mut value.others),
        value.standby.as_mut().map(|standby| std::mem::take(&mut standby.others)).unwrap_or_default(),
    ];
    cut_arrays(cutter, field, value, place)?;
    cutter.order_change();
    if cutter.count() == first {
        return cut_whole(cutter, field, raw.ok_or(Refusal::NeedsRaw)?, place);
    }
    let contacts: Elements<'_> = contacts.into_iter().flatten().flatten().collect();
    if cutter.count() == first + 1 {
        cutter.attach_all(first, &contacts);
    } else {
        for contact in contacts {
            let who: ContactHead<'_> = head(contact)?.unwrap_or_default();
            cutter.attach_contact(contact, Person::new(who.wa_id, who.user_id));
        }
    }
    others.iter().for_each(|others| cutter.attach_all(first, others));
    if let Some(metadata) = &metadata {
        cutter.attach_all(first, &metadata.others);
    }
    Ok(())
}

/// Cuts every element of the known arrays of a value.
fn cut_arrays<'a>(
    cutter: &mut Cutter<'a>,
    field: &str,
    value: Box<Value<'a>>,
    place: Place<'_>,
) -> Result<(), Ambiguous> {
    let (message, echo, status) = match field {
        "standby" => (Kind::WhatsappStandby, Kind::WhatsappStandby, Kind::WhatsappStandby),
        "history" => (Kind::WhatsappHistory, Kind::WhatsappHistory, Kind::WhatsappStatus),
        _ => (Kind::WhatsappMessage, Kind::WhatsappEcho, Kind::WhatsappStatus),
    };
    let mut each = |elements: Option<Elements<'a>>,
                    read: &dyn Fn(&'a RawValue) -> Result<Facts<'a>, Ambiguous>| {
        elements.into_iter().flatten().try_for_each(|raw| {
            cutter.push(place, read(raw)?, range_in(cutter.body, raw));
            Ok(())
        })
    };
    each(value.messages, &|raw| element::message(raw, message, Side::Person))?;
    each(value.statuses, &|raw| element::status(raw, status))?;
    each(value.message_echoes, &|raw| element::message(raw, echo, Side::Business))?;
    if let Some(standby) = value.standby {
        let kind = Kind::WhatsappStandby;
        each(standby.messages, &|raw| element::message(raw, kind, Side::Person))?;
        each(standby.statuses, &|raw| element::status(raw, kind))?;
        each(standby.message_echoes, &|raw| element::message(raw, kind, Side::Business))?;
    }
    each(value.state_sync, &signal::state)?;
    each(value.user_preferences, &signal::preference)?;
    each(value.user_id_update, &signal::identity)?;
    each(value.calls, &signal::call)?;
    each(value.groups, &signal::group)?;
    each(value.errors, &|raw| Ok(signal::error(raw)))?;
    value.history.into_iter().flatten().try_for_each(|raw| cut_chunk(cutter, raw, place))
}

/// Makes one item of a value that has no arrays of items.
fn cut_whole<'a>(
    cutter: &mut Cutter<'a>,
    field: &str,
    raw: &'a RawValue,
    place: Place<'_>,
) -> Result<(), Refusal> {
    let range = range_in(cutter.body, raw);
    let kind = field::kind_of_event(field);
    if kind == Kind::WhatsappHandover {
        let (facts, number) = signal::handover(raw)?;
        let number = place.number.or(number.as_deref());
        cutter.push(Place { number, ..place }, facts, range);
    } else {
        cutter.push(place, Facts::plain(kind), range);
    }
    Ok(())
}

/// Cuts a chunk of history: its threads, or the reason why there are none.
fn cut_chunk<'a>(cutter: &mut Cutter<'a>, raw: &'a RawValue, place: Place<'_>) -> Result<(), Ambiguous> {
    let range = range_in(cutter.body, raw);
    let Some(chunk) = head::<Chunk<'_>>(raw)? else {
        cutter.push(place, Facts::malformed(Kind::WhatsappHistory), range);
        return Ok(());
    };
    let first = cutter.count();
    let is_odd = chunk.threads.is_none() && chunk.errors.is_none();
    for thread in chunk.threads.into_iter().flatten() {
        cut_thread(cutter, thread, place)?;
    }
    if cutter.count() == first {
        let flag = is_odd.then_some(Flag::Malformed);
        cutter.push_unidentified(place, Facts { flag, ..Facts::plain(Kind::WhatsappHistory) }, range);
    } else {
        cutter.attach_all(first, chunk.errors.as_slice());
        cutter.attach_all(first, &chunk.others);
    }
    Ok(())
}

/// Cuts a thread: its messages; its id and context go with the first.
fn cut_thread<'a>(cutter: &mut Cutter<'a>, raw: &'a RawValue, place: Place<'_>) -> Result<(), Ambiguous> {
    let kind = Kind::WhatsappHistory;
    let range = range_in(cutter.body, raw);
    let Some(thread) = head::<Thread<'_>>(raw)? else {
        cutter.push(place, Facts::malformed(kind), range);
        return Ok(());
    };
    let person = thread_person(&thread)?;
    let first = cutter.count();
    for raw in thread.messages.into_iter().flatten() {
        let mut facts = element::message(raw, kind, Side::Person)?;
        let own = std::mem::take(&mut facts.person);
        facts.person = person.clone().or(|| own);
        cutter.push(place, facts, range_in(cutter.body, raw));
    }
    if cutter.count() == first {
        cutter.push_unidentified(place, Facts { person, ..Facts::plain(kind) }, range);
    } else {
        cutter.attach_all(first, thread.id.as_slice());
        cutter.attach_all(first, thread.context.as_slice());
        cutter.attach_all(first, &thread.others);
    }
    Ok(())
}

fn thread_person<'a>(thread: &Thread<'a>) -> Result<Person<'a>, Ambiguous> {
    let id: Scalar<'a> = thread.id.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let context: ContactHead<'a> = match thread.context {
        Some(raw) => head(raw)?.unwrap_or_default(),
        None => ContactHead::default(),
    };
    let phone: Option<Cow<'a, str>> = id.take().or_else(|| context.wa_id.take());
    Ok(Person { phone, user_id: context.user_id.take(), group: None })
}

#[cfg(test)]
mod tests;
