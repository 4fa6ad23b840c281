//! Who may send WhatsApp traffic: Meta itself, or a provider with an envelope of its own.
//!
//! Routes, secrets and addresses of the senders are not known here.

use std::fmt;
use std::str::FromStr;

use piperoll_format::Kind;

use crate::item::Split;
use crate::message::Message;
use crate::project::Captured;
use crate::whatsapp::{self, Reading, Translation, project_translation};
use crate::{aws, bird, dialog360, gupshup, infobip, text, twilio, vonage, ycloud};

/// A sender of WhatsApp traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sender {
    /// Meta's Cloud API.
    Meta,
    /// 360dialog: Meta's bodies, and the partner webhook.
    Dialog360,
    /// `YCloud`.
    YCloud,
    /// Twilio.
    Twilio,
    /// AWS End User Messaging Social.
    Aws,
    /// Gupshup, version 2 and 3.
    Gupshup,
    /// Infobip.
    Infobip,
    /// Bird, formerly `MessageBird`.
    Bird,
    /// Vonage.
    Vonage,
}

impl Sender {
    /// Every sender.
    pub const ALL: &'static [Self] = &[
        Self::Meta,
        Self::Dialog360,
        Self::YCloud,
        Self::Twilio,
        Self::Aws,
        Self::Gupshup,
        Self::Infobip,
        Self::Bird,
        Self::Vonage,
    ];

    /// Returns the text form, as stored in the provenance of a payload.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "whatsapp",
            Self::Dialog360 => "360dialog",
            Self::YCloud => "ycloud",
            Self::Twilio => "twilio",
            Self::Gupshup => "gupshup",
            Self::Infobip => "infobip",
            Self::Bird => "bird",
            Self::Vonage => "vonage",
            Self::Aws => "aws",
        }
    }

    /// Finds the items of a delivery. It never fails: a body that cannot be read is one item of kind
    /// [`Kind::Unrecognised`] that covers all of it.
    #[must_use]
    pub fn split(self, body: &[u8]) -> Split {
        match self {
            Self::Meta => whatsapp::split(body),
            Self::Dialog360 => dialog360::split(body),
            Self::YCloud => ycloud::split(body),
            Self::Twilio => twilio::split(body),
            Self::Gupshup => gupshup::split(body),
            Self::Infobip => infobip::split(body),
            Self::Bird => bird::split(body),
            Self::Vonage => vonage::split(body),
            Self::Aws => aws::split(body),
        }
    }

    /// Reads an item of one of the `whatsapp.` kinds.
    pub(crate) fn project(self, kind: Kind, captured: &Captured<'_>) -> Message {
        match self {
            Self::Meta => whatsapp::project(kind, captured),
            Self::Dialog360 => project_event(kind, captured, dialog360::read),
            Self::YCloud => project_item(kind, captured, ycloud::read, ycloud::read_slice),
            Self::Twilio => project_item(kind, captured, twilio::read, no_slice),
            Self::Aws => aws::project(kind, captured),
            Self::Gupshup => project_event(kind, captured, gupshup::read),
            Self::Infobip => project_item(kind, captured, infobip::read, infobip::read_slice),
            Self::Bird => project_item(kind, captured, bird::read, no_slice),
            Self::Vonage => project_item(kind, captured, vonage::read, no_slice),
        }
    }

    /// Returns a message's id in a form that says whose it is: a wamid is WhatsApp's, all others are the sender's.
    pub(crate) fn id(self, id: &str) -> String {
        if id.starts_with("wamid.") { id.to_owned() } else { [self.as_str(), ":", id].concat() }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown sender: expected one of the names of `Sender`, found `{found}`")]
pub struct UnknownSender {
    /// The text, cut to 40 characters.
    pub found: String,
}

impl FromStr for Sender {
    type Err = UnknownSender;

    fn from_str(text: &str) -> Result<Self, UnknownSender> {
        let sender = Self::ALL.iter().copied().find(|sender| sender.as_str() == text);
        sender.ok_or_else(|| UnknownSender { found: text.chars().take(40).collect() })
    }
}

/// How a sender's whole bodies are read.
pub(crate) type ReadBody = for<'b> fn(&'b [u8]) -> Option<Reading<'b>>;
/// How one slice of a cut body is read.
pub(crate) type ReadSlice = fn(&[u8]) -> Option<Translation>;

/// Reads an item of a sender whose envelope is translated. What cannot be read so is searched for texts.
pub(crate) fn project_item(
    kind: Kind,
    captured: &Captured<'_>,
    read_body: ReadBody,
    read_slice: ReadSlice,
) -> Message {
    let mut others = captured.parts;
    let mut found = None;
    if captured.whole {
        let reading = captured.parts.first().and_then(|body| read_body(body));
        found = reading.and_then(|reading| reading.facts.into_iter().next()).map(|(fact, _)| fact);
        others = if found.is_some() { &[] } else { captured.parts };
    }
    let mut texts = Vec::new();
    for part in others {
        match read_slice(part).filter(|_| !captured.whole && found.is_none()) {
            Some(fact) => found = Some(fact),
            None => text::all_of_bytes(part, &mut texts),
        }
    }
    let mut message = match found {
        Some(fact) => project_translation(kind, &fact, captured),
        None => Message { message_type: kind.as_str().replacen("whatsapp.", "", 1), ..Message::default() },
    };
    message.texts.append(&mut texts);
    message
}

/// Reads an item of a sender that passes Meta's bodies through beside events of its own.
fn project_event(kind: Kind, captured: &Captured<'_>, read_body: ReadBody) -> Message {
    let is_event = captured.whole && captured.parts.first().is_some_and(|body| read_body(body).is_some());
    if is_event {
        project_item(kind, captured, read_body, no_slice)
    } else {
        whatsapp::project(kind, captured)
    }
}

/// Reads no slice, for senders whose bodies hold one fact.
pub(crate) fn no_slice(_: &[u8]) -> Option<Translation> {
    None
}

#[cfg(test)]
mod tests;
