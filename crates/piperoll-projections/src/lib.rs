//! Folded state of a ledger: people, conversations, consent, templates, sends and coverage over time.
//!
//! **Invariant:** everything here is derived. It is made again from the ledger by one command, and it forgets what
//! the ledger disposed of.
