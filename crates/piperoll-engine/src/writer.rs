//! The only writer of a ledger: takes what waits, commits it, answers, and tells followers.
//!
//! One thread or task owns the tail. At most one segment is in flight; what arrives meanwhile forms the next batch.

use std::sync::Arc;
use std::time::Duration;

use piperoll_format::{Codec, ObjectName, Seq};
use piperoll_policy::PolicySet;
use piperoll_tlog::hash::NodeHash;
use piperoll_tlog::note::key::NoteSigner;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::time::Instant;

use crate::batch::{Answer, Batch, Builder, GroupPlan};
use crate::commit::{KnownEnd, Outcome};
use crate::components::{Entropy, Recovering, WriterKeys};
use crate::error::EngineError;
use crate::keyring::Keyring;
use crate::ledger::{Head, LedgerStore, Tail};
use crate::pool::{Pending, Pool};
use crate::publish::Publisher;
use crate::receipt::Receipt;
use crate::recover::recover;
use crate::rival::Rival;
use crate::state::{Addition, State};
use crate::watch::ClockWatch;

/// A commit that takes longer is on a slow store, such as a bucket.
const SLOW_COMMIT: Duration = Duration::from_millis(8);

/// Segments between two durable writes of the local state; a crash replays at most these.
const DURABLE_EVERY: u32 = 256;

/// Everything that the writer owns or shares.
pub(crate) struct Writer {
    pub(crate) store: LedgerStore,
    pub(crate) state: Arc<State>,
    pub(crate) policies: Arc<PolicySet>,
    pub(crate) keyring: Arc<Mutex<Keyring>>,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) codec: Codec,
    pub(crate) keys: WriterKeys,
    pub(crate) signer: NoteSigner,
    pub(crate) clock: Arc<ClockWatch>,
    pub(crate) tail: Tail,
    pub(crate) pool: Arc<Pool>,
    pub(crate) retry_pauses: Vec<Duration>,
    pub(crate) rival: Rival,
    pub(crate) end: KnownEnd,
    pub(crate) recovering: watch::Sender<Recovering>,
    pub(crate) head: watch::Sender<Head>,
    pub(crate) trouble: watch::Sender<Option<String>>,
    pub(crate) publisher: Publisher,
    pub(crate) must_reload: bool,
    pub(crate) since_durable: u32,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever waits, and whoever comes later, must not wait for a writer that will never answer.
        if std::thread::panicking() {
            let error = EngineError::fatal("it panicked; see the log and start again");
            self.pool.close(&error, true);
            let _ = self.trouble.send_replace(Some(error.to_string()));
        }
    }
}

impl Writer {
    /// Works until the pool is closed and empty.
    pub(crate) async fn run(mut self) {
        let (mut expected, mut took) = (1, Duration::ZERO);
        while let Some(pending) = self.pool.take(expected, took).await {
            let began = Instant::now();
            expected = pending.iter().map(|pending| pending.group.events()).sum();
            if let Err(error) = self.commit(pending).await {
                tracing::error!(%error, "the writer stops");
                self.pool.close(&error, true);
                let _ = self.trouble.send_replace(Some(error.to_string()));
                return;
            }
            took = began.elapsed();
            let aside = self.rival.yielding(Instant::now(), took, &mut *self.entropy);
            if aside > Duration::ZERO {
                tokio::time::sleep(aside).await;
            }
            if took > SLOW_COMMIT && expected > 1 {
                // On a slow store each write counts: those who came meanwhile and those who were just answered, who
                // would otherwise take turns, go together from now on.
                expected += self.pool.events();
            }
        }
    }

    /// Commits what was taken and answers it. An error stops the writer; everybody has been answered then.
    async fn commit(&mut self, pending: Vec<Pending>) -> Result<(), EngineError> {
        let mut pending = pending;
        let jump = self.clock.unrecorded();
        let records_jump = jump.is_some();
        if let Some(group) = jump {
            // In the same commit as the first events that may have a wrong time, and before them. Nobody waits for it.
            pending.insert(0, Pending { group, reply: oneshot::channel().0 });
        }
        self.rival.begin();
        loop {
            if let Err(error) = self.reload_if_needed().await {
                return self.give_up(pending, error);
            }
            let (plans, batch) = match self.build(&mut pending).await {
                Ok(built) => built,
                Err(error) => return self.give_up(pending, error),
            };
            let Some(batch) = batch else {
                self.answer(pending, &plans, None);
                return Ok(());
            };
            let began = Instant::now();
            self.end.has_rival = self.rival.is_near(began);
            match self.store.commit(&batch, &self.retry_pauses, &self.end).await {
                Outcome::Committed => {
                    self.end.renew(began);
                    if records_jump {
                        self.state.set_clock(self.clock.recorded())?;
                    }
                    self.rival.won();
                    self.accept(pending, &plans, &batch);
                    return self.follow_up(batch).await;
                }
                Outcome::Lost => {
                    self.must_reload = true;
                    if let Err(error) = self.rival.lost(Instant::now()) {
                        return self.give_up(pending, error);
                    }
                    tokio::time::sleep(self.rival.pause(&mut *self.entropy)).await;
                }
                Outcome::Hidden => {
                    let name = ObjectName::Segment(batch.number);
                    let error = EngineError::fatal(format!(
                        "a delete marker hid object `{name}` of another writer; run `piperoll verify` and start again"
                    ));
                    return self.give_up(pending, error);
                }
                Outcome::Refused(error) => return self.give_up(pending, EngineError::unavailable(error)),
                Outcome::Unknown(error) => {
                    self.must_reload = true;
                    return self.give_up(pending, EngineError::unavailable(error));
                }
            }
        }
    }

    async fn reload_if_needed(&mut self) -> Result<(), EngineError> {
        if self.must_reload {
            tracing::warn!("reading the end of the ledger again");
            self.end.renew(Instant::now());
            let mut keyring = self.keyring.lock().await;
            let key = self.signer.verifier_key();
            let recovered = recover(&self.store, &self.state, &mut keyring, key, &self.recovering).await?;
            self.tail = recovered.tail;
            // Followers learn of events that another writer, or an earlier try of ours, committed meanwhile.
            let checkpoint = recovered.checkpoint.unwrap_or_default().into();
            let _ = self.head.send_replace(Head::of(&self.tail, checkpoint));
            self.publisher.reload(&self.store, &self.state, self.tail.seq).await?;
            self.must_reload = false;
        }
        Ok(())
    }

    /// Builds a batch of everything valid; what is invalid is answered and taken out. `None`: all are repeats.
    async fn build(
        &mut self,
        pending: &mut Vec<Pending>,
    ) -> Result<(Vec<GroupPlan>, Option<Batch>), EngineError> {
        let mut keyring = self.keyring.lock().await;
        let mut builder = Builder {
            store: &self.store,
            state: &self.state,
            known: self.state.known()?,
            policies: &self.policies,
            keyring: &mut keyring,
            entropy: &mut *self.entropy,
            codec: &mut self.codec,
            signing: &self.keys.signing,
            signer: &self.signer,
            now: self.clock.now(),
        };
        let mut drafts = builder.start(&self.tail);
        let mut plans = Vec::with_capacity(pending.len());
        let mut valid = Vec::with_capacity(pending.len());
        let mut failed = None;
        for waiting in pending.drain(..) {
            if failed.is_some() {
                valid.push(waiting);
                continue;
            }
            match builder.sequence(&mut drafts, &self.tail, &waiting.group).await {
                Ok(plan) => {
                    plans.push(plan);
                    valid.push(waiting);
                }
                // Nobody waits for the answer when the submitter has gone.
                Err(error @ EngineError::Invalid { .. }) => drop(waiting.reply.send(Err(error))),
                Err(error) => {
                    failed = Some(error);
                    valid.push(waiting);
                }
            }
        }
        *pending = valid;
        if let Some(error) = failed {
            return Err(error);
        }
        if drafts.is_empty() {
            return Ok((plans, None));
        }
        let batch = builder.build(&self.tail, drafts)?;
        Ok((plans, Some(batch)))
    }

    /// Steps 4 and 5: the segment exists, so receipts go out and followers learn the new size.
    fn accept(&mut self, pending: Vec<Pending>, plans: &[GroupPlan], batch: &Batch) {
        // The head first: whoever holds a receipt finds the event below it.
        let _ = self.head.send_replace(Head::of(&batch.tail, batch.checkpoint.clone()));
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
        self.answer(pending, plans, Some((batch.first_seq, &batch.leaves)));
    }

    /// Keeps derived state in step; a failure here stops the writer, whose next start makes it again.
    async fn follow_up(&mut self, batch: Batch) -> Result<(), EngineError> {
        self.since_durable += 1;
        let durable = self.since_durable >= DURABLE_EVERY;
        if durable {
            self.since_durable = 0;
        }
        let entries: Vec<_> = batch.objects.iter().map(|object| object.entry.clone()).collect();
        let addition = Addition {
            number: batch.number,
            first_seq: batch.first_seq,
            cores: &batch.cores,
            objects: &entries,
            keys: &batch.stored_keys,
            chain: batch.tail.chain,
        };
        self.state.add(&[addition], durable)?;
        self.keyring.lock().await.adopt(batch.new_keys);
        self.publisher.append(&batch.leaves);
        self.tail = batch.tail;
        Ok(())
    }

    fn answer(&self, pending: Vec<Pending>, plans: &[GroupPlan], batch: Option<(Seq, &Vec<NodeHash>)>) {
        let hash = |seq: Seq| {
            let (first, leaves) = batch.expect("an event of this batch needs a batch");
            leaves[usize::try_from(seq.0 - first.0).expect("a batch has far fewer events")]
        };
        for (waiting, plan) in pending.into_iter().zip(plans) {
            let receipts = plan.items.iter().map(|(seq, answer)| Receipt {
                ledger: self.store.ledger,
                seq: *seq,
                event_hash: match answer {
                    Answer::New | Answer::RepeatInBatch => hash(*seq),
                    Answer::Repeat(hash) => NodeHash(*hash),
                },
                repeated: !matches!(answer, Answer::New),
            });
            // The submitter may have gone; the events are committed all the same.
            drop(waiting.reply.send(Ok(receipts.collect())));
        }
    }

    /// Tells everybody that nothing was acknowledged; a fatal error also stops the writer.
    fn give_up(&self, pending: Vec<Pending>, error: EngineError) -> Result<(), EngineError> {
        tracing::error!(%error, cause = ?std::error::Error::source(&error), "nothing was committed");
        let _ = self.trouble.send_replace(Some(error.to_string()));
        for waiting in pending {
            drop(waiting.reply.send(Err(error.clone())));
        }
        if matches!(error, EngineError::Fatal { .. }) { Err(error) } else { Ok(()) }
    }
}
