//! Folded state of a ledger: people, conversations, consent, templates, sends and coverage over time.
//!
//! Every event is turned into facts ([`fold`]), which the database keeps by table, entity and time. What was the
//! case at some moment is computed from the facts when somebody asks; so nothing is ever updated in place, late
//! events fall into their own time, and forgetting a bucket is leaving its facts out.
//!
//! **Invariant:** everything here is derived. It is made again from the ledger by one command, and it forgets what
//! the ledger disposed of. No store, no network, no clock.

mod database;
mod error;
mod fact;

pub use database::Projections;
pub use error::ProjectionError;
pub use fact::{Fact, Facts, Observed, Row, Table};

/// Turns one event into facts. Pure and total: what cannot be read gives no fact.
#[must_use]
pub fn fold(observed: &Observed<'_>) -> Vec<Row> {
    let facts = Facts::of(observed);
    facts.into_rows()
}
