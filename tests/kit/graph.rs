//! A Graph API over real HTTP on loopback: media, templates, sends, subscriptions and numbers, with the failures of
//! the real one.

mod answer;
mod fault;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use answer::noise;
pub use fault::GraphFault;

/// The token that the fake asks for.
pub const GRAPH_TOKEN: &str = "EAAG-a-token-of-the-fake";

/// The version that the fake is asked in.
pub const GRAPH_VERSION: &str = "v24.0";

/// A request as the fake got it.
#[derive(Clone, Debug)]
pub struct GraphRequest {
    /// `GET` or `POST`.
    pub method: Method,
    /// The path with the version.
    pub path: String,
    /// The query, as sent.
    pub query: String,
    /// Every header.
    pub headers: HeaderMap,
    /// The exact body.
    pub body: Bytes,
}

/// A media object of the fake.
#[derive(Clone, Debug)]
pub struct GraphMedia {
    /// What a download returns.
    pub bytes: Bytes,
    /// The media type that is told.
    pub mime_type: String,
    /// The SHA-256 that is told, as written.
    pub sha256: String,
}

/// What the fake knows.
#[derive(Debug, Default)]
struct Known {
    media: HashMap<String, GraphMedia>,
    /// How often each media object's address was asked for: only the newest address works.
    asked: HashMap<String, u64>,
    templates: HashMap<String, Vec<Value>>,
    histories: HashMap<String, Vec<Value>>,
    /// Answers about numbers and accounts, by `<id>` or `<id>/<edge>`.
    objects: HashMap<String, Value>,
    faults: HashMap<String, VecDeque<GraphFault>>,
    requests: Vec<GraphRequest>,
    sent: u64,
}

/// The state that handlers share.
#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    base: std::sync::OnceLock<String>,
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running fake; it stops when dropped.
#[derive(Debug)]
pub struct FakeGraph {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl FakeGraph {
    /// Starts on a free port.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        shared.base.set(format!("http://{address}")).unwrap();
        let router = Router::new().fallback(handle).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, address, task }
    }

    /// Returns the base address, without a version.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns host and port, as a list of allowed hosts names them.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Adds a media object; it tells its true SHA-256 in hexadecimal.
    pub fn add_media(&self, id: &str, mime_type: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let sha256 = answer::hex_sha256(&bytes);
        let media = GraphMedia { bytes, mime_type: mime_type.to_owned(), sha256 };
        let _ = self.shared.known().media.insert(id.to_owned(), media);
    }

    /// Makes every address of a media object given so far expire.
    pub fn expire(&self, id: &str) {
        *self.shared.known().asked.entry(id.to_owned()).or_default() += 1;
    }

    /// Lists an account's templates; each is an object with `id`, `name`, `language`, `status`, `components`, ….
    pub fn set_templates(&self, account: &str, templates: Vec<Value>) {
        let _ = self.shared.known().templates.insert(account.to_owned(), templates);
    }

    /// Lists a number's messages, newest first; each is an object with `message_id` and `events`.
    pub fn set_message_history(&self, number: &str, messages: Vec<Value>) {
        let _ = self.shared.known().histories.insert(number.to_owned(), messages);
    }

    /// Sets the points of an account's counts of messages: `start`, `end`, `sent`, `delivered`.
    pub fn set_message_counts(&self, account: &str, points: Value) {
        let answer = json!({"id": account, "analytics": {"granularity": "DAY", "data_points": points}});
        let _ = self.shared.known().objects.insert(format!("{account}/analytics"), answer);
    }

    /// Sets what is answered about a number: every field that may be asked for.
    pub fn set_number(&self, id: &str, fields: Value) {
        let _ = self.shared.known().objects.insert(id.to_owned(), fields);
    }

    /// Sets the list that `subscribed_apps` of an account answers.
    pub fn set_subscribed_apps(&self, account: &str, apps: Value) {
        let answer = json!({"data": apps});
        let _ = self.shared.known().objects.insert(format!("{account}/subscribed_apps"), answer);
    }

    /// Lets the next requests about an object fail, one fault each, in order. The object is a media, template, number
    /// or account id; `download/<media id>` for the bytes; `<number>/messages` for sends.
    pub fn fail(&self, object: &str, faults: impl IntoIterator<Item = GraphFault>) {
        self.shared.known().faults.entry(object.to_owned()).or_default().extend(faults);
    }

    /// Lets nothing fail any more.
    pub fn heal(&self) {
        self.shared.known().faults.clear();
    }

    /// Returns every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<GraphRequest> {
        self.shared.known().requests.clone()
    }

    /// Returns how many requests had a path that contains `text`.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.shared.known().requests.iter().filter(|request| request.path.contains(text)).count()
    }
}

impl Drop for FakeGraph {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let request = GraphRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    shared.known().requests.push(request.clone());
    answer::answer(&shared, &request).await
}
