//! A conversation, folded.

use piperoll_sources::{Direction, Origin};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::ProofSummary;
use super::send::StatusView;
use super::{EventView, MomentView, PayloadState};

/// A page of a conversation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationView {
    /// `<phone_number_id>:<counterpart>` as it was asked for.
    pub conversation: String,
    /// The conversations that were taken as one: those of all aliases of the person.
    pub conversations: Vec<String>,
    /// Whether an alias was met that other people had as well.
    pub shared: bool,
    /// The name of the time zone of local times.
    pub time_zone: String,
    /// Every event with a lower `seq` was looked at.
    pub complete_to: u64,
    /// This page, oldest first.
    pub turns: Vec<TurnView>,
    /// With `proofs=all`: every status, reaction, withdrawal and answer of the page, read from the store again, proven and
    /// compared with what the page says.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub proofs: Vec<ItemProofView>,
    /// Statuses, reactions, withdrawals and answers of the page that are only named by their event. `proofs=all` proves
    /// them all, `/v1/events/{seq}/proof` a single one.
    #[serde(default)]
    pub named_only: u64,
    /// Send this as `before` for the page of older messages; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_before: Option<String>,
    /// The event that records this view.
    pub recorded_as: u64,
}

/// A message with everything that happened to it. Its event and its versions were read from the store and proven;
/// reactions, statuses, withdrawals and answers are named by event unless their proofs are asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TurnView {
    /// When it happened.
    pub at: MomentView,
    /// `message`, `send`, `notice`; or `edit`, `revoke`, `reaction` whose message was never seen.
    pub role: String,
    /// Which way it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub direction: Option<Direction>,
    /// Who made it: `customer`, `app`, `api`, `agent`, `history`, `import`, `platform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub origin: Option<Origin>,
    /// The text of the newest version, of a template with its parameters in it.
    pub text: String,
    /// The event of the first version.
    pub event: EventView,
    /// Later versions, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub edits: Vec<EditView>,
    /// Its withdrawals. The text stays.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub withdrawn: Vec<PlaceView>,
    /// Reactions and their removals, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reactions: Vec<ReactionView>,
    /// The furthest status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// All statuses, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub statuses: Vec<StatusView>,
    /// The event of the message it answers, if that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replies_to: Option<u64>,
    /// The answer of the platform to a request to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<PlaceView>,
    /// The event of the template's version that the text was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_version: Option<u64>,
    /// Other events that hold the same message, such as its copy in the history.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub duplicates: Vec<u64>,
}

/// A status, reaction, withdrawal or answer that was read again and proven.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ItemProofView {
    /// The event.
    pub seq: u64,
    /// Its kind.
    pub kind: String,
    /// Whether its payload can be read.
    pub state: PayloadState,
    /// Whether it says what the page says; absent when its payload is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agrees: Option<bool>,
    /// What was proven.
    #[serde(flatten)]
    pub proof: ProofSummary,
}

/// A later version of a message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EditView {
    /// When.
    pub at: MomentView,
    /// The event.
    pub seq: u64,
    /// Its text.
    pub text: String,
}

/// An event in time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlaceView {
    /// When.
    pub at: MomentView,
    /// The event.
    pub seq: u64,
}

/// A reaction, or its removal.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReactionView {
    /// When.
    pub at: MomentView,
    /// The event.
    pub seq: u64,
    /// Whose; the business where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The emoji; absent when it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}
