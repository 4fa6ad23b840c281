//! What another sender says, in the words of Meta's webhooks, so that both are cut and read by the same code.

use std::ops::Range;

use piperoll_format::Kind;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::cutter::{Cutter, Place};
use super::element::{self, Facts, Side};
use super::signal;
use super::split::unrecognised;
use crate::document::{object, text};
use crate::item::Split;
use crate::message::Origin;

/// One fact, translated.
#[derive(Clone, Debug)]
pub(crate) struct Translation {
    /// What it is; a message may turn out to be a reaction, edit, revoke or system notice.
    pub(crate) kind: Kind,
    /// An element as one of Meta's arrays would hold it. Ids that are no wamids name the sender.
    pub(crate) element: Value,
    /// An entry of `contacts[]`.
    pub(crate) contact: Option<Value>,
    /// The message that a status is about, where the sender repeats it: an element too.
    pub(crate) content: Option<Value>,
    /// What the sender calls the business number.
    pub(crate) number: Option<String>,
    /// Digits of the business number.
    pub(crate) phone: Option<String>,
    /// The WhatsApp account (WABA) id.
    pub(crate) account: Option<String>,
    /// Who produced it, where the kind does not tell.
    pub(crate) origin: Option<Origin>,
}

impl Translation {
    pub(crate) fn new(kind: Kind, element: Value) -> Self {
        Self {
            kind,
            element,
            contact: None,
            content: None,
            number: None,
            phone: None,
            account: None,
            origin: None,
        }
    }

    /// Names the business by its number, for senders that know no other id of it.
    pub(crate) fn on_phone(mut self, phone: Option<&str>) -> Self {
        self.phone = phone.map(digits).filter(|digits| !digits.is_empty());
        self.number = self.phone.clone();
        self
    }

    /// Returns the element as the text that Meta's elements are read from.
    pub(super) fn raw(value: &Value) -> Box<RawValue> {
        to_raw_value(value).expect("a document without odd keys can be written")
    }

    /// Reads what `split` and the projection both need to know.
    pub(super) fn facts<'a>(&self, element: &'a RawValue) -> Facts<'a> {
        let facts = match self.kind {
            Kind::WhatsappMessage => element::message(element, self.kind, Side::Person),
            Kind::WhatsappEcho => element::message(element, self.kind, Side::Business),
            Kind::WhatsappHistory => {
                let is_ours = text(&self.element, "to").is_some();
                element::message(element, self.kind, if is_ours { Side::Business } else { Side::Person })
            }
            Kind::WhatsappStatus => element::status(element, self.kind),
            Kind::WhatsappContact => signal::state(element),
            Kind::WhatsappPreference => signal::preference(element),
            _ => signal::event(element, self.kind),
        };
        facts.unwrap_or_else(|_| Facts::malformed(self.kind))
    }
}

/// What was understood of a body: its facts with their places, and what belongs to the first of them.
pub(crate) struct Reading<'a> {
    pub(crate) facts: Vec<(Translation, Range<usize>)>,
    pub(crate) rest: Vec<&'a RawValue>,
}

impl Reading<'_> {
    /// Takes a body for one fact.
    pub(crate) fn whole(body: &[u8], fact: Translation) -> Self {
        Self { facts: vec![(fact, 0..body.len())], rest: Vec::new() }
    }

    /// Makes items of what was read; of nothing, one item of kind [`Kind::Unrecognised`].
    pub(crate) fn split(reading: Option<Self>, body: &[u8]) -> Split {
        let found = reading.filter(|reading| !reading.facts.is_empty());
        let (Some(reading), Ok(text)) = (found, std::str::from_utf8(body)) else {
            return Split { items: vec![unrecognised(body)] };
        };
        let elements: Vec<_> =
            reading.facts.iter().map(|(fact, _)| Translation::raw(&fact.element)).collect();
        let mut cutter = Cutter::new(text);
        for ((fact, range), element) in reading.facts.iter().zip(&elements) {
            let (number, account) = (fact.number.as_deref(), fact.account.as_deref());
            let place = Place { number, account, sent_at: None };
            let facts = fact.facts(element);
            if fact.kind == Kind::WhatsappHistory && fact.element.get("type").is_none() {
                // A notice of progress is about nobody.
                cutter.push_unidentified(place, Facts { flag: None, ..facts }, range.clone());
            } else {
                cutter.push(place, facts, range.clone());
            }
        }
        cutter.attach_all(0, &reading.rest);
        Split { items: cutter.finish() }
    }
}

/// Returns an entry of `contacts[]` if anything is known of the person's profile.
pub(crate) fn contact_entry(
    phone: Option<Value>,
    user_id: Option<Value>,
    profile: Option<Value>,
) -> Option<Value> {
    profile.map(|profile| object([("wa_id", phone), ("user_id", user_id), ("profile", Some(profile))]))
}

/// Returns a media object. Senders other than Meta name media by address, which takes the place of the id.
pub(crate) fn media(
    address: Option<Value>,
    mime_type: Option<Value>,
    filename: Option<Value>,
    caption: Option<Value>,
) -> Value {
    object([("id", address), ("mime_type", mime_type), ("filename", filename), ("caption", caption)])
}

/// Returns the content type of a message that carries a file of this media type.
pub(crate) fn content_type_of(mime_type: &str) -> &'static str {
    match mime_type.split('/').next() {
        Some("image") => "image",
        Some("video") => "video",
        Some("audio") => "audio",
        _ => "document",
    }
}

fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}
