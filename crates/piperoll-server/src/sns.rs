//! Notices of Amazon SNS: the certificate behind a signature, and the confirmation of a subscription.
//!
//! A certificate is trusted because it comes over TLS from the host of the topic's own region and names Amazon SNS;
//! the notices that it verifies come from the configured topics only. It is archived before the first notice that it
//! vouches for, so that each can be checked again without Amazon.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use piperoll_format::{Kind, Seq, Submission, Timestamp};
use piperoll_projections::{ProjectionError, Table};
use piperoll_sources::aws::{self, Claim, Envelope, Notice, NoticeError, SignatureDigest};
use reqwest::Url;
use reqwest::redirect::Policy;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, OnceCell};
use x509_cert::Certificate;
use x509_cert::der::{DecodePem as _, Encode as _};

use crate::archive::Archive;
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
/// How a certificate is called among what was observed, and what stands before its id as a key.
const CERTIFICATE: &str = "signing_certificate";
const CERTIFICATE_KEY: &str = "cert:";
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
pub(crate) struct SigningCertificate {
    /// The SHA-256 of the certificate, hexadecimal.
    id: String,
    public_key: Vec<u8>,
    /// Valid from and until, seconds since the epoch.
    valid: (u64, u64),
    /// As it was fetched, and where.
    pem: Vec<u8>,
    url: String,
    /// Whether this process has seen it committed.
    is_archived: AtomicBool,
}

/// The record of a certificate; its bytes are the second part of the event.
#[derive(Serialize)]
struct CertificateDocument<'a> {
    object: &'a str,
    id: &'a str,
    status: u16,
    answer: CertificateAnswer<'a>,
}

#[derive(Serialize)]
struct CertificateAnswer<'a> {
    url: &'a str,
    valid_from: String,
    valid_until: String,
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
    ) -> Result<(Envelope, Accepted, Arc<SigningCertificate>), ApiError> {
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
        let key_id = certificate.key_id();
        // The signature is a member of the body, which is kept whole.
        Ok((envelope, Accepted { signature: None, key_id }, certificate))
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
        let certificate = SigningCertificate::read(bytes, url.as_str()).ok_or_else(|| {
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
    pub(crate) fn read(pem: Vec<u8>, url: &str) -> Option<Self> {
        let certificate = Certificate::from_pem(&pem).ok()?;
        let id = hex(&Sha256::digest(certificate.to_der().ok()?));
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
            pem,
            url: url.to_owned(),
            is_archived: AtomicBool::new(false),
        })
    }

    /// Returns what deliveries name it by: the beginning of its id.
    fn key_id(&self) -> String {
        [CERTIFICATE_KEY, &self.id[..8]].concat()
    }

    /// The event that keeps it, so that signatures can be checked when Amazon no longer offers it.
    fn submission(&self) -> Submission {
        let moment = |seconds: u64| Timestamp(seconds.saturating_mul(1_000_000)).to_string();
        let (valid_from, valid_until) = (moment(self.valid.0), moment(self.valid.1));
        let answer = CertificateAnswer { url: &self.url, valid_from, valid_until };
        let document = CertificateDocument { object: CERTIFICATE, id: &self.id, status: 200, answer };
        let document = serde_json::to_vec(&document).expect("texts and numbers are always JSON");
        let mut submission = Submission::own(Kind::AccountObserved, "application/json", document);
        submission.payload.parts.push(self.pem.clone());
        submission.payload.facts.source_id = Some(format!("certificate:{}", self.id));
        submission
    }

    pub(crate) fn verifies(&self, claim: &Claim<'_>, now: Timestamp) -> bool {
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

impl Archive {
    /// Commits a certificate, once.
    ///
    /// # Errors
    /// Those of a commit.
    pub(crate) async fn keep_certificate(&self, certificate: &SigningCertificate) -> Result<(), ApiError> {
        if !certificate.is_archived.load(Ordering::Acquire) {
            let _ = self.record(certificate.submission()).await?;
            certificate.is_archived.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Checks the signature of a notice again, with the certificate that is archived; returns the signature as it stands
    /// in the notice. Nothing when there is no such certificate.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) async fn check_notice_again(
        &self,
        key_id: &str,
        body: &[u8],
        received_at: Timestamp,
    ) -> Result<Option<(String, bool)>, ApiError> {
        let (Some(id), Ok(envelope)) = (key_id.strip_prefix(CERTIFICATE_KEY), aws::parse(body)) else {
            return Ok(None);
        };
        let (projections, start) = (self.projections(), format!("{CERTIFICATE}:{id}"));
        let found = tokio::task::spawn_blocking(move || {
            let entities = projections.entities(Table::Observed, Some(&start), 1)?;
            let Some(entity) = entities.first().filter(|entity| entity.starts_with(&start)) else {
                return Ok(None);
            };
            let newest = projections.newest::<Value>(Table::Observed, entity, i64::MIN..=i64::MAX, 1)?;
            Ok::<_, ProjectionError>(newest.first().map(|fact| Seq(fact.seq)))
        });
        let found = found.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
        let Some(seq) = found else { return Ok(None) };
        let read = self.reader.read(seq).await?;
        let pem = read.payload.ok().and_then(|opened| opened.payload.parts.into_iter().nth(1));
        let certificate = pem.and_then(|pem| SigningCertificate::read(pem, &envelope.signing_cert_url));
        let is_valid = certificate.is_some_and(|certificate| {
            let verifies = |claim: &Claim<'_>| certificate.verifies(claim, received_at);
            aws::verify(&envelope, verifies).is_ok()
        });
        Ok(Some((envelope.signature, is_valid)))
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
