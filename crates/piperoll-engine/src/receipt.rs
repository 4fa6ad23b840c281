//! What a submitter gets after the commit.

use piperoll_format::{LedgerId, Seq};
use piperoll_tlog::hash::NodeHash;

/// Says that an item is committed, and as which event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The ledger.
    pub ledger: LedgerId,
    /// The event.
    pub seq: Seq,
    /// The event's leaf hash in the tree (SHA-256, RFC 6962).
    pub event_hash: NodeHash,
    /// Whether the item had been committed before: the receipt is then the first one again.
    pub repeated: bool,
}
