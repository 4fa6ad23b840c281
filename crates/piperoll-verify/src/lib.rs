//! Reading and verifying of ledgers: from stored objects to events, payloads, proofs and a report.
//!
//! [`LedgerReader`] reads events, payloads and whole ranges through the store port; [`prove`] turns what was read
//! into evidence that holds without this archive; [`verify`] checks a whole ledger and reports
//! every deviation; [`remember`] is the text in which an auditor keeps a checkpoint between two runs.
//!
//! **Invariant:** this crate only reads. It never writes, decides about retention, or asks for the time, and it
//! links neither the writer nor the index, so that an auditor trusts nothing but the bytes and these checks.

mod body;
mod error;
mod keys;
mod payload;
mod pool;
pub mod prove;
mod reader;
pub mod remember;
pub mod report;
mod segment;
mod stream;
mod tiles;
pub mod verify;

pub use body::Body;
pub use error::{Damage, ReadError};
pub use keys::{KeyRequest, KeySource, NoKeys, StoreKeys};
pub use payload::{Opened, ReadEvent};
pub use reader::{Head, LedgerReader, find_ledgers, list_ledgers};
pub use segment::{SegmentData, StoredEvent};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
