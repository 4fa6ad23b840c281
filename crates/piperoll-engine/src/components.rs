//! What an engine is built from: settings are values, components are passed in ready.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use piperoll_format::{Kek, LedgerId};
use piperoll_policy::PolicySet;
use piperoll_store::{Clock, WormStore};
use tokio::sync::watch;

/// Randomness for keys, salts and nonces.
pub trait Entropy: Send + fmt::Debug {
    /// Fills the buffer with bytes that nobody can guess.
    fn fill(&mut self, buffer: &mut [u8]);
}

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("an archive that cannot draw random keys must stop");
    }
}

/// The secrets of a ledger's writer.
#[derive(Clone)]
pub struct WriterKeys {
    /// Signs events and checkpoints.
    pub signing: SigningKey,
    /// Wraps subject keys.
    pub kek: Kek,
}

impl fmt::Debug for WriterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriterKeys(…)")
    }
}

/// What an engine works with.
#[derive(Debug)]
pub struct Components {
    /// The store that holds the ledger.
    pub store: Arc<dyn WormStore>,
    /// The ledger to write.
    pub ledger: LedgerId,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Box<dyn Entropy>,
    /// The writer's secrets.
    pub keys: WriterKeys,
    /// Decides classes.
    pub policies: Arc<PolicySet>,
    /// A local directory for derived state; may be deleted at any time when no engine runs.
    pub state_dir: PathBuf,
}

/// Where the writer of a ledger runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Executor {
    /// On a thread of its own, so that building a commit holds up nobody else. Dropping the engine commits what waits.
    #[default]
    Thread,
    /// As a task of the runtime that opens the engine. On a runtime of one thread with a paused clock the same inputs
    /// give the same order of operations. Dropping the engine ends it at its next pause, as the death of the process
    /// would.
    Task,
}

/// Limits of the pool and of a commit.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the writer runs.
    pub executor: Executor,
    /// Most events waiting for a commit; further ones are refused as busy.
    pub pool_events_max: usize,
    /// Most captured bytes waiting for a commit.
    pub pool_bytes_max: usize,
    /// Most events that one commit takes, unless a single group is larger.
    pub commit_events_max: usize,
    /// Most captured bytes that one commit takes, unless a single group is larger.
    pub commit_bytes_max: usize,
    /// How long a commit waits at least for as many events as the one before had, and half as long as that one took if
    /// that is longer. An idle archive never waits.
    pub linger: Duration,
    /// Cache of the local state database in bytes.
    pub state_cache_bytes: usize,
    /// Pauses between the tries of one write whose outcome stays open; after the last one the commit is given up.
    pub retry_pauses: Vec<Duration>,
    /// Whether somebody has checked the clock of this host, so that a jump that was recorded before is over.
    pub confirms_clock: bool,
    /// How long after its last look at the end of the ledger a writer takes it that nobody else has committed; later it
    /// makes sure that what it created is the oldest version.
    pub trust_end: Duration,
    /// How long a writer that loses every race to another one goes on trying before it stops.
    pub rival_patience: Duration,
    /// Is told how far the local state is while it is made again from the store.
    pub recovering: watch::Sender<Recovering>,
}

/// How far local state is that is made again from the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovering {
    /// Segments that are taken in.
    pub done: u64,
    /// Segments in the store.
    pub total: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            executor: Executor::Thread,
            pool_events_max: 32_768,
            pool_bytes_max: 48 * 1024 * 1024,
            commit_events_max: 4_096,
            commit_bytes_max: 12 * 1024 * 1024,
            linger: Duration::from_micros(700),
            state_cache_bytes: 32 * 1024 * 1024,
            // About ten seconds in all: senders wait longer than that for an answer.
            recovering: watch::Sender::default(),
            confirms_clock: false,
            trust_end: Duration::from_secs(5),
            rival_patience: Duration::from_secs(60),
            retry_pauses: [10, 50, 250, 1_000, 2_000, 3_000, 4_000].map(Duration::from_millis).to_vec(),
        }
    }
}
