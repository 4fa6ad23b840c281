//! Messages brought in from exports of other systems: chats exported from the app, JSON lines, and e-mail files.
//!
//! A file is cut into pieces, one for each message, and every piece is kept byte for byte beside the [`Context`] that
//! it takes to read it. Pieces are known again by their content, so that the same file, a corrected one, or a later
//! export of the same chat brings nothing twice.

mod bundle;
mod chat;
mod eml;
mod jsonl;
mod stamp;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::message::{BusinessNumber, Direction, Message, Origin, Party};
use crate::project::Captured;
use crate::text;

pub use bundle::{Bundle, BundleError, Entry};
pub use chat::DateOrder;
pub use eml::files as files_in_mail;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A chat exported from the app, as text.
    Chat,
    /// One JSON object a line (`schemas/import.schema.json`).
    Jsonl,
    /// One e-mail (RFC 5322).
    Eml,
}

/// What it takes to read a piece; kept beside each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// What kind of file the piece is from.
    pub format: Format,
    /// The business number's `phone_number_id`.
    pub number: String,
    /// The time zone of times that name none.
    #[serde(with = "zone")]
    pub zone: Tz,
    /// The order of day and month; in a chat only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub date_order: Option<DateOrder>,
    /// The name under which the business wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The phone number of the person whom the chat is with, digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<String>,
}

/// A time zone as its IANA name.
mod zone {
    use chrono_tz::Tz;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|_| D::Error::custom("expected an IANA time zone"))
    }
}

/// A message of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportItem {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its bytes in the file, without the line's end.
    pub range: Range<usize>,
    /// Its identity: the original one with the number before it, or a digest of piece and context.
    pub source_id: String,
    /// The natural person, if the file says who it is by number or id.
    pub subject: Option<String>,
    /// What it says.
    pub message: Message,
}

/// A file, cut and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// What it takes to read the pieces; the order of dates is found.
    pub context: Context,
    /// The messages, in the file's order.
    pub items: Vec<ImportItem>,
    /// Lines that are none, in the file's order; the others are read all the same.
    pub mistakes: Vec<Mistake>,
}

/// Something in a file that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct Mistake {
    /// The line, from 1.
    pub line: u64,
    /// What was expected there.
    pub expected: String,
    /// What is there, without its content.
    pub found: String,
}

/// Cuts and reads a file.
///
/// # Errors
/// [`Mistake`] when the file as a whole is not of its format.
pub fn read(bytes: &[u8], mut context: Context) -> Result<Import, Mistake> {
    let (pieces, mut mistakes) = match context.format {
        Format::Chat => {
            let (pieces, order) = chat::cut(bytes, context.date_order)?;
            context.date_order = Some(order);
            (pieces, Vec::new())
        }
        Format::Jsonl => (jsonl::cut(bytes), Vec::new()),
        Format::Eml => (vec![(1, 0..bytes.len())], Vec::new()),
    };
    let written = write(&context);
    let mut seen: HashMap<[u8; 16], u32> = HashMap::new();
    let mut items = Vec::with_capacity(pieces.len());
    for (line, range) in pieces {
        let piece = &bytes[range.clone()];
        let message = match read_piece(piece, &context) {
            Ok(message) => message,
            Err((expected, found)) => {
                mistakes.push(Mistake { line, expected: expected.to_owned(), found });
                continue;
            }
        };
        let source_id = match &message.source_id {
            Some(id) => [&context.number, "/", id].concat(),
            None => {
                let digest = Sha256::new().chain_update(&written).chain_update(piece).finalize();
                let digest: [u8; 16] = digest[..16].try_into().expect("a digest is longer");
                // The same words in the same minute can have been written twice.
                let count = seen.entry(digest).or_default();
                *count += 1;
                let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("import:{hex}:{count}")
            }
        };
        items.push(ImportItem { line, range, source_id, subject: subject(&message), message });
    }
    Ok(Import { context, items, mistakes })
}

/// Writes a context as it is kept beside every piece.
#[must_use]
pub fn write(context: &Context) -> Vec<u8> {
    serde_json::to_vec(context).expect("texts are always JSON")
}

/// Reads a kept piece: the piece itself, and its context.
pub(crate) fn project(captured: &Captured<'_>) -> Message {
    let [piece, context] = captured.parts else { return unread(captured.parts) };
    let Ok(context) = serde_json::from_slice::<Context>(context) else { return unread(captured.parts) };
    read_piece(piece, &context).unwrap_or_else(|_| unread(&captured.parts[..1]))
}

/// What cannot be read can still be searched.
fn unread(parts: &[&[u8]]) -> Message {
    let mut texts = Vec::new();
    parts.iter().for_each(|part| text::all_of_bytes(part, &mut texts));
    let message_type = "import".to_owned();
    Message { message_type, origin: Some(Origin::Import), texts, ..Message::default() }
}

fn read_piece(piece: &[u8], context: &Context) -> Result<Message, (&'static str, String)> {
    let mut message = match context.format {
        Format::Chat => chat::read(piece, context)?,
        Format::Jsonl => jsonl::read(piece, context)?,
        Format::Eml => eml::read(piece, context)?,
    };
    message.origin = Some(Origin::Import);
    message.number.get_or_insert_with(|| BusinessNumber { id: Some(context.number.clone()), phone: None });
    let person = counterpart(&message);
    let who = person.and_then(|person| person.phone.as_deref().or(person.user_id.as_deref()));
    let number = message.number.as_ref().and_then(|number| number.id.as_deref());
    message.conversation = number.zip(who).map(|(number, who)| [number, ":", who].concat());
    Ok(message)
}

/// The person on the other side.
fn counterpart(message: &Message) -> Option<&Party> {
    match message.direction {
        Some(Direction::Outbound) => message.to.first(),
        _ => message.from.as_ref(),
    }
}

fn subject(message: &Message) -> Option<String> {
    let person = counterpart(message)?;
    let phone = person.phone.as_ref().map(|phone| ["wa:", phone].concat());
    phone.or_else(|| person.user_id.as_ref().map(|id| ["bsuid:", id].concat()))
}

/// Returns the digits of a phone number; `None` for a text that is none.
fn phone(text: &str) -> Option<String> {
    let is_part = |c: char| {
        c.is_ascii_digit() || c.is_whitespace() || "+-().\u{202a}\u{202c}\u{200e}\u{2011}".contains(c)
    };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_phone = text.chars().all(is_part) && (6..=15).contains(&digits.len());
    is_phone.then_some(digits)
}

/// Names the kind of a file by its ending.
fn attachment_type(filename: &str) -> (&'static str, Option<&'static str>) {
    let ending = filename.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "jpg" | "jpeg" => ("image", Some("image/jpeg")),
        "png" => ("image", Some("image/png")),
        "webp" => ("sticker", Some("image/webp")),
        "gif" => ("image", Some("image/gif")),
        "heic" => ("image", Some("image/heic")),
        "mp4" => ("video", Some("video/mp4")),
        "3gp" => ("video", Some("video/3gpp")),
        "mov" => ("video", Some("video/quicktime")),
        "opus" => ("audio", Some("audio/ogg")),
        "mp3" => ("audio", Some("audio/mpeg")),
        "m4a" => ("audio", Some("audio/mp4")),
        "aac" => ("audio", Some("audio/aac")),
        "amr" => ("audio", Some("audio/amr")),
        "pdf" => ("document", Some("application/pdf")),
        "vcf" => ("contacts", Some("text/vcard")),
        "txt" => ("document", Some("text/plain")),
        "csv" => ("document", Some("text/csv")),
        "docx" => {
            ("document", Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document"))
        }
        "xlsx" => ("document", Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")),
        "pptx" => {
            ("document", Some("application/vnd.openxmlformats-officedocument.presentationml.presentation"))
        }
        _ => ("document", None),
    }
}
