//! What went wrong, by what the caller must do about it.

use std::time::Duration;

/// Why a call did not give what was asked for. No text in it shows a token, an address or what a person sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The address no longer works: ask for a new one.
    #[error("the address of the media object has expired")]
    Expired,
    /// The platform knows no such object, or not any more.
    #[error("the platform knows no such object")]
    NotFound,
    /// The token is missing, expired or has no right to this object: an operator must act.
    #[error("the platform refuses the token (status {status}, code {code})")]
    Unauthorised {
        /// The HTTP status.
        status: u16,
        /// Meta's error code; 0 when the answer has none.
        code: i64,
    },
    /// Too many calls: wait.
    #[error("the platform asks to wait before the next call")]
    RateLimited {
        /// How long, if it says so.
        retry_after: Option<Duration>,
    },
    /// The address leads to a host that is not in the list: an operator must decide.
    #[error("expected one of the configured hosts, found `{host}`")]
    RefusedHost {
        /// The host as it was found, or what is wrong with the address.
        host: String,
    },
    /// There is more than is taken.
    #[error("expected at most {limit} bytes, found more")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// It does not work now: try again later.
    #[error("the platform cannot be reached or does not answer as it should: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// The answer is not what this call gives.
    #[error("expected {expected} in the platform's answer, found something else")]
    Malformed {
        /// What the answer must have.
        expected: &'static str,
    },
}

impl GraphError {
    /// Says what a failed exchange was, without its address.
    pub(crate) fn transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let reason = match () {
            () if error.is_timeout() => "no answer in time",
            () if error.is_connect() => "no connection",
            () if error.is_body() || error.is_decode() => "the answer broke off",
            () => "the exchange failed",
        };
        Self::Unavailable { reason: reason.to_owned() }
    }
}
