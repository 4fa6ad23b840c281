//! Access tokens as JSON.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::tokens::{Role, Token};

/// A token, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// All tokens.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TokensView {
    /// In the order in which they were made, also those that ended.
    pub(crate) tokens: Vec<TokenView>,
}

/// What a new token is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTokenBody {
    /// 1 to 64 letters, digits, `.`, `_` and `-`; never used before.
    pub(crate) name: String,
    /// What it may be used for.
    pub(crate) role: Role,
    /// When it ends by itself.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// A token that was just made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CreatedTokenView {
    /// The token itself; it is not shown again.
    pub(crate) token: String,
    /// Its name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: Role,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            name: token.name,
            role: token.role,
            created_at: token.created_at,
            revoked_at: token.revoked_at,
            expires_at: token.expires_at,
        }
    }
}
