//! What an auditor remembers between two runs: the newest checkpoint of each log, as its signed note, verbatim.
//!
//! Any C2SP tool reads the same file. Where it is kept, and writing it, is the caller's.

use piperoll_format::ObjectDigest;
use piperoll_tlog::checkpoint::{Checkpoint, CheckpointError};
use piperoll_tlog::note::Note;

use crate::report::{FindingCode, Report};

/// Longest part of an origin that a file name shows.
const SHOWN_MAX: usize = 60;

/// A remembered checkpoint. It was verified when it was remembered; the next run opens it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    note: String,
    checkpoint: Checkpoint,
}

/// What to do after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Remember this note from now on.
    Replace(String),
    /// Keep what is remembered: the ledger is no longer than before, or it is not to be believed.
    Keep,
}

impl Remembered {
    /// Reads the text of a remembered checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError`] when it is no signed note of a checkpoint. Signatures are not checked.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let note = Note::parse(text.as_bytes())?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { note: text.to_owned(), checkpoint })
    }

    /// Returns the text, which is the signed note.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.note
    }

    /// Returns what the note says.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// Returns the name of the file for an origin: readable, and different for different origins.
#[must_use]
pub fn file_name(origin: &str) -> String {
    let readable = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    let shown: String = origin.chars().take(SHOWN_MAX).map(readable).collect();
    format!("{shown}-{}.checkpoint", ObjectDigest::of(origin.as_bytes()).prefix())
}

/// Decides what to remember after a run that compared the ledger with `old`.
///
/// Whatever is wrong with the ledger, a checkpoint is only replaced by a later one whose tree is known to contain it.
#[must_use]
pub fn update(old: Option<&Remembered>, report: &Report) -> Update {
    const DISQUALIFYING: [FindingCode; 12] = [
        FindingCode::CheckpointInvalid,
        FindingCode::Forked,
        FindingCode::FrontierMismatch,
        FindingCode::GenesisInvalid,
        FindingCode::KeyUnknown,
        FindingCode::OriginMismatch,
        FindingCode::RolledBack,
        FindingCode::RootMismatch,
        FindingCode::SegmentInvalid,
        FindingCode::SegmentMisplaced,
        FindingCode::SegmentMissing,
        FindingCode::SeqGap,
    ];
    let Some(note) = &report.checkpoint else { return Update::Keep };
    let is_believed = DISQUALIFYING.iter().all(|code| !report.finding_counts.contains_key(code));
    let is_later = old.is_none_or(|old| report.size > old.checkpoint.size);
    if is_believed && is_later && report.is_complete() { Update::Replace(note.clone()) } else { Update::Keep }
}
