//! A store that remembers what was just created through it, for those who read right behind the writer.
//!
//! Followers read each commit as soon as it is made. On a bucket, asking for the same bytes again costs as many requests as
//! the commit itself. Only followers read from memory: what is shown or proven comes from the storage.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Lock, ObjectMeta, StoreDescription, WormStore, slice_range};
use crate::probe::ProbeReport;

/// Wraps a store and remembers the objects that were created through it last.
///
/// Reads go to the storage; those through [`RecentStore::recalling`] are answered from memory where they can be.
#[derive(Debug)]
pub struct RecentStore {
    inner: Arc<dyn WormStore>,
    recent: Arc<Recent>,
    recalls: bool,
}

#[derive(Debug)]
struct Recent {
    bytes_max: usize,
    objects: Mutex<Objects>,
}

#[derive(Debug, Default)]
struct Objects {
    by_key: HashMap<ObjectKey, Bytes>,
    /// The oldest first; a key that was deleted meanwhile is still here.
    order: VecDeque<ObjectKey>,
    bytes: usize,
}

impl RecentStore {
    /// Wraps a store; up to `bytes_max` bytes of objects are remembered, and none that is larger than a sixteenth of it.
    pub fn new(inner: Arc<dyn WormStore>, bytes_max: usize) -> Self {
        let recent = Arc::new(Recent { bytes_max, objects: Mutex::default() });
        Self { inner, recent, recalls: false }
    }

    /// Returns the same store for reading from memory first.
    #[must_use]
    pub fn recalling(&self) -> Self {
        Self { inner: self.inner.clone(), recent: self.recent.clone(), recalls: true }
    }

    fn recall(&self, key: &ObjectKey) -> Option<Bytes> {
        if self.recalls { self.recent.lock().by_key.get(key).cloned() } else { None }
    }
}

impl Recent {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        // The objects are whole between statements that can panic.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, key: &ObjectKey, bytes: Bytes) {
        if bytes.len() > self.bytes_max / 16 {
            return;
        }
        let mut objects = self.lock();
        objects.bytes += bytes.len();
        if let Some(replaced) = objects.by_key.insert(key.clone(), bytes) {
            objects.bytes -= replaced.len();
        } else {
            objects.order.push_back(key.clone());
        }
        while objects.bytes > self.bytes_max
            && let Some(oldest) = objects.order.pop_front()
        {
            objects.forget(&oldest);
        }
    }
}

impl Objects {
    fn forget(&mut self, key: &ObjectKey) {
        self.bytes -= self.by_key.remove(key).map_or(0, |bytes| bytes.len());
    }
}

#[async_trait]
impl WormStore for RecentStore {
    async fn create(&self, key: &ObjectKey, bytes: Bytes, lock: &Lock) -> Result<(), StoreError> {
        self.inner.create(key, bytes.clone(), lock).await?;
        self.recent.remember(key, bytes);
        Ok(())
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        match self.recall(key) {
            Some(bytes) => Ok(bytes),
            None => self.inner.get(key).await,
        }
    }

    async fn get_original(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.inner.get_original(key).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        match self.recall(key) {
            Some(bytes) => slice_range(key, &range, bytes.len() as u64).map(|range| bytes.slice(range)),
            None => self.inner.get_range(key, range).await,
        }
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        self.inner.head(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError> {
        self.inner.list(prefix, after, limit).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.folders(prefix).await
    }

    async fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        self.inner.extend_retention(key, until).await
    }

    async fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError> {
        self.inner.set_hold(key, hold).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        // Before, so that nobody recalls what is being destroyed.
        self.recent.lock().forget(key);
        self.inner.delete(key).await
    }

    async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.put_derived(key, bytes).await
    }

    async fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.inner.delete_derived(key).await
    }

    async fn time(&self) -> Result<Option<u64>, StoreError> {
        self.inner.time().await
    }

    fn describe(&self) -> StoreDescription {
        self.inner.describe()
    }

    async fn probe(&self) -> ProbeReport {
        self.inner.probe().await
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::*;
    use crate::{ManualClock, MemoryStore, MeteredStore};

    fn key(text: &str) -> ObjectKey {
        ObjectKey::new(text).unwrap()
    }

    fn store(bytes_max: usize) -> (Arc<MeteredStore>, RecentStore) {
        let clock = Arc::new(ManualClock::new(0));
        let metered = Arc::new(MeteredStore::new(Arc::new(MemoryStore::new(clock))));
        (metered.clone(), RecentStore::new(metered, bytes_max))
    }

    #[tokio::test]
    async fn only_who_recalls_is_answered_from_memory() {
        let (metered, store) = store(1_600);
        let recalling = store.recalling();
        store.create(&key("a"), Bytes::from_static(b"12345"), &Lock::NONE).await.unwrap();
        assert_eq!(recalling.get(&key("a")).await.unwrap(), "12345");
        assert_eq!(recalling.get_range(&key("a"), 1..3).await.unwrap(), "23");
        assert!(recalling.get_range(&key("a"), 1..9).await.is_err());
        assert_eq!(metered.meter().read().gets, 0);
        assert_eq!(store.get(&key("a")).await.unwrap(), "12345");
        assert_eq!(recalling.get_original(&key("a")).await.unwrap(), "12345");
        assert_eq!(metered.meter().read().gets, 2);
    }

    #[tokio::test]
    async fn what_was_refused_or_deleted_is_not_remembered() {
        let (_, store) = store(1_600);
        let recalling = store.recalling();
        store.create(&key("a"), Bytes::from_static(b"first"), &Lock::NONE).await.unwrap();
        store.create(&key("a"), Bytes::from_static(b"second"), &Lock::NONE).await.unwrap_err();
        assert_eq!(recalling.get(&key("a")).await.unwrap(), "first");
        store.delete(&key("a")).await.unwrap();
        assert!(recalling.get(&key("a")).await.unwrap_err().is_not_found());
        assert_eq!(store.recent.lock().bytes, 0);
    }

    #[tokio::test]
    async fn memory_is_bounded_and_the_oldest_goes_first() {
        let (metered, store) = store(1_600);
        for n in 0..100 {
            store.create(&key(&format!("o/{n}")), Bytes::from(vec![0; 100]), &Lock::NONE).await.unwrap();
        }
        store.create(&key("large"), Bytes::from(vec![0; 101]), &Lock::NONE).await.unwrap();
        let recalling = store.recalling();
        for n in [0, 83, 84, 99] {
            recalling.get(&key(&format!("o/{n}"))).await.unwrap();
        }
        recalling.get(&key("large")).await.unwrap();
        assert_eq!(metered.meter().read().gets, 3, "0, 83 and the large one are read from the storage");
        assert_eq!(store.recent.lock().by_key.len(), 16);
        assert_eq!(store.recent.lock().order.len(), 16);
    }
}
