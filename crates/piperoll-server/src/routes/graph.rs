//! `/graph/{version}/{number}/{endpoint}`: the Cloud API's send endpoints, through the archive.
//!
//! `Authorization` is the caller's token for the platform, so the archive's own token comes in `Piperoll-Token`:
//! without one nobody can use the archive as an open proxy.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use piperoll_graph::Forward;
use serde_json::value::RawValue;

use super::parameter::{Segment, read_body};
use crate::archive::Archive;
use crate::entry::is_number;
use crate::error::{ApiError, ErrorCode};
use crate::proxy::{Outgoing, Passed};
use crate::tokens::{Caller, Role};
use crate::wire::{Endpoint, ErrorBody, ErrorDetail};

/// The largest request to send, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

const TOKEN: HeaderName = HeaderName::from_static("piperoll-token");
const JOURNAL_ID: HeaderName = HeaderName::from_static("piperoll-journal-id");
const ARCHIVED: HeaderName = HeaderName::from_static("piperoll-archived");

/// Passes a request to send on to the platform, exactly as it came, and archives it and its answer.
#[utoipa::path(post, path = "/graph/{version}/{number}/{endpoint}", tag = "capture",
    params(
        ("version" = String, Path, description = "The platform's version, such as `v24.0`"),
        ("number" = String, Path, description = "The business number's `phone_number_id`"),
        ("endpoint" = String, Path, description = "`messages` or `marketing_messages`"),
        ("piperoll-token" = String, Header, description = "A token of the archive with role ingest or admin"),
        ("authorization" = String, Header, description = "The token for the platform; passed on and never kept"),
    ),
    request_body(content = Object, description = "The request to send, JSON"), responses(
        (status = 200, description = "The platform's answer, with its own status whatever it is", headers(
            ("piperoll-journal-id" = String, description = "Ties request and answer together in the archive"),
            ("piperoll-archived" = bool, description = "Whether both are committed"),
        )),
        (status = 401, description = "There is no valid token of the archive; nothing was sent", body = ErrorBody),
        (status = 404, description = "This endpoint is not passed on, or no proxy is configured", body = ErrorBody),
        (status = 502, description = "The platform did not answer; whether it sent the message is not known", body = ErrorBody),
        (status = 503, description = "It cannot be archived; nothing was sent", body = ErrorBody),
    ))]
pub(crate) async fn send(
    State(archive): State<Arc<Archive>>,
    Segment((version, number, endpoint)): Segment<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let proxy = archive.proxy.clone().ok_or_else(|| {
        ApiError::new(ErrorCode::NotFound, "no proxy is configured")
            .hint("see `[proxy]` in schemas/config.schema.json")
    })?;
    let (Parts { headers, uri, .. }, body) = request.into_parts();
    let caller = caller(&archive, &headers)?;
    let sends = Endpoint::read(&endpoint).filter(|_| is_number(&number) && is_version(&version));
    let endpoint = sends.ok_or_else(|| {
        ApiError::new(
            ErrorCode::NotFound,
            "expected `/graph/v<n>.<n>/<phone_number_id>/messages` or `/marketing_messages`",
        )
        .hint("upload media and manage templates at the platform itself: only what is sent is archived here")
    })?;
    let body = read_body(&headers, body, BODY_BYTES_MAX).await?;
    let request: Box<RawValue> = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("body: expected a request to send as JSON: {error}");
        ApiError::new(ErrorCode::Invalid, message).hint("nothing was sent")
    })?;
    let segments = [version, number.clone(), endpoint.as_str().to_owned()];
    let forward = Forward { segments, query: uri.query().map(str::to_owned), headers, body };
    let outgoing = Outgoing { endpoint, number, request, forward };
    // A task of its own: the answer is archived also when the caller breaks off.
    let passed = tokio::spawn(archive.pass_on(proxy, caller, outgoing)).await;
    Ok(answer(passed.map_err(ApiError::internal)??))
}

/// Finds out who calls, by the archive's own token.
fn caller(archive: &Archive, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let presented = headers.get(TOKEN).and_then(|value| value.to_str().ok());
    let caller = presented.and_then(|token| archive.tokens().authenticate(token.trim(), archive.now()));
    let caller = caller.ok_or_else(|| {
        ApiError::new(ErrorCode::Unauthenticated, "expected a valid token of the archive in `Piperoll-Token`")
            .hint("`Authorization` is for the platform; an admin makes tokens with `piperoll token create`")
    })?;
    if matches!(caller.role, Role::Ingest | Role::Admin) {
        return Ok(caller);
    }
    let message = format!("expected a token with role ingest or admin, found role {}", caller.role);
    Err(ApiError::new(ErrorCode::Forbidden, message))
}

/// Tells whether a segment is a version such as `v24.0`.
fn is_version(text: &str) -> bool {
    let digits = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    let parts = text.strip_prefix('v').and_then(|text| text.split_once('.'));
    parts.is_some_and(|(major, minor)| digits(major) && digits(minor))
}

fn answer(passed: Passed) -> Response {
    let mut response = match passed.answer {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, answer.headers, answer.body).into_response()
        }
        Err(error) => {
            let detail = ErrorDetail {
                code: ErrorCode::Unavailable,
                message: error.to_string(),
                hint: Some("whether the message was sent is not known: wait for its status".to_owned()),
            };
            (StatusCode::BAD_GATEWAY, Json(ErrorBody { error: detail })).into_response()
        }
    };
    let headers = response.headers_mut();
    let journal_id =
        HeaderValue::from_str(&passed.journal_id).expect("hexadecimal digits are a header value");
    let _ = headers.insert(JOURNAL_ID, journal_id);
    let archived = if passed.is_archived { "true" } else { "false" };
    let _ = headers.insert(ARCHIVED, HeaderValue::from_static(archived));
    response
}
