//! Events as JSON, each with what was proven about it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use piperoll_export::message_of;
use piperoll_sources::Message;
use piperoll_verify::prove::Evidence;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AttachmentView, GapsView, hex};

/// An event that was read from the store and proven.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its position in the ledger.
    pub seq: u64,
    /// What it records, such as `whatsapp.message`.
    pub kind: String,
    /// When the archive recorded it (RFC 3339, UTC).
    pub recorded_at: String,
    /// Its retention class.
    pub class: String,
    /// Whether its payload can be read.
    pub state: PayloadState,
    /// Why it has this class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_reason: Option<String>,
    /// The sender's module: `whatsapp`, `api` or `piperoll`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was received (RFC 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// Oddities found when it was captured.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub flags: Vec<String>,
    /// An earlier event with the same source id and other bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts_with: Option<u64>,
    /// The delivery that it came in with others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<u64>,
    /// What a reader sees in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub message: Option<Message>,
    /// What became of its attachments; only where a single event is shown.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attachments: Vec<AttachmentView>,
    /// What was proven.
    pub proof: ProofSummary,
}

/// Whether a payload can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayloadState {
    /// It was read and meets its commitment.
    Available,
    /// It was disposed of or erased; the event is still proven.
    Destroyed,
    /// It should be there and cannot be read: run a verification.
    Unreadable,
}

/// That an event is in the tree of a signed checkpoint. The archive has checked it; the proof itself is at
/// `/v1/events/{seq}/proof`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProofSummary {
    /// The event's leaf hash (SHA-256, RFC 6962), hexadecimal.
    pub event_hash: String,
    /// The size of the checkpoint's tree.
    pub tree_size: u64,
    /// The checkpoint's root hash, base64 as in the checkpoint.
    pub root: String,
}

/// A page of a search result.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SearchView {
    /// The query as it was understood, with times in UTC; it can be sent again.
    pub query: String,
    /// Every event with a lower `seq` was looked at.
    pub complete_to: u64,
    /// How many events match on all pages.
    pub total: u64,
    /// This page, newest first.
    pub hits: Vec<EventView>,
    /// Send this as `before` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_before: Option<u64>,
    /// What is known to be missing in the numbers and times of the query.
    #[serde(default)]
    pub gaps: GapsView,
    /// The event that records this search.
    pub recorded_as: u64,
}

/// Everything that shows to an outsider that an event is in the log, and what its payload was.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProofView {
    /// The event's position, which is its leaf index.
    pub seq: u64,
    /// The event core, base64: its SHA-256 leaf hash is in the tree.
    pub core: String,
    /// The Ed25519 signature of the core as `COSE_Sign1`, base64.
    pub signature: String,
    /// The leaf hash, hexadecimal.
    pub event_hash: String,
    /// The chain hash (BLAKE3), hexadecimal.
    pub chain_hash: String,
    /// The sibling hashes from the leaf to the root, base64.
    pub inclusion: Vec<String>,
    /// The signed checkpoint: a C2SP note.
    pub checkpoint: String,
    /// The key that signed, as a C2SP verifier key.
    pub vkey: String,
    /// What opens the core's commitment; absent when the payload is destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
}

/// What opens a commitment: `SHA-256(salt ‖ payload)`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Opening {
    /// The salt, base64.
    pub salt: String,
    /// The payload bytes (CBOR, `FORMAT.md` section 5), base64.
    pub payload: String,
}

impl EventView {
    /// Shows evidence; `root` is its checkpoint's, base64, and `tree_size` its size.
    pub(crate) fn new(evidence: &Evidence, tree_size: u64, root: &str) -> Self {
        let (event, core) = (&evidence.event, &evidence.event.core);
        let state = match &evidence.payload {
            Ok(_) => PayloadState::Available,
            Err(error) if error.is_destroyed() => PayloadState::Destroyed,
            Err(_) => PayloadState::Unreadable,
        };
        let payload = evidence.payload.as_ref().ok().map(|opened| &opened.payload);
        let facts = payload.map(|payload| &payload.facts);
        let provenance = payload.map(|payload| &payload.provenance);
        let placement = payload.and_then(|payload| payload.placement.as_ref());
        Self {
            seq: core.seq.0,
            kind: core.kind.as_str().to_owned(),
            recorded_at: core.recorded_at.to_string(),
            class: core.class.as_str().to_owned(),
            state,
            class_reason: facts.and_then(|facts| facts.class_reason.clone()),
            source: provenance.map(|provenance| provenance.source.clone()),
            received_at: provenance.and_then(|provenance| provenance.received_at).map(|at| at.to_string()),
            flags: facts.map(|facts| facts.flags.clone()).unwrap_or_default(),
            conflicts_with: facts.and_then(|facts| facts.conflicts_with).map(|seq| seq.0),
            delivery: placement.and_then(|placement| placement.delivery).map(|seq| seq.0),
            message: payload.map(|payload| message_of(core.kind, payload)),
            attachments: Vec::new(),
            proof: ProofSummary { event_hash: hex(&event.leaf_hash().0), tree_size, root: root.to_owned() },
        }
    }
}

impl ProofView {
    /// Shows evidence with everything in it.
    pub(crate) fn new(evidence: &Evidence, vkey: String) -> Self {
        let event = &evidence.event;
        let opening = evidence.payload.as_ref().ok().map(|opened| Opening {
            salt: STANDARD.encode(opened.salt),
            payload: STANDARD.encode(&opened.bytes),
        });
        Self {
            seq: event.seq().0,
            core: STANDARD.encode(&event.core_bytes),
            signature: STANDARD.encode(event.signature),
            event_hash: hex(&event.leaf_hash().0),
            chain_hash: event.chain_hash().to_string(),
            inclusion: evidence.proof.iter().map(|hash| STANDARD.encode(hash.0)).collect(),
            checkpoint: evidence.checkpoint.to_string(),
            vkey,
            opening,
        }
    }
}
