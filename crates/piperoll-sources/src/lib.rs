//! Senders of webhooks: signature check, cutting a delivery into items, and reading items as messages.

mod delivery;
mod item;
mod message;
pub mod whatsapp;

pub use delivery::Delivery;
pub use item::{Flag, Item, Split};
pub use message::{
    Attachment, BusinessNumber, Direction, Message, Origin, Party, Reference, Relation, TemplateRef,
};
