//! The events that a poller commits.

use piperoll_format::{Kind, Submission, Timestamp};
use piperoll_graph::Template;
use piperoll_projections::observation::content;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::wire::hex;

/// What the platform answered; number and time stand in the event's facts.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    about: About<'a>,
    status: u16,
    answer: Value,
}

/// What was asked about, and what of the settings an answer is judged by: readers of the ledger do not have them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct About<'a> {
    pub(super) object: &'a str,
    pub(super) id: &'a str,
    #[serde(skip)]
    pub(super) number: Option<&'a str>,
    /// The account that the settings name for a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<&'a str>,
    /// Where webhooks are to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected_callback: Option<&'a str>,
}

/// A template as it stands: of the form in which other channels hand snapshots in (`schemas/event.schema.json`), with
/// the platform's own members.
#[derive(Serialize)]
struct Snapshot<'a> {
    kind: &'a str,
    source_id: &'a str,
    occurred_at: String,
    /// SHA-256 of what a recipient sees.
    content_sha256: String,
    template: &'a Value,
}

/// Records an answer about an object.
pub(super) fn observed(about: About<'_>, status: u16, answer: Value, now: u64) -> Submission {
    let About { object, id, number, .. } = about;
    let mut submission = own(Kind::AccountObserved, &Document { about, status, answer }, now);
    submission.payload.facts.number = number.map(str::to_owned);
    submission.payload.facts.source_id = Some(format!("observed:{object}:{id}:{now}"));
    submission
}

/// Records a template; the time makes it a fact of its own when an earlier form comes back.
pub(super) fn snapshot(template: &Template, digest: &[u8; 32], now: u64) -> Submission {
    let source_id = format!("template:{}:{}:{now}", template.id, hex(&digest[..8]));
    let snapshot = Snapshot {
        kind: Kind::TemplateSnapshot.as_str(),
        source_id: &source_id,
        occurred_at: Timestamp(now).to_string(),
        content_sha256: hex(&content(&template.answer)),
        template: &template.answer,
    };
    let mut submission = own(Kind::TemplateSnapshot, &snapshot, now);
    submission.payload.facts.source_id = Some(source_id);
    submission
}

/// Returns what is kept of a list of templates: which there are and how they stand.
pub(super) fn list_of(templates: &[Template]) -> Value {
    let mut listed: Vec<&Template> = templates.iter().collect();
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    let one = |template: &Template| {
        let kept = ["id", "name", "language", "status", "category"];
        let members =
            kept.into_iter().filter_map(|name| Some((name.to_owned(), template.answer.get(name)?.clone())));
        Value::Object(members.collect())
    };
    object("templates", Value::Array(listed.into_iter().map(one).collect()))
}

/// Returns what is kept of a refusal.
pub(super) fn refusal(code: i64) -> Value {
    object("code", Value::from(code))
}

fn object(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

fn own(kind: Kind, document: &impl Serialize, now: u64) -> Submission {
    let document = serde_json::to_vec(document).expect("texts, numbers and JSON are always JSON");
    let mut submission = Submission::own(kind, "application/json", document);
    submission.payload.facts.occurred_at = i64::try_from(now).ok();
    submission
}
