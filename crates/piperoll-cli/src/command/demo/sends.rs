//! Two sends of a template: one with everything that allowed it on the record, and one that nobody journaled.

#![expect(clippy::disallowed_methods, reason = "`json!` unwraps what cannot fail")]

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use piperoll_format::Timestamp;
use piperoll_store::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::deliver::deliver_signed;
use crate::client::Client;

/// The person who gets the template, invented.
const PHONE: &str = "12065550199";
const NUMBER: &str = "100000000000001";
const DISPLAY_PHONE: &str = "12125550101";
const TEMPLATE: &str = "winter_checkup_offer";

/// The message whose send is on the record.
pub(super) const PROVEN: &str = "wamid.demo.journaled";
/// The message of which only a status is on the record.
pub(super) const NOT_PROVEN: &str = "wamid.demo.unseen";

/// Brings consent, template, request, answer and statuses of the first send, and a status of the second.
pub(super) async fn bring(client: &Client, app_secret: &str) -> anyhow::Result<()> {
    let now = Timestamp(SystemClock.now_micros()).to_utc();
    let before = |minutes: i64| now - TimeDelta::minutes(minutes);
    for event in [template(before(180)), consent(before(120))] {
        client.hand_in(Bytes::from(event.to_string())).await?;
    }
    client.journal(Bytes::from(send(before(60)).to_string())).await?;
    for (wamid, status, minutes) in
        [(PROVEN, "sent", 60), (PROVEN, "delivered", 59), (NOT_PROVEN, "sent", 30)]
    {
        let body = status_of(wamid, status, before(minutes));
        deliver_signed(client, app_secret, Bytes::from(body.to_string())).await?;
    }
    Ok(())
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn template(at: DateTime<Utc>) -> Value {
    json!({"kind": "template.snapshot", "source_id": "demo-template-1", "occurred_at": rfc3339(at),
        "template": {"name": TEMPLATE, "language": "en", "id": "77", "status": "APPROVED", "category": "MARKETING",
            "components": [{"type": "BODY", "text": "Hello {{1}}, your winter check-up is {{2}} off this month."}]}})
}

fn consent(at: DateTime<Utc>) -> Value {
    json!({"kind": "consent.given", "source_id": "demo-consent-1", "occurred_at": rfc3339(at), "number": NUMBER,
        "person": {"phone": format!("+{PHONE}"), "name": "Noor Haddad"}, "channel": "web-form", "purpose": "marketing",
        "statement": "I agree that Harbourline may send me news and offers on WhatsApp.",
        "evidence": "form submission 88-1204"})
}

fn send(at: DateTime<Utc>) -> Value {
    let parameters = json!([{"type": "text", "text": "Noor"}, {"type": "text", "text": "20 %"}]);
    json!({"journal_id": "demo-send-1", "endpoint": "messages", "number": NUMBER, "sent_at": rfc3339(at),
        "request": {"messaging_product": "whatsapp", "to": PHONE, "type": "template", "template": {"name": TEMPLATE,
            "language": {"code": "en"}, "components": [{"type": "body", "parameters": parameters}]}},
        "status": 200, "response": {"messaging_product": "whatsapp", "messages": [{"id": PROVEN}]}})
}

fn status_of(wamid: &str, status: &str, at: DateTime<Utc>) -> Value {
    let status = json!({"id": wamid, "status": status, "timestamp": at.timestamp().to_string(),
        "recipient_id": PHONE});
    let value = json!({"messaging_product": "whatsapp", "statuses": [status],
        "metadata": {"display_phone_number": DISPLAY_PHONE, "phone_number_id": NUMBER}});
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "200000000000001", "changes": [{"field": "messages", "value": value}]}]})
}
