//! Puts the lock into a PUT that `object_store` has signed already, and signs it again.
//!
//! `object_store` has no name for a lock, but hands the extensions of a PUT to the HTTP client. The client
//! here adds the headers that an extension asks for. A service refuses `x-amz-` headers that are not signed,
//! so the request is signed anew, with the digest of the body that `object_store` worked out.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpService,
};

use super::location::S3Mode;

pub(super) const MODE: &str = "x-amz-object-lock-mode";
pub(super) const UNTIL: &str = "x-amz-object-lock-retain-until-date";
pub(super) const HOLD: &str = "x-amz-object-lock-legal-hold";
const BODY_DIGEST: &str = "x-amz-content-sha256";

/// The lock of one PUT, as an extension of its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct PutLock {
    pub(super) retention: Option<(S3Mode, DateTime<Utc>)>,
    pub(super) hold: bool,
}

/// Writes a date as requests do.
pub(super) fn date(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What became of the attempts at one request, as an extension of it: the client library's errors do not tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts(Arc<Mutex<Seen>>);

/// See [`Attempts`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// The status of the last answer; `None` if the last attempt had none.
    pub(super) status: Option<u16>,
    /// Whether an attempt may have been applied although it did not succeed.
    pub(super) is_open: bool,
}

impl Attempts {
    pub(super) fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, result: &Result<HttpResponse, HttpError>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.status = result.as_ref().ok().map(|answer| answer.status().as_u16());
        seen.is_open |= may_be_applied(result);
    }
}

/// Tells whether a request that did not succeed may have been applied.
pub(super) fn may_be_applied(result: &Result<HttpResponse, HttpError>) -> bool {
    const FULL: u16 = 507;
    match result {
        Ok(answer) => answer.status().is_server_error() && answer.status().as_u16() != FULL,
        Err(error) => error.kind() != HttpErrorKind::Connect,
    }
}

/// Makes clients that lock and record.
#[derive(Debug)]
pub(super) struct LockConnector {
    pub(super) inner: HttpClient,
    pub(super) credentials: AwsCredentialProvider,
    pub(super) region: String,
}

impl HttpConnector for LockConnector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let Self { inner, credentials, region } = self;
        let (inner, credentials, region) = (inner.clone(), Arc::clone(credentials), region.clone());
        Ok(HttpClient::new(LockService { inner, credentials, region }))
    }
}

#[derive(Debug)]
struct LockService {
    inner: HttpClient,
    credentials: AwsCredentialProvider,
    region: String,
}

#[async_trait]
impl HttpService for LockService {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if let Some(lock) = request.extensions().get::<PutLock>().copied() {
            self.apply(lock, &mut request)
                .await
                .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        }
        let attempts = request.extensions().get::<Attempts>().cloned();
        let result = self.inner.execute(request).await;
        if let Some(attempts) = attempts {
            attempts.record(&result);
        }
        result
    }
}

impl LockService {
    async fn apply(&self, lock: PutLock, request: &mut HttpRequest) -> object_store::Result<()> {
        let headers = request.headers_mut();
        if let Some((mode, until)) = lock.retention {
            headers.insert(MODE, HeaderValue::from_static(mode.wire()));
            let until = HeaderValue::from_str(&date(until)).expect("a date is made of visible ASCII");
            headers.insert(UNTIL, until);
        }
        if lock.hold {
            headers.insert(HOLD, HeaderValue::from_static("ON"));
        }
        let digest = headers.get(BODY_DIGEST).and_then(|digest| decode_hex(digest.as_bytes()));
        headers.remove(AUTHORIZATION);
        let credential = self.credentials.get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(request, digest.as_deref())
    }
}

fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}
