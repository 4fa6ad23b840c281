//! Signed requests, prepared before anything is timed.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::http::write_request;
use crate::traffic::{BASE_TIME, Traffic};

/// The secret that signs the webhooks of the bench; the server gets it through its environment.
pub(super) const APP_SECRET: &str = "bench-app-secret";
/// What Meta would be asked to send first; the server wants one too.
pub(super) const VERIFY_TOKEN: &str = "bench-verify-token";
/// How many messages a history body has.
pub(super) const HISTORY_MESSAGES: usize = 1_000;

/// When the first message was sent (Unix seconds): well before the bench runs.
const FIRST_MESSAGE: i64 = BASE_TIME - 30 * 86_400;

/// Requests one after the other in one allocation.
#[derive(Debug)]
pub(super) struct Supply {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How many messages each request carries.
    pub(super) messages_each: u64,
}

impl Supply {
    /// Prepares `count` webhooks of one message each, from the `part`-th seed.
    pub(super) fn messages(part: u64, count: usize) -> Self {
        Self::sign(bodies(part, count), 1)
    }

    /// Prepares `count` webhooks of 1,000 history messages each.
    pub(super) fn history(count: usize) -> Self {
        const SEED: u64 = 90_000;
        let bodies = Traffic::history_bodies(SEED, BASE_TIME, HISTORY_MESSAGES, count);
        Self::sign(bodies, HISTORY_MESSAGES as u64)
    }

    /// Prepares webhooks of these bodies, each with so many messages.
    pub(super) fn sign(bodies: impl Iterator<Item = Vec<u8>>, messages_each: u64) -> Self {
        let mut supply = Self { bytes: Vec::new(), ends: Vec::new(), messages_each };
        for body in bodies {
            let signature = signature(&body);
            let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", signature.as_str())];
            write_request(&mut supply.bytes, "POST", "/webhooks/whatsapp", &headers, &body);
            supply.ends.push(supply.bytes.len());
        }
        supply
    }

    /// Prepares events that a firm hands in itself, each in a request of its own.
    pub(super) fn events(bodies: impl Iterator<Item = Vec<u8>>, token: &str) -> Self {
        let mut supply = Self { bytes: Vec::new(), ends: Vec::new(), messages_each: 1 };
        let authorization = format!("Bearer {token}");
        for body in bodies {
            let headers = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
            write_request(&mut supply.bytes, "POST", "/v1/events", &headers, &body);
            supply.ends.push(supply.bytes.len());
        }
        supply
    }

    /// Gives a request by its position.
    pub(super) fn get(&self, position: usize) -> Option<&[u8]> {
        let end = *self.ends.get(position)?;
        let start = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    /// Gives the number of requests.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Gives the bodies of [`Supply::messages`]; parts follow each other in time.
pub(super) fn bodies(part: u64, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let seconds = i64::try_from(part).unwrap_or(0) * i64::try_from(count).unwrap_or(0);
    Traffic::message_bodies(1_000 + part, FIRST_MESSAGE + seconds, count)
}

fn signature(body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    let mut text = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::{Supply, signature};

    #[test]
    fn requests_are_whole_and_different() {
        let supply = Supply::messages(0, 20);
        assert_eq!(supply.len(), 20);
        assert!(supply.get(20).is_none());
        let mut ids = std::collections::BTreeSet::new();
        for position in 0..20 {
            let request = std::str::from_utf8(supply.get(position).unwrap()).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /webhooks/whatsapp HTTP/1.1\r\n"), "{head}");
            assert!(head.contains(&format!("X-Hub-Signature-256: {}", signature(body.as_bytes()))));
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
            ids.insert(body.to_owned());
        }
        assert_eq!(ids.len(), 20);
    }
}
