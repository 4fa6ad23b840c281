//! A store that counts what is asked of it: on a service that is paid by the request, each one is money.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Lock, ObjectMeta, StoreDescription, WormStore};
use crate::probe::ProbeReport;

/// Wraps a store and counts the calls; repetitions inside the store are not seen.
#[derive(Debug)]
pub struct MeteredStore {
    inner: Arc<dyn WormStore>,
    meter: Arc<Meter>,
}

/// Counts of calls and bytes since the store was opened, failed calls included.
#[derive(Debug, Default)]
pub struct Meter {
    puts: AtomicU64,
    put_bytes: AtomicU64,
    gets: AtomicU64,
    get_bytes: AtomicU64,
    heads: AtomicU64,
    lists: AtomicU64,
    others: AtomicU64,
}

/// A reading of a [`Meter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Objects written: created or derived.
    pub puts: u64,
    /// Their bytes.
    pub put_bytes: u64,
    /// Objects or parts of objects read.
    pub gets: u64,
    /// Their bytes.
    pub get_bytes: u64,
    /// Questions about one object.
    pub heads: u64,
    /// Pages of listings.
    pub lists: u64,
    /// Changes of locks, deletions, and questions for the time.
    pub others: u64,
}

impl Meter {
    /// Returns the counts as they are now.
    pub fn read(&self) -> Reading {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Reading {
            puts: load(&self.puts),
            put_bytes: load(&self.put_bytes),
            gets: load(&self.gets),
            get_bytes: load(&self.get_bytes),
            heads: load(&self.heads),
            lists: load(&self.lists),
            others: load(&self.others),
        }
    }

    fn put(&self, bytes: &Bytes) {
        let _ = self.puts.fetch_add(1, Ordering::Relaxed);
        let _ = self.put_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    fn got(&self, result: Result<Bytes, StoreError>) -> Result<Bytes, StoreError> {
        let bytes = result.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let _ = self.gets.fetch_add(1, Ordering::Relaxed);
        let _ = self.get_bytes.fetch_add(bytes, Ordering::Relaxed);
        result
    }

    fn other(&self) {
        let _ = self.others.fetch_add(1, Ordering::Relaxed);
    }
}

impl MeteredStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn WormStore>) -> Self {
        Self { inner, meter: Arc::default() }
    }

    /// Returns the meter; it goes on counting.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }
}

#[async_trait]
impl WormStore for MeteredStore {
    async fn create(&self, key: &ObjectKey, bytes: Bytes, lock: &Lock) -> Result<(), StoreError> {
        self.meter.put(&bytes);
        self.inner.create(key, bytes, lock).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.meter.got(self.inner.get(key).await)
    }

    async fn get_original(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.meter.got(self.inner.get_original(key).await)
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.meter.got(self.inner.get_range(key, range).await)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        let _ = self.meter.heads.fetch_add(1, Ordering::Relaxed);
        self.inner.head(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError> {
        let _ = self.meter.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list(prefix, after, limit).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let _ = self.meter.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.folders(prefix).await
    }

    async fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        self.meter.other();
        self.inner.extend_retention(key, until).await
    }

    async fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError> {
        self.meter.other();
        self.inner.set_hold(key, hold).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.meter.other();
        self.inner.delete(key).await
    }

    async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        self.meter.put(&bytes);
        self.inner.put_derived(key, bytes).await
    }

    async fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.meter.other();
        self.inner.delete_derived(key).await
    }

    async fn time(&self) -> Result<Option<u64>, StoreError> {
        self.meter.other();
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
    use std::sync::Arc;

    use bytes::Bytes;

    use super::{MeteredStore, Reading};
    use crate::{Lock, ManualClock, MemoryStore, ObjectKey, WormStore};

    #[tokio::test]
    async fn calls_and_bytes_are_counted() {
        let store = MeteredStore::new(Arc::new(MemoryStore::new(Arc::new(ManualClock::new(0)))));
        let key = ObjectKey::new("a/b").unwrap();
        store.create(&key, Bytes::from_static(b"12345"), &Lock::NONE).await.unwrap();
        assert!(store.create(&key, Bytes::from_static(b"67"), &Lock::NONE).await.is_err());
        assert_eq!(store.get(&key).await.unwrap(), "12345");
        assert_eq!(store.get_range(&key, 1..3).await.unwrap(), "23");
        assert!(store.get(&ObjectKey::new("c").unwrap()).await.is_err());
        store.head(&key).await.unwrap();
        store.list("", None, 9).await.unwrap();
        store.delete(&key).await.unwrap();
        let expected =
            Reading { puts: 2, put_bytes: 7, gets: 3, get_bytes: 7, heads: 1, lists: 1, others: 1 };
        assert_eq!(store.meter().read(), expected);
    }
}
