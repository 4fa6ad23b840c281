//! The WhatsApp Business platform: Meta's webhooks, with and without coexistence.
//!
//! media, decides about retention, or refuses a delivery for its content.

mod cutter;
mod element;
mod envelope;
mod field;
mod json;
mod project;
mod scalar;
mod signal;
mod signature;
mod split;

pub(crate) use project::project;
pub use signature::{AppSecret, HandshakeError, SIGNATURE_HEADER, SignatureError, verify, verify_handshake};
pub use split::split;
