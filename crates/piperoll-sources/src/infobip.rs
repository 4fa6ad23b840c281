//! Infobip: a list of results, messages of customers or reports on sent ones, each with Infobip's own id.
//!
//! Bodies: www.infobip.com/docs/api, "Receive WhatsApp inbound messages" and "Receive WhatsApp delivery reports". How
//! a request is signed is not documented; routes use the authentication of the subscription.

use piperoll_format::Kind;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::document::{self, extended, id, member, object, string, text, without};
use crate::item::Split;
use crate::sender::Sender;
use crate::whatsapp::json;
use crate::whatsapp::{Reading, Translation, contact_entry, media};

/// Finds the items of a delivery, one for each result.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    Reading::split(read(body), body)
}

pub(crate) fn read_slice(slice: &[u8]) -> Option<Translation> {
    read_result(&document::read(slice)?)
}

json::object! {
    /// A whole body.
    Page {
        results = "results": Vec<&'de RawValue>,
    } impersonal ["messageCount", "pendingMessageCount"]
}

pub(crate) fn read(body: &[u8]) -> Option<Reading<'_>> {
    let body = std::str::from_utf8(body).ok()?;
    let page: Page<'_> = serde_json::from_str(body).ok()?;
    let mut facts = Vec::new();
    for raw in page.results? {
        let result = document::read(raw.get().as_bytes())?;
        let unreadable = || Translation::new(Kind::WhatsappOther, Value::Null);
        facts.push((read_result(&result).unwrap_or_else(unreadable), json::range_in(body, raw)));
    }
    Some(Reading { facts, rest: page.others })
}

fn own_id(id: &str) -> Value {
    Value::from(Sender::Infobip.id(id))
}

fn read_result(result: &Value) -> Option<Translation> {
    let message_id = text(result, "messageId").map(own_id);
    let channel = text(result, "integrationType").or_else(|| text(result, "channel"));
    let is_whatsapp = channel.is_none_or(|channel| channel.eq_ignore_ascii_case("whatsapp"));
    if let Some(message) = result.get("message").filter(|message| is_whatsapp && message.is_object()) {
        return Some(read_message(result, message_id, message).on_phone(text(result, "to")));
    }
    if is_whatsapp && (result.get("status").is_some() || result.get("seenAt").is_some()) {
        let business = text(result, "sender").or_else(|| text(result, "from"));
        return Some(read_status(result, message_id).on_phone(business));
    }
    let time = id(result, "receivedAt").or_else(|| id(result, "doneAt"));
    let head = [("id", message_id), ("wa_id", member(result, "from")), ("timestamp", time.map(Value::from))];
    result.is_object().then(|| {
        let others = without(result, &["from", "messageId", "price", "receivedAt", "to"]);
        Translation::new(Kind::WhatsappOther, extended(others, head))
    })
}

fn read_message(result: &Value, message_id: Option<Value>, message: &Value) -> Translation {
    let contact = result.get("contact");
    let user_id = contact.and_then(|contact| member(contact, "userId"));
    let phone = member(result, "from");
    let replied = message.get("context").and_then(|context| text(context, "id"));
    let infobip_type = text(message, "type").unwrap_or_default().to_lowercase();
    let (content_type, content) = content(&infobip_type, message);
    let head = [
        // First, so that an odd type cannot take the place of what follows.
        (content_type, Some(content)),
        ("id", message_id),
        ("from", phone.clone()),
        ("from_user_id", user_id.clone()),
        ("timestamp", member(result, "receivedAt")),
        ("type", (!content_type.is_empty()).then(|| Value::from(content_type))),
        ("context", replied.map(|id| object([("id", Some(own_id(id)))]))),
    ];
    let mut fact = Translation::new(Kind::WhatsappMessage, object(head));
    let profile = contact.map(|contact| {
        object([("name", member(contact, "name")), ("username", member(contact, "username"))])
    });
    fact.contact = contact_entry(phone, user_id, profile);
    fact
}

/// Returns the type and the content of a message in Meta's words.
fn content<'t>(infobip_type: &'t str, message: &Value) -> (&'t str, Value) {
    let others = Value::Object(without(message, &["context", "identity", "referral", "type"]));
    match infobip_type {
        "text" => ("text", object([("body", member(message, "text"))])),
        "image" | "video" | "audio" | "voice" | "document" | "sticker" => {
            let media = media(
                member(message, "url"),
                member(message, "contentType"),
                member(message, "filename"),
                member(message, "caption"),
            );
            (infobip_type, media)
        }
        "contact" => ("contacts", member(message, "contacts").unwrap_or_default()),
        "interactive_button_reply" => ("interactive", object([("button_reply", Some(others))])),
        "interactive_list_reply" => ("interactive", object([("list_reply", Some(others))])),
        "reaction" => {
            let target = text(message, "messageId").map(own_id);
            ("reaction", object([("message_id", target), ("emoji", member(message, "emoji"))]))
        }
        _ => (infobip_type, others),
    }
}

/// Reads a report on a sent message: that it arrived, was seen, or failed.
fn read_status(result: &Value, message_id: Option<Value>) -> Translation {
    let seen_at = id(result, "seenAt");
    let state = result.get("status").and_then(|status| string(status, "groupName"));
    let state = state.map(|state| state.to_lowercase());
    let time = seen_at.clone().or_else(|| id(result, "doneAt")).or_else(|| id(result, "sentAt"));
    // Error 0 says that there is none.
    let error = result.get("error").filter(|error| error.get("id").and_then(Value::as_i64) != Some(0));
    let error = error.map(|error| {
        let description = member(error, "description").or_else(|| member(error, "name"));
        object([("code", member(error, "id")), ("message", description)])
    });
    let element = object([
        ("id", message_id),
        ("status", seen_at.map(|_| "read".to_owned()).or(state).map(Value::from)),
        ("timestamp", time.map(Value::from)),
        ("recipient_id", member(result, "to")),
        ("errors", error),
    ]);
    Translation::new(Kind::WhatsappStatus, element)
}

#[cfg(test)]
pub(crate) mod tests;
