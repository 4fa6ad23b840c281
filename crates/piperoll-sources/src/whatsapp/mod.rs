//! The WhatsApp Business platform: Meta's webhooks, with and without coexistence.
//!
//! What other senders make of them is translated back, and read by the same code. Nothing here fetches
//! media, decides about retention, or refuses a delivery for its content.

mod cutter;
mod element;
mod envelope;
mod field;
pub(crate) mod json;
mod project;
mod scalar;
mod signal;
mod signature;
mod split;
mod translation;

pub(crate) use field::kind_of_event;
pub(crate) use project::detail::{history_chunks, read_definition};
pub(crate) use project::{project, project_translation, read_send};
pub use signature::{HandshakeError, SIGNATURE_HEADER, verify, verify_handshake};
pub use split::split;
pub(crate) use translation::{Reading, Translation, contact_entry, content_type_of, media};

pub use crate::signature::{AppSecret, SignatureError};
