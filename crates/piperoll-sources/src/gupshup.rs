//! Gupshup: version 2 has an envelope of its own; version 3 passes Meta's body through, with times in milliseconds.
//!
//! Bodies: docs.gupshup.io, "Inbound events". Nothing of a request is signed; the route must be kept secret or be
//! limited by address.

use chrono::{DateTime, SecondsFormat};
use piperoll_format::Kind;
use serde_json::Value;

use crate::document::{self, extended, id, member, object, string, text, without};
use crate::item::{Flag, Split};
use crate::sender::Sender;
use crate::whatsapp::{self, Reading, Translation, contact_entry, media};

/// Times between 2001 and 2200 in microseconds: what milliseconds of our age come to.
const TIMES_OF_MILLISECONDS: std::ops::Range<i64> = 1_000_000_000_000_000..7_258_118_400_000_000;

/// Finds the items of a delivery: Meta's as Meta's, an event of version 2 as one.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    if let event @ Some(_) = read(body) {
        return Reading::split(event, body);
    }
    let mut split = whatsapp::split(body);
    for item in &mut split.items {
        if item.occurred_at.is_some_and(|time| TIMES_OF_MILLISECONDS.contains(&time)) {
            // Milliseconds are what this sender writes.
            item.flags.retain(|flag| *flag != Flag::TimeImplausible);
        }
    }
    split
}

/// Reads an event of version 2.
pub(crate) fn read(body: &[u8]) -> Option<Reading<'_>> {
    let event = document::read(body)?;
    let app = text(&event, "app")?;
    let name = text(&event, "type")?;
    let payload = event.get("payload").filter(|payload| payload.is_object())?;
    let sent_at = id(&event, "timestamp").map(|time| rfc3339(&time));
    let mut fact = match name {
        "message" => read_message(payload, sent_at),
        "message-event" => read_status(payload, sent_at),
        "user-event" if text(payload, "type").is_some_and(|choice| choice.starts_with("opted-")) => {
            let head = [
                ("wa_id", member(payload, "phone")),
                ("category", Some(Value::from(name))),
                ("value", member(payload, "type")),
                ("timestamp", sent_at.map(Value::from)),
            ];
            Translation::new(Kind::WhatsappPreference, object(head))
        }
        _ => read_rest(name, payload, sent_at),
    };
    fact.number = Some(app.to_owned());
    Some(Reading::whole(body, fact))
}

/// Writes milliseconds as a date; what is none stays as it is and is flagged later.
fn rfc3339(milliseconds: &str) -> String {
    let date = milliseconds.parse().ok().and_then(DateTime::from_timestamp_millis);
    date.map_or_else(|| milliseconds.to_owned(), |date| date.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn own_id(id: &str) -> Value {
    Value::from(Sender::Gupshup.id(id))
}

fn read_message(payload: &Value, sent_at: Option<String>) -> Translation {
    let sender = payload.get("sender");
    let phone = member(payload, "source").or_else(|| member(sender?, "phone"));
    let user_id = sender.and_then(|sender| member(sender, "user_id"));
    let replied =
        payload.get("context").and_then(|context| text(context, "id").or_else(|| text(context, "gsId")));
    let gupshup_type = text(payload, "type").unwrap_or_default();
    let empty = Value::Null;
    let (content_type, content) = content(gupshup_type, payload.get("payload").unwrap_or(&empty), replied);
    let context = replied.filter(|_| content_type != "reaction");
    let head = [
        // First, so that an odd type cannot take the place of what follows.
        (content_type, Some(content)),
        ("id", text(payload, "id").map(own_id)),
        ("from", phone.clone()),
        ("from_user_id", user_id.clone()),
        ("timestamp", sent_at.map(Value::from)),
        ("type", (!content_type.is_empty()).then(|| Value::from(content_type))),
        ("context", context.map(|id| object([("id", Some(own_id(id)))]))),
    ];
    let others = without(payload, &["id", "source", "type", "payload", "sender", "context"]);
    let mut fact = Translation::new(Kind::WhatsappMessage, extended(others, head));
    let profile = sender.and_then(|sender| member(sender, "name")).map(|name| object([("name", Some(name))]));
    fact.contact = contact_entry(phone, user_id, profile);
    fact
}

/// Returns the type and the content of a message in Meta's words.
fn content<'t>(gupshup_type: &'t str, inner: &Value, replied: Option<&str>) -> (&'t str, Value) {
    match gupshup_type {
        "text" => ("text", object([("body", member(inner, "text"))])),
        "image" | "video" | "audio" | "sticker" | "file" => {
            let address = member(inner, "url");
            let media =
                media(address, member(inner, "contentType"), member(inner, "name"), member(inner, "caption"));
            (if gupshup_type == "file" { "document" } else { gupshup_type }, media)
        }
        "contact" => ("contacts", member(inner, "contacts").unwrap_or_default()),
        "button_reply" | "list_reply" => {
            let reply = [("title", member(inner, "title")), ("description", member(inner, "description"))];
            ("interactive", object([(gupshup_type, Some(object(reply)))]))
        }
        "quick_reply" => ("button", object([("text", member(inner, "text"))])),
        "reaction" => {
            let target = text(inner, "id").or(replied).map(own_id);
            ("reaction", object([("message_id", target), ("emoji", member(inner, "emoji"))]))
        }
        _ => (gupshup_type, inner.clone()),
    }
}

/// Reads the state of a sent message. Its wamid stands in one place or another; before it is known there is only
/// Gupshup's own id.
fn read_status(payload: &Value, sent_at: Option<String>) -> Translation {
    let inner = payload.get("payload");
    let ids = [
        inner.and_then(|inner| text(inner, "whatsappMessageId")),
        text(payload, "id"),
        text(payload, "gsId"),
    ];
    let mut ids = ids.into_iter().flatten();
    let first = ids.clone().next();
    let known = ids.find(|id| id.starts_with("wamid.")).or(first);
    let code = inner.and_then(|inner| member(inner, "code"));
    let error = code.map(|code| {
        object([("code", Some(code)), ("message", inner.and_then(|inner| member(inner, "reason")))])
    });
    let element = object([
        ("id", known.map(own_id)),
        ("status", member(payload, "type")),
        ("timestamp", inner.and_then(|inner| id(inner, "ts")).or(sent_at).map(Value::from)),
        ("recipient_id", member(payload, "destination")),
        ("errors", error),
    ]);
    Translation::new(Kind::WhatsappStatus, element)
}

fn read_rest(name: &str, payload: &Value, sent_at: Option<String>) -> Translation {
    let kind = match name {
        "template-event" => Kind::WhatsappTemplate,
        "account-event" => Kind::WhatsappAccount,
        _ => Kind::WhatsappOther,
    };
    let is_template = kind == Kind::WhatsappTemplate;
    let of_template = |key: &str| string(payload, key).filter(|_| is_template).map(Value::from);
    let event = if is_template { string(payload, "status") } else { string(payload, "type") };
    let references = payload.get("references");
    let person = member(payload, "phone").or_else(|| member(references?, "destination"));
    let head = [
        ("id", text(payload, "id").filter(|_| kind == Kind::WhatsappOther).map(own_id)),
        ("event", event.or_else(|| Some(name.to_owned())).map(Value::from)),
        ("timestamp", sent_at.map(Value::from)),
        ("wa_id", person),
        ("message_template_name", of_template("elementName")),
        ("message_template_language", of_template("languageCode")),
        ("message_template_id", of_template("id")),
    ];
    Translation::new(kind, extended(without(payload, &["id", "phone"]), head))
}

#[cfg(test)]
pub(crate) mod tests;
