//! Twilio: a form of parameters for each message and each change of a status, with Twilio's own ids and no time.
//!
//! Parameters and signature: www.twilio.com/docs, "WhatsApp", "Message status callbacks" and "Webhooks security".
//! The parameters grow; the signature covers whatever came.

use std::borrow::Cow;

use hmac::Hmac;
use piperoll_format::Kind;
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::document::{extended, member, object, text, without};
use crate::item::Split;
use crate::sender::Sender;
use crate::signature::{AppSecret, SignatureError, Verified, digest_from_hex, find_secret, mac_from_base64};
use crate::whatsapp::{Reading, Translation, contact_entry, content_type_of, media};

/// The header that carries the signature of a delivery.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// Checks the signature of a request: HMAC-SHA1 with the account's token over the address and the sorted parameters.
///
/// `url` is the address that Twilio was given, with scheme, host and query. A body that is no form is covered by
/// its digest in the query parameter `bodySHA256`. Twilio leaves a port out of some addresses, so an address with
/// one is also tried without.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify<'s>(
    header: Option<&str>,
    url: &str,
    body: &[u8],
    secrets: &'s [AppSecret],
) -> Result<Verified<'s>, SignatureError> {
    let claimed = mac_from_base64(SIGNATURE_HEADER, header)?;
    let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let digest = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "bodySHA256");
    let parameters = match digest {
        Some((_, digest)) => {
            let digest = digest_from_hex(&digest).ok_or(SignatureError::ForeignBody)?;
            if !bool::from(digest.ct_eq(&Sha256::digest(body))) {
                return Err(SignatureError::ForeignBody);
            }
            Vec::new()
        }
        None => sorted_parameters(body),
    };
    let matches = |url: &str| {
        let mut message = vec![url.as_bytes()];
        message.extend(parameters.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]));
        find_secret::<Hmac<Sha1>>(secrets, &message, &claimed)
    };
    let key_id = matches(url).or_else(|mismatch| matches(&without_port(url).ok_or(mismatch)?))?;
    Ok(Verified { key_id, signed_at: None })
}

fn sorted_parameters(body: &[u8]) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let mut parameters: Vec<_> = form_urlencoded::parse(body).collect();
    parameters.sort_unstable();
    parameters.dedup();
    parameters
}

/// Returns an address without its port; `None` if it has none.
fn without_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, port) = rest[..end].rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_port.then(|| [scheme, "://", host, &rest[end..]].concat())
}

/// Finds the item of a delivery.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    Reading::split(read(body), body)
}

/// Reads a form as an object of strings; `None` if a parameter stands twice.
fn read_form(body: &[u8]) -> Option<Value> {
    let mut form = Map::new();
    for (key, value) in form_urlencoded::parse(body) {
        if form.insert(key.into_owned(), Value::from(value)).is_some() {
            return None;
        }
    }
    Some(Value::Object(form))
}

pub(crate) fn read(body: &[u8]) -> Option<Reading<'_>> {
    let form = read_form(body)?;
    let sid = ["MessageSid", "SmsMessageSid", "SmsSid"].iter().find_map(|key| text(&form, key))?;
    let id = Some(Value::from(Sender::Twilio.id(sid)));
    let (from, to) = (text(&form, "From"), text(&form, "To"));
    let status = text(&form, "MessageStatus").or_else(|| text(&form, "SmsStatus"));
    let status = status.filter(|status| *status != "received");
    let is_whatsapp = [from, to].iter().flatten().any(|address| address.starts_with(CHANNEL));
    let fact = match status {
        _ if !is_whatsapp => {
            let person = Person::new(if status.is_some() { to? } else { from? });
            let body = member(&form, "Body");
            let head = [("id", id), ("wa_id", person.phone), ("user_id", person.user_id), ("body", body)];
            Translation::new(Kind::WhatsappOther, object(head))
        }
        Some(status) => read_status(&form, id, status, to?).on_phone(from),
        None => read_message(&form, id, from?).on_phone(to),
    };
    Some(Reading::whole(body, fact))
}

const CHANNEL: &str = "whatsapp:";

/// A person as an address names them, by number or by business-scoped user id.
struct Person {
    phone: Option<Value>,
    user_id: Option<Value>,
}

impl Person {
    fn new(address: &str) -> Self {
        let address = address.strip_prefix(CHANNEL).unwrap_or(address);
        let is_phone = !address.starts_with(|first: char| first.is_ascii_alphabetic());
        let value = Some(Value::from(address));
        if is_phone { Self { phone: value, user_id: None } } else { Self { phone: None, user_id: value } }
    }
}

fn read_status(form: &Value, id: Option<Value>, status: &str, to: &str) -> Translation {
    let person = Person::new(to);
    let code = text(form, "ErrorCode").and_then(|code| code.parse::<i64>().ok());
    let error = code.map(|code| {
        let said = member(form, "ErrorMessage").or_else(|| member(form, "ChannelStatusMessage"));
        object([("code", Some(Value::from(code))), ("message", said)])
    });
    let element = object([
        ("id", id),
        ("status", Some(Value::from(status))),
        ("recipient_id", person.phone),
        ("recipient_user_id", person.user_id.or_else(|| user_id(form))),
        ("errors", error),
    ]);
    Translation::new(Kind::WhatsappStatus, element)
}

fn user_id(form: &Value) -> Option<Value> {
    let id = text(form, "ExternalUserId")?;
    Some(Value::from(id.strip_prefix(CHANNEL).unwrap_or(id)))
}

/// What Twilio writes beside the content of a message, and content that is put into Meta's words.
const ENVELOPE: [&str; 49] = [
    "AccountSid",
    "Address",
    "ApiVersion",
    "Body",
    "ButtonPayload",
    "ButtonText",
    "ChannelInstallSid",
    "ChannelMetadata",
    "ChannelPrefix",
    "ChannelStatusMessage",
    "ChannelToAddress",
    "ErrorCode",
    "ErrorMessage",
    "EventType",
    "ExternalUserId",
    "Forwarded",
    "FrequentlyForwarded",
    "From",
    "Label",
    "Latitude",
    "ListId",
    "ListTitle",
    "Longitude",
    "MediaContentType0",
    "MediaUrl0",
    "MessageSid",
    "MessageStatus",
    "MessageType",
    "MessagingServiceSid",
    "NumMedia",
    "NumSegments",
    "OriginalRepliedMessageSender",
    "OriginalRepliedMessageSid",
    "ProfileName",
    "ReferralBody",
    "ReferralCtwaClid",
    "ReferralHeadline",
    "ReferralMediaContentType",
    "ReferralMediaId",
    "ReferralMediaUrl",
    "ReferralNumMedia",
    "ReferralSourceId",
    "ReferralSourceType",
    "ReferralSourceUrl",
    "SmsMessageSid",
    "SmsSid",
    "SmsStatus",
    "To",
    "WaId",
];

fn read_message(form: &Value, id: Option<Value>, from: &str) -> Translation {
    let person = Person::new(from);
    let user_id = person.user_id.or_else(|| user_id(form));
    let phone = person.phone.or_else(|| member(form, "WaId"));
    let replied = text(form, "OriginalRepliedMessageSid").map(|sid| Value::from(Sender::Twilio.id(sid)));
    let (content_type, content) = content(form);
    let headline = text(form, "ReferralHeadline").or_else(|| text(form, "ReferralBody"));
    let referral = headline.map(|_| {
        object([("headline", member(form, "ReferralHeadline")), ("body", member(form, "ReferralBody"))])
    });
    let head = [
        ("id", id),
        ("from", phone.clone()),
        ("from_user_id", user_id.clone()),
        ("type", Some(Value::from(content_type))),
        (content_type, Some(content)),
        ("context", replied.map(|id| object([("id", Some(id))]))),
        ("referral", referral),
    ];
    let mut fact = Translation::new(Kind::WhatsappMessage, extended(without(form, &ENVELOPE), head));
    let profile = member(form, "ProfileName").map(|name| object([("name", Some(name))]));
    fact.contact = contact_entry(phone, user_id, profile);
    fact
}

/// Returns the type and the content of a message in Meta's words.
fn content(form: &Value) -> (&'static str, Value) {
    let body = member(form, "Body");
    if let Some(url) = text(form, "MediaUrl0") {
        let mime_type = text(form, "MediaContentType0");
        let media = media(Some(Value::from(url)), mime_type.map(Value::from), None, body);
        return (content_type_of(mime_type.unwrap_or_default()), media);
    }
    if form.get("Latitude").is_some() {
        let place = [
            ("latitude", member(form, "Latitude")),
            ("longitude", member(form, "Longitude")),
            ("name", member(form, "Label").or(body)),
            ("address", member(form, "Address")),
        ];
        return ("location", object(place));
    }
    if form.get("ListId").is_some() {
        let title = member(form, "ListTitle").or(body);
        let reply = object([("id", member(form, "ListId")), ("title", title)]);
        return ("interactive", object([("list_reply", Some(reply))]));
    }
    if form.get("ButtonPayload").is_some() || form.get("ButtonText").is_some() {
        let title = member(form, "ButtonText").or(body);
        return ("button", object([("payload", member(form, "ButtonPayload")), ("text", title)]));
    }
    ("text", object([("body", body)]))
}

#[cfg(test)]
pub(crate) mod tests;
