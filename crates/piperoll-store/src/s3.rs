//! A store in S3 under Object Lock: the storage itself refuses to delete or change what is locked.
//!
//! Objects go through `object_store`; what it has no API for (locks, versions, the bucket's properties)
//! through its public request signing, with the same credentials.
//!
//! | promise of the port | how |
//! |---|---|
//! | create-only | PUT with `If-None-Match: *`; what answers 412 or 409 exists already |
//! | locked from the first byte | mode, date and hold are headers of the same PUT; dates are rounded up to whole seconds |
//! | unharmed on its way | every PUT carries the SHA-256 of its body; a locked PUT without is refused by AWS |
//! | never changes | **the oldest version is the object**; what others put over it is told and read around |
//! | derived objects | carry a note; a name that is taken is PUT without condition once its note was seen; their newest version counts |
//! | deletion | by the records manager's identity, version by version; bypass is never asked for |
//!
//! One PUT for one object: services have lost the lock on objects uploaded in parts.
//!
//! Three things cost more than on a directory: a listing asks for the lock of each object; an object
//! that is not there is looked for among the versions, because a delete marker may lie over it; and on a
//! service that lists by folders instead of bytes (SeaweedFS does), each page of a listing reads all of it.
//!
//! **What it does not stop:** a delete marker hides the name of an object, and S3 then accepts a create of
//! the same name. Writers that ask the port where the ledger ends do not fall for it; the version that a
//! writer with an older idea of the end might add lies over the first one and is reported.

mod api;
mod connect;
mod error;
mod head;
mod inner;
mod location;
mod lock;
mod options;
mod probe;
mod profile;
mod versions;
mod web_identity;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::client::{HttpConnector, ReqwestConnector};

use crate::clock::Clock;
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Enforcement, Lock, LockMode, ObjectMeta, StoreDescription, WormStore, slice_range};
use crate::probe::ProbeReport;
use api::Api;
use inner::{Found, Inner};
pub use location::{S3Location, S3Mode};
use lock::PutLock;
pub use options::{S3Credentials, S3Error, S3Options};

/// How many objects of a listing are asked for their locks at once.
const HEADS_AT_ONCE: usize = 16;

/// Larger than any object of S3 (5 TiB): what a range is cut to, because services fail on larger numbers.
const OBJECT_BYTES_MAX: u64 = 1 << 43;

/// A [`WormStore`] in a bucket of S3 or of a service like it.
///
/// Cloning is cheap and gives another handle to the same store.
#[derive(Clone)]
pub struct S3Store {
    inner: Arc<Inner>,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("location", &self.inner.location)
            .field("mode", &self.inner.mode)
            .finish_non_exhaustive()
    }
}

impl S3Store {
    /// Sets up a store. Retention is judged by the service; `clock` only serves to tell why it refuses.
    ///
    /// Sends nothing: whether the bucket is there and fit shows [`WormStore::probe`].
    ///
    /// # Errors
    ///
    /// [`S3Error`] for options that cannot be used.
    pub fn connect(options: S3Options, clock: Arc<dyn Clock>) -> Result<Self, S3Error> {
        Self::connect_through(options, clock, &ReqwestConnector::default())
    }

    fn connect_through(
        options: S3Options,
        clock: Arc<dyn Clock>,
        connector: &dyn HttpConnector,
    ) -> Result<Self, S3Error> {
        let clients = connect::connect(&options, connector)?;
        let S3Options { location, mode, .. } = options;
        let is_unordered = AtomicBool::new(false);
        let replaced = Mutex::new(None);
        Ok(Self { inner: Arc::new(Inner { clients, location, mode, clock, is_unordered, replaced }) })
    }
}

/// Rounds a retain-until up to what a service records; `None` for a date that none can.
fn whole_seconds(micros: u64) -> Option<DateTime<Utc>> {
    let seconds = i64::try_from(micros.div_ceil(1_000_000)).ok()?;
    DateTime::from_timestamp(seconds, 0).filter(|date| date.timestamp() < YEAR_9999_END)
}

/// The end of what a date of four digits can say, in seconds since the Unix epoch.
const YEAR_9999_END: i64 = 253_402_300_800;

fn unrecordable(key: &ObjectKey) -> StoreError {
    let source = Some("expected a date before the year 10000, found a later one".into());
    StoreError::Denied { key: key.to_string(), source }
}

#[async_trait]
impl WormStore for S3Store {
    async fn create(&self, key: &ObjectKey, bytes: Bytes, lock: &Lock) -> Result<(), StoreError> {
        let retention = match lock.retain_until {
            Some(until) => {
                let until = whole_seconds(until).ok_or_else(|| unrecordable(key))?;
                Some((self.inner.mode, until))
            }
            None => None,
        };
        let is_locked = retention.is_some() || lock.hold;
        let lock = is_locked.then_some(PutLock { retention, hold: lock.hold });
        self.inner.create(key, bytes, lock).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        Ok(self.inner.read_visible(key, None).await?.0)
    }

    async fn get_original(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        let found = self.inner.find(key).await?;
        Ok(self.inner.read(key, None, Some(found.id)).await?.0)
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        // A range of HTTP has at least one byte.
        if range.start >= range.end {
            let size = self.inner.head_original(key).await?.size;
            return slice_range(key, &range, size).map(|_| Bytes::new());
        }
        let end = range.end.min(OBJECT_BYTES_MAX.max(range.start.saturating_add(1)));
        let (bytes, size) = self.inner.read_visible(key, Some(range.start..end)).await?;
        if bytes.len() as u64 == range.end - range.start {
            return Ok(bytes);
        }
        slice_range(key, &range, size)?;
        let source = Some("the service answered with another range than the one that was asked for".into());
        Err(StoreError::Unavailable { key: key.to_string(), applied_unknown: false, source })
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        self.inner.head_original(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError> {
        let inner = &self.inner;
        let mut listed: Vec<ObjectMeta> = Vec::new();
        let mut position = after.map(|after| inner.location.name(after.as_str()));
        while listed.len() < limit {
            let wanted = limit - listed.len();
            let histories = inner.histories(prefix, position.as_deref(), wanted).await?;
            let is_last = histories.len() < wanted;
            position = histories.last().map(|(key, _)| inner.location.name(key.as_str()));
            let metas: Vec<Option<ObjectMeta>> = futures::stream::iter(histories)
                .map(|(key, history)| async move {
                    Ok::<_, StoreError>(inner.examine(&key, &history).await?.map(|found| found.meta))
                })
                .buffered(HEADS_AT_ONCE)
                .try_collect()
                .await?;
            listed.extend(metas.into_iter().flatten());
            if is_last {
                break;
            }
        }
        Ok(listed)
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let inner = &self.inner;
        let folders = versions::folders(inner.api(), &inner.location.name(prefix)).await;
        let folders = folders.map_err(|error| error::from_page(prefix, error))?;
        // What has no key is none of this store's.
        let keyed = folders.iter().filter_map(|name| inner.location.key(name.strip_suffix('/')?));
        Ok(keyed.map(|key| format!("{key}/")).collect())
    }

    async fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        let Found { id, meta, is_derived } = self.inner.find(key).await?;
        if is_derived {
            return Err(StoreError::derived_cannot_be_locked(key));
        }
        let until = whole_seconds(until).ok_or_else(|| unrecordable(key))?;
        let micros = u64::try_from(until.timestamp_micros()).map_err(|_| unrecordable(key))?;
        match meta.lock.retain_until {
            Some(present) if present > micros => return Err(StoreError::retained(key, Some(present))),
            Some(present) if present == micros => return Ok(()),
            _ => {}
        }
        // A lock keeps its mode; a change of it is a right of its own.
        let mode = match meta.lock.mode {
            LockMode::Compliance => S3Mode::Compliance,
            LockMode::Governance if meta.lock.retain_until.is_some() => S3Mode::Governance,
            _ => self.inner.mode,
        };
        let name = self.inner.name(key);
        let answer = self.inner.api().put_retention((&name, &id), mode, until).await;
        let answer = answer.map_err(|error| error::from_no_answer(key.as_str(), error, true))?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(error::from_answer(key.as_str(), &answer, None))
    }

    async fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError> {
        let Found { id, meta, is_derived } = self.inner.find(key).await?;
        if is_derived {
            return Err(StoreError::derived_cannot_be_locked(key));
        }
        if meta.lock.hold == hold {
            return Ok(());
        }
        let (api, hint) = if hold { (self.inner.api(), None) } else { with_hint(self.inner.manager()) };
        let answer = api.put_hold(&self.inner.name(key), &id, hold).await;
        let answer = answer.map_err(|error| error::from_no_answer(key.as_str(), error, true))?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(error::from_answer(key.as_str(), &answer, hint))
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let history = self.inner.history(key).await?;
        let original = history.original().cloned();
        // What lies over a locked version stays as well, so that it can still be told.
        if let Some(original) = &original
            && let Some(head) = self.inner.head_version(key, Some(&original.id)).await?
            && !head.lock.is_free(self.inner.clock.now_micros())
        {
            return Err(StoreError::retained(key, head.lock.retain_until));
        }
        self.inner.delete_versions(key, &history).await?;
        original.map(drop).ok_or_else(|| StoreError::not_found(key))
    }

    async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.put_derived(key, bytes).await
    }

    async fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.inner.require_derived(key).await?;
        let history = self.inner.history(key).await?;
        self.inner.delete_versions(key, &history).await
    }

    async fn time(&self) -> Result<Option<u64>, StoreError> {
        let answer = self.inner.api().bucket("versioning").await;
        // Also a refusal tells the time: of a host whose clock is far off, every signature is refused.
        Ok(answer.map_err(|error| error::from_no_answer("", error, false))?.date_micros())
    }

    fn describe(&self) -> StoreDescription {
        let Inner { clients, location, mode, .. } = &*self.inner;
        let statement = match mode {
            S3Mode::Compliance => {
                "the storage service refuses to delete or change a locked object, whoever asks, until its \
                 date has passed; closing the account of the bucket is the known way around it"
            }
            S3Mode::Governance => {
                "the storage service refuses to delete or change a locked object, except for principals with \
                 the right to bypass governance retention; this mode is for trying out"
            }
        };
        StoreDescription {
            name: "s3".to_owned(),
            location: format!("{location} at {}", clients.endpoint),
            enforcement: Enforcement::Prevents,
            statement: statement.to_owned(),
        }
    }

    async fn probe(&self) -> ProbeReport {
        probe::probe(self).await
    }
}

fn with_hint<'a>((api, hint): (&'a Api, &'static str)) -> (&'a Api, Option<&'static str>) {
    (api, Some(hint))
}

#[cfg(test)]
mod tests;
