//! The documents of `media.` events.

use piperoll_extract::{Extracted, NoText};
use piperoll_format::Seq;
use serde::{Deserialize, Serialize};

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

impl Reason {
    /// Returns the stored text form.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotFound => "not-found",
            Self::TooLarge => "too-large",
            Self::RefusedHost => "refused-host",
            Self::Placeholder => "placeholder",
            Self::Unauthorised => "unauthorised",
            Self::GaveUp => "gave-up",
        }
    }
}

/// The text of an attachment, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TextDocument {
    /// The `media.captured` event.
    pub(crate) media_seq: u64,
    /// The message that names the attachment.
    pub(crate) message_seq: u64,
    /// Which of the message's attachments it is, from 0.
    pub(crate) attachment: u32,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) text: Option<String>,
    /// Whether the attachment has more text than is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) is_cut: bool,
    /// Why there is no text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reason: Option<String>,
}

impl TextDocument {
    /// Says what was found in a captured attachment.
    pub(crate) fn new(by: Seq, captured: &CapturedDocument, found: Result<Extracted, NoText>) -> Self {
        let (text, is_cut, reason) = match found {
            Ok(Extracted { text, is_cut }) => (Some(text), is_cut, None),
            Err(error) => (None, false, Some(error.to_string())),
        };
        let CapturedDocument { message_seq, attachment, .. } = *captured;
        Self { media_seq: by.0, message_seq, attachment, text, is_cut, reason }
    }
}
