//! What became of the attachments of an event.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of one attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentView {
    /// Which of the event's attachments it is, from 0.
    pub attachment: u32,
    /// How it stands.
    pub state: AttachmentState,
    /// The event that says so; absent while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Why it is not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How an attachment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttachmentState {
    /// Its bytes are in the archive.
    Captured,
    /// It was given up.
    Unavailable,
    /// It is still to be fetched.
    Waiting,
}

impl AttachmentView {
    pub(crate) const fn captured(attachment: u32, seq: u64) -> Self {
        Self { attachment, state: AttachmentState::Captured, seq: Some(seq), detail: None }
    }

    pub(crate) const fn unavailable(attachment: u32, seq: u64, detail: Option<String>) -> Self {
        Self { attachment, state: AttachmentState::Unavailable, seq: Some(seq), detail }
    }

    pub(crate) const fn waiting(attachment: u32) -> Self {
        Self { attachment, state: AttachmentState::Waiting, seq: None, detail: None }
    }
}
