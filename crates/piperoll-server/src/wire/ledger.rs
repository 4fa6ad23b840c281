//! The ledger, its store and its health as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a ledger is and how large it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LedgerView {
    /// Its id, hexadecimal.
    pub ledger: String,
    /// Its C2SP origin.
    pub origin: String,
    /// The key that signs, as a C2SP verifier key.
    pub vkey: String,
    /// When it was created (RFC 3339, UTC).
    pub created_at: String,
    /// Events in it.
    pub size: u64,
    /// The root hash over them, base64.
    pub root: String,
    /// The signed checkpoint over them: a C2SP note.
    pub checkpoint: String,
    /// The search index covers every event with a lower `seq`.
    pub complete_to: u64,
    /// The projections cover every event with a lower `seq`.
    #[serde(default)]
    pub projected_to: u64,
    /// The retention policies in force.
    pub policies: Vec<PolicyView>,
    /// Where it is kept.
    pub store: StoreView,
}

/// A retention policy in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Its id, which is the retention class.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// Its name for people.
    pub title: String,
    /// The rule that asks for it.
    pub legal_basis: String,
    /// The minimum: how long the store refuses deletion.
    pub keep: String,
    /// When a bucket is disposed of.
    pub dispose_after: String,
}

/// A store, as it describes itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StoreView {
    /// `memory`, `directory` or `s3`.
    pub name: String,
    /// A path or an address.
    pub location: String,
    /// Whether it `detects` or `prevents` early deletion.
    pub enforcement: String,
    /// What it promises and what it does not.
    pub statement: String,
}

/// Whether the archive works.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HealthView {
    /// `ok`, `ready` or `unavailable`.
    pub(crate) status: String,
    /// Why it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}
