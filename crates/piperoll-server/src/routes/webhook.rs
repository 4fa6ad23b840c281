//! `/webhooks/whatsapp`: what Meta sends.
//!
//! Nothing of a request is looked at before its signature is checked, and nothing is logged for one that is fine.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use piperoll_sources::{Delivery, whatsapp};
use serde::Deserialize;
use utoipa::IntoParams;

use super::parameter::{Parameters, read_body};
use crate::archive::Archive;
use crate::capture::capture;
use crate::error::{ApiError, ErrorCode};

/// The largest body that Meta sends, in bytes.
const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Handshake {
    /// `subscribe`.
    #[serde(rename = "hub.mode")]
    mode: Option<String>,
    /// One of the configured verify tokens.
    #[serde(rename = "hub.verify_token")]
    token: Option<String>,
    /// The text that is sent back.
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
}

/// Answers the handshake with which Meta checks a callback address.
#[utoipa::path(get, path = "/webhooks/whatsapp", tag = "capture", params(Handshake), responses(
    (status = 200, description = "The challenge", body = String, content_type = "text/plain"),
    (status = 403, description = "Another mode or an unknown token"),
))]
pub(crate) async fn handshake(
    State(archive): State<Arc<Archive>>,
    Parameters(handshake): Parameters<Handshake>,
) -> Result<impl IntoResponse, ApiError> {
    let (mode, token) = (handshake.mode.as_deref(), handshake.token.as_deref());
    whatsapp::verify_handshake(mode, token, &archive.whatsapp.verify_tokens)
        .map_err(|error| ApiError::new(ErrorCode::Forbidden, error.to_string()))?;
    // As plain text whatever the challenge is, so that it cannot become a page.
    Ok(([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], handshake.challenge.unwrap_or_default()))
}

/// Commits a delivery. Whatever has a valid signature is kept; nothing is refused for its content.
#[utoipa::path(post, path = "/webhooks/whatsapp", tag = "capture",
    request_body(content = String, content_type = "application/json", description = "A webhook of Meta"),
    params(("x-hub-signature-256" = String, Header, description = "HMAC-SHA-256 of the body with the app secret")),
    responses(
        (status = 200, description = "Everything in it is committed"),
        (status = 401, description = "The signature is missing or wrong; nothing is kept"),
        (status = 413, description = "More than 3 MiB; nothing is kept"),
        (status = 503, description = "Nothing is committed; send it again after `Retry-After` seconds"),
    ))]
pub(crate) async fn deliver(
    State(archive): State<Arc<Archive>>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (Parts { headers, .. }, body) = request.into_parts();
    let body = read_body(&headers, body, BODY_BYTES_MAX).await.inspect_err(|error| {
        if error.code == ErrorCode::TooLarge {
            let _ = archive.metrics.too_large.inc();
        }
    })?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signature = text(whatsapp::SIGNATURE_HEADER);
    let verified_by = whatsapp::verify(signature, &body, &archive.whatsapp.app_secrets).map_err(|error| {
        let _ = archive.metrics.bad_signatures.inc();
        ApiError::new(ErrorCode::Unauthenticated, error.to_string())
    })?;
    let content_type = text(header::CONTENT_TYPE.as_str());
    let received_at = archive.now();
    let verified_by = Some(verified_by);
    archive
        .deliver(&Delivery {
            source: "whatsapp",
            body: &body,
            signature,
            verified_by,
            content_type,
            received_at,
        })
        .await?;
    Ok(StatusCode::OK)
}

impl Archive {
    /// Commits an authenticated delivery with everything in it.
    ///
    /// # Errors
    /// [`ErrorCode::Busy`], [`ErrorCode::Unavailable`]: nothing is acknowledged, the sender sends it again.
    pub(crate) async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), ApiError> {
        let metrics = &self.metrics;
        let receipts = self.engine.submit(capture(delivery)).await.inspect_err(|_| {
            let _ = metrics.refused.inc();
        })?;
        let _ = metrics.deliveries.inc();
        let _ = metrics.items.inc_by(receipts.len() as u64);
        let repeats = receipts.iter().filter(|receipt| receipt.repeated).count();
        let _ = metrics.repeats.inc_by(repeats as u64);
        Ok(())
    }
}
