//! The calls of S3 that `object_store` has no API for: versions, retention, holds, and what a bucket is.
//!
//! They are signed with `object_store`'s own signer and the same credentials, and sent with its HTTP client.

use std::fmt::Debug;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderMap, Method, Request, StatusCode};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use sha2::{Digest, Sha256};

use super::location::S3Mode;
use super::lock::{date, may_be_applied};
use crate::error::Source;

/// The pause before the first repetition; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The header with the SHA-256 of a body, which a PUT of a lock must have.
pub(super) const CHECKSUM: &str = "x-amz-checksum-sha256";

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// One identity's way to one bucket.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) http: HttpClient,
    pub(super) credentials: AwsCredentialProvider,
    pub(super) region: String,
    /// The bucket's URL, without a slash at its end.
    pub(super) bucket_url: String,
    pub(super) retries: usize,
}

/// An answer with its whole body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether an earlier attempt at the same request may have been applied.
    pub(super) is_open: bool,
}

impl Answer {
    /// Returns the service's time in µs since the Unix epoch, to the second.
    pub(super) fn date_micros(&self) -> Option<u64> {
        let date = DateTime::parse_from_rfc2822(self.headers.get(DATE)?.to_str().ok()?).ok()?;
        u64::try_from(date.timestamp_micros()).ok()
    }

    /// Returns what the service said, for people: status and error code, shortened.
    pub(super) fn describe(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let between = |open: &str, close: &str| {
            let (_, rest) = body.split_once(open)?;
            Some(rest.split_once(close)?.0.chars().take(200).collect::<String>())
        };
        let code = between("<Code>", "</Code>").unwrap_or_default();
        let message = between("<Message>", "</Message>").unwrap_or_default();
        let mut text = format!("the service answered {}", self.status.as_u16());
        for part in [code, message] {
            if !part.is_empty() {
                text.push_str(&format!(": {part}"));
            }
        }
        text
    }
}

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) is_open: bool,
    pub(super) source: Source,
}

/// What a call asks for.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    /// The object's name in the bucket; empty for the bucket itself.
    pub(super) name: &'a str,
    /// Pairs; a value may be empty.
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Bytes,
}

impl Api {
    /// Sends a request, again after failures that a repetition may cure. All calls here may be repeated.
    pub(super) async fn send(&self, method: Method, call: &Call<'_>) -> Result<Answer, NoAnswer> {
        let mut pause = FIRST_PAUSE;
        let (mut is_open, mut left) = (false, self.retries);
        loop {
            let failure = match self.attempt(method.clone(), call).await {
                Ok(mut answer) => {
                    if left == 0 || !is_transient(answer.status) {
                        answer.is_open |= is_open;
                        return Ok(answer);
                    }
                    is_open |= answer.is_open;
                    None
                }
                Err(failure) => {
                    is_open |= failure.is_open;
                    Some(NoAnswer { is_open, ..failure })
                }
            };
            match failure {
                Some(failure) if left == 0 => return Err(failure),
                _ => {}
            }
            left -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn attempt(&self, method: Method, call: &Call<'_>) -> Result<Answer, NoAnswer> {
        let request = self.sign(method, call).await.map_err(|source| NoAnswer { is_open: false, source })?;
        let result = self.http.execute(request).await;
        let is_open = may_be_applied(&result);
        let (parts, body) = result.map_err(|error| no_answer(error, is_open))?.into_parts();
        let body = body.bytes().await.map_err(|error| no_answer(error, true))?;
        Ok(Answer { status: parts.status, headers: parts.headers, body, is_open })
    }

    async fn sign(&self, method: Method, call: &Call<'_>) -> Result<HttpRequest, Source> {
        let mut url = self.bucket_url.clone();
        if !call.name.is_empty() {
            url.push('/');
            url.push_str(call.name);
        }
        if !call.query.is_empty() {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(call.query);
            url.push('?');
            url.push_str(&query.finish());
        }
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        if !call.body.is_empty() {
            request = request.header(CONTENT_LENGTH, call.body.len());
            if !call.headers.iter().any(|(name, _)| *name == CHECKSUM) {
                request = request.header(CHECKSUM, checksum(&call.body));
            }
        }
        let mut request = request.body(HttpRequestBody::from(call.body.clone()))?;
        let credential = self.credentials.get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut request, None)?;
        Ok(request)
    }

    /// Asks for an object's properties; of one version, or of the newest.
    pub(super) async fn head(&self, name: &str, version: Option<&str>) -> Result<Answer, NoAnswer> {
        let query: Vec<_> = version.map(|version| ("versionId", version)).into_iter().collect();
        self.send(Method::HEAD, &Call { name, query: &query, ..Call::default() }).await
    }

    /// Deletes one version of an object, or one delete marker.
    pub(super) async fn delete_version(&self, name: &str, version: &str) -> Result<Answer, NoAnswer> {
        let query = [("versionId", version)];
        self.send(Method::DELETE, &Call { name, query: &query, ..Call::default() }).await
    }

    /// Sets the retention of one version.
    pub(super) async fn put_retention(
        &self,
        (name, version): (&str, &str),
        mode: S3Mode,
        until: DateTime<Utc>,
    ) -> Result<Answer, NoAnswer> {
        let (mode, until) = (mode.wire(), date(until));
        let body = format!(
            "<Retention xmlns=\"{NAMESPACE}\"><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        );
        let query = [("retention", ""), ("versionId", version)];
        self.send(Method::PUT, &Call { name, query: &query, body: body.into(), ..Call::default() }).await
    }

    /// Places or releases the legal hold of one version.
    pub(super) async fn put_hold(&self, name: &str, version: &str, hold: bool) -> Result<Answer, NoAnswer> {
        let status = if hold { "ON" } else { "OFF" };
        let body = format!("<LegalHold xmlns=\"{NAMESPACE}\"><Status>{status}</Status></LegalHold>");
        let query = [("legal-hold", ""), ("versionId", version)];
        self.send(Method::PUT, &Call { name, query: &query, body: body.into(), ..Call::default() }).await
    }

    /// Asks for a property of the bucket, such as `versioning`.
    pub(super) async fn bucket(&self, property: &str) -> Result<Answer, NoAnswer> {
        self.send(Method::GET, &Call { query: &[(property, "")], ..Call::default() }).await
    }
}

fn no_answer(error: HttpError, is_open: bool) -> NoAnswer {
    let is_open = is_open && error.kind() != HttpErrorKind::Connect;
    NoAnswer { is_open, source: error.into() }
}

/// Tells whether the same request may get another answer later.
fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT
        )
}

/// Returns the SHA-256 of a body as it stands in its header.
pub(super) fn checksum(body: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(body))
}
