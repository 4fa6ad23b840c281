//! Search index and projections of a ledger that this process does not write to: for bringing an archive back.

use std::path::PathBuf;

use piperoll_engine::Head;
use piperoll_index::Options;
use piperoll_verify::LedgerReader;
use tokio::sync::watch;

use crate::archive::ArchiveError;
use crate::follow::{Follower, Progress};
use crate::indexing::Upkeep;
use crate::place::Place;

/// Makes search index and projections from the ledger, as far as it goes now, and returns how many events that are.
/// What is there goes on from where it is. No archive may have the places open.
///
/// A store that does not answer is asked again until it does.
///
/// # Errors
/// [`ArchiveError`] when the end of the ledger cannot be read, or neither of both can be opened.
pub async fn derive(
    reader: LedgerReader,
    (state_dir, index_dir): (PathBuf, PathBuf),
    told: &watch::Sender<Progress>,
) -> Result<u64, ArchiveError> {
    let Some(end) = reader.refresh().await? else { return Ok(0) };
    let head = Head {
        size: end.size,
        segment: Some(end.segment),
        recorded_at: end.recorded_at,
        checkpoint: "".into(),
    };
    let (sender, head) = watch::channel(head);
    let place = Place::new(state_dir, index_dir, Options::default());
    let follower = Follower::start(place, reader, head, None, Upkeep::Later).await?;
    let mut progress = follower.progress();
    loop {
        let now = *progress.borrow_and_update();
        let _ = told.send_replace(now);
        if now.covered.min(now.projected) >= end.size || progress.changed().await.is_err() {
            break;
        }
    }
    follower.close().await;
    drop(sender);
    Ok(end.size)
}
