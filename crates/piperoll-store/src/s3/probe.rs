//! The self-test of a store in S3: what the bucket says, and whether the service does it.
//!
//! Services differ: some ignore `If-None-Match` in versioned buckets, some accept locks and do not keep
//! them. So each promise is tried on scratch objects. Their locks last seconds; a later probe whose
//! records manager may removes them.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::api::{Answer, Api, CHECKSUM, Call, NoAnswer, checksum};
use super::{Inner, S3Mode, S3Store, whole_seconds};
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Lock, ObjectMeta, WormStore as _};
use crate::probe::{
    PROBE_PREFIX, PROBE_RETENTION_MICROS, ProbeCheck, ProbeReport, SWEEP_OBJECTS_MAX, describe, failed,
    noted, passed, scratch_key,
};

/// How many creates race for one name.
const RACERS: usize = 4;

/// How far this host's clock and the service's may be apart, in seconds.
const CLOCK_DIFFERENCE_MAX: u64 = 300;

/// How much longer than asked a scratch object may be locked before that is worth telling, in µs.
const LONGER_MICROS: u64 = 60_000_000;

const BODY: &[u8] = b"piperoll probe";

/// Tries the promises of the port.
pub(super) async fn probe(store: &S3Store) -> ProbeReport {
    let inner = &*store.inner;
    let mut checks = Vec::new();
    let versioning = inner.api().bucket("versioning").await;
    let service_now = versioning.as_ref().ok().and_then(Answer::date_micros);
    checks.push(check_versioning(&versioning));
    let object_lock = inner.api().bucket("object-lock").await;
    checks.push(check_object_lock(&object_lock));
    checks.extend(note_default_retention(&object_lock));
    checks.push(check_clock(inner, service_now));
    checks.extend(sweep(store).await);
    // By the later of both clocks, or a date that is ahead here may be past there.
    let now = inner.clock.now_micros().max(service_now.unwrap_or_default());
    let until = now.saturating_add(PROBE_RETENTION_MICROS);
    match scratch_key(now) {
        Ok(key) => check_object(store, &key, until, &mut checks).await,
        Err(detail) => checks.push(failed("scratch object", detail)),
    }
    ProbeReport { checks }
}

/// Tries everything that needs a locked object.
async fn check_object(store: &S3Store, key: &ObjectKey, until: u64, checks: &mut Vec<ProbeCheck>) {
    let created = store.create(key, Bytes::from_static(BODY), &Lock::until(until)).await;
    checks.push(match &created {
        Ok(()) => passed("create under lock", format!("`{key}` was created")),
        Err(error) => failed("create under lock", describe(error)),
    });
    if created.is_err() {
        return;
    }
    checks.push(match store.get(key).await {
        Ok(found) if found == BODY => passed("read after write", "the same bytes came back".to_owned()),
        Ok(found) => {
            failed("read after write", format!("expected {} bytes, found {} others", BODY.len(), found.len()))
        }
        Err(error) => failed("read after write", describe(&error)),
    });
    match store.head(key).await {
        Ok(meta) => {
            checks.push(check_mode(store.inner.mode, &meta, until));
            check_enforcement(&store.inner, &meta, until, checks).await;
        }
        Err(error) => checks.push(failed("lock mode", describe(&error))),
    }
    checks.push(check_second_create(store, key, until).await);
    checks.push(check_race(store, key, until).await);
    checks.push(check_checksum(&store.inner, key).await);
    checks.push(note_rights(store, key).await);
}

fn check_versioning(answer: &Result<Answer, NoAnswer>) -> ProbeCheck {
    const NAME: &str = "versioning";
    match body_of(answer) {
        Ok(body) if body.contains("<Status>Enabled</Status>") => {
            passed(NAME, "the bucket keeps versions".to_owned())
        }
        Ok(_) => {
            failed(NAME, "the bucket keeps no versions, so that an overwritten object is lost".to_owned())
        }
        Err(detail) => failed(NAME, detail),
    }
}

fn check_object_lock(answer: &Result<Answer, NoAnswer>) -> ProbeCheck {
    const NAME: &str = "object lock";
    match body_of(answer) {
        Ok(body) if body.contains("<ObjectLockEnabled>Enabled</ObjectLockEnabled>") => {
            passed(NAME, "the bucket locks objects".to_owned())
        }
        Ok(_) => failed(NAME, "the bucket does not lock objects; it was made without Object Lock".to_owned()),
        Err(detail) => failed(NAME, format!("the bucket does not lock objects, or does not tell: {detail}")),
    }
}

fn note_default_retention(answer: &Result<Answer, NoAnswer>) -> Option<ProbeCheck> {
    let body = body_of(answer).ok()?;
    let detail = match between(&body, "<DefaultRetention>", "</DefaultRetention>") {
        None => "none: only what asks for a lock is locked".to_owned(),
        Some(rule) => {
            let mode = between(rule, "<Mode>", "</Mode>").unwrap_or("unknown mode");
            let days = between(rule, "<Days>", "</Days>").map(|days| format!("{days} days"));
            let years = between(rule, "<Years>", "</Years>").map(|years| format!("{years} years"));
            let period = days.or(years).unwrap_or_default();
            format!("{mode} for {period}: also checkpoints, tiles and scratch objects are kept that long")
        }
    };
    Some(noted("default retention", detail))
}

fn check_clock(inner: &Inner, service_now: Option<u64>) -> ProbeCheck {
    const NAME: &str = "clock";
    let Some(service_now) = service_now else {
        return failed(NAME, "the service did not tell its time".to_owned());
    };
    let (here, there) = (inner.clock.now_micros() / 1_000_000, service_now / 1_000_000);
    let direction = if here >= there { "ahead of" } else { "behind" };
    let seconds = here.abs_diff(there);
    let detail = format!("this host's clock is {seconds} s {direction} the service's");
    if seconds > CLOCK_DIFFERENCE_MAX {
        return failed(NAME, format!("{detail}, expected at most {CLOCK_DIFFERENCE_MAX} s; correct it"));
    }
    noted(NAME, detail)
}

/// Removes scratch objects of earlier probes; only the records manager can.
async fn sweep(store: &S3Store) -> Option<ProbeCheck> {
    const NAME: &str = "earlier scratch objects";
    let leftovers = match store.list(PROBE_PREFIX, None, SWEEP_OBJECTS_MAX).await {
        Ok(leftovers) if leftovers.is_empty() => return None,
        Ok(leftovers) => leftovers,
        Err(error) => return Some(failed("listing", describe(&error))),
    };
    if store.inner.clients.manager.is_none() {
        let count = leftovers.len();
        return Some(noted(NAME, format!("{count} stay until a machine with the records manager starts")));
    }
    let mut removed = 0;
    for leftover in &leftovers {
        match store.delete(&leftover.key).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => removed += 1,
            Err(error) => tracing::debug!(key = %leftover.key, %error, "a scratch object stays"),
        }
    }
    Some(noted(NAME, format!("{removed} of {} removed", leftovers.len())))
}

fn check_mode(mode: S3Mode, meta: &ObjectMeta, until: u64) -> ProbeCheck {
    const NAME: &str = "lock mode";
    if meta.lock.mode != mode.lock_mode() {
        return failed(NAME, format!("expected {mode}, found {:?}", meta.lock.mode));
    }
    match meta.lock.retain_until {
        Some(found) if found < until => {
            failed(NAME, format!("expected retention until {until} µs, found {found} µs"))
        }
        Some(found) if found - until > LONGER_MICROS => {
            noted(NAME, format!("{mode}, {} s longer than asked for", (found - until) / 1_000_000))
        }
        Some(_) => passed(NAME, format!("{mode}, until the date that was asked for")),
        None => failed(NAME, "the object has no retention".to_owned()),
    }
}

/// Tries what a lock must stop, on the version itself and past the checks of this code.
async fn check_enforcement(inner: &Inner, meta: &ObjectMeta, until: u64, checks: &mut Vec<ProbeCheck>) {
    let name = inner.name(&meta.key);
    let version = meta.version.as_deref().unwrap_or("null");
    let shorter = whole_seconds(until.saturating_sub(PROBE_RETENTION_MICROS / 2)).unwrap_or_default();
    let identities = [("writer", Some(inner.api())), ("records manager", inner.clients.manager.as_ref())];
    for (identity, api) in identities {
        let Some(api) = api else { continue };
        let answer = api.put_retention((&name, version), inner.mode, shorter).await;
        checks.push(check_refusal("shorten retention", identity, &answer));
    }
    for (identity, api) in identities {
        let Some(api) = api else { continue };
        let answer = api.delete_version(&name, version).await;
        checks.push(check_refusal("delete while retained", identity, &answer));
    }
}

fn check_refusal(name: &'static str, identity: &str, answer: &Result<Answer, NoAnswer>) -> ProbeCheck {
    match answer {
        Ok(answer) if answer.status.is_client_error() && answer.status != StatusCode::TOO_MANY_REQUESTS => {
            passed(name, format!("was refused to the {identity}"))
        }
        Ok(answer) if answer.status.is_success() => {
            failed(name, format!("was accepted from the {identity}: the service does not keep its locks"))
        }
        Ok(answer) => failed(name, format!("as the {identity}: {}", answer.describe())),
        Err(error) => failed(name, format!("as the {identity}: {}", error.source)),
    }
}

async fn check_second_create(store: &S3Store, key: &ObjectKey, until: u64) -> ProbeCheck {
    const NAME: &str = "conditional create";
    match store.create(key, Bytes::from_static(b"another"), &Lock::until(until)).await {
        Err(StoreError::AlreadyExists { .. }) => passed(NAME, "a second create was refused".to_owned()),
        Ok(()) => failed(
            NAME,
            "a second create of the same name was accepted: the service ignores `If-None-Match`, and two \
             writers would fork the ledger"
                .to_owned(),
        ),
        Err(error) => failed(NAME, describe(&error)),
    }
}

async fn check_race(store: &S3Store, key: &ObjectKey, until: u64) -> ProbeCheck {
    const NAME: &str = "racing creates";
    let Ok(key) = ObjectKey::new(format!("{key}-race")) else {
        return failed(NAME, "the name of the scratch object is too long".to_owned());
    };
    let body = |racer: usize| Bytes::from(format!("piperoll racer {racer}"));
    let racers = (0..RACERS).map(|racer| {
        let (store, key) = (store.clone(), key.clone());
        async move { store.create(&key, body(racer), &Lock::until(until)).await }
    });
    let results = futures::future::join_all(racers).await;
    let winners: Vec<usize> = (0..RACERS).filter(|racer| results[*racer].is_ok()).collect();
    let unexpected = results.iter().find_map(|result| match result {
        Ok(()) | Err(StoreError::AlreadyExists { .. }) => None,
        Err(error) => Some(describe(error)),
    });
    match (&winners[..], unexpected) {
        (_, Some(detail)) => failed(NAME, detail),
        ([winner], None) => match store.get(&key).await {
            Ok(found) if found == body(*winner) => passed(NAME, format!("of {RACERS}, exactly one won")),
            Ok(_) => failed(NAME, "the bytes are not those of the one that won".to_owned()),
            Err(error) => failed(NAME, describe(&error)),
        },
        (winners, None) => failed(
            NAME,
            format!("of {RACERS} creates of one name, {} succeeded, expected one", winners.len()),
        ),
    }
}

/// Sends a body with the checksum of another one.
async fn check_checksum(inner: &Inner, key: &ObjectKey) -> ProbeCheck {
    const NAME: &str = "checksum";
    let name = format!("{}-checksum", inner.name(key));
    let (body, wrong) = (Bytes::from_static(BODY), checksum(b"another body"));
    let headers = [("if-none-match", "*"), (CHECKSUM, wrong.as_str())];
    let call = Call { name: &name, headers: &headers, body, ..Call::default() };
    match inner.api().send(Method::PUT, &call).await {
        Ok(answer) if answer.status.is_client_error() => {
            passed(NAME, "a body that does not fit its checksum was refused".to_owned())
        }
        Ok(answer) if answer.status.is_success() => noted(
            NAME,
            "the service ignores checksums: bytes damaged on their way are found by verification only"
                .to_owned(),
        ),
        Ok(answer) => failed(NAME, answer.describe()),
        Err(error) => failed(NAME, error.source.to_string()),
    }
}

/// Finds out whether the writer may do what only the records manager should.
async fn note_rights(store: &S3Store, key: &ObjectKey) -> ProbeCheck {
    const NAME: &str = "least privilege";
    match can_delete_versions(store, key).await {
        Ok(false) => passed(NAME, "the writer cannot delete versions".to_owned()),
        Ok(true) => noted(NAME, "the writer can delete versions, and should not be able to".to_owned()),
        Err(detail) => failed(NAME, detail),
    }
}

async fn can_delete_versions(store: &S3Store, key: &ObjectKey) -> Result<bool, String> {
    let key = ObjectKey::new(format!("{key}-rights")).map_err(|error| error.to_string())?;
    let body = Bytes::from_static(BODY);
    store.create(&key, body, &Lock::NONE).await.map_err(|error| describe(&error))?;
    let meta = store.head(&key).await.map_err(|error| describe(&error))?;
    let (api, name): (&Api, _) = (store.inner.api(), store.inner.name(&key));
    let version = meta.version.as_deref().unwrap_or("null");
    let answer = api.delete_version(&name, version).await.map_err(|error| error.source.to_string())?;
    Ok(answer.status.is_success())
}

fn body_of(answer: &Result<Answer, NoAnswer>) -> Result<String, String> {
    match answer {
        Ok(answer) if answer.status.is_success() => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
        Ok(answer) => Err(answer.describe()),
        Err(error) => Err(error.source.to_string()),
    }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    Some(text.split_once(open)?.1.split_once(close)?.0)
}
