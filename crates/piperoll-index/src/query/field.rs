//! What the fields of a query accept as values.

use chrono_tz::Tz;
use piperoll_format::Kind;
use piperoll_sources::Direction;

use super::error::Fault;
use super::grammar::{PREFIX_CHARS_MIN, refuse_star, too_short};
use super::node::{FactField, Node};
use super::time;

/// The value of a field as it was written.
pub(super) struct Value {
    pub(super) at: usize,
    pub(super) text: String,
    pub(super) is_quoted: bool,
}

/// Reads the field `name` (in lower case), which starts at `at`.
pub(super) fn node(at: usize, name: &str, value: Value, zone: Tz) -> Result<Node, Fault> {
    let invalid = |message: String| Fault::new(value.at, message);
    match name {
        "kind" => kind(&value),
        "id" => Ok(Node::Id(value.text)),
        "has" => match value.text.to_ascii_lowercase().as_str() {
            "attachment" => Ok(Node::HasAttachment),
            _ => Err(invalid(format!("expected has:attachment, found has:{}", value.text))),
        },
        "direction" => match value.text.to_ascii_lowercase().as_str() {
            "in" | "inbound" => Ok(Node::Direction(Direction::Inbound)),
            "out" | "outbound" => Ok(Node::Direction(Direction::Outbound)),
            _ => Err(invalid(format!("expected direction:in or direction:out, found `{}`", value.text))),
        },
        "after" => time::moment(&value.text, zone).map(Node::After).ok_or_else(|| not_a_moment(&value)),
        "before" => time::moment(&value.text, zone).map(Node::Before).ok_or_else(|| not_a_moment(&value)),
        "on" => time::span(&value.text, zone).map(|(start, end)| Node::During(start, end)).ok_or_else(|| {
            invalid(format!("expected a day, found `{}`", value.text)).hint("days are written on:2026-11-21")
        }),
        _ => match FactField::ALL.into_iter().find(|field| field.name() == name) {
            Some(field) => fact(field, value),
            None => Err(Fault::new(at, format!("there is no field `{name}`")).hint(
                "fields are from, to, with, kind, type, template, number, id, has, direction, after, before, on, \
                 class and conversation; put text with a colon in quotes",
            )),
        },
    }
}

fn not_a_moment(value: &Value) -> Fault {
    Fault::new(value.at, format!("expected a date, found `{}`", value.text))
        .hint("dates are written 2026-11-21 or 2026-11-21T09:30:00+07:00")
}

fn fact(field: FactField, value: Value) -> Result<Node, Fault> {
    if field == FactField::Number && !value.text.contains(|next: char| next.is_ascii_digit()) {
        return Err(Fault::new(
            value.at,
            format!("expected a business number or its id, found `{}`", value.text),
        ));
    }
    let stem = value.text.strip_suffix('*').filter(|_| !value.is_quoted);
    if let Some(stem) = stem {
        refuse_star(stem, value.at)?;
        if stem.chars().count() < PREFIX_CHARS_MIN {
            return Err(too_short(value.at));
        }
        return Ok(Node::Fact { field, value: stem.to_owned(), is_prefix: true });
    }
    if !value.is_quoted {
        refuse_star(&value.text, value.at)?;
    }
    Ok(Node::Fact { field, value: value.text, is_prefix: false })
}

fn kind(value: &Value) -> Result<Node, Fault> {
    let text = value.text.to_ascii_lowercase();
    if let Some(group) = text.strip_suffix(".*") {
        let is_group =
            Kind::ALL.iter().any(|kind| kind.as_str().split_once('.').is_some_and(|(of, _)| of == group));
        if is_group {
            return Ok(Node::KindGroup(group.to_owned()));
        }
    }
    text.parse().map(Node::Kind).map_err(|_| {
        let wanted = text.trim_end_matches(['*', '.']);
        let similar: Vec<&str> = Kind::ALL
            .iter()
            .map(|kind| kind.as_str())
            .filter(|kind| !wanted.is_empty() && kind.contains(wanted))
            .collect();
        let hint = if similar.is_empty() {
            "kinds are written whatsapp.message, or consent.* for a whole group".to_owned()
        } else {
            format!("similar kinds: {}", similar.join(", "))
        };
        Fault::new(value.at, format!("there is no kind `{}`", value.text)).hint(hint)
    })
}
