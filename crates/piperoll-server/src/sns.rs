//! Notices of Amazon SNS: the certificate behind a signature, and the confirmation of a subscription.
//!
//! A certificate is trusted because it comes over TLS from the host of the topic's own region and names Amazon SNS;
//! the notices that it verifies come from the configured topics only.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use piperoll_format::Timestamp;
use piperoll_sources::aws::{self, Claim, Envelope, Notice, NoticeError, SignatureDigest};
use reqwest::Url;
use reqwest::redirect::Policy;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, OnceCell};
use x509_cert::Certificate;
use x509_cert::der::{DecodePem as _, Encode as _};

use crate::error::{ApiError, ErrorCode};
use crate::senders::{Accepted, SenderCheck};
use crate::wire::hex;

/// The largest certificate, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Certificates kept; a region has one at a time.
const CERTIFICATES_MAX: usize = 16;
/// How long Amazon may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How the path of every certificate begins and ends.
const CERTIFICATE_PATH: (&str, &str) = ("/SimpleNotificationService-", ".pem");
/// Whose certificate it must be.
const CERTIFICATE_NAME: &str = "sns.amazonaws.com";

/// The client of Amazon SNS with the certificates it has fetched.
#[derive(Debug)]
pub(crate) struct Sns {
    client: OnceCell<reqwest::Client>,
    certificates: Mutex<VecDeque<(String, Arc<SigningCertificate>)>>,
}

/// What is needed of a certificate.
#[derive(Debug)]
struct SigningCertificate {
    /// The first eight hexadecimal digits of the SHA-256 of the certificate.
    id: String,
    public_key: Vec<u8>,
    /// Valid from and until, seconds since the epoch.
    valid: (u64, u64),
}

impl Sns {
    pub(crate) fn new(client: Option<reqwest::Client>) -> Self {
        Self { client: OnceCell::new_with(client), certificates: Mutex::default() }
    }

    /// Checks a notice: its topic, where its certificate is, and its signature.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthenticated`]; [`ErrorCode::Unavailable`] when Amazon cannot be asked for the certificate.
    pub(crate) async fn accept(
        &self,
        check: &SenderCheck,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(Envelope, Accepted), ApiError> {
        let refused = |error: NoticeError| ApiError::new(ErrorCode::Unauthenticated, error.to_string());
        let envelope = aws::parse(body).map_err(refused)?;
        if !check.topic_arns.contains(&envelope.topic_arn) {
            let message = "topic: expected one of the configured topics, found another";
            return Err(ApiError::new(ErrorCode::Unauthenticated, message));
        }
        let url = regional(&envelope.signing_cert_url, &envelope.topic_arn)
            .filter(|url| {
                let path = url.path();
                path.starts_with(CERTIFICATE_PATH.0) && path.ends_with(CERTIFICATE_PATH.1)
            })
            .ok_or_else(|| refused(NoticeError::ForeignCertificate))?;
        if envelope.signature_version == "1" && !check.allow_sha1 {
            let message = "signature version: expected `2`, found `1`, which is over SHA-1";
            let hint = "set the topic's attribute SignatureVersion to 2, or `allow_sha1` here";
            return Err(ApiError::new(ErrorCode::Unauthenticated, message).hint(hint));
        }
        let certificate = self.certificate(url).await?;
        aws::verify(&envelope, |claim| certificate.verifies(claim, now)).map_err(refused)?;
        let key_id = format!("cert:{}", certificate.id);
        Ok((envelope, Accepted { signature: None, key_id }))
    }

    /// Opens the address that confirms a subscription, after its notice was accepted.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthenticated`] for an address elsewhere; [`ErrorCode::Unavailable`] when Amazon does not confirm.
    pub(crate) async fn confirm(&self, envelope: &Envelope) -> Result<(), ApiError> {
        if envelope.notice != Notice::SubscriptionConfirmation {
            return Ok(());
        }
        let url = envelope.subscribe_url.as_deref().and_then(|url| regional(url, &envelope.topic_arn));
        let url = url.ok_or_else(|| {
            let message =
                "subscription: expected an address on the host of the topic's region, found another";
            ApiError::new(ErrorCode::Unauthenticated, message)
        })?;
        let answer = self.client().await?.get(url).send().await.map_err(unreachable)?;
        if answer.status().is_success() {
            tracing::info!(topic = envelope.topic_arn, "a subscription of Amazon SNS is confirmed");
            return Ok(());
        }
        let message =
            format!("Amazon SNS answered the confirmation with status {}", answer.status().as_u16());
        Err(ApiError::new(ErrorCode::Unavailable, message))
    }

    /// Fetches a certificate once. Whoever asks meanwhile waits, so that strangers cannot multiply fetches.
    async fn certificate(&self, url: Url) -> Result<Arc<SigningCertificate>, ApiError> {
        let mut certificates = self.certificates.lock().await;
        if let Some((_, found)) = certificates.iter().find(|(known, _)| known == url.as_str()) {
            return Ok(found.clone());
        }
        let bytes = fetch(self.client().await?, url.clone()).await?;
        let certificate = SigningCertificate::read(&bytes).ok_or_else(|| {
            let message =
                format!("certificate: expected a PEM certificate with an RSA key for `{CERTIFICATE_NAME}`");
            ApiError::new(ErrorCode::Unauthenticated, message)
        })?;
        let certificate = Arc::new(certificate);
        certificates.push_back((url.into(), certificate.clone()));
        if certificates.len() > CERTIFICATES_MAX {
            drop(certificates.pop_front());
        }
        Ok(certificate)
    }

    async fn client(&self) -> Result<&reqwest::Client, ApiError> {
        let build = async || {
            reqwest::Client::builder()
                .https_only(true)
                .redirect(Policy::none())
                .timeout(ANSWER_WITHIN)
                .build()
                .map_err(ApiError::internal)
        };
        self.client.get_or_try_init(build).await
    }
}

impl SigningCertificate {
    /// Reads a certificate that is Amazon SNS's.
    fn read(pem: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_pem(pem).ok()?;
        let id = hex(&Sha256::digest(certificate.to_der().ok()?)[..4]);
        let content = certificate.tbs_certificate();
        let name = content.subject().common_name().ok()??;
        if name.value() != CERTIFICATE_NAME {
            return None;
        }
        let validity = content.validity();
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        Some(Self {
            id,
            public_key: content.subject_public_key_info().subject_public_key.as_bytes()?.to_vec(),
            valid: (seconds(validity.not_before), seconds(validity.not_after)),
        })
    }

    fn verifies(&self, claim: &Claim<'_>, now: Timestamp) -> bool {
        let now = now.0 / 1_000_000;
        if !(self.valid.0..=self.valid.1).contains(&now) {
            return false;
        }
        let algorithm = match claim.digest {
            SignatureDigest::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            SignatureDigest::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        let key = UnparsedPublicKey::new(algorithm, &self.public_key);
        key.verify(claim.text.as_bytes(), &claim.signature).is_ok()
    }
}

/// Reads an address on the host of the topic's own region.
fn regional(url: &str, topic_arn: &str) -> Option<Url> {
    let region = topic_arn.strip_prefix("arn:")?.split(':').nth(2)?;
    let url = Url::parse(url).ok().filter(|_| aws::certificate_host_is_allowed(url))?;
    let host = ["sns.", region, ".amazonaws.com"].concat();
    (url.host_str() == Some(host.as_str())).then_some(url)
}

async fn fetch(client: &reqwest::Client, url: Url) -> Result<Vec<u8>, ApiError> {
    let mut answer = client.get(url).send().await.map_err(unreachable)?;
    if !answer.status().is_success() {
        let message =
            format!("Amazon SNS answered with status {} instead of a certificate", answer.status().as_u16());
        return Err(ApiError::new(ErrorCode::Unavailable, message));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            let message = format!("certificate: expected at most {CERTIFICATE_BYTES_MAX} bytes");
            return Err(ApiError::new(ErrorCode::Unauthenticated, message));
        }
    }
    Ok(bytes)
}

fn unreachable(error: reqwest::Error) -> ApiError {
    // Without the address: a confirmation's has a token in it.
    ApiError::new(ErrorCode::Unavailable, "Amazon SNS cannot be reached").because(error.without_url())
}
