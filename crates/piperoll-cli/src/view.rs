//! Events as people read them.

use comfy_table::{Attribute, Cell, Color};
use console::measure_text_width;
use piperoll_server::{AttachmentState, EventView};
use piperoll_sources::{Direction, Message, Party};

use crate::args::Global;
use crate::output::{DIM, Output, YELLOW, columns};
use crate::text::{fit, safe};

/// Columns of the table of hits that are always there: position, time and the gaps between all columns.
const HIT_COLUMNS: usize = 36;

/// Columns for the text that are kept on a narrow terminal.
const TEXT_COLUMNS_MIN: usize = 24;

/// Columns for the type and for the name of the person.
const KIND_COLUMNS: usize = 18;
const PERSON_COLUMNS: usize = 18;

/// Prints hits as a table, one line each.
pub(crate) fn print_hits(events: &[EventView], output: &Output) -> anyhow::Result<()> {
    let widest = |column: fn(&EventView) -> String| {
        events.iter().map(|event| measure_text_width(&column(event))).max().unwrap_or(0)
    };
    let others = HIT_COLUMNS + widest(what_in_short) + widest(person);
    let width = usize::from(columns()).saturating_sub(others).max(TEXT_COLUMNS_MIN);
    let rows = events.iter().map(|event| hit_row(event, output, width)).collect();
    output.table(&["event", "time", "type", "person", "text"], rows, &[0])
}

fn hit_row(event: &EventView, output: &Output, width: usize) -> Vec<Cell> {
    vec![
        Cell::new(event.seq),
        Cell::new(short_time(event, output)).add_attribute(Attribute::Dim),
        Cell::new(what_in_short(event)),
        person_cell(event),
        text_cell(event, width),
    ]
}

/// Prints everything about one event.
pub(crate) fn print_event(event: &EventView, output: &Output) -> anyhow::Result<()> {
    let line = |name: &str, value: &str| output.line(format_args!("{DIM}{name:<13}{DIM:#} {value}"));
    let optional = |name: &str, value: Option<String>| value.map_or(Ok(()), |value| line(name, &value));
    line("event", &event.seq.to_string())?;
    line("kind", &event.kind)?;
    line("recorded", &output.time_of(&event.recorded_at))?;
    optional("received", event.received_at.as_deref().map(|at| output.time_of(at)))?;
    let class =
        event.class_reason.as_deref().map_or_else(String::new, |reason| format!("  ({})", safe(reason)));
    line("class", &format!("{}{class}", event.class))?;
    optional("source", event.source.clone())?;
    optional("delivery", event.delivery.map(|seq| format!("event {seq}")))?;
    optional("conflict", event.conflicts_with.map(|seq| format!("other bytes than event {seq}")))?;
    if !event.flags.is_empty() {
        line("flags", &event.flags.join(", "))?;
    }
    match &event.message {
        Some(message) => print_message(message, output)?,
        None => line("payload", &format!("{YELLOW}{}{YELLOW:#}", state(event)))?,
    }
    for view in &event.attachments {
        let what = match (view.state, view.seq) {
            (AttachmentState::Captured, Some(seq)) => format!("captured in event {seq}"),
            (AttachmentState::Unavailable, Some(seq)) => {
                let detail =
                    view.detail.as_deref().map_or_else(String::new, |why| format!(": {}", safe(why)));
                format!("{YELLOW}not available{YELLOW:#} (event {seq}){detail}")
            }
            _ => "still to be fetched".to_owned(),
        };
        line(&format!("attachment {}", view.attachment), &what)?;
    }
    line("leaf hash", &event.proof.event_hash)?;
    line("proven in", &format!("tree of {} events, root {}", event.proof.tree_size, event.proof.root))
}

fn print_message(message: &Message, output: &Output) -> anyhow::Result<()> {
    let line = |name: &str, value: &str| output.line(format_args!("{DIM}{name:<13}{DIM:#} {value}"));
    let optional =
        |name: &str, value: Option<String>| value.map_or(Ok(()), |value| line(name, &safe(&value)));
    line("type", &safe(&message.message_type))?;
    let occurred = message.occurred_at.and_then(chrono::DateTime::from_timestamp_micros);
    optional("occurred", occurred.map(|at| output.time(at)))?;
    optional("from", message.from.as_ref().map(party_in_full))?;
    for to in &message.to {
        line("to", &safe(&party_in_full(to)))?;
    }
    optional("conversation", message.conversation.clone())?;
    optional("source id", message.source_id.clone())?;
    let template = message.template.as_ref();
    optional("template", template.and_then(|template| template.name.clone()))?;
    for reference in &message.references {
        let relation = format!("{:?}", reference.relation).to_lowercase();
        line("refers to", &format!("{} ({relation})", safe(&reference.source_id)))?;
    }
    for attachment in &message.attachments {
        let name = attachment.filename.as_deref().or(attachment.media_id.as_deref()).unwrap_or_default();
        line("attachment", &format!("{} {}", safe(&attachment.attachment_type), safe(name)))?;
    }
    for text in &message.texts {
        line("text", &safe(text).replace('\n', &format!("\n{:14}", "")))?;
    }
    Ok(())
}

/// Returns the moment that matters to a reader: when it happened, or else when it was recorded.
fn short_time(event: &EventView, output: &Output) -> String {
    let occurred = event.message.as_ref().and_then(|message| message.occurred_at);
    let occurred = occurred.and_then(chrono::DateTime::from_timestamp_micros);
    let recorded = || chrono::DateTime::parse_from_rfc3339(&event.recorded_at).map(|time| time.to_utc());
    match occurred.map_or_else(recorded, Ok) {
        Ok(time) => output.short_time(time),
        Err(_) => safe(&event.recorded_at),
    }
}

/// Returns what an event is, in few words.
fn what(event: &EventView) -> String {
    let Some(kind) = event.kind.strip_prefix("whatsapp.") else { return event.kind.clone() };
    match &event.message {
        Some(message) if kind == "message" => message.message_type.clone(),
        Some(message) if message.message_type != kind => format!("{kind} {}", message.message_type),
        _ => kind.to_owned(),
    }
}

fn what_in_short(event: &EventView) -> String {
    fit(&what(event), KIND_COLUMNS)
}

fn person_cell(event: &EventView) -> Cell {
    let direction = event.message.as_ref().and_then(|message| message.direction);
    Cell::new(person(event)).fg(match direction {
        Some(Direction::Inbound) => Color::Cyan,
        Some(Direction::Outbound) => Color::Green,
        None => Color::Reset,
    })
}

/// Returns the name of the time zone that was asked for, to be sent along.
pub(crate) fn zone(global: &Global) -> Option<String> {
    global.tz.map(|zone| zone.to_string())
}

/// Returns the customer of an event, with an arrow for the direction.
pub(crate) fn name_of(event: &EventView) -> String {
    person(event)
}

/// Returns the customer, with an arrow for the direction.
fn person(event: &EventView) -> String {
    let Some(message) = &event.message else { return String::new() };
    let (arrow, party) = match message.direction {
        Some(Direction::Inbound) => ("← ", message.from.as_ref()),
        Some(Direction::Outbound) => ("→ ", message.to.first()),
        None => ("  ", message.from.as_ref().or(message.to.first())),
    };
    party.map_or_else(String::new, |party| format!("{arrow}{}", fit(&party_in_short(party), PERSON_COLUMNS)))
}

fn text_cell(event: &EventView, width: usize) -> Cell {
    if event.message.is_none() {
        return Cell::new(format!("({})", state(event))).fg(Color::Yellow);
    }
    Cell::new(fit(&full_text(event), width))
}

fn full_text(event: &EventView) -> String {
    let Some(message) = &event.message else { return String::new() };
    if !message.texts.is_empty() {
        return message.texts.join(" · ");
    }
    let attachment = message.attachments.first();
    let name =
        attachment.map(|attachment| attachment.filename.as_ref().unwrap_or(&attachment.attachment_type));
    name.map_or_else(String::new, |name| format!("[{name}]"))
}

fn state(event: &EventView) -> String {
    format!("{:?}", event.state).to_lowercase()
}

fn party_in_short(party: &Party) -> String {
    let name = party.name.clone().or_else(|| party.phone.as_ref().map(|phone| format!("+{phone}")));
    name.or_else(|| party.username.clone()).or_else(|| party.user_id.clone()).unwrap_or_default()
}

fn party_in_full(party: &Party) -> String {
    let phone = party.phone.as_ref().map(|phone| format!("+{phone}"));
    let parts = [party.name.clone(), phone, party.username.clone(), party.user_id.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
