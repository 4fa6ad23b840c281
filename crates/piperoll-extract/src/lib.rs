//! Text of attachments, taken out in a process of its own.
//!
//! [`Extractor`] starts a child for each attachment and bounds its time; [`child::run`] is what the child does: it
//! takes away its own right to open files and sockets, bounds its memory and processor time, reads the attachment
//! from standard input and writes the text to standard output. Parsers of such files are known to panic, to overflow
//! their stack and to eat memory: then the child dies, and the attachment has no searchable text.
//!
//! **Invariant:** no parser of attachments runs in a process that holds keys or writes the ledger.

pub mod child;
mod extractor;
mod format;
mod office;
mod plain;
mod vcard;

pub use extractor::{Extracted, Extractor, Limits, NoText};
