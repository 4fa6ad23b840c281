//! `/v1/conversations`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::{Parameters, Segment};
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::error::ApiError;
use crate::read::Page;
use crate::wire::{ConversationView, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParameters {
    /// How many events at most, 1 to 500; 50 when absent.
    limit: Option<usize>,
    /// Only events with a lower `seq`: `next_before` of the page before.
    before: Option<u64>,
}

/// Shows the newest events of a conversation, oldest first. The view is recorded in the ledger.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "read", security(("token" = [])),
    params(("id" = String, Path, description = "`<phone_number_id>:<counterpart>`"), PageParameters), responses(
        (status = 200, description = "A page of the conversation", body = ConversationView),
        (status = 404, description = "There is no such conversation", body = ErrorBody),
    ))]
pub(crate) async fn show(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(id): Segment<String>,
    Parameters(page): Parameters<PageParameters>,
) -> Result<Json<ConversationView>, ApiError> {
    let page = Page { limit: page.limit, before: page.before };
    Ok(Json(archive.conversation(&caller, &id, page).await?))
}
