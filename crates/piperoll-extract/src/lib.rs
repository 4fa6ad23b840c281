//! Text of attachments, taken out in a process of its own.
//!
//! **Invariant:** no parser of attachments runs in a process that holds keys or writes the ledger.
