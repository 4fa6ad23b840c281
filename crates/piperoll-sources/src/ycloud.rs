//! `YCloud`: one event a request; messages in Meta's words, what surrounds them in words of its own.
//!
//! Bodies and signature: docs.ycloud.com, "Webhook reference" and "Configure webhooks".

use piperoll_format::Kind;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::document::{self, at, extended, id, member, object, string, text, without};
use crate::item::Split;
use crate::message::Origin;
use crate::sender::Sender;
use crate::signature::{AppSecret, HmacSha256, SignatureError, Verified, digest_from_hex, find_secret};
use crate::whatsapp::json;
use crate::whatsapp::{Reading, Translation, contact_entry};

/// The header that carries the signature of a delivery.
pub const SIGNATURE_HEADER: &str = "ycloud-signature";

/// Checks the signature of `body`: HMAC-SHA256 over the time, a dot and the body. The time is handed on.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify<'s>(
    header: Option<&str>,
    body: &[u8],
    secrets: &'s [AppSecret],
) -> Result<Verified<'s>, SignatureError> {
    let expected = "`t=` and seconds, `s=` and 64 hexadecimal digits, parted by a comma";
    let malformed = SignatureError::Malformed { header: SIGNATURE_HEADER, expected };
    let header = header.ok_or(SignatureError::Missing { header: SIGNATURE_HEADER })?;
    let part = |name: &str| {
        let mut parts = header.split(',').filter_map(|part| part.trim().split_once('='));
        parts.find(|(key, _)| *key == name).map(|(_, value)| value).ok_or(malformed)
    };
    let time = part("t")?;
    let signed_at = time.parse().map_err(|_| malformed)?;
    let claimed = digest_from_hex(part("s")?).ok_or(malformed)?;
    let key_id = find_secret::<HmacSha256>(secrets, &[time.as_bytes(), b".", body], &claimed)?;
    Ok(Verified { key_id, signed_at: Some(signed_at) })
}

/// Finds the item of a delivery, or the items of a contact synchronisation.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    Reading::split(read(body), body)
}

pub(crate) fn read_slice(slice: &[u8]) -> Option<Translation> {
    read_contact(&document::read(slice)?)
}

pub(crate) fn read(body: &[u8]) -> Option<Reading<'_>> {
    let event = document::read(body)?;
    let name = text(&event, "type").filter(|_| event.get("id").is_some())?;
    let inbound = event.get("whatsappInboundMessage");
    let ours = event.get("whatsappMessage");
    let fact = match (name, inbound, ours) {
        ("whatsapp.smb.app.state.sync", ..) => {
            return Some(
                read_sync(body, &event).unwrap_or_else(|| Reading::whole(body, read_rest(name, &event))),
            );
        }
        ("whatsapp.inbound_message.received", Some(message), _) => {
            read_inbound(Kind::WhatsappMessage, message, &event)
        }
        ("whatsapp.smb.history", Some(message), _) => read_inbound(Kind::WhatsappHistory, message, &event),
        ("whatsapp.smb.history", _, Some(message)) => read_ours(Kind::WhatsappHistory, message, &event),
        ("whatsapp.smb.message.echoes", _, Some(message)) => read_ours(Kind::WhatsappEcho, message, &event),
        ("whatsapp.echo_message.created", _, Some(message)) => {
            let fact = read_ours(Kind::WhatsappEcho, message, &event);
            Translation { origin: Some(Origin::Api), ..fact }
        }
        ("whatsapp.message.updated" | "whatsapp.echo_message.updated", _, Some(message)) => {
            read_status(message, &event)
        }
        ("whatsapp.user.preferences", ..) if event.get("whatsappUserPreference").is_some() => {
            read_preference(&event["whatsappUserPreference"], &event)
        }
        _ if name.starts_with("contact.unsubscribe.") => read_unsubscription(name, &event),
        _ => read_rest(name, &event),
    };
    Some(Reading::whole(body, fact))
}

/// What the sender writes beside the content of a message.
const ENVELOPE: [&str; 34] = [
    "bizType",
    "conversation",
    "createTime",
    "currency",
    "customerProfile",
    "deliverTime",
    "errorCode",
    "errorMessage",
    "externalId",
    "from",
    "fromParentUserId",
    "fromUserId",
    "id",
    "parentRecipientUserId",
    "phoneNumberId",
    "pricingCategory",
    "pricingModel",
    "pricingType",
    "readTime",
    "recipientUserId",
    "regionCode",
    "sendTime",
    "status",
    "to",
    "toParentUserId",
    "toUserId",
    "totalPrice",
    "updateTime",
    "verificationId",
    "wabaId",
    "wamid",
    "whatsappApiError",
    "recipientIdentityKeyHash",
    "senderId",
];

/// Returns a message's wamid, else the sender's id of it.
fn message_id(message: &Value) -> Option<Value> {
    let id = string(message, "wamid").or_else(|| Some(Sender::YCloud.id(text(message, "id")?)));
    id.map(Value::from)
}

/// Returns the first time that is there, else that of the event.
fn time(message: &Value, keys: &[&str], event: &Value) -> Option<Value> {
    let time = keys.iter().find_map(|key| id(message, key));
    time.or_else(|| id(event, "createTime")).map(Value::from)
}

fn read_inbound(kind: Kind, message: &Value, event: &Value) -> Translation {
    let (phone, user_id) = (member(message, "from"), member(message, "fromUserId"));
    let head = [
        ("id", message_id(message)),
        ("from", phone.clone()),
        ("from_user_id", user_id.clone()),
        ("timestamp", time(message, &["sendTime"], event)),
    ];
    let mut fact =
        Translation::new(kind, extended(without(message, &ENVELOPE), head)).on_phone(text(message, "to"));
    fact.contact = contact_entry(phone, user_id, member(message, "customerProfile"));
    fact.account = id(message, "wabaId");
    fact
}

fn read_ours(kind: Kind, message: &Value, event: &Value) -> Translation {
    let phone = member(message, "to");
    let user_id = member(message, "toUserId").or_else(|| member(message, "recipientUserId"));
    let is_history = kind == Kind::WhatsappHistory;
    let head = [
        ("id", message_id(message)),
        ("from", member(message, "from")),
        ("to", phone.clone()),
        ("to_user_id", user_id.clone()),
        ("timestamp", time(message, &["sendTime", "createTime"], event)),
        ("history_context", is_history.then(|| object([("from_me", Some(Value::Bool(true)))]))),
    ];
    let mut fact =
        Translation::new(kind, extended(without(message, &ENVELOPE), head)).on_phone(text(message, "from"));
    fact.contact = contact_entry(phone, user_id, member(message, "customerProfile"));
    fact.account = id(message, "wabaId");
    fact
}

/// Reads the state of a sent message. The message comes along, with its text or template.
fn read_status(message: &Value, event: &Value) -> Translation {
    let times: &[&str] = match text(message, "status") {
        Some("read") => &["readTime", "updateTime"],
        Some("delivered") => &["deliverTime", "updateTime"],
        Some("sent") => &["sendTime", "updateTime"],
        _ => &["updateTime"],
    };
    let phone = member(message, "to");
    let user_id = member(message, "recipientUserId").or_else(|| member(message, "toUserId"));
    let element = object([
        ("id", message_id(message)),
        ("status", member(message, "status")),
        ("timestamp", time(message, times, event)),
        ("recipient_id", phone.clone()),
        ("recipient_user_id", user_id.clone()),
        ("errors", errors(message)),
    ]);
    let mut fact = Translation::new(Kind::WhatsappStatus, element).on_phone(text(message, "from"));
    fact.content = Some(Value::Object(without(message, &ENVELOPE)));
    fact.contact = contact_entry(phone, user_id, member(message, "customerProfile"));
    fact.account = id(message, "wabaId");
    fact
}

/// Returns WhatsApp's own error if there is one, else the sender's.
fn errors(message: &Value) -> Option<Value> {
    let native = member(message, "whatsappApiError").filter(Value::is_object);
    native.or_else(|| {
        let code = id(message, "errorCode")?.parse::<i64>().ok();
        Some(object([("code", code.map(Value::from)), ("message", member(message, "errorMessage"))]))
    })
}

fn read_preference(preference: &Value, event: &Value) -> Translation {
    let phone = member(preference, "contactPhoneNumber");
    let user_id = member(preference, "contactUserId").or_else(|| member(preference, "userId"));
    let element = object([
        ("wa_id", phone.clone()),
        ("user_id", user_id.clone()),
        ("category", member(preference, "category")),
        ("value", member(preference, "value")),
        ("detail", member(preference, "detail")),
        ("timestamp", time(preference, &["timestamp"], event)),
    ]);
    let business = text(preference, "businessPhoneNumber");
    let mut fact = Translation::new(Kind::WhatsappPreference, element).on_phone(business);
    let name = member(preference, "contactName").map(|name| object([("name", Some(name))]));
    fact.contact = contact_entry(phone, user_id, name);
    fact.account = id(preference, "wabaId");
    fact
}

/// Reads that a person left the sender's list of recipients, or is on it again.
fn read_unsubscription(name: &str, event: &Value) -> Translation {
    let Some(entry) = event.get("contactUnsubscribe") else { return read_rest(name, event) };
    if text(entry, "channel").is_some_and(|channel| !channel.eq_ignore_ascii_case("whatsapp")) {
        return read_rest(name, event);
    }
    let element = object([
        ("wa_id", member(entry, "customer").or_else(|| member(entry, "phoneNumber"))),
        ("category", member(entry, "channel")),
        ("value", name.strip_prefix("contact.").map(Value::from)),
        ("detail", member(entry, "source")),
        ("timestamp", time(entry, &["createTime"], event)),
    ]);
    Translation::new(Kind::WhatsappPreference, element)
}

/// Reads an event about a template, an account, a flow, a payment, or anything else.
fn read_rest(name: &str, event: &Value) -> Translation {
    const PEOPLE: [[&str; 2]; 4] = [
        ["contact", "phoneNumber"],
        ["contactUnsubscribe", "customer"],
        ["smsInbound", "from"],
        ["smsMessage", "to"],
    ];
    let kind = kind_of(name);
    let payload =
        event.as_object().into_iter().flat_map(|event| event.values()).find(|value| value.is_object());
    let mut element = without(event, &["apiVersion", "createTime", "id", "type"]);
    let event_id = id(event, "id").map(|id| Sender::YCloud.id(&id));
    let template = payload.filter(|_| kind == Kind::WhatsappTemplate);
    let status = template.and_then(|template| string(template, "status"));
    for (key, value) in [
        ("id", event_id),
        ("event", Some(status.unwrap_or_else(|| name.to_owned()))),
        ("timestamp", id(event, "createTime")),
        ("wa_id", PEOPLE.iter().find_map(|path| at(event, path)?.as_str()).map(str::to_owned)),
        ("message_template_name", template.and_then(|template| string(template, "name"))),
        ("message_template_language", template.and_then(|template| string(template, "language"))),
        ("message_template_id", template.and_then(|template| id(template, "officialTemplateId"))),
    ] {
        element.extend(value.map(|value| (key.to_owned(), Value::from(value))));
    }
    let business = payload.and_then(|payload| text(payload, "phoneNumber"));
    let business = business.filter(|_| kind == Kind::WhatsappAccount);
    let mut fact = Translation::new(kind, Value::Object(element)).on_phone(business);
    fact.account = payload.and_then(|payload| id(payload, "wabaId"));
    fact
}

fn kind_of(name: &str) -> Kind {
    match name.strip_prefix("whatsapp.").map(|name| name.split('.').next().unwrap_or_default()) {
        Some("template") => Kind::WhatsappTemplate,
        Some("phone_number" | "business_account") => Kind::WhatsappAccount,
        Some("flow") => Kind::WhatsappFlow,
        Some("payment") => Kind::WhatsappPayment,
        // Progress of the history without a message.
        Some("smb") if name == "whatsapp.smb.history" => Kind::WhatsappHistory,
        _ => Kind::WhatsappOther,
    }
}

json::object! {
    /// The event around a contact synchronisation.
    SyncEvent {
        sync = "whatsappSmbAppStateSync": Sync<'de>,
    } impersonal ["id", "type", "apiVersion", "createTime"]
}

json::object! {
    /// Contacts of the Business app, one entry a person.
    Sync {
        entries = "stateSync": Vec<&'de RawValue>,
    } impersonal ["wabaId", "phoneNumber"]
}

/// Cuts a contact synchronisation into its contacts; `None` if there are none.
fn read_sync<'a>(body: &'a [u8], event: &Value) -> Option<Reading<'a>> {
    let body = std::str::from_utf8(body).ok()?;
    let raw: SyncEvent<'_> = serde_json::from_str(body).ok()?;
    let sync = raw.sync?;
    let around = event.get("whatsappSmbAppStateSync")?;
    let entries = at(around, &["stateSync"])?.as_array()?;
    let facts = sync.entries?.into_iter().zip(entries).map(|(raw, entry)| {
        let unreadable = || Translation::new(Kind::WhatsappContact, Value::Null);
        let mut fact = read_contact(entry).unwrap_or_else(unreadable).on_phone(text(around, "phoneNumber"));
        fact.account = id(around, "wabaId");
        (fact, json::range_in(body, raw))
    });
    let facts: Vec<_> = facts.collect();
    let rest = [raw.others, sync.others].concat();
    (!facts.is_empty()).then_some(Reading { facts, rest })
}

/// Reads a contact as added, changed or removed in the Business app.
fn read_contact(entry: &Value) -> Option<Translation> {
    let contact = entry.get("contact").unwrap_or(entry);
    let time = id(entry, "timestamp").or_else(|| id(entry.get("metadata")?, "timestamp"));
    let person = object([
        ("phone_number", member(contact, "phoneNumber")),
        ("user_id", member(contact, "userId")),
        ("username", member(contact, "username")),
        ("full_name", member(contact, "fullName")),
        ("first_name", member(contact, "firstName")),
    ]);
    let is_contact = person.as_object().is_some_and(|person| !person.is_empty());
    let element = object([
        ("contact", Some(person)),
        ("action", member(entry, "action")),
        ("metadata", Some(object([("timestamp", time.map(Value::from))]))),
    ]);
    is_contact.then(|| Translation::new(Kind::WhatsappContact, element))
}

#[cfg(test)]
pub(crate) mod tests;
