//! JSON lines: one message a line, `schemas/import.schema.json`.

use std::ops::Range;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;

use super::{Context, attachment_type, phone};
use crate::message::{Attachment, Direction, Message, Party, Reference, Relation};
use crate::text;

/// A message as somebody exports it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: String,
    direction: Direction,
    person: Person,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    author: Option<String>,
    #[serde(default, rename = "type")]
    message_type: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    attachments: Vec<File>,
    #[serde(default)]
    reply_to: Option<String>,
    /// Kept and not read.
    #[serde(default, rename = "extra")]
    _extra: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    filename: String,
    #[serde(default)]
    mime_type: Option<String>,
    #[serde(default)]
    sha256: Option<String>,
}

/// Cuts a file at its line ends; blank lines are none.
pub(super) fn cut(bytes: &[u8]) -> Vec<(u64, Range<usize>)> {
    let mut at = 0;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').zip(1..).map(|(line, number)| {
        let start = at;
        at += line.len();
        (number, start..start + line.trim_ascii_end().len())
    });
    lines.filter(|(_, range)| !bytes[range.clone()].trim_ascii().is_empty()).collect()
}

/// Reads one line.
pub(super) fn read(piece: &[u8], _: &Context) -> Result<Message, (&'static str, String)> {
    let line: Line = serde_json::from_slice(piece).map_err(|error| {
        // Its text can quote what was found, which may be personal.
        let found = format!("{} at column {}", problem(&error), error.column());
        ("a message as in schemas/import.schema.json", found)
    })?;
    let at = DateTime::parse_from_rfc3339(&line.at);
    let at =
        at.map_err(|_| ("`at` in RFC 3339 such as `2026-11-21T10:00:00+01:00`", "another text".to_owned()))?;
    let given = line.person.phone.as_deref();
    let digits = given.and_then(phone);
    if given.is_some() && digits.is_none() {
        return Err(("`person.phone` in E.164 such as `+15550100001`", "another text".to_owned()));
    }
    if digits.is_none() && line.person.user_id.is_none() && line.person.name.is_none() {
        return Err(("`person` with `phone`, `user_id` or `name`", "none of them".to_owned()));
    }
    let person =
        Party { phone: digits, user_id: line.person.user_id, name: line.person.name, ..Party::default() };
    let mut message = Message {
        source_id: line.id.filter(|id| !id.is_empty()),
        message_type: line.message_type.unwrap_or_else(|| "text".to_owned()),
        direction: Some(line.direction),
        occurred_at: Some(at.timestamp_micros()),
        ..Message::default()
    };
    match line.direction {
        Direction::Inbound => message.from = Some(person),
        Direction::Outbound => {
            message.from = line.author.map(|name| Party { name: Some(name), ..Party::default() });
            message.to = vec![person];
        }
    }
    text::push(line.text.as_deref().unwrap_or_default(), &mut message.texts);
    for file in line.attachments {
        text::push(&file.filename, &mut message.texts);
        let (attachment_type, mime_type) = attachment_type(&file.filename);
        message.attachments.push(Attachment {
            attachment_type: attachment_type.to_owned(),
            media_id: None,
            mime_type: file.mime_type.or_else(|| mime_type.map(str::to_owned)),
            sha256: file.sha256,
            filename: Some(file.filename),
        });
    }
    let reply = |source_id| Reference { relation: Relation::RepliesTo, source_id };
    message.references = line.reply_to.map(reply).into_iter().collect();
    Ok(message)
}

fn problem(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "an end too early",
        serde_json::error::Category::Data => "a missing, unknown or wrong member",
        _ => "no JSON",
    }
}
