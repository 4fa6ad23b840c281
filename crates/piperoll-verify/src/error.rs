//! Why something could not be read.

use std::sync::Arc;

use piperoll_format::{DecodeError, LedgerId, Seq};
use piperoll_store::StoreError;
use thiserror::Error;

/// Why an event, a payload or an object could not be read.
#[derive(Clone, Debug, Error)]
pub enum ReadError {
    /// The store failed; a retry may help.
    #[error("store could not be read")]
    Store(#[source] Arc<StoreError>),
    /// There is no such ledger in the store.
    #[error("expected the genesis object of ledger `{ledger}`, found none")]
    NoLedger {
        /// The ledger asked for.
        ledger: LedgerId,
    },
    /// The ledger does not reach that far.
    #[error("expected an event below {size}, found {seq}")]
    NoEvent {
        /// The position asked for.
        seq: Seq,
        /// Events in the ledger.
        size: u64,
    },
    /// An object that must be there is not: somebody deleted it.
    #[error("object `{object}` is missing")]
    Missing {
        /// Its name in the ledger.
        object: String,
    },
    /// The payload is gone, and its lock had ended: it was disposed of. Only a verification tells whether that was
    /// ordered.
    #[error("payload of event {seq} was disposed of with object `{object}`")]
    Disposed {
        /// The event.
        seq: Seq,
        /// Name of the pack that is gone.
        object: String,
    },
    /// The payload's key is not available: it was destroyed, or the caller has no keys.
    #[error("no key for the payload of event {seq}")]
    NoKey {
        /// The event.
        seq: Seq,
    },
    /// The payload was not read, because the caller did not want events of its kind.
    #[error("payload of event {seq} was left out")]
    LeftOut {
        /// The event.
        seq: Seq,
    },
    /// Bytes are not what they must be.
    #[error("object `{object}` is damaged{}", .seq.map_or_else(String::new, |seq| format!(" at event {seq}")))]
    Damaged {
        /// Name of the object in the ledger.
        object: String,
        /// The event whose bytes are damaged, if it is known.
        seq: Option<Seq>,
        /// What is wrong.
        #[source]
        source: Damage,
    },
    /// A delivery cannot be put together again because payloads of some of its items are gone.
    #[error("body of delivery {delivery} cannot be rebuilt: payloads of events {} are destroyed", list(.destroyed))]
    Incomplete {
        /// The delivery event.
        delivery: Seq,
        /// The events whose payloads are gone.
        destroyed: Vec<Seq>,
    },
    /// A proof does not lead to the signed root, whatever it is built from.
    #[error("event {seq} cannot be proven under the checkpoint of size {size}")]
    Unproven {
        /// The event.
        seq: Seq,
        /// The size of the checkpoint's tree.
        size: u64,
        /// Why the last attempt failed.
        #[source]
        source: piperoll_tlog::proof::ProofError,
    },
    /// The checkpoint to prove under is not accepted.
    #[error("checkpoint is not accepted")]
    Checkpoint(#[source] piperoll_tlog::checkpoint::CheckpointError),
    /// The tree of the checkpoint has no such tile.
    #[error("expected a tile of the tree with {size} leaves, found `{tile}`")]
    NoTile {
        /// Path of the tile asked for.
        tile: String,
        /// Size of the tree.
        size: u64,
    },
}

/// What is wrong with an object's bytes.
#[derive(Clone, Debug, Error)]
pub enum Damage {
    /// They leave the format.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// They belong to another place or another ledger.
    #[error("expected {expected}, found {found}")]
    Place {
        /// What belongs here.
        expected: String,
        /// What is here.
        found: String,
    },
    /// The segment names no pack with the digest that the core gives.
    #[error("expected a pack of the event's class in its segment, found none")]
    Unplaced,
    /// The core points outside its pack.
    #[error(
        "expected a payload inside the {size} bytes of its pack, found it at {offset} with {stored} bytes"
    )]
    Outside {
        /// Size of the pack.
        size: u64,
        /// Where the payload should start.
        offset: u64,
        /// How long it should be.
        stored: u64,
    },
    /// The payload was opened but is not the one that the core commits to.
    #[error("payload does not meet its commitment")]
    Commitment,
    /// Genesis has no usable key.
    #[error("public key in genesis cannot be used")]
    PublicKey(#[source] piperoll_tlog::note::NoteError),
}

impl ReadError {
    pub(crate) fn store(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }

    pub(crate) fn damaged(object: impl ToString, seq: Option<Seq>, source: impl Into<Damage>) -> Self {
        Self::Damaged { object: object.to_string(), seq, source: source.into() }
    }

    /// Tells whether the payload is gone for good, by disposal or by destruction of its key.
    #[must_use]
    pub const fn is_destroyed(&self) -> bool {
        matches!(self, Self::Disposed { .. } | Self::NoKey { .. })
    }
}

fn list(seqs: &[Seq]) -> String {
    seqs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
