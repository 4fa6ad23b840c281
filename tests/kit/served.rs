//! An archive behind its router, called without a socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use piperoll_format::Timestamp;
use piperoll_index::Options;
use piperoll_server::{Archive, NewToken, Parts, Platform, Role, TokenStore, Whatsapp, router};
use piperoll_sources::whatsapp::AppSecret;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::archive::{NOW, TestArchive, quick_settings};
use crate::check::Stored;
use crate::http::{escape, sign};

/// The secret of the app that signs webhooks.
pub const APP_SECRET: &str = "an app secret";

/// The text that the handshake of the callback address has.
pub const VERIFY_TOKEN: &str = "verify me";

/// Memory of an index that only holds a few events.
const INDEX_HEAP_BYTES: usize = 15_000_000;

/// A running archive and its router.
#[derive(Debug)]
pub struct Served<'a> {
    /// What it serves.
    pub on: &'a TestArchive,
    /// The archive behind the routes.
    pub archive: Arc<Archive>,
    router: Router,
    tokens: Tokens,
}

/// A token for every role, named `the-<role>`.
type Tokens = Arc<Vec<(Role, String)>>;

/// An answer, whole.
#[derive(Clone, Debug)]
#[must_use = "check the status, or take the body"]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl TestArchive {
    /// Serves the archive; its index is at [`Self::index_dir`].
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn serve(&self) -> Served<'_> {
        self.serve_with(None).await
    }

    /// Serves the archive with a media fetcher and a poller.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn serve_with(&self, platform: Option<Platform>) -> Served<'_> {
        let served = self.serve_changed(|_| {}).await;
        if let Some(platform) = platform {
            served.archive.run_platform(platform);
        }
        served
    }

    /// Serves the archive with other parts than usual.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn serve_changed(&self, change: impl FnOnce(&mut Parts)) -> Served<'_> {
        let tokens = self.make_tokens();
        let mut parts = Parts {
            components: self.components(),
            settings: quick_settings(),
            index_dir: self.index_dir(),
            index: Options { writer_heap_bytes: INDEX_HEAP_BYTES, ..Options::default() },
            fetching: tokio::sync::watch::Sender::default(),
            tokens: self.token_file(),
            whatsapp: Whatsapp {
                app_secrets: vec![AppSecret::new("an older secret"), AppSecret::new(APP_SECRET)],
                verify_tokens: vec![VERIFY_TOKEN.to_owned()],
            },
            senders: piperoll_server::Senders::default(),
            proxy: None,
            time_zone: chrono_tz::Tz::UTC,
        };
        change(&mut parts);
        let archive = Arc::new(Archive::open(parts).await.unwrap());
        Served { on: self, router: router(archive.clone()), archive, tokens }
    }

    /// Returns the folder of the search index.
    #[must_use]
    pub fn index_dir(&self) -> PathBuf {
        self.dir().join("index")
    }

    fn token_file(&self) -> PathBuf {
        self.dir().join("tokens.json")
    }

    fn make_tokens(&self) -> Tokens {
        self.tokens.get_or_init(|| Arc::new(make_tokens(&self.token_file()))).clone()
    }
}

fn make_tokens(file: &Path) -> Vec<(Role, String)> {
    let store = TokenStore::open(file).unwrap();
    let make = |role: Role| {
        let new = NewToken { name: format!("the-{role}"), role, expires_at: None };
        (role, store.create(&new, Timestamp(NOW)).unwrap())
    };
    [Role::Admin, Role::Auditor, Role::Ingest, Role::Officer].map(make).to_vec()
}

impl Served<'_> {
    /// Sends a request with the token of a role.
    pub async fn send(&self, role: Role, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let token = &self.tokens.iter().find(|(of, _)| *of == role).unwrap().1;
        let request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        self.call(request.body(body.into()).unwrap()).await
    }

    /// Asks as an officer.
    pub async fn read(&self, path: &str) -> Answer {
        self.send(Role::Officer, Method::GET, path, "").await
    }

    /// Asks without a token.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends a webhook with its signature.
    pub async fn deliver(&self, body: &[u8]) -> Answer {
        self.deliver_signed(body, Some(&sign(APP_SECRET, body))).await
    }

    /// Sends a webhook with any signature header, or none.
    pub async fn deliver_signed(&self, body: &[u8], signature: Option<&str>) -> Answer {
        let mut request = Request::post("/webhooks/whatsapp").header("content-type", "application/json");
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        self.call(request.body(Body::from(body.to_vec())).unwrap()).await
    }

    /// Searches as an officer, when everything committed so far is searchable.
    pub async fn search(&self, query: &str) -> Value {
        self.archive.catch_up().await;
        self.read(&format!("/v1/search?limit=500&q={}", escape(query))).await.ok()
    }

    /// Returns the positions that a search finds, newest first.
    pub async fn find(&self, query: &str) -> Vec<u64> {
        let found = self.search(query).await;
        found["hits"].as_array().unwrap().iter().map(|hit| hit["seq"].as_u64().unwrap()).collect()
    }

    /// Returns how many events there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.archive.engine().head().borrow().size
    }

    /// Checks everything, the index included: it covers every event once it has caught up.
    pub async fn check_everything(&self) -> Vec<Stored> {
        let events = self.on.check_everything(Some(self.archive.engine())).await;
        self.archive.catch_up().await;
        assert!(
            self.archive.progress().borrow().covered >= events.len() as u64,
            "the index covers the ledger"
        );
        events
    }

    /// Stops in order.
    pub async fn close(self) {
        self.archive.close().await;
    }

    /// Returns the token of a role.
    ///
    /// # Panics
    /// Never: every role has one.
    #[must_use]
    pub fn token(&self, role: Role) -> &str {
        &self.tokens.iter().find(|(of, _)| *of == role).unwrap().1
    }

    /// Sends any request.
    pub async fn call(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    /// Returns the body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Returns the JSON of a success.
    ///
    /// # Panics
    /// When it is another answer.
    #[must_use]
    #[track_caller]
    pub fn ok(&self) -> Value {
        self.is_status(200);
        self.json()
    }

    /// Checks the status.
    ///
    /// # Panics
    /// When it is another one.
    #[track_caller]
    pub fn is_status(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
    }

    /// Returns a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}
