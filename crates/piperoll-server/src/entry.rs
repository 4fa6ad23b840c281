//! Events handed in through the API: checked, and kept as the exact bytes that were sent.

use std::ops::RangeInclusive;

use chrono::DateTime;
use piperoll_engine::Receipt;
use piperoll_format::{Facts, Kind, Payload, Placement, Provenance, Submission, SubmissionGroup, Timestamp};
use piperoll_sources::Flag;

use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::tokens::Caller;
use crate::wire::{EntryKind, EventBody, PersonBody};

/// Moments before this one (1990-01-01T00:00:00Z, in microseconds) are flagged.
const OCCURRED_MIN: i64 = 631_152_000_000_000;
/// How far ahead of our clock an event may have occurred before it is flagged, in microseconds.
const AHEAD_MAX: i64 = 86_400_000_000;

/// Most components of a template.
const COMPONENTS_MAX: usize = 32;

/// The source of events that are handed in through the API.
const SOURCE: &str = "api";

impl Archive {
    /// Checks and commits an event that another channel hands in. The same event again gets the first receipt.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] naming the field, what was expected and what was found; those of a commit.
    pub async fn hand_in(&self, caller: &Caller, body: &[u8]) -> Result<Receipt, ApiError> {
        let event = read(body)?;
        let submission = submission(caller, &event, body, self.now())?;
        let receipts = self.engine.submit(SubmissionGroup::single(submission)).await?;
        let _ = self.metrics.events.inc();
        Ok(*receipts.first().expect("a group of one has one receipt"))
    }
}

fn read(body: &[u8]) -> Result<EventBody, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let event = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { "body".to_owned() } else { format!("field `{path}`") };
        ApiError::new(ErrorCode::Invalid, format!("{place}: {}", error.into_inner()))
            .hint("the form of events is in schemas/event.schema.json")
    })?;
    json.end().map_err(|error| ApiError::new(ErrorCode::Invalid, format!("body: {error}")))?;
    Ok(event)
}

fn submission(
    caller: &Caller,
    event: &EventBody,
    body: &[u8],
    now: Timestamp,
) -> Result<Submission, ApiError> {
    check_texts(event)?;
    check_members(event)?;
    let occurred_at = moment(event)?;
    let latest = i64::try_from(now.0).unwrap_or(i64::MAX).saturating_add(AHEAD_MAX);
    let plausible = (OCCURRED_MIN..=latest).contains(&occurred_at);
    let facts = Facts {
        subject: match &event.employee {
            Some(employee) => Some(format!("employee:{}", employee.id)),
            None => event.person.as_ref().map(subject).transpose()?,
        },
        source_id: Some(event.source_id.clone()),
        number: event.number.clone(),
        occurred_at: Some(occurred_at),
        flags: if plausible { Vec::new() } else { vec![Flag::TimeImplausible.as_str().to_owned()] },
        ..Facts::default()
    };
    let provenance = Provenance {
        source: SOURCE.to_owned(),
        received_at: Some(now),
        media_type: "application/json".to_owned(),
        signature: None,
        // Here it is the token that vouches for the body.
        signature_key: Some(format!("token:{}", caller.name)),
    };
    let whole = std::iter::once(0..body.len() as u64).collect();
    let placement = Some(Placement { delivery: None, ranges: whole });
    let payload = Payload { parts: vec![body.to_vec()], provenance, facts, placement, skeleton: None };
    Ok(Submission { kind: kind(event.kind), payload })
}

/// Checks the length of every text, and the form of those that have one.
fn check_texts(event: &EventBody) -> Result<(), ApiError> {
    let person = event.person.as_ref();
    let (template, employee) = (event.template.as_ref(), event.employee.as_ref());
    let lengths = [
        ("source_id", Some(&event.source_id), 1..=128),
        ("purpose", event.purpose.as_ref(), 1..=256),
        ("statement", event.statement.as_ref(), 1..=16_384),
        ("statement_version", event.statement_version.as_ref(), 1..=64),
        ("evidence", event.evidence.as_ref(), 1..=4_096),
        ("collector", event.collector.as_ref(), 1..=256),
        ("note", event.note.as_ref(), 1..=4_096),
        ("person.user_id", person.and_then(|person| person.user_id.as_ref()), 1..=128),
        ("person.name", person.and_then(|person| person.name.as_ref()), 1..=256),
        ("template.name", template.map(|template| &template.name), 1..=512),
        ("template.language", template.map(|template| &template.language), 2..=35),
        ("template.id", template.and_then(|template| template.id.as_ref()), 1..=64),
        ("template.category", template.and_then(|template| template.category.as_ref()), 1..=64),
        ("template.status", template.and_then(|template| template.status.as_ref()), 1..=64),
        ("device_id", event.device_id.as_ref(), 1..=128),
        ("source", event.source.as_ref(), 1..=128),
        ("detail", event.detail.as_ref(), 1..=4_096),
        ("employee.id", employee.map(|employee| &employee.id), 1..=128),
        ("employee.name", employee.and_then(|employee| employee.name.as_ref()), 1..=256),
    ];
    lengths.into_iter().try_for_each(|(field, text, chars)| check_length(field, text, &chars))?;
    let types = template.into_iter().flat_map(|template| &template.components);
    types
        .into_iter()
        .try_for_each(|part| check_length("template.components[].type", Some(&part.r#type), &(1..=64)))?;
    let phone = person.and_then(|person| person.phone.as_ref());
    check_form("number", event.number.as_ref(), is_number, "1 to 32 digits")?;
    check_form("language", event.language.as_ref(), is_language, "a BCP 47 tag such as `en-GB`")?;
    check_form("person.phone", phone, is_phone, "a phone number in E.164 such as `+15550100001`")
}

fn check_form(
    field: &str,
    text: Option<&String>,
    fits: fn(&str) -> bool,
    expected: &str,
) -> Result<(), ApiError> {
    match text {
        Some(text) if !fits(text) => Err(refuse(field, expected, text)),
        _ => Ok(()),
    }
}

fn check_length(field: &str, text: Option<&String>, chars: &RangeInclusive<usize>) -> Result<(), ApiError> {
    let Some(found) = text.map(|text| text.chars().count()) else { return Ok(()) };
    if chars.contains(&found) {
        return Ok(());
    }
    let expected = format!("{} to {} characters", chars.start(), chars.end());
    Err(refuse(field, &expected, &format!("{found} characters")))
}

/// The members that some kinds need and the others must not have.
const MEMBERS: [Member; 15] = [
    member("occurred_at", |event| event.occurred_at.is_some(), &[Consent, Template], &[]),
    member("number", |event| event.number.is_some(), &[Assignment], &[Consent, Template, Device]),
    member("person", |event| event.person.is_some(), &[Consent], &[]),
    member("channel", |event| event.channel.is_some(), &[], &[Consent]),
    member("purpose", |event| event.purpose.is_some(), &[], &[Consent]),
    member("statement", |event| event.statement.is_some(), &[], &[Consent]),
    member("statement_version", |event| event.statement_version.is_some(), &[], &[Consent]),
    member("template", |event| event.template.is_some(), &[Template], &[]),
    member("device_id", |event| event.device_id.is_some(), &[Device], &[]),
    member("event", |event| event.event.is_some(), &[Device], &[]),
    member("at", |event| event.at.is_some(), &[Device], &[]),
    member("source", |event| event.source.is_some(), &[Device], &[]),
    member("detail", |event| event.detail.is_some(), &[], &[Device]),
    member("employee", |event| event.employee.is_some(), &[Assignment], &[]),
    member("from", |event| event.from.is_some(), &[Assignment], &[]),
];

/// What an event is about, which decides its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Consent,
    Template,
    Device,
    Assignment,
}

use Topic::{Assignment, Consent, Device, Template};

struct Member {
    name: &'static str,
    is_given: fn(&EventBody) -> bool,
    needed: &'static [Topic],
    allowed: &'static [Topic],
}

const fn member(
    name: &'static str,
    is_given: fn(&EventBody) -> bool,
    needed: &'static [Topic],
    allowed: &'static [Topic],
) -> Member {
    Member { name, is_given, needed, allowed }
}

impl Topic {
    const fn of(kind: EntryKind) -> Self {
        match kind {
            EntryKind::TemplateSnapshot => Template,
            EntryKind::DeviceReported => Device,
            EntryKind::AssignmentRecorded => Assignment,
            EntryKind::ConsentGiven
            | EntryKind::ConsentWithdrawn
            | EntryKind::ConsentRefused
            | EntryKind::ConsentExpired => Consent,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Consent => "a consent",
            Template => "a template snapshot",
            Device => "a report on a device",
            Assignment => "an assignment",
        }
    }
}

/// Checks that an event has what its kind needs and nothing that belongs to others.
fn check_members(event: &EventBody) -> Result<(), ApiError> {
    let topic = Topic::of(event.kind);
    for Member { name, is_given, needed, allowed } in &MEMBERS {
        match is_given(event) {
            false if needed.contains(&topic) => {
                return Err(refuse(name, &format!("a value in {}", topic.name()), "none"));
            }
            true if !needed.contains(&topic) && !allowed.contains(&topic) => {
                return Err(refuse(name, &format!("none in {}", topic.name()), "a value"));
            }
            _ => {}
        }
    }
    if event.expires_at.is_some() && event.kind != EntryKind::ConsentGiven {
        return Err(refuse("expires_at", "none but in `consent.given`", "a value"));
    }
    if event.until.is_some() && topic != Assignment {
        return Err(refuse("until", &format!("none in {}", topic.name()), "a value"));
    }
    let components = event.template.as_ref().map(|template| template.components.len());
    if components.is_none_or(|components| (1..=COMPONENTS_MAX).contains(&components)) {
        return Ok(());
    }
    let expected = format!("1 to {COMPONENTS_MAX} components");
    Err(refuse("template.components", &expected, &components.unwrap_or_default().to_string()))
}

/// Reads when the event happened: the member that says so depends on the kind.
fn moment(event: &EventBody) -> Result<i64, ApiError> {
    let (field, text) = match Topic::of(event.kind) {
        Device => ("at", &event.at),
        Assignment => ("from", &event.from),
        Consent | Template => ("occurred_at", &event.occurred_at),
    };
    let at = time(field, text.as_deref().unwrap_or_default())?;
    if let Some(expires_at) = &event.expires_at
        && time("expires_at", expires_at)? <= at
    {
        return Err(refuse("expires_at", "a time after `occurred_at`", expires_at));
    }
    if let Some(until) = &event.until
        && time("until", until)? < at
    {
        return Err(refuse("until", "a time that is not before `from`", until));
    }
    Ok(at)
}

/// Reads RFC 3339 in the spelling of the schema, in microseconds since the epoch.
pub(crate) fn time(field: &str, text: &str) -> Result<i64, ApiError> {
    let is_spelled = text.len() <= 35 && text.as_bytes().get(10).is_some_and(|c| matches!(c, b'T' | b't'));
    let time = DateTime::parse_from_rfc3339(text).ok().filter(|_| is_spelled);
    let time = time.ok_or_else(|| refuse(field, "a time such as `2026-11-21T10:00:00+01:00`", text))?;
    Ok(time.timestamp_micros())
}

/// Names the person whose key encrypts the event.
fn subject(person: &PersonBody) -> Result<String, ApiError> {
    match (&person.phone, &person.user_id) {
        (Some(phone), _) => Ok(format!("wa:{}", phone.trim_start_matches('+'))),
        (None, Some(user_id)) => Ok(format!("bsuid:{user_id}")),
        (None, None) => Err(refuse("person", "`phone` or `user_id`", "neither")),
    }
}

pub(crate) fn is_number(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit())
}

pub(crate) fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (6..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|c| c.is_ascii_digit())
}

fn is_language(text: &str) -> bool {
    let mut tags = text.split(['-', '_']);
    let first = tags.next().unwrap_or_default();
    let rest: Vec<&str> = tags.collect();
    (2..=3).contains(&first.len())
        && first.bytes().all(|c| c.is_ascii_alphabetic())
        && rest.len() <= 4
        && rest
            .iter()
            .all(|tag| (2..=8).contains(&tag.len()) && tag.bytes().all(|c| c.is_ascii_alphanumeric()))
}

fn refuse(field: &str, expected: &str, found: &str) -> ApiError {
    let found: String = found.chars().take(80).collect();
    ApiError::new(ErrorCode::Invalid, format!("field `{field}`: expected {expected}, found `{found}`"))
        .hint("the form of events is in schemas/event.schema.json")
}

const fn kind(kind: EntryKind) -> Kind {
    match kind {
        EntryKind::ConsentGiven => Kind::ConsentGiven,
        EntryKind::ConsentWithdrawn => Kind::ConsentWithdrawn,
        EntryKind::ConsentRefused => Kind::ConsentRefused,
        EntryKind::ConsentExpired => Kind::ConsentExpired,
        EntryKind::TemplateSnapshot => Kind::TemplateSnapshot,
        EntryKind::DeviceReported => Kind::DeviceReported,
        EntryKind::AssignmentRecorded => Kind::AssignmentRecorded,
    }
}
