//! Passing a request to send on as it came, with the caller's own token.
//!
//! The token goes through and is never kept: requests and answers here have no `Debug` form that shows it.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::redirect::Policy;
use url::Url;

use crate::error::GraphError;
use crate::host::Hosts;

/// The largest answer to a request to send, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Headers of a request that are passed on.
const PASSED: [HeaderName; 3] = [AUTHORIZATION, CONTENT_TYPE, ACCEPT];

/// Headers of an answer that are passed back, beside those that begin with [`PASSED_BACK_PREFIX`].
const PASSED_BACK: [HeaderName; 3] = [CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE];

/// Usage, versions and trace ids of the platform.
const PASSED_BACK_PREFIX: &str = "x-";

/// Passes requests on to one host.
#[derive(Clone, Debug)]
pub struct Forwarder {
    http: reqwest::Client,
    base: Url,
}

/// A request to pass on.
#[derive(Clone)]
pub struct Forward {
    /// The segments of the path: version, number, endpoint.
    pub segments: [String; 3],
    /// The query as it came; it may hold a token.
    pub query: Option<String>,
    /// All headers as they came; only those that the platform needs are passed on.
    pub headers: HeaderMap,
    /// The exact body.
    pub body: Bytes,
}

/// What the platform answered.
#[derive(Clone)]
pub struct Forwarded {
    /// The HTTP status.
    pub status: u16,
    /// Headers for the caller.
    pub headers: HeaderMap,
    /// The exact body.
    pub body: Bytes,
}

impl Forwarder {
    /// Makes a client; nothing is called yet. `answer_within` is the time for a whole exchange.
    ///
    /// # Errors
    /// [`GraphError::RefusedHost`] for a base address without https that is not loopback, [`GraphError::Malformed`]
    /// for none, [`GraphError::Unavailable`] when TLS cannot be set up.
    pub fn new(base_url: &str, answer_within: Duration) -> Result<Self, GraphError> {
        let malformed =
            GraphError::Malformed { expected: "a base address such as https://graph.facebook.com" };
        let base = Url::parse(base_url).map_err(|_| malformed.clone())?;
        let own = match (base.scheme(), base.port(), base.host_str().ok_or(malformed)?) {
            ("https", None, host) => host.to_owned(),
            (_, port, host) => format!("{host}:{}", port.unwrap_or(80)),
        };
        let base = Hosts::new(&[own]).check(base.as_str())?;
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .user_agent(concat!("piperoll/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(answer_within)
            .no_proxy()
            .build()
            .map_err(GraphError::transport)?;
        Ok(Self { http, base })
    }

    /// Passes a request on and returns the answer, whatever its status. It is sent once: whether a request that got
    /// no answer was carried out is not known, and sending it again could send the message twice.
    ///
    /// # Errors
    /// [`GraphError::Unavailable`], [`GraphError::TooLarge`].
    pub async fn send(&self, request: Forward) -> Result<Forwarded, GraphError> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            let _ = path.pop_if_empty().extend(&request.segments);
        }
        url.set_query(request.query.as_deref());
        let mut headers = HeaderMap::new();
        for name in PASSED {
            if let Some(value) = request.headers.get(&name) {
                let _ = headers.insert(name, value.clone());
            }
        }
        let sent = self.http.post(url).headers(headers).body(request.body).send().await;
        let answer = sent.map_err(GraphError::transport)?;
        let status = answer.status().as_u16();
        let of_use =
            |name: &HeaderName| PASSED_BACK.contains(name) || name.as_str().starts_with(PASSED_BACK_PREFIX);
        let headers = answer.headers().iter().filter(|(name, _)| of_use(name));
        let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Forwarded { status, headers, body: read(answer).await? })
    }
}

async fn read(mut answer: Response) -> Result<Bytes, GraphError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(GraphError::transport)? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(GraphError::TooLarge { limit: ANSWER_BYTES_MAX as u64 });
        }
    }
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_without_https_is_refused() {
        let make =
            |base: &str| Forwarder::new(base, CONNECT_WITHIN).map(|forwarder| forwarder.base.to_string());
        assert_eq!(make("https://graph.facebook.com"), Ok("https://graph.facebook.com/".to_owned()));
        assert!(make("http://127.0.0.1:9").is_ok());
        for bad in ["http://graph.facebook.com", "ftp://127.0.0.1", "graph", "https://me@graph.facebook.com"]
        {
            assert!(make(bad).is_err(), "{bad}");
        }
    }
}
