//! A ledger with everything that an engine needs, and the means to reopen, disturb and check it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use piperoll_engine::{
    Components, Engine, EngineError, Entropy, NewLedger, Receipt, Settings, WriterKeys, create_ledger,
};
use piperoll_format::{Kek, LedgerId, SubmissionGroup, Timestamp};
use piperoll_policy::{Policy, PolicySet};
use piperoll_server::Role;
use piperoll_store::{
    Clock as _, DirectoryStore, FaultyStore, ManualClock, MemoryStore, SystemClock, WormStore,
};
use piperoll_verify::{LedgerReader, StoreKeys};
use tempfile::TempDir;

use crate::entropy::SeededEntropy;

/// 2026-11-21T21:20:00Z, where every test starts, in microseconds.
pub const NOW: u64 = 1_795_296_000_000_000;

/// The log's name.
pub const ORIGIN: &str = "piperoll.example/test";

/// The seed of the key that signs.
pub const SIGNING_KEY: [u8; 32] = [1; 32];

/// The key that wraps subject keys.
pub const KEK: [u8; 32] = [2; 32];

/// Keeps everything for a year, except what is about the number 999: five seconds.
const POLICIES: [&str; 2] = [
    r#"
        id = "brief"
        version = 1
        title = "Brief"
        legal_basis = "test"
        summary = "test"
        keep = "5 seconds"
        dispose_after = "5 seconds"
        clock = "recorded"
        bucket = "second"
        [[match]]
        numbers = ["999"]
    "#,
    r#"
        id = "rest"
        version = 1
        title = "Rest"
        legal_basis = "test"
        summary = "test"
        keep = "1 years"
        dispose_after = "1 years"
        clock = "recorded"
        bucket = "month"
        [[match]]
        except_numbers = ["999"]
    "#,
];

/// Where the objects really are.
#[derive(Debug)]
enum Backing {
    Memory(Arc<MemoryStore>),
    Directory(Arc<DirectoryStore>),
    /// A store that the test brought along.
    Other(Arc<dyn WormStore>),
}

/// A new ledger and its surroundings. Engines of it write through [`Self::store`], which can be made to fail;
/// checks read what is really there.
#[derive(Debug)]
pub struct TestArchive {
    /// The store as engines see it.
    pub store: Arc<FaultyStore>,
    /// The time of store and engines.
    pub clock: Arc<ManualClock>,
    /// The policies that genesis holds.
    pub policies: Arc<PolicySet>,
    backing: Backing,
    ledger: LedgerId,
    dir: TempDir,
    engines: AtomicU64,
    pub(crate) tokens: OnceLock<Arc<Vec<(Role, String)>>>,
}

impl TestArchive {
    /// A ledger in memory, in a store that panics when one of its rules is broken.
    pub async fn in_memory() -> Self {
        Self::in_memory_as(7).await
    }

    /// A ledger in memory whose id is `id` sixteen times.
    pub async fn in_memory_as(id: u8) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let backing = Backing::Memory(Arc::new(MemoryStore::new(clock.clone())));
        Self::create(backing, LedgerId([id; 16]), clock, new_dir()).await
    }

    /// A ledger in a directory.
    pub async fn in_directory() -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let dir = new_dir();
        let store = DirectoryStore::init(&dir.path().join("store"), clock.clone()).unwrap();
        Self::create(Backing::Directory(Arc::new(store)), LedgerId([7; 16]), clock, dir).await
    }

    /// A ledger in a store of the test's own, which keeps its locks by the time of the day; so does the archive's
    /// clock at the start.
    pub async fn on(store: Arc<dyn WormStore>) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now_micros()));
        Self::create(Backing::Other(store), LedgerId([7; 16]), clock, new_dir()).await
    }

    /// Returns what a further writer of a ledger in a store needs that [`Self::in_directory`] or [`Self::in_memory`] made,
    /// perhaps in another process. Writers with different numbers draw different keys.
    #[must_use]
    pub fn writer_of(store: Arc<dyn WormStore>, state_dir: &Path, number: u64) -> Components {
        Components {
            store,
            ledger: LedgerId([7; 16]),
            clock: Arc::new(ManualClock::new(NOW)),
            entropy: Box::new(SeededEntropy::new(1_000 + number)),
            keys: writer_keys(),
            policies: policies(),
            state_dir: state_dir.to_owned(),
        }
    }

    async fn create(backing: Backing, ledger: LedgerId, clock: Arc<ManualClock>, dir: TempDir) -> Self {
        let policies = policies();
        let archive = Self {
            store: Arc::new(FaultyStore::new(backing.store())),
            clock,
            policies,
            backing,
            ledger,
            dir,
            engines: AtomicU64::new(0),
            tokens: OnceLock::new(),
        };
        let keys = writer_keys();
        let new = NewLedger {
            ledger,
            origin: ORIGIN,
            public_key: keys.signing.verifying_key().to_bytes(),
            next_key_digest: [0; 32],
            kek: &keys.kek,
            policies: POLICIES.map(str::to_owned).to_vec(),
            policy_set: &archive.policies,
            created_at: Timestamp(archive.clock.now_micros()),
        };
        let _genesis = create_ledger(archive.backing.store(), new).await.unwrap();
        archive
    }

    /// Opens an engine with quick retries.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self) -> Engine {
        self.try_open(quick_settings()).await.unwrap()
    }

    /// Opens an engine.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    pub async fn try_open(&self, settings: Settings) -> Result<Engine, EngineError> {
        self.open_through((self.store.clone(), &*self.state_dir()), settings, self.entropy()).await
    }

    /// Opens an engine with randomness of the test's own.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_with(&self, entropy: Box<dyn Entropy>) -> Engine {
        let place = (self.store.clone(), &*self.state_dir());
        self.open_through(place, quick_settings(), entropy).await.unwrap()
    }

    /// Opens a further engine, as another process would: with its own way to the same store and its own state.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_beside(&self, name: &str) -> (Engine, Arc<FaultyStore>) {
        self.open_on(self.backing.store(), name).await
    }

    /// Opens a further engine on another way to the same objects, as a process with other rights would.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_on(&self, store: Arc<dyn WormStore>, name: &str) -> (Engine, Arc<FaultyStore>) {
        let store = Arc::new(FaultyStore::new(store));
        let state = self.dir.path().join(name);
        let engine = self.open_through((store.clone(), &state), quick_settings(), self.entropy()).await;
        (engine.unwrap(), store)
    }

    async fn open_through(
        &self,
        (store, state): (Arc<FaultyStore>, &Path),
        settings: Settings,
        entropy: Box<dyn Entropy>,
    ) -> Result<Engine, EngineError> {
        let components = Components { store, state_dir: state.to_owned(), entropy, ..self.components() };
        Engine::open(components, settings).await
    }

    /// Returns what an engine of this ledger is built from.
    #[must_use]
    pub fn components(&self) -> Components {
        Components {
            store: self.store.clone(),
            ledger: self.ledger,
            clock: self.clock.clone(),
            entropy: self.entropy(),
            keys: writer_keys(),
            policies: self.policies.clone(),
            state_dir: self.state_dir(),
        }
    }

    /// No two engines draw the same keys, as with real randomness.
    fn entropy(&self) -> Box<dyn Entropy> {
        Box::new(SeededEntropy::new(self.engines.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns the ledger's identity.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// Returns the folder that holds everything: the store, if it is in a directory, the local state and the index.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the folder of the first engine's local state.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Returns the file of the first engine's local state.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.state_dir().join("state.redb")
    }

    /// Returns the key prefix of a kind of object, such as `log/`.
    #[must_use]
    pub fn prefix(&self, name: &str) -> String {
        format!("{}/{name}", self.ledger)
    }

    /// Returns the store without faults.
    #[must_use]
    pub fn backing(&self) -> Arc<dyn WormStore> {
        self.backing.store()
    }

    /// Returns the store in memory, to tamper with.
    ///
    /// # Panics
    /// When the archive is in a directory.
    #[must_use]
    pub fn memory(&self) -> &MemoryStore {
        match &self.backing {
            Backing::Memory(store) => store,
            Backing::Directory(_) | Backing::Other(_) => {
                panic!("expected an archive in memory, found another")
            }
        }
    }

    /// Lets the store in memory check that nothing created has changed or gone.
    pub(crate) fn check_promises(&self) {
        if let Backing::Memory(store) = &self.backing {
            store.check_promises();
        }
    }

    /// Opens a reader with keys on what is really there.
    ///
    /// # Panics
    /// When the ledger cannot be read.
    pub async fn reader(&self) -> LedgerReader {
        let reader = LedgerReader::open(self.backing(), self.ledger).await.unwrap();
        let _head = reader.refresh().await.unwrap();
        reader.with_keys(self.keys())
    }

    pub(crate) fn keys(&self) -> Arc<StoreKeys> {
        Arc::new(StoreKeys::new(self.backing(), self.ledger, Kek::new(KEK)))
    }
}

impl Backing {
    fn store(&self) -> Arc<dyn WormStore> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Directory(store) => store.clone(),
            Self::Other(store) => store.clone(),
        }
    }
}

/// Settings with retries that take milliseconds.
#[must_use]
pub fn quick_settings() -> Settings {
    Settings { retry_pauses: vec![Duration::from_millis(1); 3], ..Settings::default() }
}

/// Submits one event and returns its receipt.
///
/// # Errors
/// Those of [`Engine::submit`].
pub async fn submit_one(
    engine: &Engine,
    submission: piperoll_format::Submission,
) -> Result<Receipt, EngineError> {
    let receipts = engine.submit(SubmissionGroup::single(submission)).await?;
    assert_eq!(receipts.len(), 1, "a group of one has one receipt");
    Ok(receipts[0])
}

fn policies() -> Arc<PolicySet> {
    let policies = POLICIES.map(|text| Policy::parse("test.toml", text).unwrap()).to_vec();
    Arc::new(PolicySet::new(policies).unwrap())
}

fn writer_keys() -> WriterKeys {
    WriterKeys { signing: SigningKey::from_bytes(&SIGNING_KEY), kek: Kek::new(KEK) }
}

fn new_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}
