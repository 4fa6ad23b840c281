//! Attachments: which events name one, what became of each, and which captured ones have text.
//!
//! Two lists are in the order of the ledger, so that whoever works them off reads on from a position. What became of an
//! attachment stands with its message; an attachment of which nothing is known there was never fetched.

use piperoll_format::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Facts, Observed, Table};

/// The content type of a message in the history whose medium was not handed over.
pub const PLACEHOLDER: &str = "media_placeholder";

/// The list of attachments that can be fetched. Its facts have the event's `seq` in place of a time.
const NAMED: &str = "@named";

/// The list of attachments that were captured. Its facts have the event's `seq` in place of a time.
const CAPTURED: &str = "@captured";

/// Facts about one message that are looked at.
const FACTS_MAX: usize = 10_000;

/// An event names an attachment that can be fetched, or whose place in the history is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedAttachment {
    /// Which of the event's attachments it is, from 0.
    #[serde(rename = "i")]
    pub index: u32,
    /// When the event was recorded, in microseconds since the epoch.
    #[serde(rename = "t")]
    pub since: u64,
    /// The business number's id.
    #[serde(rename = "n", skip_serializing_if = "Option::is_none", default)]
    pub number: Option<String>,
}

/// An attachment was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedAttachment {
    /// The media type that the sender claims.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// What follows the last dot of the file name that the sender claims.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none", default)]
    pub extension: Option<String>,
}

/// What became of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This event says that it is captured.
    Captured(u64),
    /// This event says that it was given up.
    Unavailable(u64),
}

/// A fact about a message's attachments, or about a captured one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Became {
    Captured(u32),
    Unavailable(u32),
    /// The entity is the event that captured it: its text was taken out, or there is none.
    Text,
}

/// The members of documents about attachments that are folded.
#[derive(Deserialize)]
struct Document {
    message_seq: u64,
    attachment: u32,
    media_seq: Option<u64>,
    mime_type: Option<String>,
    filename: Option<String>,
}

/// Adds what an event says about attachments.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    match observed.kind {
        Kind::MediaCaptured | Kind::MediaUnavailable | Kind::MediaText => {
            let _read = became(observed, facts);
        }
        kind if names_attachments(kind) => {
            let number = observed.payload.facts.number.as_ref();
            for index in fetchable(observed) {
                let named = NamedAttachment { index, since: observed.recorded_at.0, number: number.cloned() };
                facts.put(Table::Media, NAMED, position(observed.seq), &named);
            }
        }
        _ => {}
    }
}

fn became(observed: &Observed<'_>, facts: &mut Facts<'_>) -> Option<()> {
    let part = observed.payload.parts.first()?;
    let document: Document = serde_json::from_slice(part).ok()?;
    let (entity, fact) = match observed.kind {
        Kind::MediaCaptured => (document.message_seq, Became::Captured(document.attachment)),
        Kind::MediaUnavailable => (document.message_seq, Became::Unavailable(document.attachment)),
        _ => (document.media_seq?, Became::Text),
    };
    let at = i64::try_from(observed.recorded_at.0).unwrap_or(i64::MAX);
    facts.put(Table::Media, &entity.to_string(), at, &fact);
    if observed.kind == Kind::MediaCaptured {
        let extension = document.filename.as_deref().and_then(|name| name.rsplit_once('.'));
        let extension = extension.map(|(_, extension)| extension.chars().take(10).collect());
        let captured = CapturedAttachment { media_type: document.mime_type, extension };
        facts.put(Table::Media, CAPTURED, position(observed.seq), &captured);
    }
    Some(())
}

/// Tells whether events of a kind can name an attachment.
pub(crate) fn names_attachments(kind: Kind) -> bool {
    match kind {
        Kind::WhatsappStatus | Kind::WhatsappContact | Kind::WhatsappReaction | Kind::WhatsappRevoke => false,
        kind => kind.as_str().starts_with("whatsapp."),
    }
}

/// Lists the attachments of an event that have an address, and the one that the history left out.
fn fetchable<'a>(observed: &'a Observed<'_>) -> impl Iterator<Item = u32> + 'a {
    let is_placeholder = observed.message.message_type == PLACEHOLDER;
    addressed(observed).chain(is_placeholder.then_some(0))
}

/// Lists the attachments of an event that have an address.
pub(crate) fn addressed<'a>(observed: &'a Observed<'_>) -> impl Iterator<Item = u32> + 'a {
    let attachments = observed.message.attachments.iter().zip(0..);
    attachments.filter(|(attachment, _)| attachment.media_id.is_some()).map(|(_, index)| index)
}

/// A position in the ledger, where other facts have a time.
fn position(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl Projections {
    /// Lists the attachments that the events from position `from` on name, at most `limit`, in the ledger's order.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn named_attachments(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Fact<NamedAttachment>>, ProjectionError> {
        self.facts(Table::Media, NAMED, position(from)..=i64::MAX, limit)
    }

    /// Lists the attachments that the events from position `from` on captured, at most `limit`, in the ledger's order.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn captured_attachments(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Fact<CapturedAttachment>>, ProjectionError> {
        self.facts(Table::Media, CAPTURED, position(from)..=i64::MAX, limit)
    }

    /// Tells what became of an attachment of an event; nothing when it was neither captured nor given up.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn attachment_outcome(&self, message: u64, index: u32) -> Result<Option<Outcome>, ProjectionError> {
        let facts =
            self.facts::<Became>(Table::Media, &message.to_string(), i64::MIN..=i64::MAX, FACTS_MAX)?;
        let mut given_up = None;
        for fact in facts {
            match fact.value {
                // What was captured after all counts more than that it was given up.
                Became::Captured(of) if of == index => return Ok(Some(Outcome::Captured(fact.seq))),
                Became::Unavailable(of) if of == index => given_up = Some(Outcome::Unavailable(fact.seq)),
                _ => {}
            }
        }
        Ok(given_up)
    }

    /// Tells whether the text of an attachment was taken out, or that there is none, by the event that captured it.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn has_attachment_text(&self, captured: u64) -> Result<bool, ProjectionError> {
        let facts = self.facts::<Value>(Table::Media, &captured.to_string(), i64::MIN..=i64::MAX, 1)?;
        Ok(!facts.is_empty())
    }
}
