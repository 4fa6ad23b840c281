//! `/v1/conversations`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::{Parameters, Segment, time_zone};
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::conversation::ConversationPage;
use crate::error::ApiError;
use crate::wire::{ConversationView, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParameters {
    /// How many messages at most, 1 to 200; 200 when absent.
    limit: Option<usize>,
    /// Only older messages: `next_before` of the page before.
    before: Option<String>,
    /// The time zone of local times, such as `Europe/Berlin`.
    tz: Option<String>,
    /// `all` reads every status, reaction, withdrawal and answer of the page again and proves it.
    #[param(value_type = Option<String>)]
    proofs: Option<Proofs>,
}

/// What is proven beside messages and their versions.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Proofs {
    All,
}

/// Shows the newest messages of a conversation, oldest first, each with its versions, reactions and statuses. The view
/// is recorded in the ledger.
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
    let time_zone = time_zone(page.tz.as_deref())?;
    let with_proofs = page.proofs.is_some();
    let page = ConversationPage { limit: page.limit, before: page.before, time_zone, with_proofs };
    Ok(Json(archive.conversation(&caller, &id, &page).await?))
}
