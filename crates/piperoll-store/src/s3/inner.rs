//! What several operations of the store share: puts, reads, and the decision which version of an object counts.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore as _, PutMode, PutOptions, PutPayload,
};

use super::api::Api;
use super::connect::Clients;
use super::error;
use super::head::{CREATED, DERIVED, Head, ROLE};
use super::location::{S3Location, S3Mode};
use super::lock::{Attempts, PutLock};
use super::versions::{self, History, Listing, Version};
use crate::clock::Clock;
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{ObjectMeta, Shadow};

const NEEDS_MANAGER: &str = "this needs the identity in `[store.records_manager]`, and none is configured";
const MANAGER_LACKS: &str = "the identity in `[store.records_manager]` lacks the right";

/// A store's clients and settings.
pub(super) struct Inner {
    pub(super) clients: Clients,
    pub(super) location: S3Location,
    pub(super) mode: S3Mode,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the service was seen to list in another order than that of the names' bytes.
    pub(super) is_unordered: AtomicBool,
    /// The derived object that was replaced last; of those, only the checkpoint is replaced again and again.
    pub(super) replaced: Mutex<Option<ObjectKey>>,
}

impl Inner {
    pub(super) fn name(&self, key: &ObjectKey) -> String {
        self.location.name(key.as_str())
    }

    pub(super) fn path(&self, key: &ObjectKey) -> Path {
        Path::from(self.name(key))
    }

    pub(super) fn api(&self) -> &Api {
        &self.clients.api
    }

    /// Returns the identity that deletes and releases, and what to say when it may not.
    pub(super) fn manager(&self) -> (&Api, &'static str) {
        match &self.clients.manager {
            Some(manager) => (manager, MANAGER_LACKS),
            None => (&self.clients.api, NEEDS_MANAGER),
        }
    }

    pub(super) async fn create(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        lock: Option<PutLock>,
    ) -> Result<(), StoreError> {
        self.put_as(key, bytes, PutMode::Create, CREATED, lock).await
    }

    /// Writes a derived object. A name is first tried as a new one, and asked about when it is taken; what is known to be
    /// derived is replaced at once.
    pub(super) async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        if self.replaced().as_ref() != Some(key) {
            match self.put_as(key, bytes.clone(), PutMode::Create, DERIVED, None).await {
                Err(StoreError::AlreadyExists { .. }) => self.require_derived(key).await?,
                result => return result,
            }
            *self.replaced() = Some(key.clone());
        }
        self.put_as(key, bytes, PutMode::Overwrite, DERIVED, None).await
    }

    fn replaced(&self) -> MutexGuard<'_, Option<ObjectKey>> {
        // A panic elsewhere does not spoil a name.
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn put_as(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
        role: &'static str,
        lock: Option<PutLock>,
    ) -> Result<(), StoreError> {
        let attempts = Attempts::default();
        let mut options = PutOptions { mode, ..PutOptions::default() };
        options.attributes = Attributes::from_iter([(Attribute::Metadata(ROLE.into()), role)]);
        options.extensions.insert(attempts.clone());
        if let Some(lock) = lock {
            options.extensions.insert(lock);
        }
        let put = self.clients.data.put_opts(&self.path(key), PutPayload::from(bytes), options).await;
        put.map(drop).map_err(|error| error::from_put(key.as_str(), &attempts, error))
    }

    /// Reads an object or a part of it, and returns its size as well.
    pub(super) async fn read(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
        version: Option<String>,
    ) -> Result<(Bytes, u64), StoreError> {
        let attempts = Attempts::default();
        let range = range.map(GetRange::Bounded);
        let mut options = GetOptions { range, version: version.clone(), ..GetOptions::default() };
        options.extensions.insert(attempts.clone());
        let got = self.clients.data.get_opts(&self.path(key), options).await;
        let got = match got {
            Ok(got) => got,
            Err(error) if error::is_range_refused(&attempts) => {
                tracing::debug!(%key, %error, "a range is not inside the object");
                let head = self.head_version(key, version.as_deref()).await?;
                return head.map(|head| (Bytes::new(), head.size)).ok_or_else(|| StoreError::not_found(key));
            }
            Err(error) => return Err(error::from_get(key.as_str(), &attempts, error)),
        };
        let size = got.meta.size;
        let bytes = got.bytes().await.map_err(|error| error::from_get(key.as_str(), &attempts, error))?;
        Ok((bytes, size))
    }

    /// As [`Inner::read`] of the newest version; of the original if a delete marker lies over it.
    pub(super) async fn read_visible(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
    ) -> Result<(Bytes, u64), StoreError> {
        match self.read(key, range.clone(), None).await {
            Err(StoreError::NotFound { .. }) => {
                let found = self.find(key).await?;
                self.read(key, range, Some(found.id)).await
            }
            result => result,
        }
    }

    pub(super) async fn history(&self, key: &ObjectKey) -> Result<History, StoreError> {
        let history = versions::history(self.api(), &self.name(key)).await;
        history.map_err(|error| error::from_page(key.as_str(), error))
    }

    /// Finds the version that counts of an object, with its properties.
    pub(super) async fn find(&self, key: &ObjectKey) -> Result<Found, StoreError> {
        let history = self.history(key).await?;
        let found = self.examine(key, &history).await?;
        found.ok_or_else(|| StoreError::not_found(key))
    }

    pub(super) async fn head_original(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        Ok(self.find(key).await?.meta)
    }

    /// Decides which version of an object counts; `None` if none does.
    pub(super) async fn examine(
        &self,
        key: &ObjectKey,
        history: &History,
    ) -> Result<Option<Found>, StoreError> {
        let Some(original) = history.original() else { return Ok(None) };
        let Some(head) = self.head_version(key, Some(&original.id)).await? else { return Ok(None) };
        let is_single = history.versions.len() == 1;
        if !head.is_derived || is_single {
            let shadowed = match history.versions.first() {
                Some(newest) if newest.is_marker => Some(Shadow::DeleteMarker),
                Some(newest) if newest.id != original.id => Some(Shadow::NewerVersion),
                _ => None,
            };
            return Ok(Some(Found::new(key, original, &head, shadowed)));
        }
        let Some(newest) = history.newest() else { return Ok(None) };
        let head = self.head_version(key, Some(&newest.id)).await?;
        Ok(head.map(|head| Found::new(key, newest, &head, None)))
    }

    /// Asks for the properties of a version, or of the newest; `None` if it is not there.
    pub(super) async fn head_version(
        &self,
        key: &ObjectKey,
        version: Option<&str>,
    ) -> Result<Option<Head>, StoreError> {
        let answer = self.api().head(&self.name(key), version).await;
        let answer = answer.map_err(|error| error::from_no_answer(key.as_str(), error, false))?;
        match answer.status.as_u16() {
            200..300 => Ok(Some(Head::read(&answer))),
            404 => Ok(None),
            500.. => Err(StoreError::Unavailable {
                key: key.to_string(),
                applied_unknown: false,
                source: Some(answer.describe().into()),
            }),
            _ => Err(error::from_answer(key.as_str(), &answer, None)),
        }
    }

    /// Refuses unless a derived object may be written or deleted under this key.
    pub(super) async fn require_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        match self.head_version(key, None).await? {
            Some(head) if !head.is_derived || head.lock.hold => {
                Err(StoreError::retained(key, head.lock.retain_until))
            }
            Some(_) => Ok(()),
            None => match self.find(key).await {
                Ok(found) if !found.is_derived => {
                    Err(StoreError::retained(key, found.meta.lock.retain_until))
                }
                Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            },
        }
    }

    /// Deletes every version of an object, the original last, so that what is interrupted can be repeated.
    pub(super) async fn delete_versions(&self, key: &ObjectKey, history: &History) -> Result<(), StoreError> {
        let (api, hint) = self.manager();
        let name = self.name(key);
        for version in &history.versions {
            let answer = api.delete_version(&name, &version.id).await;
            let answer = answer.map_err(|error| error::from_no_answer(key.as_str(), error, true))?;
            if answer.status.is_success() || answer.status.as_u16() == 404 {
                continue;
            }
            // The refusal of a locked version and that of an identity without the right look alike.
            if answer.status.as_u16() == 403 && !version.is_marker {
                let now = answer.date_micros().unwrap_or_else(|| self.clock.now_micros());
                if let Some(head) = self.head_version(key, Some(&version.id)).await?
                    && !head.lock.is_free(now)
                {
                    return Err(StoreError::retained(key, head.lock.retain_until));
                }
            }
            return Err(error::from_answer(key.as_str(), &answer, Some(hint)));
        }
        Ok(())
    }

    /// Returns the first `limit` histories of names that begin with `prefix` and come behind `after`.
    pub(super) async fn histories(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(ObjectKey, History)>, StoreError> {
        let full = self.location.name(prefix);
        if !self.is_unordered.load(Ordering::Relaxed) {
            let mut listing = Listing::new(&self.location, &full, after, limit);
            listing.read(self.api()).await.map_err(|error| error::from_page(prefix, error))?;
            if listing.is_ordered {
                return Ok(self.keyed(listing, limit));
            }
            tracing::debug!(bucket = %self.location, "the service lists in an order of its own");
            self.is_unordered.store(true, Ordering::Relaxed);
        }
        let mut listing = Listing::whole(&self.location, &full, after);
        listing.read(self.api()).await.map_err(|error| error::from_page(prefix, error))?;
        Ok(self.keyed(listing, limit))
    }

    /// Names the objects of a listing by their keys.
    pub(super) fn keyed(&self, listing: Listing<'_>, limit: usize) -> Vec<(ObjectKey, History)> {
        let keyed = listing
            .found
            .into_iter()
            .filter_map(|(name, history)| Some((self.location.key(&name)?, history)));
        keyed.take(limit).collect()
    }
}

/// The version of an object that counts.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) meta: ObjectMeta,
    pub(super) is_derived: bool,
}

impl Found {
    pub(super) fn new(key: &ObjectKey, version: &Version, head: &Head, shadowed: Option<Shadow>) -> Self {
        let (key, id) = (key.clone(), version.id.clone());
        let meta = ObjectMeta { key, size: head.size, lock: head.lock, version: Some(id.clone()), shadowed };
        Self { id, meta, is_derived: head.is_derived }
    }
}
