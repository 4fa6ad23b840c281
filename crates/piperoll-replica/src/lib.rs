//! The second copy of a ledger: copies each commit under the same locks, reads everything again over time, and restores.
//!
//! **Invariant:** it writes only bytes that a segment names by digest, and never shortens a lock.
