//! What the ledger disposed of: facts of what is gone are gone too, but that something went is known.

use piperoll_format::{DisposalOrder, Kind};
use serde::{Deserialize, Serialize};

use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Facts, Observed, Table};

/// The entity of all disposals.
const LEDGER: &str = "@ledger";

/// A fact of [`Table::Disposal`]: nothing of a bucket is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disposed {
    /// The bucket, as `class/period`.
    pub bucket: String,
}

/// Adds that a disposal was completed.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    if observed.kind != Kind::DisposalCompleted {
        return;
    }
    let order = observed.payload.parts.first().and_then(|part| DisposalOrder::decode(part).ok());
    if let Some(order) = order {
        let at = i64::try_from(observed.recorded_at.0).unwrap_or(i64::MAX);
        facts.put(Table::Disposal, LEDGER, at, &Disposed { bucket: order.bucket.to_string() });
    }
}

impl Projections {
    /// Returns the completed disposals, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn disposals(&self, limit: usize) -> Result<Vec<Fact<Disposed>>, ProjectionError> {
        self.newest(Table::Disposal, LEDGER, i64::MIN..=i64::MAX, limit)
    }
}
