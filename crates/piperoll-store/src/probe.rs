//! The self-test of a store: does it keep the promises of the port, here and now?
//!
//! Stores have accepted locks without enforcing them and answered conditional creates without looking.
//! So the archive tries the promises on scratch objects at every start, and `doctor` shows the result.
//! The probe does not judge whether a failed check may be tolerated.

use std::fmt;

use bytes::Bytes;

use crate::clock::Clock;
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Lock, WormStore};

/// Scratch objects of probes live here, outside every ledger. Verifiers ignore this prefix.
pub const PROBE_PREFIX: &str = ".probe/";

/// How long a scratch object is retained: long enough for the probe itself on a slow store. The next
/// probe removes what has expired.
pub const PROBE_RETENTION_MICROS: u64 = 10_000_000;

/// At most this many expired scratch objects are removed by one probe.
pub(crate) const SWEEP_OBJECTS_MAX: usize = 100;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// The checks in the order in which they were made.
    pub checks: Vec<ProbeCheck>,
}

/// One property that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeCheck {
    /// The property, such as `conditional create`.
    pub name: &'static str,
    /// What came out.
    pub outcome: ProbeOutcome,
    /// A sentence fragment for people: what was seen.
    pub detail: String,
}

/// The outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The store behaves as the port demands.
    Passed,
    /// It does not, or it could not be reached.
    Failed,
    /// For information; neither good nor bad.
    Noted,
}

impl ProbeReport {
    /// Tells whether no check failed.
    pub fn is_passed(&self) -> bool {
        self.checks.iter().all(|check| check.outcome != ProbeOutcome::Failed)
    }
}

impl fmt::Display for ProbeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Noted => "noted",
        })
    }
}

/// Probes `store` with scratch objects; adapters call it from [`WormStore::probe`].
pub async fn probe_store(store: &dyn WormStore, clock: &dyn Clock) -> ProbeReport {
    let now = clock.now_micros();
    remove_expired(store).await;
    let key = match scratch_key(now) {
        Ok(key) => key,
        Err(detail) => return ProbeReport { checks: vec![failed("scratch object", detail)] },
    };
    let until = now.saturating_add(PROBE_RETENTION_MICROS);
    let bytes = Bytes::from_static(b"piperoll probe");
    let mut checks = Vec::new();
    let created = store.create(&key, bytes.clone(), &Lock::until(until)).await;
    checks.push(match &created {
        Ok(()) => passed("create", format!("`{key}` was created")),
        Err(error) => failed("create", describe(error)),
    });
    if created.is_ok() {
        checks.push(check_read_back(store, &key, &bytes).await);
        checks.push(check_conditional_create(store, &key).await);
        checks.push(check_lock_is_reported(store, &key, until).await);
        checks.push(check_refusal("shorten retention", store.extend_retention(&key, until - 1).await));
        checks.push(check_refusal("delete while retained", store.delete(&key).await));
    }
    checks.push(noted("clock", format!("this process's clock says {now} µs since 1970 UTC")));
    ProbeReport { checks }
}

/// Removes scratch objects of earlier probes. What fails here is still retained, or shows in the checks.
async fn remove_expired(store: &dyn WormStore) {
    if let Ok(leftovers) = store.list(PROBE_PREFIX, None, SWEEP_OBJECTS_MAX).await {
        for leftover in leftovers {
            if let Err(error) = store.delete(&leftover.key).await {
                tracing::debug!(key = %leftover.key, %error, "a scratch object stays");
            }
        }
    }
}

/// Makes a name for a scratch object that no other probe uses.
pub(crate) fn scratch_key(now: u64) -> Result<ObjectKey, String> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
    let nonce = u64::from_be_bytes(nonce);
    ObjectKey::new(format!("{PROBE_PREFIX}{now}-{nonce:016x}")).map_err(|error| error.to_string())
}

async fn check_read_back(store: &dyn WormStore, key: &ObjectKey, expected: &Bytes) -> ProbeCheck {
    const NAME: &str = "read after write";
    match store.get(key).await {
        Ok(found) if found == expected => passed(NAME, "the same bytes came back".to_owned()),
        Ok(found) => failed(NAME, format!("expected {} bytes, found {} others", expected.len(), found.len())),
        Err(error) => failed(NAME, describe(&error)),
    }
}

async fn check_conditional_create(store: &dyn WormStore, key: &ObjectKey) -> ProbeCheck {
    const NAME: &str = "conditional create";
    match store.create(key, Bytes::from_static(b"another"), &Lock::NONE).await {
        Err(StoreError::AlreadyExists { .. }) => passed(NAME, "a second create was refused".to_owned()),
        Ok(()) => failed(NAME, "a second create of the same key was accepted".to_owned()),
        Err(error) => failed(NAME, describe(&error)),
    }
}

async fn check_lock_is_reported(store: &dyn WormStore, key: &ObjectKey, until: u64) -> ProbeCheck {
    const NAME: &str = "lock is reported";
    match store.head(key).await {
        Ok(meta) if meta.lock.retain_until.is_some_and(|reported| reported >= until) => {
            passed(NAME, format!("mode {:?}", meta.lock.mode))
        }
        Ok(meta) => failed(NAME, format!("expected retention until {until}, found {:?}", meta.lock)),
        Err(error) => failed(NAME, describe(&error)),
    }
}

fn check_refusal(name: &'static str, result: Result<(), StoreError>) -> ProbeCheck {
    match result {
        Err(StoreError::Retained { .. } | StoreError::Denied { .. }) => {
            passed(name, "was refused".to_owned())
        }
        Ok(()) => failed(name, "was accepted".to_owned()),
        Err(error) => failed(name, describe(&error)),
    }
}

pub(crate) fn passed(name: &'static str, detail: String) -> ProbeCheck {
    ProbeCheck { name, outcome: ProbeOutcome::Passed, detail }
}

pub(crate) fn failed(name: &'static str, detail: String) -> ProbeCheck {
    ProbeCheck { name, outcome: ProbeOutcome::Failed, detail }
}

pub(crate) fn noted(name: &'static str, detail: String) -> ProbeCheck {
    ProbeCheck { name, outcome: ProbeOutcome::Noted, detail }
}

/// Returns the error with its causes in one line.
pub(crate) fn describe(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
