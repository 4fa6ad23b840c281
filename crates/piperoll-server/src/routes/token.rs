//! `/v1/tokens`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use piperoll_format::{Kind, Timestamp};

use super::parameter::{Segment, read_json};
use crate::access::Access;
use crate::archive::Archive;
use crate::auth::{Administer, By};
use crate::error::ApiError;
use crate::tokens::{Caller, NewToken};
use crate::wire::{CreatedTokenView, ErrorBody, NewTokenBody, TokenView, TokensView};

/// Lists all tokens, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", security(("token" = [])), responses(
    (status = 200, description = "All tokens", body = TokensView),
))]
pub(crate) async fn list(State(archive): State<Arc<Archive>>, _by: By<Administer>) -> Json<TokensView> {
    Json(TokensView { tokens: archive.list_tokens() })
}

/// Makes a token. It is shown this once.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", security(("token" = [])),
    request_body = NewTokenBody, responses(
        (status = 201, description = "The token", body = CreatedTokenView),
        (status = 409, description = "The name was used before", body = ErrorBody),
    ))]
pub(crate) async fn create(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Administer>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<CreatedTokenView>), ApiError> {
    let NewTokenBody { name, role, expires_at } = read_json(&headers, body).await?;
    let new = NewToken { name, role, expires_at: expires_at.map(Timestamp::from_utc) };
    let token = archive.create_token(&caller, &new).await?;
    Ok((StatusCode::CREATED, Json(CreatedTokenView { token, name: new.name, role })))
}

/// Ends a token at once.
#[utoipa::path(delete, path = "/v1/tokens/{name}", tag = "tokens", security(("token" = [])),
    params(("name" = String, Path, description = "The token's name")), responses(
        (status = 204, description = "It is no longer valid"),
        (status = 404, description = "There is no such token in force", body = ErrorBody),
        (status = 409, description = "It is the last admin token", body = ErrorBody),
    ))]
pub(crate) async fn revoke(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Administer>,
    Segment(name): Segment<String>,
) -> Result<StatusCode, ApiError> {
    archive.revoke_token(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Archive {
    /// Lists all tokens, also those that ended.
    #[must_use]
    pub fn list_tokens(&self) -> Vec<TokenView> {
        self.tokens().list().into_iter().map(TokenView::from).collect()
    }

    /// Makes a token, on the record, and returns it; it cannot be shown again.
    ///
    /// # Errors
    /// [`crate::ErrorCode::Invalid`], [`crate::ErrorCode::Conflict`]; those of a commit.
    pub async fn create_token(&self, caller: &Caller, new: &NewToken) -> Result<String, ApiError> {
        self.tokens().check_new(new)?;
        let access = Access {
            action: "create",
            target: Some(&new.name),
            granted: Some(new.role.as_str()),
            ..Access::default()
        };
        let _ = self.record_access(Kind::AccessToken, caller, &access).await?;
        Ok(self.tokens().create(new, self.now())?)
    }

    /// Ends a token, and puts it on the record. It has ended even when that fails.
    ///
    /// # Errors
    /// [`crate::ErrorCode::NotFound`], [`crate::ErrorCode::Conflict`]; those of a commit.
    pub async fn revoke_token(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        self.tokens().revoke(name, self.now())?;
        let access = Access { action: "revoke", target: Some(name), ..Access::default() };
        let _ = self.record_access(Kind::AccessToken, caller, &access).await?;
        Ok(())
    }
}
