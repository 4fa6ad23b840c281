//! Vonage: one message or one state a request, translated from Meta's by Vonage, with its own ids.
//!
//! Bodies: developer.vonage.com, "Messages API". Signature: "Signed webhooks", a JSON Web Token with the digest of the
//! body among its claims. Only HS256 is taken, and checked here, so that no token can choose another algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use piperoll_format::Kind;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::document::{self, at, extended, id, member, object, text, without};
use crate::item::Split;
use crate::sender::Sender;
use crate::signature::{AppSecret, HmacSha256, SignatureError, Verified, digest_from_hex, find_secret};
use crate::whatsapp::{Reading, Translation, contact_entry, media};

/// The header that carries the token of a delivery.
pub const SIGNATURE_HEADER: &str = "authorization";

const SCHEME: &str = "bearer ";

/// Checks the token of a request: HMAC-SHA256 over its first two parts, and its claim `payload_hash` over `body`.
/// The time of issue is handed on.
///
/// # Errors
/// [`SignatureError::ForeignBody`] also where the claim is missing; else see [`SignatureError`].
pub fn verify<'s>(
    header: Option<&str>,
    body: &[u8],
    secrets: &'s [AppSecret],
) -> Result<Verified<'s>, SignatureError> {
    let malformed = SignatureError::Malformed {
        header: SIGNATURE_HEADER,
        expected: "`Bearer` and a token signed with HS256",
    };
    let header = header.ok_or(SignatureError::Missing { header: SIGNATURE_HEADER })?.trim();
    let (scheme, token) = header.split_at_checked(SCHEME.len()).ok_or(malformed)?;
    let (signed, signature) = token.trim().rsplit_once('.').ok_or(malformed)?;
    let (head, claims) = signed.split_once('.').ok_or(malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed);
    let head = document::read(&decode(head)?).ok_or(malformed)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) || text(&head, "alg") != Some("HS256") {
        return Err(malformed);
    }
    let key_id = find_secret::<HmacSha256>(secrets, &[signed.as_bytes()], &decode(signature)?)?;
    let claims = document::read(&decode(claims)?).ok_or(malformed)?;
    let digest =
        text(&claims, "payload_hash").and_then(digest_from_hex).ok_or(SignatureError::ForeignBody)?;
    if !bool::from(digest.ct_eq(&Sha256::digest(body))) {
        return Err(SignatureError::ForeignBody);
    }
    Ok(Verified { key_id, signed_at: claims.get("iat").and_then(Value::as_i64) })
}

/// Finds the item of a delivery.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    Reading::split(read(body), body)
}

pub(crate) fn read(body: &[u8]) -> Option<Reading<'_>> {
    let event = document::read(body)?;
    let message_id = text(&event, "message_uuid").map(own_id)?;
    let is_whatsapp = text(&event, "channel").is_none_or(|channel| channel == "whatsapp");
    let fact = if is_whatsapp && event.get("status").is_some() {
        read_status(&event, message_id)
    } else if is_whatsapp && event.get("message_type").is_some() {
        read_message(&event, message_id)
    } else {
        let others = without(&event, &["from", "message_uuid", "to"]);
        let head = [("id", Some(message_id)), ("wa_id", phone(&event, "from"))];
        Translation::new(Kind::WhatsappOther, extended(others, head))
    };
    Some(Reading::whole(body, fact))
}

fn own_id(id: &str) -> Value {
    Value::from(Sender::Vonage.id(id))
}

/// Returns the number at `key`, written as a text or, in the first version of the interface, in an object.
fn phone(event: &Value, key: &str) -> Option<Value> {
    id(event, key).or_else(|| id(event.get(key)?, "number")).map(Value::from)
}

fn read_message(event: &Value, message_id: Value) -> Translation {
    let from = phone(event, "from");
    let profile = member(event, "profile");
    let user_ids = [["whatsapp", "sender", "user_id"], ["whatsapp", "from", "user_id"]];
    let user_id = user_ids.iter().find_map(|path| at(event, path)).cloned();
    let vonage_type = text(event, "message_type").unwrap_or_default();
    let replied = at(event, &["context", "message_uuid"]).and_then(Value::as_str).map(own_id);
    let (content_type, content) = content(vonage_type, event, replied.clone());
    let replied = replied.filter(|_| content_type != "reaction");
    let element = object([
        // First, so that an odd type cannot take the place of what follows.
        (content_type, Some(content)),
        ("id", Some(message_id)),
        ("from", from.clone()),
        ("from_user_id", user_id.clone()),
        ("timestamp", member(event, "timestamp")),
        ("type", (!content_type.is_empty()).then(|| Value::from(content_type))),
        ("context", replied.map(|id| object([("id", Some(id))]))),
        ("referral", at(event, &["whatsapp", "referral"]).cloned()),
    ]);
    let business = phone(event, "to");
    let mut fact = Translation::new(Kind::WhatsappMessage, element);
    fact = fact.on_phone(business.as_ref().and_then(Value::as_str));
    fact.contact = contact_entry(from, user_id, profile);
    fact
}

/// Returns the type and the content of a message in Meta's words.
fn content<'t>(vonage_type: &'t str, event: &Value, replied: Option<Value>) -> (&'t str, Value) {
    let inner = event.get(vonage_type).unwrap_or(&Value::Null);
    match vonage_type {
        "text" => ("text", object([("body", Some(inner.clone()))])),
        "image" | "video" | "audio" | "sticker" | "file" => {
            let media = media(member(inner, "url"), None, member(inner, "name"), member(inner, "caption"));
            (if vonage_type == "file" { "document" } else { vonage_type }, media)
        }
        "reply" => ("interactive", object([("list_reply", Some(inner.clone()))])),
        "reaction" => {
            let emoji = member(inner, "emoji").filter(|_| text(inner, "action") != Some("unreact"));
            ("reaction", object([("message_id", replied), ("emoji", emoji)]))
        }
        "contact" => ("contacts", inner.get("contacts").unwrap_or(inner).clone()),
        _ => (vonage_type, inner.clone()),
    }
}

fn read_status(event: &Value, message_id: Value) -> Translation {
    let error = event.get("error").map(|error| {
        // The code is the title in some versions and the end of the address of its description in others.
        let address = text(error, "type").and_then(|address| address.rsplit_once(['#', '/']));
        let code = id(error, "title").and_then(|title| title.parse::<i64>().ok());
        let code = code.or_else(|| address?.1.parse().ok());
        object([("code", code.map(Value::from)), ("message", member(error, "detail"))])
    });
    let element = object([
        ("id", Some(message_id)),
        ("status", member(event, "status")),
        ("timestamp", member(event, "timestamp")),
        ("recipient_id", phone(event, "to")),
        ("recipient_user_id", at(event, &["whatsapp", "recipient", "user_id"]).cloned()),
        ("errors", error),
    ]);
    let business = phone(event, "from");
    let mut fact = Translation::new(Kind::WhatsappStatus, element);
    fact = fact.on_phone(business.as_ref().and_then(Value::as_str));
    fact.account = at(event, &["whatsapp"]).and_then(|whatsapp| id(whatsapp, "waba_id"));
    fact
}

#[cfg(test)]
pub(crate) mod tests;
