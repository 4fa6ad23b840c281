//! Productions: files for outsiders, written from evidence and without decisions of their own.
//!
//! A writer takes events in order and returns bytes. It reads no store, knows no clock and chooses nothing; who may
//! see what was decided before. The same evidence gives the same bytes.

mod jsonl;

pub use jsonl::{AttachmentLine, AttachmentState, Footer, Gap, Header, Production, event_line, message_of};
