//! A ledger in one store, and the two of them together.

use std::sync::Arc;

use bytes::Bytes;
use piperoll_format::{LedgerId, ObjectDigest, ObjectName};
use piperoll_store::{Clock, Lock, ObjectKey, ObjectMeta, StoreError, WormStore};

use crate::error::{ReplicaError, Side};

/// How often a create whose outcome stays open is tried.
const CREATE_TRIES: u32 = 3;

/// The stores of a ledger, with or without a second copy, and the time: what looking after them takes.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The ledger.
    pub ledger: LedgerId,
    /// The store that the writer commits to.
    pub primary: Arc<dyn WormStore>,
    /// The store with the second copy, if there is one.
    pub replica: Option<Arc<dyn WormStore>>,
    /// The time, for locks that have ended.
    pub clock: Arc<dyn Clock>,
}

impl Stores {
    /// Returns both stores, if there are two.
    #[must_use]
    pub fn pair(&self) -> Option<Pair> {
        let (ledger, primary) = (self.ledger, self.primary.clone());
        self.replica.clone().map(|replica| Pair { ledger, primary, replica })
    }
}

/// The two stores of a ledger.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The ledger.
    pub ledger: LedgerId,
    /// The store that the writer commits to.
    pub primary: Arc<dyn WormStore>,
    /// The store with the second copy.
    pub replica: Arc<dyn WormStore>,
}

impl Pair {
    pub(crate) fn place(&self, side: Side) -> Place {
        let store = match side {
            Side::Primary => &self.primary,
            Side::Replica => &self.replica,
        };
        Place { side, store: store.clone(), ledger: self.ledger }
    }
}

/// The objects of a ledger in one of its stores.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) side: Side,
    pub(crate) store: Arc<dyn WormStore>,
    pub(crate) ledger: LedgerId,
}

impl Place {
    pub(crate) fn key(&self, name: &ObjectName) -> ObjectKey {
        ObjectKey::new(name.key(self.ledger)).expect("object names of the format are keys")
    }

    pub(crate) fn failed(&self, source: StoreError) -> ReplicaError {
        ReplicaError::Store { side: self.side, source }
    }

    /// Returns an object's bytes; `None` when it is not there.
    pub(crate) async fn get(&self, name: &ObjectName) -> Result<Option<Bytes>, ReplicaError> {
        absent(self.store.get(&self.key(name)).await).map_err(|error| self.failed(error))
    }

    /// Returns an object's bytes if they are those with this digest, also from below what somebody put over them;
    /// otherwise whatever stands there.
    pub(crate) async fn get_as(
        &self,
        name: &ObjectName,
        digest: ObjectDigest,
    ) -> Result<Option<Bytes>, ReplicaError> {
        let found = self.get(name).await?;
        if found.as_ref().is_some_and(|bytes| ObjectDigest::of(bytes) == digest) {
            return Ok(found);
        }
        let original = absent(self.store.get_original(&self.key(name)).await);
        let original = original.map_err(|error| self.failed(error))?;
        Ok(original.filter(|bytes| ObjectDigest::of(bytes) == digest).or(found))
    }

    /// Returns size and lock of an object; `None` when it is not there.
    pub(crate) async fn head(&self, name: &ObjectName) -> Result<Option<ObjectMeta>, ReplicaError> {
        absent(self.store.head(&self.key(name)).await).map_err(|error| self.failed(error))
    }

    /// Creates an object, or finds that it is there already with these bytes and at least this lock.
    ///
    /// # Errors
    /// [`ReplicaError::Conflict`] when other bytes are there.
    pub(crate) async fn create(
        &self,
        name: &ObjectName,
        bytes: &Bytes,
        lock: &Lock,
    ) -> Result<(), ReplicaError> {
        let key = self.key(name);
        let mut tries = 0;
        loop {
            tries += 1;
            match self.store.create(&key, bytes.clone(), lock).await {
                Ok(()) => return Ok(()),
                Err(error) if error.must_read_back() => match self.get(name).await? {
                    Some(found) if found == *bytes => return self.strengthen(name, lock).await,
                    Some(found) => return Err(self.conflict(name, bytes, &found)),
                    None if tries < CREATE_TRIES => {}
                    None => return Err(self.failed(error)),
                },
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Brings the lock of an object that is there up to `lock`; never shortens it.
    pub(crate) async fn strengthen(&self, name: &ObjectName, lock: &Lock) -> Result<(), ReplicaError> {
        let key = self.key(name);
        let found = self.store.head(&key).await.map_err(|error| self.failed(error))?.lock;
        if let Some(until) = lock.retain_until
            && found.retain_until.is_none_or(|found| found < until)
        {
            self.store.extend_retention(&key, until).await.map_err(|error| self.failed(error))?;
        }
        if lock.hold && !found.hold {
            self.store.set_hold(&key, true).await.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    fn conflict(&self, name: &ObjectName, expected: &[u8], found: &[u8]) -> ReplicaError {
        ReplicaError::Conflict {
            side: self.side,
            object: name.to_string(),
            expected: describe(expected),
            found: describe(found),
        }
    }
}

pub(crate) fn describe(bytes: &[u8]) -> String {
    format!("{} bytes with digest {}", bytes.len(), ObjectDigest::of(bytes))
}

fn absent<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
