//! The client: one pool of connections, limits on everything that comes back.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::error::GraphError;
use crate::host::{Hosts, is_loopback};
use crate::secret::{Secret, TokenSource};

/// Bytes of JSON that one answer may have.
const JSON_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bytes of an error answer that are looked at.
const ERROR_BYTES_MAX: u64 = 64 * 1024;

/// Longest waiting time that the platform is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Longest id of an object; Meta's media ids have fewer than 20 digits.
const ID_CHARS_MAX: usize = 128;

/// How the Graph API is reached.
#[derive(Clone, Debug)]
pub struct GraphOptions {
    /// Scheme, host and port; https unless it is loopback.
    pub base_url: String,
    /// The version in every path, such as `v24.0`.
    pub version: String,
    /// The access token.
    pub token: Secret,
    /// Where a new token is looked for when this one is refused.
    pub token_source: Option<TokenSource>,
    /// Hosts that media may be downloaded from, as `name` or `name:port`; nothing else is called.
    pub media_hosts: Vec<String>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// How long parts of a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// A whole answer in JSON.
    pub answer: Duration,
    /// A whole download.
    pub download: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            download: Duration::from_secs(1_800),
        }
    }
}

impl Default for GraphOptions {
    fn default() -> Self {
        Self {
            base_url: "https://graph.facebook.com".to_owned(),
            version: "v24.0".to_owned(),
            token: Secret::new(""),
            token_source: None,
            media_hosts: vec!["lookaside.fbsbx.com".to_owned()],
            timeouts: Timeouts::default(),
        }
    }
}

/// A client of the Graph API. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct GraphClient {
    http: reqwest::Client,
    base: Url,
    version: String,
    bearer: Arc<RwLock<HeaderValue>>,
    token_source: Option<TokenSource>,
    pub(crate) hosts: Hosts,
    pub(crate) timeouts: Timeouts,
}

impl fmt::Debug for GraphClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (base, version) = (self.base.as_str(), &self.version);
        f.debug_struct("GraphClient").field("base", &base).field("version", version).finish_non_exhaustive()
    }
}

impl GraphClient {
    /// Makes a client; nothing is called yet.
    ///
    /// # Errors
    /// [`GraphError::RefusedHost`] for a base address without https that is not loopback,
    /// [`GraphError::Malformed`] for a version or token that cannot be sent, [`GraphError::Unavailable`] when TLS
    /// cannot be set up.
    pub fn new(options: GraphOptions) -> Result<Self, GraphError> {
        let base = Url::parse(&options.base_url).map_err(|_| GraphError::Malformed {
            expected: "a base address such as https://graph.facebook.com",
        })?;
        let own = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) if base.scheme() == "http" => format!("{host}:80"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let base = Hosts::new(&[own]).check(base.as_str())?;
        if !is_id(&options.version.replace('.', "")) {
            return Err(GraphError::Malformed { expected: "a version such as v24.0" });
        }
        let bearer = bearer(&options.token)
            .ok_or(GraphError::Malformed { expected: "a token of visible characters" })?;
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .user_agent(concat!("piperoll/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.timeouts.connect)
            .read_timeout(options.timeouts.idle);
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(GraphError::transport)?;
        let hosts = Hosts::new(&options.media_hosts);
        Ok(Self {
            http,
            base,
            version: options.version,
            bearer: Arc::new(RwLock::new(bearer)),
            token_source: options.token_source,
            hosts,
            timeouts: options.timeouts,
        })
    }

    fn bearer(&self) -> HeaderValue {
        self.bearer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for another token than the one that was refused; false when there is none.
    fn renew(&self, refused: &HeaderValue) -> bool {
        let mut current = self.bearer.write().unwrap_or_else(PoisonError::into_inner);
        if *current != *refused {
            return true;
        }
        let found = self.token_source.as_ref().and_then(TokenSource::read);
        match found.as_ref().and_then(bearer) {
            Some(new) if new != *refused => {
                *current = new;
                true
            }
            _ => false,
        }
    }

    /// Asks for JSON at `/<version>/<segments>`; once more when the token was refused and there is a new one.
    pub(crate) async fn get(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Value, GraphError> {
        // An id comes from outside, and must not lead to another path.
        if !segments.iter().all(|segment| is_id(segment)) {
            return Err(GraphError::NotFound);
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(&self.version).extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let used = self.bearer();
        match self.ask(url.clone(), used.clone()).await {
            Err(GraphError::Unauthorised { .. }) if self.renew(&used) => self.ask(url, self.bearer()).await,
            answered => answered,
        }
    }

    async fn ask(&self, url: Url, bearer: HeaderValue) -> Result<Value, GraphError> {
        let request = self.http.get(url).header(AUTHORIZATION, bearer);
        let response = request.timeout(self.timeouts.answer).send().await.map_err(GraphError::transport)?;
        if !response.status().is_success() {
            return Err(failure(response).await);
        }
        let body = read_limited(response, JSON_BYTES_MAX).await.map_err(|error| match error {
            // It says nothing about the size of what was asked for.
            GraphError::TooLarge { .. } => GraphError::Malformed { expected: "at most 8 MiB of JSON" },
            other => other,
        })?;
        serde_json::from_slice(&body).map_err(|_| GraphError::Malformed { expected: "JSON" })
    }

    /// Asks for the bytes at an address that was checked before.
    pub(crate) async fn open(&self, url: Url, with_token: bool) -> Result<Response, GraphError> {
        let mut request = self.http.get(url).timeout(self.timeouts.download);
        if with_token {
            request = request.header(AUTHORIZATION, self.bearer());
        }
        request.send().await.map_err(GraphError::transport)
    }
}

/// Returns the header that a token goes out in; `None` for a token that cannot be sent.
fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    bearer.set_sensitive(true);
    Some(bearer)
}

/// Tells whether a text can be an id in a path.
fn is_id(text: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Reads an answer of at most `limit` bytes.
async fn read_limited(mut response: Response, limit: u64) -> Result<Vec<u8>, GraphError> {
    let too_large = GraphError::TooLarge { limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(GraphError::transport)? {
        if body.len() as u64 + piece.len() as u64 > limit {
            return Err(too_large);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorDetail,
}

#[derive(Default, Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    error_subcode: i64,
}

/// Turns an answer that is no success into what the caller must do.
pub(crate) async fn failure(response: Response) -> GraphError {
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_redirection() {
        return GraphError::RefusedHost { host: redirect_host(&headers) };
    }
    let detail = match read_limited(response, ERROR_BYTES_MAX).await {
        Ok(body) => serde_json::from_slice::<ErrorBody>(&body).unwrap_or_default().error,
        Err(_) => ErrorDetail::default(),
    };
    classify(status, &detail, &headers)
}

/// Meta answers with 400 for many things and says in `code` what it is.
fn classify(status: StatusCode, detail: &ErrorDetail, headers: &HeaderMap) -> GraphError {
    /// Calls of the app, the account, the number or the pair of both are limited.
    const RATE_CODES: [i64; 8] = [4, 17, 32, 613, 80_007, 80_008, 130_429, 131_056];
    /// The token or its permissions.
    const TOKEN_CODES: [i64; 5] = [0, 3, 10, 102, 190];
    /// "Object does not exist, cannot be loaded due to missing permissions".
    const NO_SUCH_OBJECT: (i64, i64) = (100, 33);
    let (number, code) = (status.as_u16(), detail.code);
    let unauthorised = GraphError::Unauthorised { status: number, code };
    match status {
        StatusCode::TOO_MANY_REQUESTS => GraphError::RateLimited { retry_after: retry_after(headers) },
        _ if status.is_client_error() && RATE_CODES.contains(&code) => {
            GraphError::RateLimited { retry_after: retry_after(headers) }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => unauthorised,
        StatusCode::NOT_FOUND | StatusCode::GONE => GraphError::NotFound,
        StatusCode::BAD_REQUEST if (code, detail.error_subcode) == NO_SUCH_OBJECT => GraphError::NotFound,
        StatusCode::BAD_REQUEST if code != 0 && TOKEN_CODES.contains(&code) => unauthorised,
        StatusCode::BAD_REQUEST if (200..300).contains(&code) => unauthorised,
        _ => GraphError::Unavailable { reason: format!("status {number}, code {code}") },
    }
}

/// Reads `Retry-After` in seconds; a date, which Meta does not send, counts as absent.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn redirect_host(headers: &HeaderMap) -> String {
    let location = headers.get(reqwest::header::LOCATION).and_then(|value| value.to_str().ok());
    let host = location.and_then(|location| Url::parse(location).ok()?.host_str().map(str::to_owned));
    host.map_or_else(|| "a redirect".to_owned(), |host| format!("a redirect to {host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_must_be_done() {
        let token = |status, code| GraphError::Unauthorised { status, code };
        let limited = GraphError::RateLimited { retry_after: None };
        let unavailable = |text: &str| GraphError::Unavailable { reason: text.to_owned() };
        let table = [
            (401, 190, 0, token(401, 190)),
            (400, 190, 463, token(400, 190)),
            (403, 10, 0, token(403, 10)),
            (400, 200, 0, token(400, 200)),
            (400, 100, 33, GraphError::NotFound),
            (404, 0, 0, GraphError::NotFound),
            (429, 0, 0, limited.clone()),
            (400, 80_007, 0, limited),
            (400, 100, 0, unavailable("status 400, code 100")),
            (500, 1, 0, unavailable("status 500, code 1")),
            (503, 0, 0, unavailable("status 503, code 0")),
        ];
        for (status, code, error_subcode, expected) in table {
            let status = StatusCode::from_u16(status).expect("a status");
            let found = classify(status, &ErrorDetail { code, error_subcode }, &HeaderMap::new());
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn waiting_time_is_read_and_bounded() {
        let of = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]))
        };
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("99999999"), Some(RETRY_AFTER_MAX));
        assert_eq!((of("soon"), of("-1")), (None, None));
    }

    #[test]
    fn base_without_https_and_odd_ids_are_refused() {
        let client = |base: &str| {
            GraphClient::new(GraphOptions { base_url: base.to_owned(), ..GraphOptions::default() })
        };
        assert!(client("https://graph.facebook.com").is_ok());
        assert!(client("http://127.0.0.1:9").is_ok());
        assert!(matches!(client("http://graph.facebook.com"), Err(GraphError::RefusedHost { .. })));
        assert!(matches!(client("graph"), Err(GraphError::Malformed { .. })));
        for id in ["", ".", "..", "1/2", "1?x", "<MEDIA_ID>", "%2e%2e", "1#"] {
            assert!(!is_id(id), "{id}");
        }
        assert!(is_id("1003383421387256"));
    }

    #[test]
    fn token_is_never_shown() {
        let options = GraphOptions { token: Secret::new("EAAG-secret\n"), ..GraphOptions::default() };
        assert!(!format!("{options:?}").contains("EAAG"));
        let client = GraphClient::new(options).expect("a client");
        assert!(!format!("{client:?} {:?} {:?}", client.bearer, client.http).contains("EAAG"));
    }
}
