//! From events to facts of coverage.

use piperoll_format::Kind;
use piperoll_sources::{Message, Relation};
use serde_json::Value;

use super::account::{self, digits, find};
use super::beat::Beat;
use super::history::Piece;
use super::reference::Pointer;
use super::rhythm::Arrival;
use super::signal::Signal;
use super::{Cause, counted};
use crate::fact::{Facts, Observed, Table};
use crate::media;
use crate::time::micros;

/// The entity of what is about the archive itself.
pub(super) const ARCHIVE: &str = "@archive";

/// The entity of what is about a number of which only the phone number is told.
pub(super) fn of_phone(phone: &str) -> String {
    format!("@phone:{phone}")
}

/// The entity of what is about all numbers of an account.
pub(super) fn of_account(account: &str) -> String {
    format!("@account:{account}")
}

/// The entity of the signs of a number's Business app.
pub(super) fn of_app(number: &str) -> String {
    format!("@app:{number}")
}

/// WhatsApp came with a message and did not deliver it.
const UNSUPPORTED: [i64; 2] = [131_051, 131_060];

/// The business declined to share its history.
const DECLINED: i64 = 2_593_109;

/// Adds what an event says about coverage.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let number = observed.message.number.as_ref().and_then(|number| number.id.as_deref());
    let number = number.or(observed.payload.facts.number.as_deref());
    match observed.kind {
        Kind::WhatsappAccount => account_update(observed, facts),
        Kind::AccountObserved => account_observed(observed, number, facts),
        Kind::DeviceReported => {
            let document = document(observed);
            if let Some((number, signal)) = number.zip(account::device(&document)) {
                let at = document.get("at").and_then(Value::as_str).and_then(micros);
                facts.put(Table::Coverage, number, at.unwrap_or_else(|| observed.at()), &signal);
            }
        }
        Kind::CoverageHeartbeat => heartbeat(observed, facts),
        Kind::CoverageChanged => changed(observed, number, facts),
        Kind::FindingReported => {
            let document = document(observed);
            let count = document.get("findings").and_then(Value::as_array).map_or(0, Vec::len);
            if let Some(day) = document.get("day").and_then(Value::as_str) {
                facts.put(Table::Finding, day, observed.at(), &count);
            }
        }
        Kind::Delivery => delivery(observed, number, facts),
        Kind::MediaUnavailable => {
            if let Some(number) = number {
                let document = document(observed);
                let seq = document.get("message_seq").and_then(Value::as_u64);
                let reason = document.get("reason").and_then(Value::as_str).unwrap_or_default();
                let pointer = Pointer::Media { message_seq: seq, reason: reason.chars().take(40).collect() };
                facts.put(Table::Dangling, number, observed.at(), &pointer);
            }
        }
        _ => {
            if let Some(number) = number {
                item(observed, number, facts);
            }
        }
    }
}

/// An item that came for a number.
fn item(observed: &Observed<'_>, number: &str, facts: &mut Facts<'_>) {
    let (message, at) = (observed.message, observed.at());
    let recorded = i64::try_from(observed.recorded_at.0).unwrap_or(i64::MAX);
    let is_live = match observed.kind {
        Kind::WhatsappHistory => {
            history(observed, number, facts);
            false
        }
        Kind::WhatsappContact => {
            // The first list tells old times; that it came shows that the app is open now.
            facts.put(Table::Rhythm, &of_app(number), recorded, &());
            false
        }
        Kind::WhatsappEcho => {
            facts.put(Table::Rhythm, &of_app(number), at, &());
            true
        }
        kind => is_arrival(kind),
    };
    if is_live {
        let phone = message.number.as_ref().and_then(|number| number.phone.clone());
        let arrival = Arrival { phone, account: message.account.clone(), names_only: false };
        facts.put(Table::Rhythm, number, at, &arrival);
    }
    if is_live || matches!(observed.kind, Kind::WhatsappStatus | Kind::WhatsappHistory) {
        pointers(message, observed.kind)
            .iter()
            .for_each(|pointer| facts.put(Table::Dangling, number, at, pointer));
    }
    if media::names_attachments(observed.kind) {
        media::addressed(observed)
            .for_each(|index| facts.put(Table::Dangling, number, at, &Pointer::Attachment { index }));
    }
}

const fn is_arrival(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::WhatsappMessage
            | Kind::WhatsappEdit
            | Kind::WhatsappRevoke
            | Kind::WhatsappReaction
            | Kind::WhatsappSystem
            | Kind::WhatsappStandby
    )
}

/// What an item points at, and whether its content was withheld.
fn pointers(message: &Message, kind: Kind) -> Vec<Pointer> {
    let mut pointers = Vec::new();
    // The history brings answers to messages that are older than itself.
    let references = message.references.iter().filter(|_| kind != Kind::WhatsappHistory);
    for reference in references {
        let target = reference.source_id.clone();
        pointers.push(match reference.relation {
            Relation::StatusOf => Pointer::Status { target, status: message.message_type.clone() },
            relation => Pointer::Reference { target, relation },
        });
    }
    let withheld = message.error_codes.iter().find(|code| UNSUPPORTED.contains(code));
    if kind != Kind::WhatsappStatus
        && let Some(code) = withheld
    {
        pointers.push(Pointer::Unsupported { code: *code });
    }
    pointers
}

fn history(observed: &Observed<'_>, number: &str, facts: &mut Facts<'_>) {
    let (message, at) = (observed.message, i64::try_from(observed.recorded_at.0).unwrap_or(i64::MAX));
    if message.error_codes.contains(&DECLINED) {
        facts.put(Table::History, number, at, &Piece::Declined);
    }
    chunks(message, number, at, facts);
    let Some(id) = &message.source_id else { return };
    if message.message_type == media::PLACEHOLDER {
        facts.put(Table::History, number, at, &Piece::Placeholder { id: id.clone() });
    } else if !message.attachments.is_empty() {
        facts.put(Table::History, number, at, &Piece::Followed { id: id.clone() });
    }
}

fn chunks(message: &Message, number: &str, at: i64, facts: &mut Facts<'_>) {
    for chunk in &message.history_chunks {
        let piece = Piece::Chunk { phase: chunk.phase, order: chunk.chunk_order, progress: chunk.progress };
        facts.put(Table::History, number, at, &piece);
    }
}

/// The skeleton of a delivery tells the number's phone and account, and the position of history.
fn delivery(observed: &Observed<'_>, number: Option<&str>, facts: &mut Facts<'_>) {
    let skeleton = observed.payload.parts.first().and_then(|part| std::str::from_utf8(part).ok());
    let Some((number, skeleton)) = number.zip(skeleton) else { return };
    chunks(observed.message, number, observed.at(), facts);
    let phone = after(skeleton, "\"display_phone_number\"").and_then(digits);
    let account = after(skeleton, "\"id\"").and_then(digits);
    if phone.is_some() {
        facts.put(Table::Rhythm, number, observed.at(), &Arrival { phone, account, names_only: true });
    }
}

/// Returns the text value after a key, in a body that is no longer JSON.
fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = text[text.find(key)? + key.len()..].trim_start().strip_prefix(':')?.trim_start();
    rest.strip_prefix('"')?.split('"').next()
}

fn document(observed: &Observed<'_>) -> Value {
    let part = observed.payload.parts.first().map(Vec::as_slice).unwrap_or_default();
    serde_json::from_slice(part).unwrap_or_default()
}

fn account_update(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let parts = observed.payload.parts.iter();
    let value = Value::Array(parts.filter_map(|part| serde_json::from_slice(part).ok()).collect());
    let signals = account::update(&value);
    if signals.is_empty() {
        return;
    }
    let phone = find(&value, "phone_number").and_then(Value::as_str).and_then(digits);
    let account = find(&value, "waba_id").and_then(Value::as_str).map(str::to_owned);
    let account = account.or_else(|| observed.message.account.clone());
    let number = observed.message.number.as_ref().and_then(|number| number.id.clone());
    let entity =
        number.or_else(|| phone.as_deref().map(of_phone)).or_else(|| account.as_deref().map(of_account));
    if let Some(entity) = entity {
        put_all(signals, &entity, observed.at(), facts);
    }
}

fn account_observed(observed: &Observed<'_>, number: Option<&str>, facts: &mut Facts<'_>) {
    let document = document(observed);
    if let Some((number, (at, signal))) = number.zip(counted::read(&document)) {
        facts.put(Table::Coverage, number, at, &signal);
        return;
    }
    let id = document.get("id").and_then(Value::as_str);
    let entity = match document.get("object").and_then(Value::as_str) {
        Some("phone_number" | "webhook_configuration") => number.or(id).map(str::to_owned),
        Some("subscribed_apps") => id.map(of_account),
        _ => None,
    };
    let Some(entity) = entity else { return };
    let phone = find(&document, "display_phone_number").and_then(Value::as_str).and_then(digits);
    let account = document.get("account").and_then(Value::as_str).map(str::to_owned);
    if (phone.is_some() || account.is_some()) && !entity.starts_with('@') {
        let arrival = Arrival { phone, account, names_only: true };
        facts.put(Table::Rhythm, &entity, observed.at(), &arrival);
    }
    put_all(account::observed(&document), &entity, observed.at(), facts);
}

fn put_all(signals: Vec<Signal>, entity: &str, at: i64, facts: &mut Facts<'_>) {
    signals.iter().for_each(|signal| facts.put(Table::Coverage, entity, at, signal));
}

fn heartbeat(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let document = document(observed);
    let time = |key: &str| document.get(key).and_then(Value::as_str).and_then(micros);
    let to = time("to").unwrap_or_else(|| observed.at());
    let from = time("from").unwrap_or(to).min(to);
    facts.put(Table::Coverage, ARCHIVE, to, &Beat { from, to });
}

fn changed(observed: &Observed<'_>, number: Option<&str>, facts: &mut Facts<'_>) {
    let document = document(observed);
    let read = |key: &str| document.get(key).cloned().unwrap_or_default();
    let state = serde_json::from_value(read("state"));
    let cause = serde_json::from_value(read("cause"));
    let (Some(number), Ok(state), Ok(cause)) = (number, state, cause) else { return };
    let signal = match (cause, read("to").as_str().and_then(micros), read("count").as_u64()) {
        (cause @ Cause::SendNotArchived, Some(to), Some(count)) => {
            Signal::Lost { cause, to: to.max(observed.at()), count, detail: None }
        }
        _ => Signal::Noted { state, cause },
    };
    facts.put(Table::Coverage, number, observed.at(), &signal);
}
