//! The S3 service that the test command has started: buckets, identities, and what lies behind the gateway.
//!
//! `cargo xt test` and `cargo xt s3` tell where it is in environment variables. Without them there is no service,
//! and [`S3Service::find`] gives none: the test command checks that tests with one have run.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{ClientOptions, HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};
use piperoll_store::{Clock, S3Credentials, S3Location, S3Mode, S3Options, S3Store, SystemClock};

/// The bucket with locks that all tests share, each below a prefix of its own.
const BUCKET: &str = "piperoll-locked";

/// The region that the service believes in.
const REGION: &str = "us-east-1";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// May do everything that a lock allows; makes buckets and plays the outsider.
    Admin,
    /// Has the policy `schemas/iam/writer.json`.
    Writer,
    /// Has the policy `schemas/iam/records-manager.json`.
    RecordsManager,
    /// Has the policy `schemas/iam/reader.json`.
    Reader,
}

impl Identity {
    const fn variable(self) -> &'static str {
        match self {
            Self::Admin => "PIPEROLL_S3_ADMIN",
            Self::Writer => "PIPEROLL_S3_WRITER",
            Self::RecordsManager => "PIPEROLL_S3_RECORDS_MANAGER",
            Self::Reader => "PIPEROLL_S3_READER",
        }
    }
}

/// An S3 service, and a place in it that is the test's own.
#[derive(Debug)]
pub struct S3Service {
    /// The service's URL.
    pub endpoint: String,
    /// The URL of what keeps the gateway's data, without any rights; empty if the service has no such thing.
    pub filer: String,
    /// The bucket.
    pub bucket: String,
    /// What stands before every key.
    pub prefix: String,
    http: HttpClient,
}

/// What the service answered.
#[derive(Debug)]
pub struct S3Answer {
    /// The HTTP status.
    pub status: u16,
    /// The version that was written or read.
    pub version: Option<String>,
    /// The body as text.
    pub body: String,
}

impl S3Service {
    /// Finds the service of the test command and a place in its bucket with locks; `None` if there is no service.
    ///
    /// # Panics
    /// When the service cannot make the bucket.
    pub async fn find() -> Option<Self> {
        Self::find_bucket(BUCKET, true).await
    }

    /// As [`S3Service::find`], in another bucket, with or without locks.
    ///
    /// # Panics
    /// When the service cannot make the bucket.
    pub async fn find_bucket(bucket: &str, with_lock: bool) -> Option<Self> {
        let endpoint = env::var("PIPEROLL_S3_ENDPOINT").ok()?;
        let filer = env::var("PIPEROLL_S3_FILER").ok()?;
        let service = Self::at(endpoint, filer, bucket);
        if with_lock {
            service.create_locked_bucket(&Self::credentials(Identity::Admin)).await;
        } else {
            let answer = service.send(Identity::Admin, "PUT", "", &[], Vec::new()).await;
            assert!(matches!(answer.status, 200 | 409), "{answer:?}");
        }
        Some(service)
    }

    /// Makes the bucket with locks, unless it is there.
    ///
    /// # Panics
    /// When the service refuses.
    pub async fn create_locked_bucket(&self, credentials: &S3Credentials) {
        let headers = [("x-amz-bucket-object-lock-enabled", "true")];
        let answer = self.send_as(credentials, "PUT", "", &headers, Vec::new()).await;
        assert!(matches!(answer.status, 200 | 409), "{answer:?}");
    }

    /// A place in a bucket of the service at an address.
    ///
    /// # Panics
    /// When there is no HTTP client.
    #[must_use]
    pub fn at(endpoint: String, filer: String, bucket: &str) -> Self {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        // Tests are processes or threads of one process.
        let prefix = format!("{}-{}-{number}", SystemClock.now_micros(), std::process::id());
        let options = ClientOptions::new().with_allow_http(true);
        let http = ReqwestConnector::default().connect(&options).unwrap();
        Self { endpoint, filer, bucket: bucket.to_owned(), prefix, http }
    }

    /// Returns the credentials of an identity.
    ///
    /// # Panics
    /// When the test command has not told them.
    #[must_use]
    pub fn credentials(identity: Identity) -> S3Credentials {
        let variable = |name: &str| env::var(format!("{}_{name}", identity.variable())).unwrap();
        S3Credentials::Static {
            access_key_id: variable("KEY"),
            secret_access_key: variable("SECRET"),
            session_token: None,
        }
    }

    /// Returns options for a store as the writer, with a records manager beside it.
    #[must_use]
    pub fn options(&self, mode: S3Mode) -> S3Options {
        let mut options = self.options_as(mode, Self::credentials(Identity::Writer));
        options.records_manager = Some(Self::credentials(Identity::RecordsManager));
        options
    }

    /// Returns options for a store as somebody, without a records manager.
    #[must_use]
    pub fn options_as(&self, mode: S3Mode, credentials: S3Credentials) -> S3Options {
        let location = S3Location { bucket: self.bucket.clone(), prefix: self.prefix.clone() };
        let mut options = S3Options::new(location, mode, credentials);
        options.endpoint = Some(self.endpoint.clone());
        options
    }

    /// Returns the store of these options, by the clock of this host.
    ///
    /// # Panics
    /// When the options are unusable.
    #[must_use]
    pub fn store(&self, options: S3Options) -> S3Store {
        S3Store::connect(options, Arc::new(SystemClock)).unwrap()
    }

    /// Returns the name in the bucket of the object with this key.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        format!("{}/{key}", self.prefix)
    }

    /// Sends a signed request about an object of the bucket, with a query if the name has one.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(
        &self,
        identity: Identity,
        method: &str,
        name: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> S3Answer {
        self.send_as(&Self::credentials(identity), method, name, headers, body).await
    }

    async fn send_as(
        &self,
        credentials: &S3Credentials,
        method: &str,
        name: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> S3Answer {
        let S3Credentials::Static { access_key_id, secret_access_key, .. } = credentials else {
            panic!("expected fixed credentials");
        };
        let (key_id, secret_key) = (access_key_id.clone(), secret_access_key.clone());
        let credential = AwsCredential { key_id, secret_key, token: None };
        let url = format!("{}/{}/{name}", self.endpoint, self.bucket);
        let mut request = http::Request::builder().method(method).uri(url.trim_end_matches('/'));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request = request.header("content-length", body.len());
        let mut request = request.body(HttpRequestBody::from(body)).unwrap();
        AwsAuthorizer::new(&credential, "s3", REGION).try_authorize(&mut request, None).unwrap();
        let (parts, body) = self.http.execute(request).await.unwrap().into_parts();
        let version =
            parts.headers.get("x-amz-version-id").map(|version| version.to_str().unwrap().to_owned());
        let body = String::from_utf8_lossy(&body.bytes().await.unwrap()).into_owned();
        S3Answer { status: parts.status.as_u16(), version, body }
    }

    /// Sends a request to what keeps the gateway's data: no rights are asked for there, and no lock is kept.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn behind(&self, method: &str, path: &str, body: Vec<u8>) -> S3Answer {
        let url = format!("{}/buckets/{}/{path}", self.filer, self.bucket);
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("accept", "application/json")
            .header("content-length", body.len());
        let request = request.body(HttpRequestBody::from(body)).unwrap();
        let (parts, body) = self.http.execute(request).await.unwrap().into_parts();
        let body = String::from_utf8_lossy(&body.bytes().await.unwrap()).into_owned();
        S3Answer { status: parts.status.as_u16(), version: None, body }
    }
}
