//! Everything of one ledger that a running process needs.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use chrono_tz::Tz;
use piperoll_engine::{Components, Engine, EngineError, Settings, Shelf};
use piperoll_format::{LedgerId, Seq, Submission, SubmissionGroup, Timestamp};
use piperoll_index::{IndexError, Options, SearchIndex};
use piperoll_projections::{ProjectionError, Projections};
use piperoll_sources::whatsapp::AppSecret;
use piperoll_verify::{LedgerReader, ReadError, StoreKeys};
use tokio::sync::{Mutex, watch};

use crate::coverage::CoverageDesk;
use crate::follow::{Follower, OpenError, Progress};
use crate::indexing::Upkeep;
use crate::metrics::Metrics;
use crate::place::Place;
use crate::platform::PlatformTasks;
use crate::proxy::{Gaps, Proxy};
use crate::replica::Keeping;
use crate::senders::{SenderDesk, Senders};
use crate::snapshot::{self, Fetched, Origin, SnapshotSettings, Snapshots};
use crate::tokens::{TokenError, TokenStore};
use crate::watch::Watch;
use crate::wire::StoreView;

/// What an archive is made of; the composition root passes it in ready.
#[derive(Debug)]
pub struct Parts {
    /// What the writer works with: store, ledger, keys, policies, clock, local state.
    pub components: Components,
    /// Limits of the writer.
    pub settings: Settings,
    /// Where the search index is.
    pub index_dir: PathBuf,
    /// How the search index is opened.
    pub index: Options,
    /// Is told how far a snapshot is fetched.
    pub fetching: watch::Sender<Fetched>,
    /// The file of access tokens.
    pub tokens: PathBuf,
    /// What WhatsApp's webhooks are checked with.
    pub whatsapp: Whatsapp,
    /// What the webhooks of other providers are checked with.
    pub senders: Senders,
    /// The proxy to the send endpoints, if there is one.
    pub proxy: Option<Proxy>,
    /// The time zone of days in queries that name none.
    pub time_zone: Tz,
}

/// What WhatsApp's webhooks are checked with.
#[derive(Clone, Debug, Default)]
pub struct Whatsapp {
    /// Secrets of the Meta app; several while one replaces another.
    pub app_secrets: Vec<AppSecret>,
    /// Tokens that the handshake of a callback address may have.
    pub verify_tokens: Vec<String>,
}

/// Why an archive could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The writer could not start.
    #[error("the ledger cannot be opened for writing")]
    Engine(#[from] EngineError),
    /// The ledger could not be read.
    #[error("the ledger cannot be read")]
    Read(#[from] ReadError),
    /// The search index could not be opened or built anew.
    #[error("the search index cannot be opened")]
    Index(#[from] IndexError),
    /// The projections could not be opened or made anew.
    #[error("the projections cannot be opened")]
    Projections(#[from] ProjectionError),
    /// The token file could not be read.
    #[error("the access tokens cannot be read")]
    Tokens(#[from] TokenError),
}

impl From<OpenError> for ArchiveError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Index(error) => Self::Index(error),
            OpenError::Projections(error) => Self::Projections(error),
        }
    }
}

/// Tells the time.
pub(crate) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One ledger, open: it captures, searches, proves, exports and disposes.
///
/// Every read of content is committed to the ledger before it is answered.
pub struct Archive {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: LedgerReader,
    pub(crate) follower: Follower,
    pub(crate) snapshots: Snapshots,
    origin: Origin,
    pub(crate) coverage: CoverageDesk,
    pub(crate) whatsapp: Whatsapp,
    pub(crate) senders: SenderDesk,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) gaps: Gaps,
    /// Where local state is.
    pub(crate) state_dir: PathBuf,
    /// Media fetcher and poller, where they run.
    pub(crate) platform: OnceLock<PlatformTasks>,
    pub(crate) time_zone: Tz,
    pub(crate) metrics: Metrics,
    pub(crate) store: StoreView,
    /// Held while a verification runs: it takes all processors.
    pub(crate) verifying: Mutex<()>,
    /// Replica and passes over all objects.
    pub(crate) keeping: OnceLock<Keeping>,
    /// How signals of consent are read.
    pub(crate) consent_rules: OnceLock<piperoll_projections::ConsentRules>,
    tokens: TokenStore,
    watch: Watch,
    pub(crate) now: Now,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("ledger", &self.ledger()).finish_non_exhaustive()
    }
}

impl Archive {
    /// Opens a ledger: starts its writer, opens its index and lets the index follow.
    ///
    /// Must be called inside a tokio runtime, which must outlive the archive. Call [`Self::close`] at the end.
    ///
    /// # Errors
    /// [`ArchiveError`]; a broken index is none, it is built anew.
    pub async fn open(parts: Parts) -> Result<Self, ArchiveError> {
        let components = parts.components;
        let (store, ledger) = (components.store.clone(), components.ledger);
        let kek = components.keys.kek.clone();
        let shelf = Shelf::new(store.clone(), ledger, &kek);
        let described = store.describe();
        let clock = components.clock.clone();
        let state_dir = components.state_dir.clone();
        let tokens = TokenStore::open(&parts.tokens)?;
        let reader = LedgerReader::open(store, ledger).await?;
        let place = Place::new(state_dir.clone(), parts.index_dir, parts.index);
        let now: Now = Arc::new(move || Timestamp(clock.now_micros()));
        let staging = place.staging();
        snapshot::discard(staging.clone()).await;
        let origin = snapshot::restore(&shelf, &reader, &place, &parts.fetching).await;
        let engine = Arc::new(Engine::open(components, parts.settings).await?);
        // What people are shown comes from the store; what is derived, and keys, may come from memory.
        let recent = engine.recent_store();
        let reader = reader.with_keys(Arc::new(StoreKeys::new(recent.clone(), ledger, kek)));
        let snapshots = Snapshots::new(shelf, (reader.clone(), engine.local_state()), staging, now.clone());
        let following = reader.through(recent);
        let kept = Some(snapshots.clone());
        let follower = Follower::start(place, following, engine.head(), kept, Upkeep::Now).await?;
        let watch = Watch::start(engine.clone());
        let gaps = Gaps::open(&state_dir);
        let archive = Self {
            engine,
            reader,
            follower,
            snapshots,
            origin,
            coverage: CoverageDesk::default(),
            whatsapp: parts.whatsapp,
            senders: SenderDesk::new(parts.senders),
            proxy: parts.proxy,
            gaps,
            time_zone: parts.time_zone,
            state_dir,
            platform: OnceLock::new(),
            metrics: Metrics::default(),
            store: StoreView {
                name: described.name,
                location: described.location,
                enforcement: described.enforcement.to_string(),
                statement: described.statement,
            },
            verifying: Mutex::new(()),
            keeping: OnceLock::new(),
            consent_rules: OnceLock::new(),
            tokens,
            watch,
            now,
        };
        if let Err(error) = archive.record_gaps().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a gap cannot be recorded yet");
        }
        Ok(archive)
    }

    /// Lets snapshots of index and projections be taken from now on. A second call is ignored.
    pub fn keep_snapshots(&self, settings: SnapshotSettings) {
        self.snapshots.keep(settings);
    }

    /// Tells where index and projections came from when the archive was opened.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Stops in order: commits what waits, publishes it, and lets the index finish what it has begun.
    pub async fn close(&self) {
        self.stop_heartbeat().await;
        self.watch.close().await;
        if let Some(platform) = self.platform.get() {
            platform.close().await;
        }
        self.engine.close().await;
        if let Some(keeping) = self.keeping.get() {
            keeping.close().await;
        }
        self.follower.close().await;
    }

    /// Returns the ledger's identity.
    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.engine.ledger()
    }

    /// Returns the writer.
    #[must_use]
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the reader, with the ledger's keys.
    #[must_use]
    pub const fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// Returns the search index as it is now; a rebuild replaces it.
    #[must_use]
    pub fn index(&self) -> SearchIndex {
        self.follower.index()
    }

    /// Returns the folded state as it is now; a rebuild replaces it.
    #[must_use]
    pub fn projections(&self) -> Projections {
        self.follower.projections()
    }

    /// Returns the access tokens.
    #[must_use]
    pub const fn tokens(&self) -> &TokenStore {
        &self.tokens
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Tells how far index and projections are, now and whenever that changes.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.follower.progress()
    }

    /// Waits until an event is searchable; returns at once when the follower has stopped.
    pub async fn searchable(&self, seq: Seq) {
        let mut progress = self.follower.progress();
        // An error means that the follower has gone, so nothing will change any more.
        drop(progress.wait_for(|progress| progress.covered > seq.0).await);
    }

    /// Waits until an event is in the projections; returns at once when the follower has stopped.
    pub async fn projected(&self, seq: Seq) {
        let mut progress = self.follower.progress();
        drop(progress.wait_for(|progress| progress.projected > seq.0).await);
    }

    /// Waits until everything that is committed now is searchable and in the projections, as a command on the machine
    /// itself wants it.
    pub async fn catch_up(&self) {
        let size = self.engine.head().borrow().size;
        if let Some(last) = size.checked_sub(1) {
            self.searchable(Seq(last)).await;
            self.projected(Seq(last)).await;
        }
    }

    /// Deletes search index and projections and makes them again from the ledger; [`Self::progress`] tells how far it is.
    pub async fn rebuild_index(&self) {
        self.follower.rebuild().await;
    }

    /// Commits one event of the archive's own.
    pub(crate) async fn record(&self, submission: Submission) -> Result<Seq, EngineError> {
        let receipts = self.engine.submit(SubmissionGroup::single(submission)).await?;
        Ok(receipts.first().expect("a group of one has one receipt").seq)
    }
}
