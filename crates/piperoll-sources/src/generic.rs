//! Events that are written through the archive's own interfaces: consent of any channel, template snapshots,
//! reads of the archive, configuration. Their payload is one JSON object (`schemas/event.schema.json`).

use chrono::DateTime;
use piperoll_format::Kind;
use serde_json::Value;

use crate::detail::SendDetail;
use crate::document::{id, string};
use crate::message::{BusinessNumber, Direction, Message, Origin, Party, TemplateRef};
use crate::project::Captured;
use crate::{text, whatsapp};

/// Reads an event of one of our own kinds.
pub(crate) fn project(kind: Kind, captured: &Captured<'_>) -> Message {
    let body = captured.parts.first().copied().unwrap_or_default();
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut message = Message {
        source_id: string(&value, "source_id"),
        message_type: kind.as_str().to_owned(),
        occurred_at: value.get("occurred_at").and_then(Value::as_str).and_then(micros),
        number: string(&value, "number")
            .or_else(|| captured.number.map(str::to_owned))
            .map(|id| BusinessNumber { id: Some(id), phone: None }),
        ..Message::default()
    };
    match kind {
        Kind::ConsentGiven | Kind::ConsentWithdrawn | Kind::ConsentRefused | Kind::ConsentExpired => {
            read_consent(&value, &mut message);
        }
        Kind::TemplateSnapshot => {
            text::push_at(&value, "note", &mut message.texts);
            message.origin = Some(Origin::Platform);
        }
        Kind::SendRequested => read_request(&value, captured.subject, &mut message),
        Kind::SendAnswered => read_answer(&value, &mut message),
        // Bytes and digests: nobody reads them.
        Kind::MediaPart => {}
        Kind::MediaCaptured | Kind::MediaUnavailable | Kind::MediaText => {
            ["filename", "reason", "detail", "text"]
                .iter()
                .for_each(|key| text::push_at(&value, key, &mut message.texts));
            message.conversation = conversation(&message, captured.subject);
        }
        _ => text::all(&value, &mut message.texts),
    }
    if let Some(template) = value.get("template") {
        read_template(template, kind, &mut message);
    }
    message
}

fn read_consent(value: &Value, message: &mut Message) {
    message.origin = Some(Origin::Customer);
    if let Some(person) = value.get("person") {
        let party = Party {
            phone: string(person, "phone").map(|phone| phone.chars().filter(char::is_ascii_digit).collect()),
            user_id: string(person, "user_id"),
            username: string(person, "username"),
            parent_user_id: None,
            name: string(person, "name"),
        };
        let number = message.number.as_ref().and_then(|number| number.id.as_deref());
        let counterpart = party.phone.as_deref().or(party.user_id.as_deref());
        message.conversation = number.zip(counterpart).map(|(number, who)| [number, ":", who].concat());
        message.from = (party != Party::default()).then_some(party);
    }
    let keys = ["statement", "purpose", "channel", "note"];
    keys.iter().for_each(|key| text::push_at(value, key, &mut message.texts));
}

/// Reads a request to send as the message that it asks for.
fn read_request(value: &Value, subject: Option<&str>, message: &mut Message) {
    let request = value.get("request").unwrap_or(&Value::Null);
    message.message_type = String::new();
    message.direction = Some(Direction::Outbound);
    message.origin = Some(Origin::Api);
    whatsapp::read_send(request, message);
    if message.message_type.is_empty() {
        message.message_type = Kind::SendRequested.as_str().to_owned();
    }
    let phone = string(request, "to").map(|to| to.chars().filter(char::is_ascii_digit).collect::<String>());
    let subject = |prefix: &str| subject.and_then(|subject| subject.strip_prefix(prefix)).map(str::to_owned);
    let is_group = string(request, "recipient_type").as_deref() == Some("group");
    let party = Party {
        phone: phone.filter(|phone| !phone.is_empty() && !is_group).or_else(|| subject("wa:")),
        user_id: string(request, "recipient").or_else(|| subject("bsuid:")),
        ..Party::default()
    };
    let group = string(request, "to").filter(|_| is_group);
    let counterpart = group.as_deref().or(party.phone.as_deref()).or(party.user_id.as_deref());
    let number = message.number.as_ref().and_then(|number| number.id.as_deref());
    message.conversation = number.zip(counterpart).map(|(number, who)| [number, ":", who].concat());
    message.to = Some(party).filter(|party| *party != Party::default()).into_iter().collect();
    let (journal_id, via) = (string(value, "journal_id").unwrap_or_default(), string(value, "via"));
    message.send = Some(Box::new(SendDetail { journal_id, via, ..SendDetail::default() }));
}

/// Reads the answer to a request to send.
fn read_answer(value: &Value, message: &mut Message) {
    message.origin = Some(Origin::Platform);
    let wamids = value.get("wamids").and_then(Value::as_array).into_iter().flatten();
    let wamids: Vec<String> = wamids.filter_map(|wamid| wamid.as_str().map(str::to_owned)).collect();
    let journal_id = string(value, "journal_id").unwrap_or_default();
    let status = value.get("status").and_then(Value::as_i64);
    if let Some(error) = value.get("error") {
        text::readable(error, &mut message.texts);
    }
    message.send = Some(Box::new(SendDetail { journal_id, via: None, status, wamids }));
}

/// Names the conversation that an event about a person's message belongs to.
fn conversation(message: &Message, subject: Option<&str>) -> Option<String> {
    let number = message.number.as_ref().and_then(|number| number.id.as_deref())?;
    let (_, who) = subject?.split_once(':')?;
    Some([number, ":", who].concat())
}

fn read_template(template: &Value, kind: Kind, message: &mut Message) {
    let language = template.get("language");
    let found = TemplateRef {
        name: string(template, "name"),
        language: language
            .and_then(|language| language.get("code").unwrap_or(language).as_str())
            .map(str::to_owned),
        id: id(template, "id"),
    };
    if kind == Kind::TemplateSnapshot {
        text::push(found.name.as_deref().unwrap_or_default(), &mut message.texts);
        if let Some(components) = template.get("components") {
            text::readable(components, &mut message.texts);
        }
        whatsapp::read_definition(template, message);
    }
    message.template = (found != TemplateRef::default()).then_some(found);
}

fn micros(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "`json!` unwraps")]

    use serde_json::json;

    use super::*;

    fn read(kind: Kind, value: &Value) -> Message {
        let body = value.to_string();
        project(kind, &Captured { whole: true, parts: &[body.as_bytes()], ..Captured::default() })
    }

    #[test]
    fn consent_tells_who_what_and_when() {
        let message = read(
            Kind::ConsentGiven,
            &json!({"person": {"phone": "+49 155 5000", "user_id": "DE.1", "name": "Ada Brandt"}, "number": "9001",
                "channel": "web form", "purpose": "marketing", "statement": "I agree to offers.", "note": "kiosk 4",
                "occurred_at": "2026-11-21T10:00:00.25+01:00", "source_id": "form-17"}),
        );
        assert_eq!(message.message_type, "consent.given");
        assert_eq!(message.texts, ["I agree to offers.", "marketing", "web form", "kiosk 4"]);
        assert_eq!(message.conversation.as_deref(), Some("9001:491555000"));
        assert_eq!(message.occurred_at, Some(1_795_251_600_250_000));
        assert_eq!(message.source_id.as_deref(), Some("form-17"));
        let party = message.from.as_ref().and_then(|party| party.name.as_deref());
        assert_eq!(party, Some("Ada Brandt"));
    }

    #[test]
    fn template_snapshot_is_read_with_its_components() {
        let message = read(
            Kind::TemplateSnapshot,
            &json!({"template": {"name": "order_sent", "language": "de", "id": 42, "components": [
                {"type": "BODY", "text": "Hallo {{1}}"}, {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Stop"}]}]}}),
        );
        assert_eq!(message.texts, ["order_sent", "Hallo {{1}}", "Stop"]);
        let template =
            message.template.as_ref().map(|t| (t.name.as_deref(), t.language.as_deref(), t.id.as_deref()));
        assert_eq!(template, Some((Some("order_sent"), Some("de"), Some("42"))));
    }

    #[test]
    fn access_is_read_by_its_strings() {
        let message = read(Kind::AccessSearch, &json!({"token": "auditor", "query": "refund", "hits": 3}));
        assert_eq!(message.message_type, "access.search");
        let mut texts = message.texts.clone();
        texts.sort();
        assert_eq!(texts, ["auditor", "refund"]);
    }

    #[test]
    fn what_is_no_object_has_only_its_kind() {
        for body in [&b""[..], b"\xff", b"[1", b"7"] {
            let captured = Captured { whole: true, parts: &[body], ..Captured::default() };
            let message = project(Kind::LedgerOpened, &captured);
            assert_eq!((message.message_type.as_str(), message.texts.len()), ("ledger.opened", 0));
        }
    }
}
