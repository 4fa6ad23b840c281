//! Local state as others see it: what it remembers of the end of a ledger, for whoever must decide without the store
//! that held it, and copies of it for snapshots.

use std::path::Path;
use std::sync::Arc;

use piperoll_format::{ChainHash, LedgerId, SegmentNo};

use crate::error::EngineError;
use crate::state::State;

/// The name of the one file of local state.
pub const STATE_FILE: &str = "state.redb";

/// The version of what the file holds; one of another version is made anew.
pub const STATE_VERSION: u64 = State::VERSION;

/// The local state of a running writer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalState {
    state: Arc<State>,
}

impl LocalState {
    pub(crate) const fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Copies everything that is committed now to a file [`STATE_FILE`] in `dir`, and returns the number of the first
    /// segment that the copy lacks. Commits go on meanwhile. What is remembered of this machine's clock stays here.
    ///
    /// Waits for the disk.
    ///
    /// # Errors
    /// [`EngineError::Fatal`] when one of the files cannot be read or written.
    pub fn copy_to(&self, dir: &Path) -> Result<SegmentNo, EngineError> {
        self.state.copy_to(&dir.join(STATE_FILE))
    }
}

/// The end of a ledger as local state knows it. More may have been committed: its last writes are not flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalEnd {
    /// Segments.
    pub segments: u64,
    /// Events, at least: all but those of the last segment, of which one is counted.
    pub events_min: u64,
    /// Chain hash of the last event of the last segment; `None` when it is not known.
    pub chain: Option<ChainHash>,
}

/// Returns what the local state in `state_dir` knows of a ledger; `None` when there is none that can be read.
///
/// No engine may have the state open.
#[must_use]
pub fn local_end(state_dir: &Path, ledger: LedgerId) -> Option<LocalEnd> {
    let state = State::open_existing(state_dir, ledger)?;
    let segments = state.cursor().ok()?.0;
    let last = state.last_segment().ok()?;
    let events_min = last.map_or(0, |first_seq| first_seq.0 + 1);
    Some(LocalEnd { segments, events_min, chain: state.chain().ok().flatten() })
}
