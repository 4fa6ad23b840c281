//! A client of the Graph API: media, templates, subscriptions and numbers.
//!
//! **Invariant:** it calls only the hosts that were configured, follows no redirect, and never shows a token.

mod account;
mod client;
mod error;
mod forward;
mod history;
mod host;
mod media;
mod secret;
mod template;

pub use account::Answer;
pub use client::{GraphClient, GraphOptions, Timeouts};
pub use error::GraphError;
pub use forward::{Forward, Forwarded, Forwarder};
pub use history::{ListedMessage, MessageCount, WebhookTry};
pub use media::{Download, MediaInfo};
pub use secret::{Secret, TokenSource};
pub use template::Template;
