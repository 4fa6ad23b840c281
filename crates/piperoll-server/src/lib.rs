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
mod consent;
mod conversation;
mod coverage;
mod derive;
mod disposal;
mod entry;
mod error;
mod evidence;
mod export;
mod follow;
mod gaps;
mod heartbeat;
mod import;
mod indexing;
mod journal;
mod known;
mod media;
mod metrics;
mod moment;
mod people;
mod place;
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
mod snapshot;
mod sns;
mod step;
mod template;
mod tokens;
mod unrecorded;
mod verify;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

pub use archive::{Archive, ArchiveError, Parts, Whatsapp};
pub use consent::ConsentSearch;
pub use conversation::ConversationPage;
pub use coverage::CoverageSettings;
pub use derive::derive;
pub use error::{ApiError, ErrorCode};
pub use export::Export;
pub use follow::Progress;
pub use media::{MediaSettings, RetryPauses};
pub use piperoll_projections::coverage::Canary;
pub use piperoll_projections::{Act, ConsentRules, FlowRule, WordRule, is_consent_language};
pub use platform::Platform;
pub use poll::{PollSettings, PolledNumber};
pub use proxy::{OnArchiveFailure, Proxy};
pub use read::{Page, Raw, Search, Searched};
pub use replica::Care;
pub use routes::{openapi, router};
pub use run::run;
pub use senders::{SenderCheck, Senders};
pub use snapshot::{Fetched, Origin, SnapshotSettings, restore_from_snapshot};
pub use tokens::{Caller, NewToken, Role, TokenError, TokenStore};
pub use verify::Depth;
pub use wire::{
    AliasView, AssigneeView, AttachmentState, AttachmentView, CauseView, ConsentView, ConversationView,
    CoverageListView, CoverageView, DisposalPlanView, DisposalView, DisposedView, EditView, EventView,
    GapView, GapsView, IntervalView, ItemProofView, LastInboundView, LedgerView, MissingView, MomentView,
    NameView, NumberView, PayloadState, PersonView, PlaceView, ProblemView, ProofView, ReactionView,
    ReplicaEndView, ReplicaView, ScrubSideView, ScrubView, SearchView, SendEvidenceView, SignalView,
    StatusView, TemplateStateView, TemplateView, TokenView, ToldView, TurnView, VersionOfTemplateView,
    ViolationView,
};
