//! The archive over HTTP: webhooks in, searches, evidence and exports out.
//!
//! [`Archive`] holds what one ledger needs in a running process and does the work; [`router`] gives it routes; [`run`]
//! serves them on a listener. Handlers only extract, call the archive once and answer; wire types are in `wire`.
//!
//! **Invariant:** nothing here decides how long something is kept, and nothing here is the record. What a person read
//! is committed to the ledger before it is answered.

mod access;
mod archive;
mod auth;
mod capture;
mod coverage;
mod disposal;
mod entry;
mod error;
mod export;
mod follow;
mod heartbeat;
mod journal;
mod media;
mod metrics;
mod platform;
mod poll;
mod project;
mod proxy;
mod read;
mod replica;
mod routes;
mod run;
mod scrub;
mod senders;
mod sns;
mod tokens;
mod verify;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

pub use archive::{Archive, ArchiveError, Parts, Whatsapp};
pub use coverage::CoverageSettings;
pub use piperoll_projections::coverage::Canary;
pub use error::{ApiError, ErrorCode};
pub use export::Export;
pub use follow::Progress;
pub use media::{MediaSettings, MediaStateError, RetryPauses};
pub use platform::Platform;
pub use poll::{PollSettings, PolledNumber};
pub use proxy::{OnArchiveFailure, Proxy};
pub use replica::Care;
pub use read::{Page, Raw, Search, Searched};
pub use routes::{openapi, router};
pub use run::run;
pub use senders::{SenderCheck, Senders};
pub use tokens::{Caller, NewToken, Role, TokenError, TokenStore};
pub use verify::Depth;
pub use wire::{
    AttachmentState, AttachmentView, CauseView, ConversationView, CoverageListView, CoverageView, DisposalPlanView, DisposalView, DisposedView, EventView, GapView,
    GapsView, IntervalView, LedgerView, MissingView, NumberView, PayloadState,
    ProblemView, ProofView, ReplicaEndView, ReplicaView, ScrubSideView, ScrubView, SearchView, TokenView,
};
