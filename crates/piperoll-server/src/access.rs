//! Putting reads and changes on the record: who, what, how much.
//!
//! These events are committed before the answer is sent. They name people (a query does), so they are encrypted.

use piperoll_format::{Kind, Seq, Submission};
use serde::Serialize;

use crate::archive::Archive;
use crate::error::ApiError;
use crate::tokens::Caller;

/// What is recorded about a use of the archive.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Access<'a> {
    /// What was done: `search`, `view`, `raw`, `proof`, `conversation`, `export`, `plan`, `create`, `revoke`, …
    pub(crate) action: &'a str,
    /// The query as it was understood, with times in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<&'a str>,
    /// The query as it was typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) typed: Option<&'a str>,
    /// What was looked at or changed, other than by a query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<&'a str>,
    /// How many events matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hits: Option<u64>,
    /// The events that were shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shown: Vec<u64>,
    /// The role of a token that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) granted: Option<&'a str>,
}

#[derive(Serialize)]
struct Record<'a> {
    token: &'a str,
    role: &'a str,
    #[serde(flatten)]
    access: &'a Access<'a>,
}

impl Archive {
    /// Commits that somebody used the archive.
    pub(crate) async fn record_access(
        &self,
        kind: Kind,
        caller: &Caller,
        access: &Access<'_>,
    ) -> Result<Seq, ApiError> {
        let record = Record { token: &caller.name, role: caller.role.as_str(), access };
        let document = serde_json::to_vec(&record).expect("texts and numbers are always JSON");
        let mut submission = Submission::own(kind, "application/json", document);
        submission.payload.facts.occurred_at = i64::try_from(self.now().0).ok();
        Ok(self.record(submission).await?)
    }
}
