//! Requests to send through the Cloud API and their answers, as events: WhatsApp reports only statuses of them.
//!
//! They come through the proxy, which knows both, or are handed in by whoever sent them.

use piperoll_engine::Receipt;
use piperoll_format::{Facts, Kind, Payload, Provenance, Submission, SubmissionGroup, Timestamp};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::archive::Archive;
use crate::entry::{is_number, time};
use crate::error::{ApiError, ErrorCode};
use crate::tokens::Caller;
use crate::wire::{Endpoint, JournalBody, JournalView, hex};

/// Most characters of a journal id that somebody gives.
const JOURNAL_ID_CHARS_MAX: usize = 128;

/// A request to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'a> {
    /// Ties request and answer together.
    pub(crate) journal_id: &'a str,
    /// `proxy` or `journal`.
    pub(crate) via: &'a str,
    pub(crate) endpoint: Endpoint,
    /// The business number's `phone_number_id`.
    pub(crate) number: &'a str,
    /// The exact body.
    pub(crate) request: &'a RawValue,
    /// When it was sent, microseconds since the epoch.
    pub(crate) sent_at: i64,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// The HTTP status; `None` without an answer.
    pub(crate) status: Option<u16>,
    /// The exact body.
    pub(crate) body: &'a [u8],
    /// Why there is no answer.
    pub(crate) failure: Option<&'a str>,
}

#[derive(Serialize)]
struct Requested<'a> {
    journal_id: &'a str,
    via: &'a str,
    endpoint: Endpoint,
    number: &'a str,
    request: &'a RawValue,
}

#[derive(Serialize)]
struct Answered<'a> {
    journal_id: &'a str,
    status: Option<u16>,
    wamids: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

impl Sent<'_> {
    /// The event of the request.
    pub(crate) fn requested(&self, origin: &Origin<'_>) -> Submission {
        let Self { journal_id, via, endpoint, number, request, .. } = *self;
        let document = json(&Requested { journal_id, via, endpoint, number, request });
        let parts = vec![document, request.get().as_bytes().to_vec()];
        self.submission(Kind::SendRequested, "send", parts, self.sent_at, origin)
    }

    /// The event of its answer.
    pub(crate) fn answered(&self, answer: &Answer<'_>, at: i64, origin: &Origin<'_>) -> Submission {
        let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
        let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
        let error = answer.failure.map(Value::from).or_else(|| body.get("error").cloned());
        let document = json(&Answered {
            journal_id: self.journal_id,
            status: answer.status,
            wamids: messages.filter_map(|message| message.get("id")?.as_str()).collect(),
            error,
        });
        let parts = vec![document, answer.body.to_vec()];
        self.submission(Kind::SendAnswered, "answer", parts, at, origin)
    }

    fn submission(
        &self,
        kind: Kind,
        prefix: &str,
        parts: Vec<Vec<u8>>,
        at: i64,
        origin: &Origin<'_>,
    ) -> Submission {
        let facts = Facts {
            subject: recipient(self.request),
            source_id: Some([prefix, ":", self.journal_id].concat()),
            number: Some(self.number.to_owned()),
            occurred_at: Some(at),
            ..Facts::default()
        };
        let provenance = Provenance {
            source: self.via.to_owned(),
            received_at: Some(origin.received_at),
            media_type: "application/json".to_owned(),
            signature: None,
            signature_key: Some(format!("token:{}", origin.caller.name)),
        };
        Submission { kind, payload: Payload { parts, provenance, facts, placement: None, skeleton: None } }
    }
}

/// Who handed something in, and when.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) received_at: Timestamp,
}

/// Names the person whom a request is to, whose key encrypts it.
fn recipient(request: &RawValue) -> Option<String> {
    let request: Value = serde_json::from_str(request.get()).ok()?;
    let text = |key: &str| request.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(user_id) = text("recipient") {
        return Some(["bsuid:", user_id].concat());
    }
    let to = text("to")?;
    if text("recipient_type") == Some("group") {
        return Some(["group:", to].concat());
    }
    let digits: String = to.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| ["wa:", &digits].concat())
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("texts, numbers and JSON are always JSON")
}

impl Archive {
    /// Commits a request to send and, if it is known already, its answer, both or none. The same again gets the
    /// first receipts.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] naming the field; those of a commit.
    pub(crate) async fn journal(&self, caller: &Caller, body: &[u8]) -> Result<JournalView, ApiError> {
        let entry = read(body)?;
        let derived = || hex(&Sha256::digest(body)[..16]);
        let journal_id = entry.journal_id.clone().unwrap_or_else(derived);
        let sent = Sent {
            journal_id: &journal_id,
            via: "journal",
            endpoint: entry.endpoint,
            number: &entry.number,
            request: &entry.request,
            sent_at: time("sent_at", &entry.sent_at)?,
        };
        let origin = Origin { caller, received_at: self.now() };
        let mut items = vec![sent.requested(&origin)];
        if let Some(response) = &entry.response {
            let body = response.get().as_bytes();
            let answer = Answer { status: entry.status, body, failure: None };
            items.push(sent.answered(&answer, sent.sent_at, &origin));
        }
        let receipts = self.engine.submit(SubmissionGroup { delivery: None, items }).await?;
        let _ = self.metrics.events.inc_by(receipts.len() as u64);
        let mut receipts = receipts.into_iter().map(Receipt::into);
        let requested = receipts.next().expect("a group has a receipt for each item");
        Ok(JournalView { journal_id, requested, answered: receipts.next() })
    }
}

fn read(body: &[u8]) -> Result<JournalBody, ApiError> {
    let invalid = |message: String| ApiError::new(ErrorCode::Invalid, message);
    let mut json = serde_json::Deserializer::from_slice(body);
    let entry: JournalBody = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| invalid(format!("field `{}`: {}", error.path(), error.inner())))?;
    json.end().map_err(|error| invalid(format!("body: {error}")))?;
    let id_chars = entry.journal_id.as_ref().map(|id| id.chars().count());
    if id_chars.is_some_and(|chars| !(1..=JOURNAL_ID_CHARS_MAX).contains(&chars)) {
        let message = format!("field `journal_id`: expected 1 to {JOURNAL_ID_CHARS_MAX} characters");
        return Err(invalid(message));
    }
    if !is_number(&entry.number) {
        return Err(invalid("field `number`: expected 1 to 32 digits".to_owned()));
    }
    for (field, raw) in [("request", Some(&entry.request)), ("response", entry.response.as_ref())] {
        if raw.is_some_and(|raw| !raw.get().starts_with('{')) {
            return Err(invalid(format!("field `{field}`: expected an object")));
        }
    }
    Ok(entry)
}
