//! People and moments.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A moment, twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MomentView {
    /// RFC 3339 in UTC, with microseconds.
    pub utc: String,
    /// RFC 3339 in the asked time zone.
    pub local: String,
}

/// A person as the archive knows them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PersonView {
    /// The alias that was asked for.
    pub person: String,
    /// The aliases that belong together, by the time they were first seen.
    pub aliases: Vec<AliasView>,
    /// The names, by the time they were first seen.
    pub names: Vec<NameView>,
    /// Whether an alias was met that other people had as well; they are not part of this person.
    pub shared: bool,
    /// Whether there were too many aliases to follow.
    pub cut: bool,
    /// The name of the time zone of local times.
    pub time_zone: String,
    /// Every event with a lower `seq` was looked at.
    pub complete_to: u64,
    /// The event that records this view.
    pub recorded_as: u64,
}

/// An alias of a person.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AliasView {
    /// `wa:<digits>`, `bsuid:<id>`, `parent:<id>` or `username:<name>`.
    pub alias: String,
    /// When it was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<MomentView>,
    /// When the person left it, if that was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<MomentView>,
    /// The event that ties it to the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// A name of a person.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NameView {
    /// As it was captured.
    pub name: String,
    /// When it was first seen.
    pub since: MomentView,
    /// The event that says so.
    pub seq: u64,
}
