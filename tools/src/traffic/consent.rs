//! Consent given and taken back outside WhatsApp, as bodies for `POST /v1/events`.

use chrono::DateTime;

use super::json::{Json, map};
use super::people::{Customer, NUMBERS, Number};
use super::random::Random;

const STATEMENT: &str = "I agree that Harbourline may send me news and offers on WhatsApp. \
     I can take this back at any time, for example by writing STOP.";

/// Writes one consent event; `given` false means that the person took it back.
pub(crate) fn consent(
    customer: &Customer,
    number: &Number,
    given: bool,
    at: i64,
    random: &mut Random,
) -> Json {
    let channel = *random.pick(&["web-form", "paper", "ivr", "crm"]);
    let evidence = match (channel, given) {
        ("web-form", true) => format!(
            "form newsletter v7, box ticked by the visitor, 192.0.2.{}, page /newsletter",
            random.between(1, 254)
        ),
        ("web-form", false) => "form unsubscribe v3, link from the September newsletter".to_owned(),
        ("paper", _) => {
            format!("signed sheet, scan {}-{:04}", random.between(1, 40), random.between(1, 9999))
        }
        ("ivr", true) => "key 1 pressed after the announcement had been read out in full".to_owned(),
        ("ivr", false) => "key 9 pressed, announcement 4".to_owned(),
        _ => format!("told to agent {} on the telephone, call {}", random.between(10, 60), random.digits(8)),
    };
    map! {
        "kind": if given { "consent.given" } else { "consent.withdrawn" },
        "person": map! {"phone": customer.phone.as_ref().map(|digits| format!("+{digits}")), "name": &customer.name},
        "number": number.id,
        "channel": channel,
        "purpose": "marketing",
        "statement": STATEMENT,
        "occurred_at": instant(at),
        "source_id": format!("{channel}-{}", random.digits(12)),
        "evidence": evidence,
    }
}

/// Picks a number for consent by position, leaving out the short-lived demo number.
pub(crate) fn number_for(position: usize) -> &'static Number {
    &NUMBERS[position % (NUMBERS.len() - 1)]
}

/// Writes Unix seconds as RFC 3339 in UTC.
pub(crate) fn instant(at: i64) -> String {
    DateTime::from_timestamp(at, 0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
