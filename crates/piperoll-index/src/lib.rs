//! The search index of a ledger: analysis, fields, query language, apply and search, on tantivy.
//!
//! The index holds no text, only addresses: a hit is the `seq` of an event, and whoever shows it reads the event
//! again from the store and proves it. The index can be deleted at any time and built again from the ledger.
//!
//! - [`SearchIndex`] opens a directory and searches it; [`SearchWriter`] is its only writer.
//! - [`Document`] is what gets indexed: the projection of an item and the facts of its event.
//! - [`Query`] is the query language: parsed, printed in a canonical form for the audit log, and run.
//!
//! **Invariant:** nothing here knows the store, the engine or a clock, and no document's text is stored.

mod analysis;
mod collect;
mod copy;
mod document;
mod error;
mod fields;
mod index;
mod merge;
mod query;
mod writer;

pub use document::Document;
pub use error::IndexError;
pub use index::{Check, Hit, Hits, Options, Page, SearchIndex};
pub use query::{Query, QueryError, Scope};
pub use writer::SearchWriter;

#[cfg(test)]
mod tests;
