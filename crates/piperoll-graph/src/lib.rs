//! A client of the Graph API: media, templates, subscriptions, numbers, and passing a send on.
//!
//! **Invariant:** it calls only the hosts that were configured, follows no redirect, and never shows a token.
