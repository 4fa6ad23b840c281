//! Senders of webhooks: signature check, cutting a delivery into items, and reading items as messages.
//!
//! Everything is a pure function over bytes. There is no clock and no network, nothing is refused for its content,
//! and nothing here decides how long anything is kept.

pub mod aws;
pub mod bird;
#[cfg(test)]
mod check;
mod delivery;
mod detail;
pub mod dialog360;
mod document;
mod generic;
pub mod gupshup;
pub mod import;
pub mod infobip;
mod item;
mod message;
mod project;
mod sender;
mod signature;
mod text;
pub mod twilio;
pub mod vonage;
pub mod whatsapp;
pub mod ycloud;

pub use delivery::Delivery;
pub use detail::{
    Choice, Forwarded, HistoryChunk, HistoryDetail, IdentityChange, Preference, Product, Reaction, Referral,
    SendDetail, StatusDetail, TemplateDetail,
};
pub use item::{Flag, Item, Split};
pub use message::{
    Attachment, BusinessNumber, Direction, Message, Origin, Party, Reference, Relation, TemplateRef,
};
pub use project::{Captured, project};
pub use sender::{Sender, UnknownSender};
pub use signature::{AppSecret, SignatureError, Verified, verify_shared_secret};
