//! Parameters of requests: every mistake is answered like every other error, with the field and what was expected.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::error::{ApiError, ErrorCode};

/// The query of an address.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|error| ApiError::new(ErrorCode::Invalid, error.body_text()))?;
        Ok(Self(query))
    }
}

/// The variable part of a path.
pub(crate) struct Segment<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        let Path(path) = path.map_err(|error| ApiError::new(ErrorCode::Invalid, error.body_text()))?;
        Ok(Self(path))
    }
}

/// A body must arrive within this time.
const BODY_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// Reads a body of at most `bytes_max` bytes.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    let too_large =
        || ApiError::new(ErrorCode::TooLarge, format!("expected a body of at most {bytes_max} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > bytes_max) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, bytes_max)).await;
    let read = read.map_err(|_| ApiError::new(ErrorCode::Invalid, "the body did not arrive in time"))?;
    read.map_err(|error| {
        let source = std::error::Error::source(&error);
        if source.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>) {
            too_large()
        } else {
            ApiError::new(ErrorCode::Invalid, "the body ended before its length")
        }
    })
}

/// Reads a small JSON body; an empty one stands for `{}`.
pub(crate) async fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, ApiError> {
    const BYTES_MAX: usize = 64 * 1024;
    let bytes = read_body(headers, body, BYTES_MAX).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let mut json = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let message = format!("field `{}`: {}", error.path(), error.inner());
        ApiError::new(ErrorCode::Invalid, message)
    })
}

/// Reads a time zone's name.
pub(crate) fn time_zone(name: Option<&str>) -> Result<Option<chrono_tz::Tz>, ApiError> {
    let read = |name: &str| {
        name.parse().map_err(|_| {
            let message = format!("field `tz`: expected a time zone such as `Europe/Berlin`, found `{name}`");
            ApiError::new(ErrorCode::Invalid, message)
        })
    };
    name.map(read).transpose()
}
