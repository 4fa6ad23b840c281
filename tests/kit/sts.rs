//! A token service over real HTTP on loopback: `AssumeRoleWithWebIdentity`, with the refusals of the real one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use piperoll_format::Timestamp;
use piperoll_store::{Clock as _, S3Credentials, SystemClock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The role that the fake gives keys for.
pub const STS_ROLE: &str = "arn:aws:iam::123456789012:role/archive";

/// A running token service; ends when it is dropped.
#[derive(Debug)]
pub struct FakeSts {
    address: SocketAddr,
    shared: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Known {
    credentials: S3Credentials,
    /// How long keys are good.
    life: Duration,
    /// The token that is taken.
    token: String,
    /// Tokens as they came.
    asked: Vec<String>,
    is_down: bool,
}

impl FakeSts {
    /// Starts a service that gives these keys, good for `life`, for a token.
    ///
    /// # Panics
    /// When it cannot listen on loopback.
    pub async fn start(credentials: S3Credentials, life: Duration, token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Known { credentials, life, token: token.to_owned(), asked: Vec::new(), is_down: false };
        let shared = Arc::new(Mutex::new(known));
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    /// Returns the address for `AWS_ENDPOINT_URL_STS`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes another token from now on, and the one before no more.
    pub fn take_only(&self, token: &str) {
        token.clone_into(&mut lock(&self.shared).token);
    }

    /// Answers with 503 from now on, or no more.
    pub fn set_down(&self, is_down: bool) {
        lock(&self.shared).is_down = is_down;
    }

    /// Returns the tokens that were shown, in their order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared).asked.clone()
    }
}

impl Drop for FakeSts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shared: &Mutex<Known>) -> MutexGuard<'_, Known> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(shared): State<Arc<Mutex<Known>>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let shown = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let mut known = lock(&shared);
    known.asked.push(shown("WebIdentityToken").to_owned());
    if known.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let is_ours = shown("Action") == "AssumeRoleWithWebIdentity" && shown("RoleArn") == STS_ROLE;
    if !is_ours || shown("WebIdentityToken") != known.token {
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>\
                     <Message>No OpenIDConnect provider found</Message></Error></ErrorResponse>";
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    let S3Credentials::Static { access_key_id, secret_access_key, session_token } = &known.credentials else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let life = u64::try_from(known.life.as_micros()).unwrap();
    let end = Timestamp(SystemClock.now_micros() + life).to_utc().to_rfc3339();
    let token = session_token.as_deref().unwrap_or_default();
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><SessionToken>{token}</SessionToken>\
         <SecretAccessKey>{secret_access_key}</SecretAccessKey><Expiration>{end}</Expiration>\
         <AccessKeyId>{access_key_id}</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>"
    )
    .into_response()
}
