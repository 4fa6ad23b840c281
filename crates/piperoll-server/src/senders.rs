//! Providers that deliver WhatsApp traffic in envelopes of their own: whether a request is theirs.
//!
//! What is signed is checked as its provider documents it. Providers that sign nothing must send a header of the
//! subscriber's choice with a secret; they are off unless the operator says so. A time in a signature is not judged:
//! retries come late, and a replayed body only gets the first receipt again.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use piperoll_sources::{
    AppSecret, Sender, SignatureError, Verified, bird, dialog360, twilio, verify_shared_secret, vonage,
    whatsapp, ycloud,
};

use crate::sns::Sns;

/// The providers whose webhooks are taken.
#[derive(Debug, Default)]
pub struct Senders {
    /// What the requests of each provider are checked with; the others have no route.
    pub checks: BTreeMap<Sender, SenderCheck>,
    /// The client that fetches certificates of Amazon SNS and confirms subscriptions; one of the archive's own when
    /// there is none. It should follow no redirect.
    pub sns_client: Option<reqwest::Client>,
}

/// What the requests of one provider are checked with.
#[derive(Clone, Debug, Default)]
pub struct SenderCheck {
    /// Secrets shared with the provider; several while one replaces another.
    pub secrets: Vec<AppSecret>,
    /// The public address of the route as the provider knows it, which Twilio and Bird sign.
    pub url: Option<String>,
    /// A header in which a provider that does not sign sends one of the secrets, in lower case.
    pub secret_header: Option<String>,
    /// Topics of Amazon SNS that may deliver.
    pub topic_arns: Vec<String>,
    /// Whether signatures of Amazon SNS over SHA-1 (version 1) are taken.
    pub allow_sha1: bool,
}

/// A request that was found to be its provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// What the check can be repeated with, as it is kept; a shared secret is not kept.
    pub(crate) signature: Option<String>,
    /// The id of the secret or certificate that vouched for it.
    pub(crate) key_id: String,
}

/// The providers and what their checks need while requests are served.
#[derive(Debug)]
pub(crate) struct SenderDesk {
    checks: BTreeMap<Sender, SenderCheck>,
    pub(crate) sns: Sns,
}

impl SenderDesk {
    pub(crate) fn new(senders: Senders) -> Self {
        Self { checks: senders.checks, sns: Sns::new(senders.sns_client) }
    }

    /// Returns what a provider's requests are checked with; `None` if it is not configured.
    pub(crate) fn get(&self, sender: Sender) -> Option<&SenderCheck> {
        self.checks.get(&sender)
    }
}

impl SenderCheck {
    /// Checks a request of any provider but AWS, whose certificates must be fetched.
    ///
    /// `query` is the query of the address that was called.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub(crate) fn accept(
        &self,
        sender: Sender,
        headers: &HeaderMap,
        query: Option<&str>,
        body: &[u8],
    ) -> Result<Accepted, SignatureError> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let url = self.url_with(query);
        let kept = match sender {
            Sender::Bird => {
                let time = text(bird::TIMESTAMP_HEADER).unwrap_or_default();
                text(bird::SIGNATURE_HEADER).map(|signature| [time, " ", signature].concat())
            }
            _ => signature_header(sender).and_then(text).map(str::to_owned),
        };
        if kept.is_none()
            && let Some(header) = &self.secret_header
        {
            let presented = headers.get(header).map(axum::http::HeaderValue::as_bytes);
            let verified = verify_shared_secret("(the configured one)", presented, &self.secrets)?;
            return Ok(Accepted { signature: None, key_id: verified.key_id.to_owned() });
        }
        let key_id = self.verify(sender, kept.as_deref(), &url, body)?.key_id.to_owned();
        Ok(Accepted { signature: kept, key_id })
    }

    /// Repeats the check of a request from what was kept of it.
    pub(crate) fn still_accepts(&self, sender: Sender, kept: &str, body: &[u8]) -> bool {
        let url = self.url.as_deref().unwrap_or_default();
        self.verify(sender, Some(kept), url, body).is_ok()
    }

    fn verify<'s>(
        &'s self,
        sender: Sender,
        kept: Option<&str>,
        url: &str,
        body: &[u8],
    ) -> Result<Verified<'s>, SignatureError> {
        let secrets = &self.secrets;
        match sender {
            Sender::Meta => {
                let key_id = whatsapp::verify(kept, body, secrets)?;
                Ok(Verified { key_id, signed_at: None })
            }
            Sender::Dialog360 => dialog360::verify(kept, body, secrets),
            Sender::YCloud => ycloud::verify(kept, body, secrets),
            Sender::Twilio => twilio::verify(kept, url, body, secrets),
            Sender::Vonage => vonage::verify(kept, body, secrets),
            Sender::Bird => {
                let (time, signature) = kept.and_then(|kept| kept.split_once(' ')).unzip();
                bird::verify(signature, time.filter(|time| !time.is_empty()), url, body, secrets)
            }
            // These sign nothing that a secret could repeat.
            Sender::Aws | Sender::Gupshup | Sender::Infobip => {
                Err(SignatureError::Missing { header: "(the configured one)" })
            }
        }
    }

    /// The public address with the query that was called: providers add parameters of their own.
    fn url_with(&self, query: Option<&str>) -> String {
        let url = self.url.as_deref().unwrap_or_default();
        match query {
            Some(query) => [url.split('?').next().unwrap_or_default(), "?", query].concat(),
            None => url.to_owned(),
        }
    }
}

/// The header that a provider signs in, where one header is enough to repeat the check.
const fn signature_header(sender: Sender) -> Option<&'static str> {
    match sender {
        Sender::Meta => Some(whatsapp::SIGNATURE_HEADER),
        Sender::Dialog360 => Some(dialog360::SIGNATURE_HEADER),
        Sender::YCloud => Some(ycloud::SIGNATURE_HEADER),
        Sender::Twilio => Some(twilio::SIGNATURE_HEADER),
        Sender::Vonage => Some(vonage::SIGNATURE_HEADER),
        Sender::Bird | Sender::Aws | Sender::Gupshup | Sender::Infobip => None,
    }
}
