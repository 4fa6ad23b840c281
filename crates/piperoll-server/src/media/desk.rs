//! What became of attachments, for exports: looked up in the projections and read again from the ledger.

use piperoll_export::{AttachmentLine, AttachmentState};
use piperoll_format::Seq;
use piperoll_projections::{Outcome, PLACEHOLDER};
use piperoll_sources::Message;
use piperoll_verify::LedgerReader;
use tokio::runtime::Handle;

use super::document::{CapturedDocument, UnavailableDocument};
use super::read::read_document;
use crate::error::ApiError;
use crate::known::Known;

/// Tells what became of attachments. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AttachmentDesk {
    known: Known,
    reader: LedgerReader,
    runtime: Handle,
}

impl AttachmentDesk {
    /// Must be called inside a runtime.
    pub(crate) fn new(known: Known, reader: LedgerReader) -> Self {
        Self { known, reader, runtime: Handle::current() }
    }

    /// Tells what became of each attachment that an event names. Reads on this thread, which must not be an async one.
    pub(crate) fn lines_of(&self, seq: Seq, message: &Message) -> Vec<AttachmentLine> {
        let is_placeholder = message.message_type == PLACEHOLDER;
        let count = message.attachments.len().max(usize::from(is_placeholder));
        let line = |attachment| AttachmentLine { attachment, state: self.state(seq, attachment) };
        (0..u32::try_from(count).unwrap_or(u32::MAX)).map(line).collect()
    }

    fn state(&self, message: Seq, index: u32) -> AttachmentState {
        match self.known.read_here(|projections| projections.attachment_outcome(message.0, index)) {
            Ok(Some(Outcome::Captured(seq))) => {
                let document: Result<CapturedDocument, ApiError> = self.read(seq);
                document.map_or(AttachmentState::Unknown { seq }, |document| AttachmentState::Captured {
                    seq,
                    size: document.size,
                    sha256: document.sha256,
                    parts: document.parts,
                    matches_declared: document.matches_declared,
                })
            }
            Ok(Some(Outcome::Unavailable(seq))) => {
                let document: Result<UnavailableDocument, ApiError> = self.read(seq);
                document.map_or(AttachmentState::Unknown { seq }, |document| AttachmentState::Unavailable {
                    seq,
                    reason: document.reason.as_str().to_owned(),
                })
            }
            Ok(None) => AttachmentState::NotFetched,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "an export does not say what became of an attachment");
                AttachmentState::Unknown { seq: message.0 }
            }
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, seq: u64) -> Result<T, ApiError> {
        self.runtime.block_on(read_document(&self.reader, Seq(seq)))
    }
}
