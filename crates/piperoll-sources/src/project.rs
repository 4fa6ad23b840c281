//! Reads captured items as messages. Pure and total: whatever the bytes are, a message comes out.

use piperoll_format::Kind;

use crate::message::{BusinessNumber, Message};
use crate::sender::Sender;
use crate::{generic, import, text, whatsapp};

/// The payload of an event and what was noted about it when it was captured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Captured<'a> {
    /// Whether `parts` is one whole body; otherwise it holds the exact slices of one item, in their order.
    pub whole: bool,
    /// The bytes.
    pub parts: &'a [&'a [u8]],
    /// The business number's id, which a slice does not repeat.
    pub number: Option<&'a str>,
    /// The subject found at capture. A slice of a history thread does not repeat whom it is with, so without this
    /// the direction of such a message stays unknown.
    pub subject: Option<&'a str>,
    /// The sender's name ([`Sender::as_str`]); any other text stands for Meta.
    pub source: &'a str,
}

/// Reads one captured item. Nothing it cannot read is an error: such a part is left out.
#[must_use]
pub fn project(kind: Kind, captured: &Captured<'_>) -> Message {
    match kind {
        Kind::Unrecognised => unrecognised(captured),
        Kind::Delivery => delivery(captured),
        _ if kind.as_str().starts_with("whatsapp.") => {
            captured.source.parse().unwrap_or(Sender::Meta).project(kind, captured)
        }
        Kind::ImportMessage => import::project(captured),
        _ => generic::project(kind, captured),
    }
}

/// The rest of a body whose items were cut out: it says which pieces of the history they are.
fn delivery(captured: &Captured<'_>) -> Message {
    let rest = captured.parts.first().and_then(|rest| std::str::from_utf8(rest).ok()).unwrap_or_default();
    let history_chunks = whatsapp::history_chunks(rest);
    let number = || {
        let (_, after) = rest.split_once("\"phone_number_id\"")?;
        let quoted = after.trim_start_matches([':', ' ', '\n', '\t']).strip_prefix('"')?;
        let (id, _) = quoted.split_once('"')?;
        Some(BusinessNumber { id: Some(id.to_owned()), phone: None })
    };
    let number = if history_chunks.is_empty() { None } else { number() };
    let message_type = Kind::Delivery.as_str().to_owned();
    Message { message_type, number, history_chunks, ..Message::default() }
}

/// A body that could not be read can still be searched: by its strings if it is JSON, else by its text.
fn unrecognised(captured: &Captured<'_>) -> Message {
    let mut texts = Vec::new();
    captured.parts.iter().for_each(|part| text::all_of_bytes(part, &mut texts));
    Message { message_type: Kind::Unrecognised.as_str().to_owned(), texts, ..Message::default() }
}
