//! `/v1/search`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::{Parameters, time_zone};
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::error::ApiError;
use crate::read::{Page, Search};
use crate::wire::{ErrorBody, SearchView};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParameters {
    /// The query: words, "phrases", AND, OR, NOT, parentheses, `from:`, `kind:`, `after:` …; everything when empty.
    #[serde(default)]
    q: String,
    /// How many hits at most, 1 to 500; 50 when absent.
    limit: Option<usize>,
    /// Only events with a lower `seq`: `next_before` of the page before.
    before: Option<u64>,
    /// The time zone of days in the query, such as `Europe/Berlin`.
    tz: Option<String>,
}

impl SearchParameters {
    pub(crate) fn read(self) -> Result<Search, ApiError> {
        let page = Page { limit: self.limit, before: self.before };
        Ok(Search { query: self.q, page, time_zone: time_zone(self.tz.as_deref())? })
    }
}

/// Finds events, newest first. The search is recorded in the ledger.
#[utoipa::path(get, path = "/v1/search", tag = "read", security(("token" = [])), params(SearchParameters), responses(
    (status = 200, description = "A page of hits, each read again from the store and proven", body = SearchView),
    (status = 400, description = "The query cannot be understood", body = ErrorBody),
))]
pub(crate) async fn search(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Parameters(parameters): Parameters<SearchParameters>,
) -> Result<impl IntoResponse, ApiError> {
    let searched = archive.search(&caller, &parameters.read()?).await?;
    // `Server-Timing` (W3C): the index alone, in milliseconds.
    let timing = format!("index;dur={:.3}", searched.index_took.as_secs_f64() * 1e3);
    Ok(([("server-timing", timing)], Json(searched.view)))
}
