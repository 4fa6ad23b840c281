//! What a simulated process sees of the store: slow, failing, away for a while, and gone when the process dies.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use piperoll_store::faulty::{Fault, Operation, Outcome};
use piperoll_store::{
    FaultyStore, Lock, ObjectKey, ObjectMeta, ProbeReport, StoreDescription, StoreError, WormStore,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::random::Random;

/// Every store operation of a schedule, in order: who, what, with which bytes, and with which result.
#[derive(Debug, Default)]
pub(crate) struct Trace(Mutex<Vec<String>>);

impl Trace {
    fn note(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for line in self.lines() {
            let _ = hasher.update(line.as_bytes()).update(b"\n");
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// How bad the store is in a schedule.
#[derive(Debug)]
pub(crate) struct Weather {
    /// Operations in a hundred that meet a fault; 0 from the end of the schedule on.
    pub(crate) faults_percent: AtomicI64,
    /// No operation succeeds before this moment.
    pub(crate) away_until: Mutex<Instant>,
}

/// A process's way to the store.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) store: FaultyStore,
    pub(crate) random: Arc<Random>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) weather: Arc<Weather>,
    /// Half operations until the process dies; it can die before and after each is applied.
    pub(crate) life: AtomicI64,
    /// Rings when it has died.
    pub(crate) died: Arc<Notify>,
}

const CREATE_OUTCOMES: [Outcome; 9] = [
    Outcome::Lost,
    Outcome::Lost,
    Outcome::AppliedButReportedFailed,
    Outcome::AppliedButReportedFailed,
    Outcome::AppliedButReportedExists,
    Outcome::Unavailable,
    Outcome::Full,
    Outcome::Slow(Duration::from_millis(40)),
    Outcome::AppliedLate(Duration::from_millis(7)),
];
const WRITE_OUTCOMES: [Outcome; 4] = [
    Outcome::Lost,
    Outcome::AppliedButReportedFailed,
    Outcome::Unavailable,
    Outcome::Slow(Duration::from_millis(40)),
];
const READ_OUTCOMES: [Outcome; 2] = [Outcome::Unavailable, Outcome::Slow(Duration::from_millis(40))];

impl Link {
    /// Ends the process: nothing it has under way or begins later is ever answered.
    pub(crate) fn kill(&self) {
        self.life.store(0, Ordering::SeqCst);
        self.died.notify_waiters();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.life.load(Ordering::SeqCst) <= 0
    }

    /// Lives on for half an operation, or never returns.
    async fn live(&self) {
        if self.life.fetch_sub(1, Ordering::SeqCst) <= 1 {
            self.kill();
            std::future::pending::<()>().await;
        }
    }

    fn draw(&self, operation: Operation, key: &str) -> Option<Outcome> {
        let is_away = Instant::now() < *self.weather.away_until.lock().unwrap();
        if is_away {
            return Some(Outcome::Unavailable);
        }
        let percent = u64::try_from(self.weather.faults_percent.load(Ordering::SeqCst)).unwrap();
        if !self.random.chance(percent) {
            return None;
        }
        Some(match operation {
            Operation::Create => self.random.pick(&CREATE_OUTCOMES),
            // The end of the ledger is the one thing that is looked for and may not be there yet.
            Operation::Head if key.contains("/log/") => {
                self.random.pick(&[Outcome::Unavailable, Outcome::Stale])
            }
            Operation::Get | Operation::GetRange | Operation::Head | Operation::List => {
                self.random.pick(&READ_OUTCOMES)
            }
            _ => self.random.pick(&WRITE_OUTCOMES),
        })
    }

    async fn pass<T>(
        &self,
        (operation, key, sent): (Operation, &str, &[u8]),
        call: impl Future<Output = Result<T, StoreError>> + Send,
        digest: impl Fn(&T) -> String + Send,
    ) -> Result<T, StoreError> {
        let outcome = self.draw(operation, key);
        sleep(self.random.millis(4)).await;
        self.live().await;
        if let Some(outcome) = outcome {
            self.store.inject(Fault::once(operation, key, outcome));
        }
        let answer = call.await;
        let result = match &answer {
            Ok(value) => digest(value),
            Err(error) => error.to_string(),
        };
        let sent = blake3::hash(sent).to_hex();
        self.trace.note(format!("{} {operation:?} {key} {sent} {outcome:?} {result}", self.name));
        self.live().await;
        sleep(self.random.millis(4)).await;
        answer
    }
}

fn nothing((): &()) -> String {
    "done".to_owned()
}

fn bytes(bytes: &Bytes) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn meta(meta: &ObjectMeta) -> String {
    format!("{} {:?}", meta.size, meta.lock)
}

#[async_trait]
impl WormStore for Link {
    async fn create(&self, key: &ObjectKey, bytes: Bytes, lock: &Lock) -> Result<(), StoreError> {
        let sent = bytes.clone();
        let call = self.store.create(key, bytes, lock);
        self.pass((Operation::Create, key.as_str(), &sent), call, nothing).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.pass((Operation::Get, key.as_str(), b""), self.store.get(key), bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        let call = self.store.get_range(key, range);
        self.pass((Operation::GetRange, key.as_str(), b""), call, bytes).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        self.pass((Operation::Head, key.as_str(), b""), self.store.head(key), meta).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, StoreError> {
        let call = self.store.list(prefix, after, limit);
        self.pass((Operation::List, prefix, b""), call, |metas| metas.len().to_string()).await
    }

    async fn extend_retention(&self, key: &ObjectKey, until: u64) -> Result<(), StoreError> {
        let call = self.store.extend_retention(key, until);
        self.pass((Operation::ExtendRetention, key.as_str(), &until.to_be_bytes()), call, nothing).await
    }

    async fn set_hold(&self, key: &ObjectKey, hold: bool) -> Result<(), StoreError> {
        let call = self.store.set_hold(key, hold);
        self.pass((Operation::SetHold, key.as_str(), &[u8::from(hold)]), call, nothing).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.pass((Operation::Delete, key.as_str(), b""), self.store.delete(key), nothing).await
    }

    async fn put_derived(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        let sent = bytes.clone();
        let call = self.store.put_derived(key, bytes);
        self.pass((Operation::PutDerived, key.as_str(), &sent), call, nothing).await
    }

    async fn delete_derived(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.pass((Operation::DeleteDerived, key.as_str(), b""), self.store.delete_derived(key), nothing)
            .await
    }

    fn describe(&self) -> StoreDescription {
        self.store.describe()
    }

    async fn probe(&self) -> ProbeReport {
        self.store.probe().await
    }
}
