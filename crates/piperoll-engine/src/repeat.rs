//! Repeated deliveries: which items were committed before (at-least-once senders).
//!
//! An item is a repeat only when both its source digest and its captured bytes were committed before. The same
//! source id with other bytes is a conflict: stored, and marked with the event it conflicts with.

use std::collections::HashMap;

use piperoll_format::{Codec, LinkSecret, Seq, SourceDigest, Submission};

use crate::error::EngineError;
use crate::keyring::Keyring;
use crate::ledger::LedgerStore;
use crate::read::read_event;
use crate::state::State;

/// What becomes of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It becomes an event; `conflicts_with` has the same source id and other bytes.
    New { conflicts_with: Option<Seq> },
    /// It is an earlier event of an earlier commit.
    Repeat { seq: Seq, event_hash: [u8; 32] },
    /// It is an earlier event of this commit.
    RepeatInBatch { seq: Seq },
}

/// The source digests of a batch so far, with the captured bytes' digests, which are compared instead of the bytes.
#[derive(Debug, Default)]
pub(crate) struct BatchSources {
    seen: HashMap<SourceDigest, Vec<(Seq, [u8; 32])>>,
}

impl BatchSources {
    pub(crate) fn find(&self, digest: SourceDigest) -> &[(Seq, [u8; 32])] {
        self.seen.get(&digest).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn note(&mut self, digest: SourceDigest, seq: Seq, content: [u8; 32]) {
        self.seen.entry(digest).or_default().push((seq, content));
    }
}

/// Digests where an item came from; `None` for the archive's own events, which never repeat.
pub(crate) fn source_digest(
    secret: &LinkSecret,
    submission: &Submission,
) -> Result<Option<SourceDigest>, EngineError> {
    if submission.payload.provenance.received_at.is_none() {
        return Ok(None);
    }
    Ok(Some(match &submission.payload.facts.source_id {
        Some(id) => secret.source_id(submission.kind, id),
        None => secret.content(submission.kind, &slices(submission)?),
    }))
}

/// Digests an item's captured bytes, however they are placed.
pub(crate) fn content_digest(submission: &Submission) -> Result<[u8; 32], EngineError> {
    Ok(digest_slices(&slices(submission)?))
}

fn slices(submission: &Submission) -> Result<Vec<&[u8]>, EngineError> {
    submission.payload.item_slices().map_err(|error| EngineError::Invalid { reason: error.to_string() })
}

fn digest_slices(slices: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for slice in slices {
        let _ = hasher.update(&(slice.len() as u64).to_be_bytes()).update(slice);
    }
    *hasher.finalize().as_bytes()
}

/// Judges an item against the events that were committed before under its source digest.
pub(crate) async fn judge_committed(
    places: (&LedgerStore, &State),
    keyring: &mut Keyring,
    codec: &mut Codec,
    candidates: &[Seq],
    content: [u8; 32],
) -> Result<Verdict, EngineError> {
    let mut conflicts_with = None;
    for seq in candidates {
        let Some(event) = read_event(places, keyring, codec, *seq).await? else { continue };
        let slices = event.payload.item_slices();
        let slices =
            slices.map_err(|error| EngineError::fatal_from("a committed payload is damaged", error))?;
        if digest_slices(&slices) == content {
            return Ok(Verdict::Repeat { seq: *seq, event_hash: event.event_hash.0 });
        }
        conflicts_with.get_or_insert(*seq);
    }
    Ok(Verdict::New { conflicts_with })
}
