//! The documents of `media.` events, and of what a poller observed.

use piperoll_format::{Kind, Seq};
use serde::{Deserialize, Serialize};

use super::state::{AttachmentKey, Change, Done};

/// An attachment is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CapturedDocument {
    /// The message that names it.
    pub(crate) message_seq: u64,
    /// Which of the message's attachments it is, from 0.
    pub(crate) attachment: u32,
    /// The id or address that it was fetched with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) media_id: Option<String>,
    /// The media type that the sender claims.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) mime_type: Option<String>,
    /// The file name that the sender claims.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) filename: Option<String>,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// The SHA-256 that was found, hexadecimal.
    pub(crate) sha256: String,
    /// The SHA-256 that was declared, as written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) declared_sha256: Option<String>,
    /// Whether the two are equal; `null` when nothing readable was declared.
    pub(crate) matches_declared: Option<bool>,
    /// The pieces, in their order.
    pub(crate) parts: Vec<u64>,
    /// Tries that were needed.
    pub(crate) attempts: u32,
    /// `graph`, `link` or `import`.
    pub(crate) source: String,
}

/// An attachment was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnavailableDocument {
    /// The message that names it.
    pub(crate) message_seq: u64,
    /// Which of the message's attachments it is, from 0.
    pub(crate) attachment: u32,
    /// The id or address that it would have been fetched with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) media_id: Option<String>,
    /// Why, in one word.
    pub(crate) reason: Reason,
    /// Why, in words.
    pub(crate) detail: String,
    /// Tries that failed.
    pub(crate) attempts: u32,
    /// Always true: it is not tried again.
    pub(crate) r#final: bool,
}

/// Why an attachment was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// Its addresses stopped working before its bytes were had.
    Expired,
    /// The platform does not know it, or not any more.
    NotFound,
    /// It is larger than what is taken.
    TooLarge,
    /// Its address leads to a host that may not be called.
    RefusedHost,
    /// The history names it without saying where it is.
    Placeholder,
    /// The token was refused as long as it could be had.
    Unauthorised,
    /// Its life ended before it could be had.
    GaveUp,
}

/// What a poller saw.
#[derive(Debug, Deserialize)]
struct ObservedDocument {
    object: String,
    id: String,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    answer: serde_json::Value,
}

/// Reads what an event of the archive's own says about attachments and observations.
pub(crate) fn read(kind: Kind, seq: Seq, recorded_at: u64, document: &[u8]) -> Option<Change> {
    let key = |message: u64, index: u32| AttachmentKey { message: Seq(message), index };
    match kind {
        Kind::MediaCaptured => {
            let captured: CapturedDocument = serde_json::from_slice(document).ok()?;
            let key = key(captured.message_seq, captured.attachment);
            Some(Change::Done(key, Done::Captured(seq)))
        }
        Kind::MediaUnavailable => {
            let given_up: UnavailableDocument = serde_json::from_slice(document).ok()?;
            let key = key(given_up.message_seq, given_up.attachment);
            Some(Change::Done(key, Done::Unavailable(seq)))
        }
        Kind::AccountObserved => {
            let observed: ObservedDocument = serde_json::from_slice(document).ok()?;
            let digest = crate::poll::digest_of(observed.status, &observed.answer);
            let key = format!("{}:{}", observed.object, observed.id);
            Some(Change::Observed { key, digest, at: recorded_at })
        }
        Kind::TemplateSnapshot => {
            let (key, digest) = crate::poll::template_digest(document)?;
            Some(Change::Observed { key, digest, at: recorded_at })
        }
        _ => None,
    }
}
