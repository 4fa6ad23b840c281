//! `/webhooks/{sender}`: what providers deliver in envelopes of their own.
//!
//! Whatever is its provider's is kept whole; nothing is refused for its content.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use piperoll_sources::{Delivery, Sender};

use super::parameter::{Segment, read_body};
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::senders::Accepted;
use crate::wire::ErrorBody;

/// The largest body that is taken, in bytes, as from Meta.
const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Commits a delivery of a provider.
#[utoipa::path(post, path = "/webhooks/{sender}", tag = "capture",
    request_body(content = String, description = "A webhook of the provider, in its own form"),
    params(("sender" = String, Path, description = "`360dialog`, `ycloud`, `twilio`, `aws`, `gupshup`, `infobip`, `bird` or `vonage`")),
    responses(
        (status = 200, description = "Everything in it is committed"),
        (status = 401, description = "It is not shown to be the provider's; nothing is kept", body = ErrorBody),
        (status = 404, description = "There is no such provider, or it is not configured", body = ErrorBody),
        (status = 413, description = "More than 3 MiB; nothing is kept", body = ErrorBody),
        (status = 503, description = "Nothing is committed; send it again after `Retry-After` seconds", body = ErrorBody),
    ))]
pub(crate) async fn deliver(
    State(archive): State<Arc<Archive>>,
    Segment(name): Segment<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let sender = sender(&name)?;
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body, BODY_BYTES_MAX).await.inspect_err(|error| {
        if error.code == ErrorCode::TooLarge {
            let _ = archive.metrics.too_large.inc();
        }
    })?;
    archive.deliver_from(sender, &parts, &body).await?;
    Ok(StatusCode::OK)
}

/// Reads a provider's name; the one that begins with digits may be spelled as in settings.
fn sender(name: &str) -> Result<Sender, ApiError> {
    let name = if name == "dialog360" { Sender::Dialog360.as_str() } else { name };
    let known = name.parse().ok().filter(|sender| *sender != Sender::Meta);
    known.ok_or_else(|| {
        let names: Vec<_> = Sender::ALL.iter().skip(1).map(|sender| sender.as_str()).collect();
        let hint = format!("known senders: whatsapp, {}", names.join(", "));
        ApiError::new(ErrorCode::NotFound, "there is no such sender").hint(hint)
    })
}

impl Archive {
    /// Checks that a delivery is its provider's and commits it; confirms a subscription that it asks for.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a provider that is not configured, [`ErrorCode::Unauthenticated`], those of a
    /// commit.
    async fn deliver_from(&self, sender: Sender, parts: &Parts, body: &Bytes) -> Result<(), ApiError> {
        let check = self.senders.get(sender).ok_or_else(|| {
            let message = format!("sender `{sender}` is not configured");
            ApiError::new(ErrorCode::NotFound, message).hint("see `[senders]` in schemas/config.schema.json")
        })?;
        let accepted = if sender == Sender::Aws {
            self.senders
                .sns
                .accept(check, body, self.now())
                .await
                .map(|(notice, found, certificate)| (Some((notice, certificate)), found))
        } else {
            let found = check.accept(sender, &parts.headers, parts.uri.query(), body);
            let refused = |error: piperoll_sources::SignatureError| {
                ApiError::new(ErrorCode::Unauthenticated, error.to_string())
            };
            found.map(|found| (None, found)).map_err(refused)
        };
        let (notice, accepted) = accepted.inspect_err(|error| {
            if error.code == ErrorCode::Unauthenticated {
                let _ = self.metrics.bad_signatures.inc();
            }
        })?;
        if let Some((_, certificate)) = &notice {
            self.keep_certificate(certificate).await?;
        }
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let Accepted { signature, key_id } = &accepted;
        self.deliver(&Delivery {
            source: sender.as_str(),
            body,
            signature: signature.as_deref(),
            verified_by: Some(key_id),
            content_type,
            received_at: self.now(),
        })
        .await?;
        // The notice is on the record first; when Amazon cannot be reached it sends the notice again.
        match &notice {
            Some((notice, _)) => self.senders.sns.confirm(notice).await,
            None => Ok(()),
        }
    }
}
