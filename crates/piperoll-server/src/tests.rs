//! Goal: the interface answers as promised, and what it shows is what was sent.
//! Method: the real router over a real archive on the memory store, called without a socket; the clock moves only
//! when a test moves it.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

mod auth;
mod capture;
mod dispose;
mod entry;
mod export;
mod log;
mod openapi;
mod read;
mod ready;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
use piperoll_engine::{Components, NewLedger, Settings, SystemEntropy, WriterKeys, create_ledger};
use piperoll_format::{Kek, LedgerId, Seq, Timestamp};
use piperoll_index::Options;
use piperoll_policy::{Policy, PolicySet};
use piperoll_sources::whatsapp::AppSecret;
use piperoll_store::{FaultyStore, ManualClock, MemoryStore};
use serde_json::Value;
use sha2::Sha256;
use tower::ServiceExt as _;

use crate::{Archive, NewToken, Parts, Role, Whatsapp, router};

/// 2026-11-21T12:00:00Z in microseconds.
const NOON: u64 = 1_795_262_400_000_000;
const SECRET: &str = "an app secret";
const POLICY: &str = r#"
    id = "all"
    version = 1
    title = "All"
    legal_basis = "test"
    summary = "test"
    keep = "1 days"
    dispose_after = "1 days"
    clock = "recorded"
    bucket = "day"
    [[match]]
"#;

/// An archive with a token for every role.
struct Bench {
    archive: Arc<Archive>,
    router: Router,
    clock: Arc<ManualClock>,
    store: Arc<FaultyStore>,
    /// Keeps the index and the local state until the end.
    dir: tempfile::TempDir,
    tokens: [(Role, String); 4],
}

/// An answer, whole.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the body after checking the status.
    #[track_caller]
    fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.json()
    }

    /// Checks status and error code, and returns the message.
    #[track_caller]
    fn refused(&self, status: u16, code: &str) -> String {
        let found = self.json();
        assert_eq!((self.status.as_u16(), found["error"]["code"].as_str()), (status, Some(code)), "{found}");
        found["error"]["message"].as_str().unwrap().to_owned()
    }
}

impl Bench {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOON));
        let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new(clock.clone()))));
        let policies = Arc::new(PolicySet::new(vec![Policy::parse("all.toml", POLICY).unwrap()]).unwrap());
        let keys = WriterKeys { signing: SigningKey::from_bytes(&[1; 32]), kek: Kek::new([2; 32]) };
        let ledger = LedgerId([7; 16]);
        let new = NewLedger {
            ledger,
            origin: "piperoll.example/test",
            public_key: keys.signing.verifying_key().to_bytes(),
            next_key_digest: [0; 32],
            kek: &keys.kek,
            policies: vec![POLICY.to_owned()],
            policy_set: &policies,
            created_at: Timestamp(NOON),
        };
        create_ledger(store.clone(), new).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let components = Components {
            store: store.clone(),
            ledger,
            clock: clock.clone(),
            entropy: Box::new(SystemEntropy),
            keys,
            policies,
            state_dir: dir.path().join("state"),
        };
        let archive = Archive::open(Parts {
            components,
            settings: Settings::default(),
            index_dir: dir.path().join("index"),
            index: Options { writer_heap_bytes: 15_000_000, ..Options::default() },
            fetching: tokio::sync::watch::Sender::default(),
            tokens: dir.path().join("tokens.json"),
            whatsapp: Whatsapp {
                app_secrets: vec![AppSecret::new("another secret"), AppSecret::new(SECRET)],
                verify_tokens: vec!["verify me".to_owned()],
            },
            senders: crate::Senders::default(),
            proxy: None,
            time_zone: chrono_tz::Tz::UTC,
        })
        .await
        .unwrap();
        let archive = Arc::new(archive);
        let tokens = [Role::Admin, Role::Auditor, Role::Ingest, Role::Officer].map(|role| {
            let new = NewToken { name: format!("the-{role}"), role, expires_at: None };
            (role, archive.tokens().create(&new, Timestamp(NOON)).unwrap())
        });
        Self { router: router(archive.clone()), archive, clock, store, dir, tokens }
    }

    fn token(&self, role: Role) -> &str {
        &self.tokens.iter().find(|(of, _)| *of == role).unwrap().1
    }

    async fn call(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn send(&self, role: Role, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token(role)));
        self.call(request.body(body.into()).unwrap()).await
    }

    /// Asks as an officer.
    async fn read(&self, path: &str) -> Answer {
        self.send(Role::Officer, Method::GET, path, "").await
    }

    /// Sends a signed webhook.
    async fn deliver(&self, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let request = Request::post("/webhooks/whatsapp")
            .header("content-type", "application/json")
            .header("x-hub-signature-256", sign(body));
        self.call(request.body(Body::from(body.to_vec())).unwrap()).await
    }

    /// Sends a signed webhook that must be taken, and returns how many events there are then.
    async fn capture(&self, body: impl AsRef<[u8]>) -> u64 {
        let answer = self.deliver(body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        self.size()
    }

    fn size(&self) -> u64 {
        self.archive.engine().head().borrow().size
    }

    /// Searches when everything committed so far is searchable.
    async fn search(&self, query: &str) -> Value {
        self.archive.catch_up().await;
        self.read(&format!("/v1/search?q={}", percent(query))).await.ok()
    }

    /// The newest event of a kind that records an access, as its document.
    async fn newest(&self, kind: &str) -> Value {
        let last = self.size() - 1;
        let read = self.archive.reader().read(Seq(last)).await.unwrap();
        assert_eq!(read.event.core.kind.as_str(), kind);
        serde_json::from_slice(&read.payload.unwrap().payload.parts[0]).unwrap()
    }
}

/// Spells a text so that it can stand in an address.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", crate::wire::hex(&mac.finalize().into_bytes()))
}

/// A webhook with one text message for each (wamid, customer, text).
fn webhook(messages: &[(&str, &str, &str)]) -> String {
    let one = |(id, from, text): &(&str, &str, &str)| {
        format!(
            r#"{{"from":"{from}","id":"{id}","timestamp":"1795262000","type":"text","text":{{"body":"{text}"}}}}"#
        )
    };
    let contact = |(_, from, _): &(&str, &str, &str)| {
        format!(r#"{{"profile":{{"name":"N {from}"}},"wa_id":"{from}"}}"#)
    };
    let join = |parts: Vec<String>| parts.join(",");
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550783881","phone_number_id":"106540352242922"}},"contacts":[{}],"messages":[{}]}},"field":"messages"}}]}}]}}"#,
        join(messages.iter().map(contact).collect()),
        join(messages.iter().map(one).collect()),
    )
}
