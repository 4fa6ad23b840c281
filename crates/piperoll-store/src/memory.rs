//! The store for tests: a map under a mutex, with an eye on the rules.
//!
//! It panics, and so fails the test, when a rule of write-once storage is broken behind the port: an
//! object that changed or vanished although nobody tampered with it. It persists nothing.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Clock;
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{
    Enforcement, Lock, LockMode, LockStatus, ObjectMeta, StoreDescription, WormStore, slice_range,
};
use crate::probe::{ProbeReport, probe_store};

/// A [`WormStore`] in memory.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<ObjectKey, Object>,
    /// What every created object must look like until it is deleted through the port.
    promised: BTreeMap<ObjectKey, Promise>,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    lock: Lock,
    is_derived: bool,
}

#[derive(Clone, Debug)]
struct Promise {
    bytes: Bytes,
    retain_until: Option<u64>,
}

impl MemoryStore {
    /// Makes an empty store that judges retention by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Returns every object in order of keys; for snapshots.
    pub fn objects(&self) -> Vec<ObjectMeta> {
        self.state().objects.iter().map(|(key, object)| meta(key, object)).collect()
    }

    /// Changes the bytes of an object behind the port's back, as an attacker would. The store then takes
    /// the changed bytes for the promised ones.
    ///
    /// # Panics
    ///
    /// Panics if there is no such object.
    pub fn tamper(&self, key: &ObjectKey, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let object = state.objects.get_mut(key).unwrap_or_else(|| panic!("no object `{key}` to tamper with"));
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        object.bytes = bytes.into();
        let bytes = object.bytes.clone();
        if let Some(promise) = state.promised.get_mut(key) {
            promise.bytes = bytes;
        }
    }

    /// Replaces the lock of an object behind the port's back, also by a shorter one.
    ///
    /// # Panics
    ///
    /// Panics if there is no such object.
    pub fn tamper_lock(&self, key: &ObjectKey, lock: Lock) {
        let mut state = self.state();
        let object = state.objects.get_mut(key).unwrap_or_else(|| panic!("no object `{key}` to tamper with"));
        object.lock = lock;
        if let Some(promise) = state.promised.get_mut(key) {
            promise.retain_until = lock.retain_until;
        }
    }

    /// Puts an object in place behind the port's back, whatever was there, as if it had been created.
    pub fn insert_unchecked(&self, key: &ObjectKey, bytes: Bytes, lock: Lock) {
        let mut state = self.state();
        state.promised.insert(key.clone(), Promise { bytes: bytes.clone(), retain_until: lock.retain_until });
        state.objects.insert(key.clone(), Object { bytes, lock, is_derived: false });
    }

    /// Removes an object behind the port's back, whatever its lock, and returns its bytes.
    pub fn remove_unchecked(&self, key: &ObjectKey) -> Option<Bytes> {
        let mut state = self.state();
        state.promised.remove(key);
        state.objects.remove(key).map(|object| object.bytes)
    }

    /// Checks that every created object is there, unchanged, and retained for at least as long as it was
    /// promised at any time.
    ///
    /// # Panics
    ///
    /// Panics and names the object if one is not.
    pub fn check_promises(&self) {
        self.state().check();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere has failed already; the map is whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn object(&self, key: &ObjectKey) -> Result<&Object, StoreError> {
        let object = self.objects.get(key).ok_or_else(|| StoreError::not_found(key))?;
        self.check_object(key);
        Ok(object)
    }

    fn object_mut(&mut self, key: &ObjectKey) -> Result<&mut Object, StoreError> {
        self.objects.get_mut(key).ok_or_else(|| StoreError::not_found(key))
    }

    /// Refuses unless `key` is free or names a derived object.
    fn require_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        match self.objects.get(key) {
            Some(object) if !object.is_derived => Err(StoreError::retained(key, object.lock.retain_until)),
            _ => Ok(()),
        }
    }

    fn check(&self) {
        for key in self.promised.keys() {
            self.check_object(key);
        }
    }

    fn check_object(&self, key: &ObjectKey) {
        let Some(promise) = self.promised.get(key) else { return };
        let Some(object) = self.objects.get(key) else { panic!("created object `{key}` has vanished") };
        assert!(!object.is_derived, "created object `{key}` has become a derived one");
        assert!(object.bytes == promise.bytes, "created object `{key}` has changed");
        assert!(
            object.lock.retain_until >= promise.retain_until,
            "retention of `{key}` was shortened: expected {:?} or later, found {:?}",
            promise.retain_until,
            object.lock.retain_until,
        );
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check_promises();
        }
    }
}

fn meta(key: &ObjectKey, object: &Object) -> ObjectMeta {
    let Lock { retain_until, hold } = object.lock;
    let mode = if retain_until.is_some() || hold { LockMode::Recorded } else { LockMode::None };
    let lock = LockStatus { retain_until, hold, mode };
    ObjectMeta { key: key.clone(), size: object.bytes.len() as u64, lock, version: None, shadowed: None }
}

#[async_trait]
impl WormStore for MemoryStore {
    async fn create(&self, key: &ObjectKey, bytes: Bytes, lock: &Lock) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.objects.contains_key(key) {
            state.check_object(key);
            return Err(StoreError::already_exists(key));
        }
        let promise = Promise { bytes: bytes.clone(), retain_until: lock.retain_until };
        state.promised.insert(key.clone(), promise);
        state.objects.insert(key.clone(), Object { bytes, lock: *lock, is_derived: false });
        Ok(())
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        Ok(self.state().object(key)?.bytes.clone())
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        let bytes = self.state().object(key)?.bytes.clone();
        Ok(bytes.slice(slice_range(key, &range, bytes.len() as u64)?))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        Ok(meta(key, self.state().object(key)?))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError> {
        let state = self.state();
        let start = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        let listed = state
            .objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, object)| meta(key, object));
        Ok(listed.collect())
    }

    async fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        let object = state.object_mut(key)?;
        if let Some(present) = object.lock.retain_until.filter(|present| *present > until) {
            return Err(StoreError::retained(key, Some(present)));
        }
        if object.is_derived {
            return Err(StoreError::derived_cannot_be_locked(key));
        }
        object.lock.retain_until = Some(until);
        if let Some(promise) = state.promised.get_mut(key) {
            promise.retain_until = Some(until);
        }
        Ok(())
    }

    async fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError> {
        let mut state = self.state();
        let object = state.object_mut(key)?;
        if object.is_derived {
            return Err(StoreError::derived_cannot_be_locked(key));
        }
        object.lock.hold = hold;
        Ok(())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let mut state = self.state();
        let lock = meta(key, state.object(key)?).lock;
        if !lock.is_free(self.clock.now_micros()) {
            return Err(StoreError::retained(key, lock.retain_until));
        }
        state.promised.remove(key);
        state.objects.remove(key);
        Ok(())
    }

    async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        let mut state = self.state();
        state.require_derived(key)?;
        state.objects.insert(key.clone(), Object { bytes, lock: Lock::NONE, is_derived: true });
        Ok(())
    }

    async fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let mut state = self.state();
        state.require_derived(key)?;
        state.objects.remove(key);
        Ok(())
    }

    fn describe(&self) -> StoreDescription {
        StoreDescription {
            name: "memory".to_owned(),
            location: "this process".to_owned(),
            enforcement: Enforcement::Detects,
            statement: "objects live in the memory of this process and are gone with it; for tests only"
                .to_owned(),
        }
    }

    async fn probe(&self) -> ProbeReport {
        probe_store(self, self.clock.as_ref()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::conformance::Fixture;

    crate::conformance_tests!(fixture);

    fn fixture() -> (Fixture, ()) {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        (Fixture::with_manual_clock(store, clock), ())
    }

    fn key(key: &str) -> ObjectKey {
        ObjectKey::new(key).expect("the test spells a valid key")
    }

    async fn store_with(name: &str, lock: Lock) -> MemoryStore {
        let store = MemoryStore::new(Arc::new(ManualClock::new(10)));
        store.create(&key(name), Bytes::from_static(b"abc"), &lock).await.expect("the key is free");
        store
    }

    #[tokio::test]
    async fn tampered_objects_read_as_tampered() {
        let store = store_with("a", Lock::until(50)).await;
        store.tamper(&key("a"), |bytes| bytes[0] ^= 1);
        store.tamper_lock(&key("a"), Lock::until(20));
        assert_eq!(store.get(&key("a")).await.expect("it is there"), &b"`bc"[..]);
        assert_eq!(store.objects()[0].lock.retain_until, Some(20));
        assert_eq!(store.remove_unchecked(&key("a")).expect("it is there"), &b"`bc"[..]);
        assert!(store.objects().is_empty());
        store.insert_unchecked(&key("a"), Bytes::from_static(b"forged"), Lock::until(5));
        assert_eq!(store.get(&key("a")).await.expect("it is there"), &b"forged"[..]);
        store.check_promises();
    }

    /// Goal: the store itself notices a broken rule. Method: break it inside the map, where only a bug
    /// of an adapter or of the test kit could.
    #[tokio::test]
    async fn broken_promise_fails_the_test() {
        let breakages: [fn(&mut State, &ObjectKey); 3] = [
            |state, key| drop(state.objects.remove(key)),
            |state, key| state.object_mut(key).expect("it is there").bytes = Bytes::from_static(b"abd"),
            |state, key| state.object_mut(key).expect("it is there").lock.retain_until = Some(49),
        ];
        for breakage in breakages {
            let store = store_with("a", Lock::until(50)).await;
            breakage(&mut store.state(), &key("a"));
            let check = std::panic::AssertUnwindSafe(|| store.check_promises());
            assert!(std::panic::catch_unwind(check).is_err());
            store.remove_unchecked(&key("a"));
        }
    }
}
