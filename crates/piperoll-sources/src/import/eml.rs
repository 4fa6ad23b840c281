//! E-mail files (RFC 5322) as other archives export messages: one message each, its people in `From` and `To`.
//!
//! Exporters write numbers and ids in their own headers. A number is taken from an address or its display name, a
//! wamid from any header whose name says `id`. The files of an e-mail are attachments of its message, in their order.

use mail_parser::{Address, HeaderValue, MessageParser, MimeHeaders as _, PartType};

use super::{Context, attachment_type, phone};
use crate::message::{Attachment, Direction, Message, Party};
use crate::text;

/// Bytes of text that are read from one e-mail.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Files of one e-mail that are taken.
const FILES_MAX: usize = 1_000;

/// Reads one e-mail.
pub(super) fn read(piece: &[u8], context: &Context) -> Result<Message, (&'static str, String)> {
    let found = MessageParser::default().parse(piece).filter(|mail| !mail.headers().is_empty());
    let mail = found.ok_or(("an e-mail with headers", "none".to_owned()))?;
    let date = mail.date().ok_or(("a header `Date`", "none".to_owned()))?;
    let mut message = Message {
        source_id: wamid(&mail).or_else(|| mail.message_id().map(|id| ["email:", id].concat())),
        message_type: "email".to_owned(),
        occurred_at: date.to_timestamp().checked_mul(1_000_000),
        ..Message::default()
    };
    let from = mail.from().map(parties).unwrap_or_default().into_iter().next();
    let to = mail.to().map(parties).unwrap_or_default();
    message.direction = direction(from.as_ref(), &to, context);
    message.from = from;
    message.to = to;
    text::push(mail.subject().unwrap_or_default(), &mut message.texts);
    for part in 0..mail.text_body_count().min(16) {
        if let Some(body) = mail.body_text(part) {
            let end = body.floor_char_boundary(body.len().min(TEXT_BYTES_MAX));
            text::push(body[..end].trim_end(), &mut message.texts);
        }
    }
    for file in mail.attachments().take(FILES_MAX) {
        let filename = file.attachment_name().map(str::to_owned);
        let (by_name, mime_type) = attachment_type(filename.as_deref().unwrap_or_default());
        let declared = file.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        });
        text::push(filename.as_deref().unwrap_or_default(), &mut message.texts);
        message.attachments.push(Attachment {
            attachment_type: by_name.to_owned(),
            mime_type: declared.or_else(|| mime_type.map(str::to_owned)),
            filename,
            ..Attachment::default()
        });
    }
    Ok(message)
}

/// Decodes the files of an e-mail, in the order of its message's attachments.
#[must_use]
pub fn files(piece: &[u8]) -> Vec<Vec<u8>> {
    let mail = MessageParser::default().parse(piece);
    let files = mail.iter().flat_map(mail_parser::Message::attachments).take(FILES_MAX);
    let bytes = |file: &mail_parser::MessagePart<'_>| match &file.body {
        // An e-mail in an e-mail, as it is written there.
        PartType::Message(inner) => inner.raw_message().to_vec(),
        _ => file.contents().to_vec(),
    };
    files.map(bytes).collect()
}

/// Tells the direction by who is the person of the import, or by which side has a number.
fn direction(from: Option<&Party>, to: &[Party], context: &Context) -> Option<Direction> {
    let is_person = |party: &Party| party.phone.is_some() && party.phone == context.person;
    let is_own = |party: &Party| context.name.is_some() && party.name == context.name;
    if from.is_some_and(is_own) || to.iter().any(is_person) {
        return Some(Direction::Outbound);
    }
    if from.is_some_and(is_person) || to.iter().any(is_own) {
        return Some(Direction::Inbound);
    }
    let has_phone = |party: &Party| party.phone.is_some();
    match (from.is_some_and(has_phone), to.iter().any(has_phone)) {
        (true, false) => Some(Direction::Inbound),
        (false, true) => Some(Direction::Outbound),
        _ => None,
    }
}

fn parties(address: &Address<'_>) -> Vec<Party> {
    let read = |address: &mail_parser::Addr<'_>| {
        let mailbox = address.address().unwrap_or_default();
        let local = mailbox.split('@').next().unwrap_or_default();
        let name = address.name().map(str::trim).filter(|name| !name.is_empty());
        let number = phone(local).or_else(|| name.and_then(phone));
        let name = name.or(Some(mailbox).filter(|_| number.is_none() && !mailbox.is_empty()));
        Party { phone: number, name: name.map(str::to_owned), ..Party::default() }
    };
    address.iter().map(read).take(256).collect()
}

/// Finds WhatsApp's own id of the message.
fn wamid(mail: &mail_parser::Message<'_>) -> Option<String> {
    let headers = mail.headers().iter().filter(|header| header.name().to_ascii_lowercase().contains("id"));
    let values = headers.filter_map(|header| match header.value() {
        HeaderValue::Text(text) => Some(text.as_ref()),
        HeaderValue::TextList(list) => list.first().map(AsRef::as_ref),
        _ => None,
    });
    let wamids = values.filter_map(|value| {
        let at = value.find("wamid.")?;
        let id = &value[at..];
        let end = id.find(|c: char| !(c.is_ascii_alphanumeric() || "._=+/-".contains(c))).unwrap_or(id.len());
        Some(id[..end].to_owned())
    });
    wamids.into_iter().next()
}
