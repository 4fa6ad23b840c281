//! What the answer to a HEAD says about an object.

use chrono::DateTime;
use http::HeaderMap;

use super::api::Answer;
use super::lock::{HOLD, MODE, UNTIL};
use crate::port::{LockMode, LockStatus};

/// The name of the note that tells created objects from derived ones.
pub(super) const ROLE: &str = "piperoll-role";
const ROLE_HEADER: &str = "x-amz-meta-piperoll-role";

/// The note on an object that [`crate::WormStore::create`] made.
pub(super) const CREATED: &str = "created";
/// The note on an object that [`crate::WormStore::put_derived`] made.
pub(super) const DERIVED: &str = "derived";

/// An object's properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) size: u64,
    pub(super) lock: LockStatus,
    pub(super) is_derived: bool,
}

impl Head {
    /// Reads the answer to a HEAD that succeeded.
    pub(super) fn read(answer: &Answer) -> Self {
        let text = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            size: text("content-length").and_then(|size| size.parse().ok()).unwrap_or_default(),
            lock: lock(&answer.headers),
            is_derived: text(ROLE_HEADER) == Some(DERIVED),
        }
    }
}

fn lock(headers: &HeaderMap) -> LockStatus {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let until = text(UNTIL).and_then(|until| DateTime::parse_from_rfc3339(until).ok());
    let retain_until = until.and_then(|until| u64::try_from(until.timestamp_micros()).ok());
    let hold = text(HOLD) == Some("ON");
    let mode = match text(MODE) {
        Some("COMPLIANCE") if retain_until.is_some() => LockMode::Compliance,
        Some(_) if retain_until.is_some() => LockMode::Governance,
        // Whoever may release it can lift a hold.
        _ if hold => LockMode::Governance,
        _ => LockMode::None,
    };
    // A date without a mode keeps nothing.
    LockStatus { retain_until: retain_until.filter(|_| text(MODE).is_some()), hold, mode }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[track_caller]
    fn check(
        headers: &[(&'static str, &'static str)],
        retain_until: Option<u64>,
        hold: bool,
        mode: LockMode,
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        assert_eq!(lock(&headers.collect()), LockStatus { retain_until, hold, mode });
    }

    #[test]
    fn locks_are_read() {
        const MODE: &str = "x-amz-object-lock-mode";
        const UNTIL: (&str, &str) = ("x-amz-object-lock-retain-until-date", "2026-11-22T00:00:00.500Z");
        const HELD: (&str, &str) = ("x-amz-object-lock-legal-hold", "ON");
        let until = Some(1_795_305_600_500_000);
        check(&[], None, false, LockMode::None);
        check(&[(MODE, "COMPLIANCE"), UNTIL], until, false, LockMode::Compliance);
        check(&[(MODE, "GOVERNANCE"), UNTIL, HELD], until, true, LockMode::Governance);
        check(&[HELD], None, true, LockMode::Governance);
        check(&[("x-amz-object-lock-legal-hold", "OFF")], None, false, LockMode::None);
        check(&[(MODE, "COMPLIANCE")], None, false, LockMode::None);
    }
}
