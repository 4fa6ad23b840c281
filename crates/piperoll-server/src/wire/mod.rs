//! What goes over the wire as JSON. Nothing of it is persisted; core types have codecs of their own.

mod consent;
mod conversation;
mod coverage;
mod dispose;
mod entry;
mod error;
mod event;
mod import;
mod journal;
mod ledger;
mod media;
mod person;
mod replica;
mod send;
mod template;
mod token;

pub use consent::{ConsentView, SignalView};
pub use conversation::{ConversationView, EditView, ItemProofView, PlaceView, ReactionView, TurnView};
pub use coverage::{
    CauseView, CoverageListView, CoverageView, GapView, GapsView, IntervalView, MissingView, NumberView,
};
pub use dispose::{DisposalPlanView, DisposalView, DisposedView};
pub use event::{EventView, PayloadState, ProofView, SearchView};
pub use ledger::LedgerView;
pub use media::{AttachmentState, AttachmentView};
pub use person::{AliasView, MomentView, NameView, PersonView};
pub use replica::{ProblemView, ReplicaEndView, ReplicaView, ScrubSideView, ScrubView};
pub use send::{AssigneeView, LastInboundView, SendEvidenceView, StatusView, ViolationView};
pub use template::{TemplateStateView, TemplateView, ToldView, VersionOfTemplateView};
pub use token::TokenView;

pub(crate) use coverage::causes;
pub(crate) use dispose::DisposeRequest;
pub(crate) use entry::{EntryKind, EventBody, PersonBody, ReceiptView};
pub(crate) use error::{ErrorBody, ErrorDetail};
pub(crate) use import::{ImportMistake, ImportView};
pub(crate) use journal::{Endpoint, JournalBody, JournalView};
pub(crate) use ledger::{HealthView, PolicyView, StoreView};
pub(crate) use token::{CreatedTokenView, NewTokenBody, TokensView};

/// Writes bytes as lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}
