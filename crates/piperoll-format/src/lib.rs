//! The bytes of a ledger: event cores, payloads, segments, packs, key objects, genesis and object names.
//!
//! Everything here is a pure function over bytes and values. There is no async, no clock, no randomness and no
//! network; whoever needs a time, a salt or a key passes it in. The normative text is `schemas/FORMAT.md`.

pub mod cbor;
mod class;
mod compress;
mod disposal;
mod error;
mod event;
mod genesis;
mod hex;
mod id;
mod kind;
mod name;
mod pack;
mod payload;
mod seal;
mod segment;
mod snapshot;
mod submission;
mod time;

#[cfg(test)]
mod tests;

pub use class::{Bucket, Class};
pub use compress::{Codec, Dictionary, PAYLOAD_BYTES_MAX};
pub use disposal::DisposalOrder;
pub use error::DecodeError;
pub use event::{
    CORE_BYTES_MAX, COSE_PROTECTED, EventCore, FORMAT_VERSION, PayloadRef, chain_hash, signed_bytes,
};
pub use genesis::Genesis;
pub use id::{
    ChainHash, Commitment, DigestPrefix, KekId, KeyId, LedgerId, ObjectDigest, PieceId, Pseudonym, SegmentNo,
    Seq, SourceDigest, WriterKeyId,
};
pub use kind::Kind;
pub use name::ObjectName;
pub use pack::{KeyObject, PACK_MAGIC, PackBuilder, check_pack_layout};
pub use payload::{
    Facts, Payload, Placement, Provenance, SALT_LEN, Skeleton, SkeletonItem, commitment, rebuild_body,
};
pub use seal::{
    Kek, KeyBinding, LinkSecret, NONCE_LEN, SealedPayload, Sealing, SubjectKey, open_payload, seal_payload,
};
pub use segment::{ObjectEntry, ObjectType, SEGMENT_EVENTS_MAX, SIGNATURE_LEN, Segment};
pub use snapshot::{PIECE_BYTES_MAX, PieceRole, SEALED_PIECE_BYTES_MAX, SnapshotKey};
pub use submission::{GROUP_EVENTS_MAX, Submission, SubmissionGroup};
pub use time::{RetainUntil, Timestamp};
