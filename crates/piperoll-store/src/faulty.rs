//! A store that fails on demand, for tests of everything above the port.
//!
//! [`FaultyStore`] wraps another store, keeps a log of operations, fails those that match a [`Fault`], and
//! holds back those that match a [`Gate`] until the test releases them. Only slow and late outcomes wait for time, and
//! they do so in the time of the runtime, which a test can pause.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Lock, ObjectMeta, StoreDescription, WormStore};
use crate::probe::ProbeReport;

/// The operations of [`WormStore`] that take a key or a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`WormStore::create`].
    Create,
    /// [`WormStore::get`].
    Get,
    /// [`WormStore::get_range`].
    GetRange,
    /// [`WormStore::head`].
    Head,
    /// [`WormStore::list`].
    List,
    /// [`WormStore::extend_retention`].
    ExtendRetention,
    /// [`WormStore::set_hold`].
    SetHold,
    /// [`WormStore::delete`].
    Delete,
    /// [`WormStore::put_derived`].
    PutDerived,
    /// [`WormStore::delete_derived`].
    DeleteDerived,
}

/// What becomes of an operation that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not applied, and the caller cannot know: `Unavailable` with `applied_unknown`.
    Lost,
    /// It was applied, and the caller cannot know: `Unavailable` with `applied_unknown`.
    AppliedButReportedFailed,
    /// It was applied, and the caller is told `AlreadyExists`, as after a retry inside an S3 client.
    AppliedButReportedExists,
    /// It was not applied, and the caller is told so: `Unavailable`.
    Unavailable,
    /// It was not applied: `Full`.
    Full,
    /// It was not applied: `Denied`.
    Denied,
    /// It takes so long to arrive, is applied, and its answer takes as long again.
    Slow(Duration),
    /// A create that the caller gives up (`Unavailable` with `applied_unknown`) and that is applied so much later, if
    /// the key is still free. Any other operation is lost.
    AppliedLate(Duration),
    /// A read sees the store as it was before the newest object: `NotFound`, or a listing without its last key. A
    /// write is applied.
    Stale,
}

/// A rule: which operations fail, how, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The beginning of the key, or of the prefix of a listing; `""` for all.
    pub key_prefix: String,
    /// The operation; `None` for all.
    pub operation: Option<Operation>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// How many operations fail before the rule is used up; `None` for all until [`FaultyStore::heal`].
    pub times: Option<u32>,
}

impl Fault {
    /// The next matching operation meets `outcome`.
    pub fn once(operation: Operation, key_prefix: &str, outcome: Outcome) -> Self {
        Self { key_prefix: key_prefix.to_owned(), operation: Some(operation), outcome, times: Some(1) }
    }

    /// Every matching operation meets `outcome`, until the store is healed.
    pub fn always(operation: Operation, key_prefix: &str, outcome: Outcome) -> Self {
        Self { times: None, ..Self::once(operation, key_prefix, outcome) }
    }

    fn matches(&self, operation: Operation, key: &str) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation) && key.starts_with(&self.key_prefix)
    }
}

/// One operation that reached the faulty store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRecord {
    /// The operation.
    pub operation: Operation,
    /// The key, or the prefix of a listing.
    pub key: String,
    /// The fault it met.
    pub outcome: Option<Outcome>,
}

/// Holds matching operations back before they are applied, until it is released or dropped.
#[derive(Debug)]
pub struct Gate {
    barrier: Arc<Barrier>,
}

#[derive(Debug)]
struct Barrier {
    key_prefix: String,
    operation: Operation,
    is_open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// Waits until at least `operations` are held back.
    pub async fn wait_for(&self, operations: usize) {
        let mut waiting = self.barrier.waiting.subscribe();
        waiting.wait_for(|waiting| *waiting >= operations).await.expect("the gate owns the sender");
    }

    /// Lets everything through, now and from now on.
    pub fn release(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.barrier.is_open.send_replace(true);
    }
}

/// A [`WormStore`] around another one, with faults, gates and a log.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn WormStore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    barriers: Vec<Arc<Barrier>>,
    operations: Vec<OperationRecord>,
    time: Option<u64>,
}

impl FaultyStore {
    /// Wraps `inner`; without faults and gates it only logs.
    pub fn new(inner: Arc<dyn WormStore>) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Adds a fault. Of several that match, the earliest added is met.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Lets the store have a clock of its own, which stands at `micros` µs since the Unix epoch; `None` takes it away.
    pub fn set_time(&self, micros: Option<u64>) {
        self.state().time = micros;
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Tells whether faults are left that have not been used up; a test whose fault was never met tests
    /// nothing.
    pub fn has_faults(&self) -> bool {
        !self.state().faults.is_empty()
    }

    /// Holds back every `operation` on keys that begin with `key_prefix`, until the gate is released.
    pub fn gate(&self, operation: Operation, key_prefix: &str) -> Gate {
        let barrier = Arc::new(Barrier {
            key_prefix: key_prefix.to_owned(),
            operation,
            is_open: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
        });
        self.state().barriers.push(Arc::clone(&barrier));
        Gate { barrier }
    }

    /// Returns the operations so far, in the order of their arrival.
    pub fn operations(&self) -> Vec<OperationRecord> {
        self.state().operations.clone()
    }

    /// Forgets the operations so far.
    pub fn clear_operations(&self) {
        self.state().operations.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs an operation, waits at its gates, and runs it as its fault wants.
    async fn run<T: Aging>(
        &self,
        operation: Operation,
        key: &str,
        apply: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let outcome = self.arrive(operation, key).await;
        self.finish(outcome, key, apply).await
    }

    /// Logs an operation and waits at its gates.
    async fn arrive(&self, operation: Operation, key: &str) -> Option<Outcome> {
        let (outcome, barriers) = self.state().arrive(operation, key);
        for barrier in barriers {
            barrier.pass().await;
        }
        outcome
    }

    async fn finish<T: Aging>(
        &self,
        outcome: Option<Outcome>,
        key: &str,
        apply: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let (key, source) = (key.to_owned(), Some("injected fault".into()));
        match outcome {
            None => apply.await,
            Some(Outcome::Lost | Outcome::AppliedLate(_)) => {
                Err(StoreError::Unavailable { key, applied_unknown: true, source })
            }
            Some(Outcome::AppliedButReportedFailed) => {
                apply.await?;
                Err(StoreError::Unavailable { key, applied_unknown: true, source })
            }
            Some(Outcome::AppliedButReportedExists) => {
                apply.await?;
                Err(StoreError::AlreadyExists { key, source })
            }
            Some(Outcome::Unavailable) => {
                Err(StoreError::Unavailable { key, applied_unknown: false, source })
            }
            Some(Outcome::Full) => Err(StoreError::Full { key, source }),
            Some(Outcome::Denied) => Err(StoreError::Denied { key, source }),
            Some(Outcome::Slow(each_way)) => {
                tokio::time::sleep(each_way).await;
                let answer = apply.await;
                tokio::time::sleep(each_way).await;
                answer
            }
            Some(Outcome::Stale) => apply.await?.aged().ok_or(StoreError::NotFound { key, source }),
        }
    }
}

/// An answer as it was before the newest object came.
trait Aging: Sized {
    /// Returns the older answer; `None` when there was no object.
    fn aged(self) -> Option<Self>;
}

impl Aging for () {
    fn aged(self) -> Option<Self> {
        Some(())
    }
}

impl Aging for Bytes {
    fn aged(self) -> Option<Self> {
        None
    }
}

impl Aging for ObjectMeta {
    fn aged(self) -> Option<Self> {
        None
    }
}

impl Aging for Vec<ObjectMeta> {
    fn aged(mut self) -> Option<Self> {
        self.pop();
        Some(self)
    }
}

impl State {
    fn arrive(&mut self, operation: Operation, key: &str) -> (Option<Outcome>, Vec<Arc<Barrier>>) {
        let met = self.faults.iter().position(|fault| fault.matches(operation, key));
        let outcome = met.map(|position| self.meet(position));
        self.operations.push(OperationRecord { operation, key: key.to_owned(), outcome });
        self.barriers.retain(|barrier| !*barrier.is_open.borrow());
        let stops =
            |barrier: &&Arc<Barrier>| barrier.operation == operation && key.starts_with(&barrier.key_prefix);
        (outcome, self.barriers.iter().filter(stops).cloned().collect())
    }

    /// Counts one use of a fault, and removes it after its last.
    fn meet(&mut self, position: usize) -> Outcome {
        let fault = &mut self.faults[position];
        let outcome = fault.outcome;
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.faults.remove(position);
            }
        }
        outcome
    }
}

impl Barrier {
    async fn pass(&self) {
        let mut is_open = self.is_open.subscribe();
        self.waiting.send_modify(|waiting| *waiting += 1);
        is_open.wait_for(|is_open| *is_open).await.expect("the barrier owns the sender");
    }
}

#[async_trait]
impl WormStore for FaultyStore {
    async fn create(&self, key: &ObjectKey, bytes: Bytes, lock: &Lock) -> Result<(), StoreError> {
        let outcome = self.arrive(Operation::Create, key.as_str()).await;
        if let Some(Outcome::AppliedLate(after)) = outcome {
            let (inner, key, bytes, lock) = (self.inner.clone(), key.clone(), bytes.clone(), *lock);
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                // Nobody waits for the answer any more.
                drop(inner.create(&key, bytes, &lock).await);
            });
        }
        self.finish(outcome, key.as_str(), self.inner.create(key, bytes, lock)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.run(Operation::Get, key.as_str(), self.inner.get(key)).await
    }

    async fn get_original(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.run(Operation::Get, key.as_str(), self.inner.get_original(key)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.run(Operation::GetRange, key.as_str(), self.inner.get_range(key, range)).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        self.run(Operation::Head, key.as_str(), self.inner.head(key)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError> {
        self.run(Operation::List, prefix, self.inner.list(prefix, after, limit)).await
    }

    async fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        self.run(Operation::ExtendRetention, key.as_str(), self.inner.extend_retention(key, until)).await
    }

    async fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError> {
        self.run(Operation::SetHold, key.as_str(), self.inner.set_hold(key, hold)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.run(Operation::Delete, key.as_str(), self.inner.delete(key)).await
    }

    async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        self.run(Operation::PutDerived, key.as_str(), self.inner.put_derived(key, bytes)).await
    }

    async fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.run(Operation::DeleteDerived, key.as_str(), self.inner.delete_derived(key)).await
    }

    async fn time(&self) -> Result<Option<u64>, StoreError> {
        let told = self.state().time;
        match told {
            Some(time) => Ok(Some(time)),
            None => self.inner.time().await,
        }
    }

    fn describe(&self) -> StoreDescription {
        self.inner.describe()
    }

    /// Probes the inner store; faults do not apply.
    async fn probe(&self) -> ProbeReport {
        self.inner.probe().await
    }
}

#[cfg(test)]
mod tests;
