//! Bird (formerly `MessageBird`): one event a request; what was sent comes again with each change of its state.
//!
//! Events and signature: docs.bird.com, "Channels API" and "Verifying webhook subscriptions".

use piperoll_format::Kind;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::document::{self, at, extended, id, member, object, text, without};
use crate::item::Split;
use crate::sender::Sender;
use crate::signature::{AppSecret, HmacSha256, SignatureError, Verified, find_secret, mac_from_base64};
use crate::whatsapp::{Reading, Translation, contact_entry, content_type_of, media};

/// The header that carries the signature of a delivery.
pub const SIGNATURE_HEADER: &str = "messagebird-signature";
/// The header that carries the time that the signature covers.
pub const TIMESTAMP_HEADER: &str = "messagebird-request-timestamp";

/// Checks the signature of a request: HMAC-SHA256 over the time, the address and the SHA-256 of the body, parted by
/// line feeds. `url` is the address that Bird was given. The time is handed on.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify<'s>(
    signature: Option<&str>,
    timestamp: Option<&str>,
    url: &str,
    body: &[u8],
    secrets: &'s [AppSecret],
) -> Result<Verified<'s>, SignatureError> {
    let claimed = mac_from_base64(SIGNATURE_HEADER, signature)?;
    let time = timestamp.ok_or(SignatureError::Missing { header: TIMESTAMP_HEADER })?;
    let malformed = SignatureError::Malformed { header: TIMESTAMP_HEADER, expected: "seconds" };
    let signed_at = time.parse().map_err(|_| malformed)?;
    let digest = Sha256::digest(body);
    let message = [time.as_bytes(), b"\n", url.as_bytes(), b"\n", &digest];
    let key_id = find_secret::<HmacSha256>(secrets, &message, &claimed)?;
    Ok(Verified { key_id, signed_at: Some(signed_at) })
}

/// Finds the item of a delivery.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    Reading::split(read(body), body)
}

pub(crate) fn read(body: &[u8]) -> Option<Reading<'_>> {
    let event = document::read(body)?;
    let service = text(&event, "service")?;
    let name = text(&event, "event")?;
    let payload = event.get("payload").filter(|payload| payload.is_object())?;
    let fact = match (service, name) {
        ("channels", "whatsapp.inbound") => read_message(payload),
        ("channels", "whatsapp.outbound" | "whatsapp.interaction") => read_status(payload),
        _ => {
            let head = [
                ("id", text(payload, "id").map(own_id)),
                ("event", Some(Value::from(name))),
                ("timestamp", member(payload, "createdAt")),
            ];
            Translation::new(Kind::WhatsappOther, extended(without(payload, &["id"]), head))
        }
    };
    Some(Reading::whole(body, fact))
}

fn own_id(id: &str) -> Value {
    Value::from(Sender::Bird.id(id))
}

/// Returns the wamid if WhatsApp has given one, else Bird's id.
fn message_id(payload: &Value) -> Option<Value> {
    let wamid = at(payload, &["parts", "0", "platformReference"]).and_then(Value::as_str);
    let wamid = wamid.filter(|id| id.starts_with("wamid."));
    wamid.or_else(|| text(payload, "messageId")).or_else(|| text(payload, "id")).map(own_id)
}

/// Names the business by its number, or by Bird's channel where the number is left out.
fn on_channel(mut fact: Translation, payload: &Value, side: &str) -> Translation {
    fact = fact.on_phone(at(payload, &[side, "connector", "identifierValue"]).and_then(Value::as_str));
    fact.number = fact.number.or_else(|| id(payload, "channelId"));
    fact
}

/// Returns the identity of a contact and its name, as phone number, user id and profile.
fn person(contact: Option<&Value>) -> [Option<Value>; 3] {
    let Some(contact) = contact else { return [None, None, None] };
    let value = member(contact, "identifierValue");
    let is_phone = text(contact, "identifierKey").is_none_or(|key| key == "phonenumber");
    let name = at(contact, &["annotations", "name"]).cloned().map(|name| object([("name", Some(name))]));
    if is_phone { [value, None, name] } else { [None, value, name] }
}

fn read_message(payload: &Value) -> Translation {
    let [phone, user_id, profile] = person(at(payload, &["sender", "contact"]));
    let sent_at = at(payload, &["meta", "extraInformation", "timestamp"]).cloned();
    let replied = at(payload, &["replyTo", "id"]).or_else(|| at(payload, &["meta", "reply", "id"]));
    let (content_type, content) = content(payload.get("body").unwrap_or(&Value::Null));
    let element = object([
        // First, so that an odd type cannot take the place of what follows.
        (content_type, Some(content)),
        ("id", message_id(payload)),
        ("from", phone.clone()),
        ("from_user_id", user_id.clone()),
        ("timestamp", sent_at.or_else(|| member(payload, "createdAt"))),
        ("type", (!content_type.is_empty()).then(|| Value::from(content_type))),
        ("context", replied.and_then(Value::as_str).map(|id| object([("id", Some(own_id(id)))]))),
    ]);
    let mut fact = Translation::new(Kind::WhatsappMessage, element);
    fact.contact = contact_entry(phone, user_id, profile);
    on_channel(fact, payload, "receiver")
}

/// Reads the state of a sent message. The message comes along.
fn read_status(payload: &Value) -> Translation {
    let contact =
        at(payload, &["receiver", "contacts", "0"]).or_else(|| at(payload, &["receiver", "contact"]));
    let [phone, user_id, profile] = person(contact);
    let time = ["lastStatusAt", "updatedAt", "createdAt"].iter().find_map(|key| member(payload, key));
    let reason = text(payload, "reason").map(|reason| object([("message", Some(Value::from(reason)))]));
    let element = object([
        ("id", message_id(payload)),
        ("status", member(payload, "status").or_else(|| member(payload, "type"))),
        ("timestamp", time),
        ("recipient_id", phone.clone()),
        ("recipient_user_id", user_id.clone()),
        ("errors", reason),
    ]);
    let mut fact = Translation::new(Kind::WhatsappStatus, element);
    fact.content = payload.get("body").map(|body| {
        let (content_type, content) = content(body);
        object([(content_type, Some(content))])
    });
    fact.contact = contact_entry(phone, user_id, profile);
    on_channel(fact, payload, "sender")
}

/// Returns the type and the content of a message in Meta's words.
fn content(body: &Value) -> (&str, Value) {
    let bird_type = text(body, "type").unwrap_or_default();
    let inner = body.get(bird_type).unwrap_or(&Value::Null);
    match bird_type {
        "text" => ("text", object([("body", member(inner, "text"))])),
        "image" => {
            let address = at(inner, &["images", "0", "mediaUrl"]).or_else(|| inner.get("url")).cloned();
            ("image", media(address, None, None, member(inner, "text")))
        }
        "file" => {
            let file = at(inner, &["files", "0"]).unwrap_or(inner);
            let mime_type = text(file, "contentType").unwrap_or_default();
            let media = media(
                member(file, "mediaUrl"),
                member(file, "contentType"),
                member(file, "filename"),
                member(inner, "text"),
            );
            (content_type_of(mime_type), media)
        }
        _ => (bird_type, inner.clone()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
