//! `/v1/events`: single events, in and out.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use piperoll_format::Seq;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::parameter::{Parameters, Segment, read_body};
use crate::archive::Archive;
use crate::auth::{By, Ingest, Read};
use crate::error::ApiError;
use crate::read::Raw;
use crate::wire::{ErrorBody, EventBody, EventView, ProofView, ReceiptView};

/// The largest event, in bytes: templates with many components are the largest.
const BODY_BYTES_MAX: usize = 1024 * 1024;

const SIGNATURE: HeaderName = HeaderName::from_static("piperoll-signature");
const SIGNATURE_VALID: HeaderName = HeaderName::from_static("piperoll-signature-valid");

/// Commits an event from another channel: consent, or a template as it stood.
#[utoipa::path(post, path = "/v1/events", tag = "capture", security(("token" = [])),
    request_body = EventBody, responses(
        (status = 200, description = "It is committed; the same event again gets the first receipt", body = ReceiptView),
        (status = 400, description = "A field is not as expected", body = ErrorBody),
        (status = 413, description = "More than 1 MiB", body = ErrorBody),
        (status = 503, description = "Not committed; send it again", body = ErrorBody),
    ))]
pub(crate) async fn hand_in(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Ingest>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReceiptView>, ApiError> {
    let body = read_body(&headers, body, BODY_BYTES_MAX).await?;
    Ok(Json(archive.hand_in(&caller, &body).await?.into()))
}

/// Shows an event, proven.
#[utoipa::path(get, path = "/v1/events/{seq}", tag = "read", security(("token" = [])),
    params(("seq" = u64, Path, description = "The event's position")), responses(
        (status = 200, description = "The event", body = EventView),
        (status = 404, description = "There is no such event", body = ErrorBody),
    ))]
pub(crate) async fn show(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(seq): Segment<u64>,
) -> Result<Json<EventView>, ApiError> {
    Ok(Json(archive.event(&caller, Seq(seq)).await?))
}

/// Returns the exact body that an event came in.
#[utoipa::path(get, path = "/v1/events/{seq}/raw", tag = "read", security(("token" = [])),
    params(("seq" = u64, Path, description = "The event's position")), responses(
        (status = 200, description = "The exact bytes", body = Vec<u8>, content_type = "application/octet-stream", headers(
            ("piperoll-signature" = String, description = "The signature header as received"),
            ("piperoll-signature-valid" = bool, description = "Whether a configured secret still produces it"),
        )),
        (status = 404, description = "There is no such event", body = ErrorBody),
        (status = 410, description = "The payload, or that of a part of the body, is destroyed", body = ErrorBody),
    ))]
pub(crate) async fn raw(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(seq): Segment<u64>,
) -> Result<Response, ApiError> {
    Ok(answer_raw(archive.raw(&caller, Seq(seq)).await?))
}

fn answer_raw(raw: Raw) -> Response {
    let plain = || HeaderValue::from_static("application/octet-stream");
    let media_type = HeaderValue::from_str(&raw.media_type).unwrap_or_else(|_| plain());
    let mut response = raw.body.into_response();
    let headers = response.headers_mut();
    let _ = headers.insert(header::CONTENT_TYPE, media_type);
    // What a stranger sent must not become a page of this archive.
    let _ = headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let _ = headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    if let Some(signature) = raw.signature.and_then(|signature| HeaderValue::from_str(&signature).ok()) {
        let _ = headers.insert(SIGNATURE, signature);
    }
    if let Some(valid) = raw.signature_valid {
        let valid = if valid { "true" } else { "false" };
        let _ = headers.insert(SIGNATURE_VALID, HeaderValue::from_static(valid));
    }
    response
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProofParameters {
    /// `json`, or `tlog-proof` for a C2SP `.tlog-proof` file.
    #[serde(default)]
    format: ProofFormat,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProofFormat {
    #[default]
    Json,
    TlogProof,
}

/// Returns what shows to an outsider that an event is in the log.
#[utoipa::path(get, path = "/v1/events/{seq}/proof", tag = "read", security(("token" = [])),
    params(("seq" = u64, Path, description = "The event's position"), ProofParameters), responses(
        (status = 200, description = "The proof", content((ProofView = "application/json"), (String = "text/plain"))),
        (status = 404, description = "There is no such event", body = ErrorBody),
    ))]
pub(crate) async fn proof(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment(seq): Segment<u64>,
    Parameters(parameters): Parameters<ProofParameters>,
) -> Result<Response, ApiError> {
    let seq = Seq(seq);
    Ok(match parameters.format {
        ProofFormat::Json => Json(archive.proof(&caller, seq).await?).into_response(),
        ProofFormat::TlogProof => archive.tlog_proof(&caller, seq).await?.into_response(),
    })
}
