//! The bytes of a ledger: event cores, payloads, segments, packs, key objects, genesis and object names.
//!
//! Everything here is a pure function over bytes and values. There is no async, no clock, no randomness and no
//! network; whoever needs a time, a salt or a key passes it in. The normative text is `schemas/FORMAT.md`.

pub mod cbor;
mod class;
mod error;
mod event;
mod hex;
mod id;
mod kind;
mod time;

pub use class::{Bucket, Class};
pub use error::DecodeError;
pub use event::{
    COSE_PROTECTED, CORE_BYTES_MAX, EventCore, FORMAT_VERSION, PayloadRef, chain_hash, signed_bytes,
};
pub use id::{
    ChainHash, Commitment, DigestPrefix, KekId, KeyId, LedgerId, ObjectDigest, SegmentNo, Seq, SourceDigest,
    WriterKeyId,
};
pub use kind::Kind;
pub use time::{RetainUntil, Timestamp};
