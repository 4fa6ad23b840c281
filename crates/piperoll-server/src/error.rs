//! Errors of the interface: one code, one status and one answer for each thing that a caller must do.
//!
//! What is said to the caller and what is logged for the operator are different fields. An internal cause never
//! leaves the process.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use piperoll_engine::EngineError;
use piperoll_index::{IndexError, QueryError};
use piperoll_verify::ReadError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::tokens::TokenError;
use crate::wire::{ErrorBody, ErrorDetail};

/// Seconds after which a refused request may be sent again.
const RETRY_AFTER_SECONDS: &str = "1";

/// What went wrong, by what the caller must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The query cannot be understood or is too broad: change it.
    BadQuery,
    /// Too much waits for a commit: send it again later.
    Busy,
    /// What is asked for contradicts what is there.
    Conflict,
    /// The payload was destroyed by disposal or erasure; it will not come back.
    Destroyed,
    /// The token's role does not allow it.
    Forbidden,
    /// A defect, or damage in the store: tell the operator.
    Internal,
    /// The request does not have the expected form: change it.
    Invalid,
    /// The route does not have this method.
    MethodNotAllowed,
    /// There is no such thing.
    NotFound,
    /// The body is larger than allowed.
    TooLarge,
    /// There is no valid token or signature.
    Unauthenticated,
    /// The store or the writer does not work now: send it again later.
    Unavailable,
}

impl ErrorCode {
    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadQuery | Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Destroyed => StatusCode::GONE,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }
}

/// Why a request was not answered as asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What the caller must do.
    pub code: ErrorCode,
    /// What the caller is told.
    pub message: String,
    /// What the caller may try.
    pub hint: Option<String>,
    /// What failed underneath; for the operator only.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// Says what is wrong; nothing failed underneath.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, cause: None }
    }

    /// Adds what the caller may try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps what failed underneath, for the operator.
    #[must_use]
    pub fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Says that something failed that the caller cannot change.
    pub(crate) fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::new(ErrorCode::Internal, "the archive could not do this").because(cause)
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Invalid { reason } => Self::new(ErrorCode::Invalid, reason),
            EngineError::Busy { .. } => Self::new(ErrorCode::Busy, "too many events wait for a commit"),
            EngineError::Unavailable { .. } => {
                Self::new(ErrorCode::Unavailable, "the store does not take new events now").because(error)
            }
            EngineError::Fatal { .. } => {
                Self::new(ErrorCode::Unavailable, "the writer of this ledger has stopped").because(error)
            }
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Store(_) => {
                Self::new(ErrorCode::Unavailable, "the store cannot be read now").because(error)
            }
            ReadError::NoEvent { .. } | ReadError::NoTile { .. } => {
                Self::new(ErrorCode::NotFound, error.to_string())
            }
            ReadError::Disposed { .. } | ReadError::NoKey { .. } | ReadError::Incomplete { .. } => {
                Self::new(ErrorCode::Destroyed, error.to_string())
            }
            _ => Self::new(ErrorCode::Internal, "what is stored cannot be read as it must be")
                .hint("run `piperoll verify`")
                .because(error),
        }
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::TooBroad { .. } => Self::new(ErrorCode::BadQuery, error.to_string()),
            IndexError::NeedsRebuild { .. } | IndexError::Locked { .. } => {
                Self::new(ErrorCode::Unavailable, "the search index is being rebuilt").because(error)
            }
            error => Self::internal(error),
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let hint = error.hint.clone();
        Self { hint, ..Self::new(ErrorCode::BadQuery, error.to_string()) }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Name { .. } => Self::new(ErrorCode::Invalid, error.to_string()),
            TokenError::Exists { .. } | TokenError::LastAdmin { .. } => {
                Self::new(ErrorCode::Conflict, error.to_string())
            }
            TokenError::Unknown { .. } => Self::new(ErrorCode::NotFound, error.to_string()),
            TokenError::File { .. } | TokenError::Content { .. } => Self::internal(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        if let Some(cause) = &self.cause {
            let cause = &**cause as &dyn std::error::Error;
            tracing::error!(code = ?self.code, error = cause, "{}", self.message);
        }
        let detail = ErrorDetail { code: self.code, message: self.message, hint: self.hint };
        let mut response = (status, Json(ErrorBody { error: detail })).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let after = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            let _ = response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            let _ = response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
