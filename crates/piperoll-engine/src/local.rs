//! What local state remembers of the end of a ledger, for whoever must decide without the store that held it.

use std::path::Path;

use piperoll_format::{ChainHash, LedgerId};

use crate::state::State;

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
