//! Folded state of a ledger: people, conversations, consent, templates, sends and coverage over time.
//!
//! Every event is turned into facts ([`fold`]), which the database keeps by table, entity and time. What was the
//! case at some moment is computed from the facts when somebody asks; so nothing is ever updated in place, late
//! events fall into their own time, and forgetting a bucket is leaving its facts out.
//!
//! **Invariant:** everything here is derived. It is made again from the ledger by one command, and it forgets what
//! the ledger disposed of. No store, no network, no clock.

mod alias;
mod consent;
pub mod coverage;
mod database;
mod disposal;
mod error;
mod evidence;
mod fact;
mod keyword;
mod media;
pub mod observation;
mod people;
mod person;
mod render;
mod send;
mod signal;
mod talk;
mod template;
mod thread;
mod time;
mod version;

pub use alias::{alias_of, aliases};
pub use consent::{
    Consent, ConsentQuestion, ConsentRules, ConsentState, FlowRule, Weighed, WordRule, consent,
};
pub use database::Projections;
pub use disposal::Disposed;
pub use error::ProjectionError;
pub use evidence::{SendCheck, Violation, ViolationRule, WINDOW, Window, violations};
pub use fact::{Fact, Facts, Observed, Rows, Table};
pub use keyword::is_consent_language;
pub use media::{CapturedAttachment, NamedAttachment, Outcome, PLACEHOLDER};
pub use people::Assignment;
pub use person::{Alias, Name, Person};
pub use render::render;
pub use send::SendFact;
pub use signal::{Act, Signal, Via};
pub use talk::{About, Entry, Role};
pub use template::{TemplateFact, content_hash};
pub use thread::{Cursor, Reacted, Reported, Thread, Turn};
pub use time::{day, utc};
pub use version::{TemplateState, TemplateVersion, Told, template_state};

/// Turns one event into facts and adds them to `rows`. Pure and total: what cannot be read gives no fact.
pub fn fold(observed: &Observed<'_>, rows: &mut Rows) {
    let mut facts = Facts::of(observed, rows);
    people::fold(observed, &mut facts);
    talk::fold(observed, &mut facts);
    signal::fold(observed, &mut facts);
    template::fold(observed, &mut facts);
    send::fold(observed, &mut facts);
    coverage::fold(observed, &mut facts);
    media::fold(observed, &mut facts);
    observation::fold(observed, &mut facts);
    disposal::fold(observed, &mut facts);
}

#[cfg(test)]
mod tests;
