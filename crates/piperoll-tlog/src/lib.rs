//! Transparency log primitives: the RFC 6962 Merkle tree, its proofs, C2SP tiles, signed notes,
//! checkpoints and `.tlog-proof` files.
//!
//! Everything here is a pure function of its arguments.
//! The crate deliberately knows no events, does no I/O, and reads no clock and no randomness:
//! tiles come in through a closure and signing keys are passed by the caller.
//!
//! Nothing read through [`proof::build::HashReader`] is trusted; a proof built from it is only worth
//! something after [`proof::verify_inclusion`] or [`proof::verify_consistency`] accepted it
//! against the root of an opened [`checkpoint::Checkpoint`].

pub mod hash;

pub mod frontier;

pub mod proof;

pub mod tile;

pub mod note;

pub mod checkpoint;

pub mod tlog_proof;

mod encoding;

#[cfg(test)]
mod testing;
