//! The bytes of a ledger: event cores, payloads, segments, packs, key objects, genesis and object names.
//!
//! Everything here is a pure function over bytes and values. There is no async, no clock, no randomness and no
//! network; whoever needs a time, a salt or a key passes it in. The normative text is `schemas/FORMAT.md`.

mod error;
mod hex;
mod id;
mod kind;
mod time;

pub use error::DecodeError;
pub use id::{ChainHash, Commitment, KeyId, LeafHash, LedgerId, ObjectDigest, SegmentNo, Seq, SourceDigest};
pub use kind::Kind;
pub use time::{RetainUntil, Timestamp};
