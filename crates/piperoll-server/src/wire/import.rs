//! What an import brought.

use serde::Serialize;
use utoipa::ToSchema;

use super::entry::ReceiptView;

/// What an import brought.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct ImportView {
    /// Identifies the file and how it was read.
    pub(crate) batch: String,
    /// Messages in it.
    pub(crate) items: u64,
    /// Messages that were stored now.
    pub(crate) stored: u64,
    /// Messages that had been imported before.
    pub(crate) repeated: u64,
    /// Messages that were captured live with the same id and words, and are not stored again.
    pub(crate) known: u64,
    /// Messages that were probably captured live: same person, minute and words; stored and marked.
    pub(crate) probable: u64,
    /// Attachments that were taken.
    pub(crate) media: u64,
    /// Attachments that a message names and the file does not hold.
    pub(crate) media_missing: u64,
    /// Lines that are no messages and were left out.
    pub(crate) mistakes: u64,
    /// The first 100 of them.
    pub(crate) mistaken: Vec<ImportMistake>,
    /// The event that records the import.
    pub(crate) recorded_as: Option<ReceiptView>,
}

/// A line that is no message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ImportMistake {
    /// The file in the zip, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The line, from 1.
    pub(crate) line: u64,
    /// What was expected and what was found.
    pub(crate) message: String,
}
