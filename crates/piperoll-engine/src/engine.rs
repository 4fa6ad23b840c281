//! The handle by which everybody else uses the writer.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use piperoll_format::{
    Codec, GROUP_EVENTS_MAX, Genesis, Kind, LedgerId, Submission, SubmissionGroup, Timestamp,
};
use piperoll_policy::PolicySet;
use piperoll_store::{RecentStore, WormStore};
use tokio::sync::{Mutex, oneshot, watch};

use crate::commit::KnownEnd;
use crate::components::{Components, Settings};
use crate::error::EngineError;
use crate::keyring::Keyring;
use crate::ledger::{Head, LedgerStore};
use crate::local::LocalState;
use crate::pool::{Answer, Pending, Pool, Refused};
use crate::publish::Publisher;
use crate::ready::Ready;
use crate::receipt::Receipt;
use crate::rival::Rival;
use crate::running::Running;
use crate::state::State;
use crate::watch::{ClockJump, ClockWatch, Opening};
use crate::writer::Writer;

/// The writer of one ledger. Cheap to share behind an [`Arc`]; dropping the last one stops the writer as its
/// [`Executor`](crate::Executor) says.
#[derive(Debug)]
pub struct Engine {
    store: LedgerStore,
    recalling: Arc<dyn WormStore>,
    genesis: Genesis,
    state: Arc<State>,
    policies: Arc<PolicySet>,
    keyring: Arc<Mutex<Keyring>>,
    pool: Arc<Pool>,
    head: watch::Receiver<Head>,
    trouble: watch::Receiver<Option<String>>,
    clock: Arc<ClockWatch>,
    running: StdMutex<Option<Running>>,
}

/// Bytes of objects that were just committed and are kept in memory for followers.
const RECENT_BYTES_MAX: usize = 16 * 1_024 * 1_024;

impl Engine {
    /// Opens a ledger for writing: recovers its end, brings local state up to date and starts the writer.
    ///
    /// Must be called inside a tokio runtime, which must outlive the engine.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when the store cannot be read, [`EngineError::Fatal`] when the ledger does not
    /// exist, is damaged at its end, or belongs to other keys.
    pub async fn open(components: Components, settings: Settings) -> Result<Self, EngineError> {
        let recent = RecentStore::new(components.store, RECENT_BYTES_MAX);
        let recalling = Arc::new(recent.recalling());
        let store = LedgerStore { store: Arc::new(recent), ledger: components.ledger };
        let end = KnownEnd::now(settings.trust_end);
        let ready = Ready::make(&store, &components.keys, &components.state_dir, &settings).await?;
        let Ready { genesis, signer, state, keyring, recovered } = ready;
        let head = Head::of(&recovered.tail, recovered.checkpoint.clone().unwrap_or_default().into());
        let (head_sender, head) = watch::channel(head);
        let (trouble_sender, trouble) = watch::channel(None);
        let (mut publisher, publishing) = Publisher::start(store.clone(), head_sender.subscribe());
        publisher.reload(&store, &state, recovered.tail.seq).await?;
        let keyring = Arc::new(Mutex::new(keyring));
        let opening = opening(&store, &state, recovered.tail.recorded_at, settings.confirms_clock).await?;
        let clock = Arc::new(ClockWatch::new(components.clock, opening));
        let (executor, retry_pauses) = (settings.executor, settings.retry_pauses.clone());
        let rival = Rival::new(settings.rival_patience);
        let recovering = settings.recovering.clone();
        let pool = Arc::new(Pool::new(settings));
        let writer = Writer {
            store: store.clone(),
            state: state.clone(),
            policies: components.policies.clone(),
            keyring: keyring.clone(),
            entropy: components.entropy,
            codec: Codec::default(),
            keys: components.keys,
            signer,
            clock: clock.clone(),
            tail: recovered.tail,
            pool: pool.clone(),
            retry_pauses,
            rival,
            end,
            recovering,
            head: head_sender,
            trouble: trouble_sender,
            publisher,
            must_reload: false,
            since_durable: 0,
        };
        let running = Running::start(executor, writer, publishing)?;
        let engine = Self {
            store,
            recalling,
            genesis,
            state,
            policies: components.policies,
            keyring,
            pool,
            head,
            trouble,
            clock,
            running: StdMutex::new(Some(running)),
        };
        engine.open_ledger(recovered.checkpoint.is_none()).await?;
        Ok(engine)
    }

    /// Commits event 0 of a new ledger.
    async fn open_ledger(&self, is_new: bool) -> Result<(), EngineError> {
        if is_new {
            let digest = piperoll_format::ObjectDigest::of(&self.genesis.encode());
            let document = format!(r#"{{"origin":"{}","genesis":"{digest}"}}"#, self.genesis.origin);
            let opened = Submission::own(Kind::LedgerOpened, "application/json", document.into_bytes());
            match self.submit(SubmissionGroup::single(opened)).await {
                // Another writer was quicker, or the store had not shown the newest segments.
                Ok(_) | Err(EngineError::Invalid { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Hands in a group and waits until it is committed. Every item gets a receipt, in order.
    ///
    /// When the future is dropped, the group is committed all the same.
    ///
    /// # Errors
    /// [`EngineError`], by what the caller must do. Nothing was acknowledged then, but after
    /// [`EngineError::Unavailable`] the group may have been committed; handing it in again does not store it twice.
    pub async fn submit(&self, group: SubmissionGroup) -> Result<Vec<Receipt>, EngineError> {
        let answer = self.hand_in(group).map_err(|refused| refused.error)?;
        answered(answer).await
    }

    /// Hands in a group as [`Self::submit`] does, and again after each `pause` while the pool is full: for what has
    /// time, and is too large to be copied for that case.
    ///
    /// # Errors
    /// Those of [`Self::submit`], without [`EngineError::Busy`].
    pub async fn submit_patiently(
        &self,
        mut group: SubmissionGroup,
        pause: Duration,
    ) -> Result<Vec<Receipt>, EngineError> {
        loop {
            match self.hand_in(group) {
                Ok(answer) => return answered(answer).await,
                Err(refused) if matches!(refused.error, EngineError::Busy { .. }) => {
                    group = refused.pending.group;
                }
                Err(refused) => return Err(refused.error),
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn hand_in(&self, group: SubmissionGroup) -> Result<oneshot::Receiver<Answer>, Box<Refused>> {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { group, reply };
        if pending.group.items.is_empty() || pending.group.events() > GROUP_EVENTS_MAX {
            let reason = format!("a group has 1 to {GROUP_EVENTS_MAX} events");
            return Err(Box::new(Refused { pending, error: EngineError::Invalid { reason } }));
        }
        self.pool.push(pending)?;
        Ok(answer)
    }

    /// Returns a view of the store that answers from memory for what was just committed: for followers, who read each
    /// commit at once. What is shown or proven to people is read from the store itself.
    #[must_use]
    pub fn recent_store(&self) -> Arc<dyn WormStore> {
        self.recalling.clone()
    }

    /// Returns the local state, for copies of it.
    #[must_use]
    pub fn local_state(&self) -> LocalState {
        LocalState::new(self.state.clone())
    }

    /// Returns the committed size and its checkpoint, now and whenever it grows.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Returns why the last commit failed, until one succeeds.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.clone()
    }

    /// Returns how the wall clock has jumped, while it stands where it cannot.
    #[must_use]
    pub fn clock_jump(&self) -> watch::Receiver<Option<ClockJump>> {
        let _jump = self.clock.jump();
        self.clock.doubt()
    }

    /// Compares the clock with the store's own and returns how far it is off; the store's clock decides. Without one, or
    /// when the store does not tell, it returns what [`Self::clock_jump`] knows.
    pub async fn compare_clock(&self) -> Option<ClockJump> {
        match store_time(&self.store).await {
            Some(time) => self.clock.compare(time),
            None => self.clock.jump(),
        }
    }

    /// Whether the clock has jumped, or come back, since that was last put on the record; the next commit does it.
    #[must_use]
    pub fn has_unrecorded_jump(&self) -> bool {
        self.clock.is_unrecorded()
    }

    /// Returns how many events wait for a commit.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pool.events()
    }

    /// Returns the ledger's identity.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        self.store.ledger
    }

    /// Returns what the ledger was created with.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Returns the policies in force.
    #[must_use]
    pub const fn policies(&self) -> &Arc<PolicySet> {
        &self.policies
    }

    pub(crate) const fn store(&self) -> &LedgerStore {
        &self.store
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn keyring(&self) -> &Mutex<Keyring> {
        &self.keyring
    }

    /// Stops the writer after what waits has been committed, and publishes the last checkpoint.
    ///
    /// # Panics
    /// Never; a writer that panicked has been reported already.
    pub async fn close(&self) {
        self.pool.close(&EngineError::fatal("the archive is stopping"), false);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.ended().await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.pool.close(&EngineError::fatal("the archive is stopping"), false);
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.abandon();
        }
    }
}

/// Waits for the receipts of what was handed in.
async fn answered(answer: oneshot::Receiver<Answer>) -> Answer {
    answer.await.unwrap_or_else(|_| Err(EngineError::fatal("the writer has gone")))
}

/// Returns what is known of the time when a ledger is opened.
async fn opening(
    store: &LedgerStore,
    state: &State,
    recorded_at: Timestamp,
    is_confirmed: bool,
) -> Result<Opening, EngineError> {
    Ok(Opening { recorded_at, store: store_time(store).await, remembered: state.clock()?, is_confirmed })
}

/// Returns the time by the store's own clock, if it has one and tells.
async fn store_time(store: &LedgerStore) -> Option<u64> {
    store.store.time().await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the store does not tell its time");
        None
    })
}

#[cfg(test)]
mod tests;
