//! The composition root: from a directory and settings to a running archive.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use piperoll_engine::{Components, Recovering, Settings as EngineSettings, SystemEntropy};
use piperoll_graph::{Secret as Token, TokenSource};
use piperoll_index::Options;
use piperoll_server::{Archive, Fetched, Parts, Progress, Whatsapp};
use piperoll_sources::whatsapp::AppSecret;
use piperoll_store::{Enforcement, Meter, MeteredStore, ProbeCheck, Reading, SystemClock, WormStore};
use piperoll_verify::LedgerReader;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::args::Global;
use crate::config::{Environment, Flags, Limits, Settings, WhatsApp};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};
use crate::lock::{Announced, Running, WriterLock};
use crate::replica::{self, Loss};
use crate::secret::LedgerSecrets;
use crate::store::{StorePlace, require_promises, the_ledger};
use crate::{policies, token};

/// The pause between two lines of the log about long work.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// How an archive is opened.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// Is told how far local state is while it is made again.
    pub(crate) recovering: watch::Sender<Recovering>,
    /// Is told how far a snapshot is fetched.
    pub(crate) fetching: watch::Sender<Fetched>,
}

/// An archive that this process writes to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) archive: Arc<Archive>,
    directory: ArchiveDirectory,
    meter: Arc<Meter>,
    local_token: String,
    // Last, so that the lock is given back when all else is closed.
    _lock: WriterLock,
}

impl Opened {
    /// Opens an archive for writing.
    pub(crate) async fn open(directory: &ArchiveDirectory, settings: &Settings) -> anyhow::Result<Self> {
        let lock = WriterLock::take(directory).await?;
        let store = StorePlace::new(directory, &settings.store).open()?;
        let opened = Self::with(directory, settings, (lock, store.clone()), Opening::default()).await?;
        opened.archive.look_after(replica::care(directory, settings, (store, opened.archive.ledger())));
        Ok(opened)
    }

    async fn with(
        directory: &ArchiveDirectory,
        settings: &Settings,
        (lock, store): (WriterLock, Arc<dyn WormStore>),
        Opening { recovering, fetching }: Opening,
    ) -> anyhow::Result<Self> {
        let metered = MeteredStore::new(store);
        let meter = metered.meter();
        let store: Arc<dyn WormStore> = Arc::new(metered);
        let ledger = the_ledger(&*store).await?;
        let secrets = LedgerSecrets::read(directory)?;
        check_keys(&LedgerReader::open(store.clone(), ledger).await?, &secrets)?;
        let parts = Parts {
            components: Components {
                store: store.clone(),
                ledger,
                clock: Arc::new(SystemClock),
                entropy: Box::new(SystemEntropy),
                keys: secrets.writer_keys(),
                policies: Arc::new(directory.policy_set()?),
                state_dir: directory.state(),
            },
            settings: EngineSettings {
                recovering,
                confirms_clock: settings.confirms_clock,
                ..engine_settings(&settings.limits)
            },
            index_dir: directory.index(),
            index: Options::default(),
            fetching,
            tokens: directory.tokens(),
            whatsapp: whatsapp(&settings.whatsapp),
            senders: settings.senders.checks(),
            proxy: settings.proxy.build()?,
            time_zone: settings.time_zone,
        };
        std::fs::create_dir_all(directory.state()).context("create the directory for derived state")?;
        let archive = Arc::new(Archive::open(parts).await.with_context(|| cannot_open(directory))?);
        archive.set_coverage(settings.coverage.settings());
        archive.use_consent_rules(settings.consent.rules());
        policies::record_change(directory, archive.engine()).await?;
        let local_token = token::local(directory, archive.tokens())?;
        Ok(Self { archive, directory: directory.clone(), meter, local_token, _lock: lock })
    }

    /// Opens an archive for one command, with everything searchable.
    pub(crate) async fn for_command(directory: &ArchiveDirectory, global: &Global) -> anyhow::Result<Self> {
        let flags = Flags { time_zone: global.tz, ..Flags::default() };
        let settings = Settings::load(directory, flags, &Environment::of_process())?;
        let opened = Self::open(directory, &settings).await?;
        opened.archive.catch_up().await;
        Ok(opened)
    }

    pub(crate) fn router(&self) -> Router {
        piperoll_server::router(self.archive.clone())
    }

    pub(crate) fn local_token(&self) -> &str {
        &self.local_token
    }

    /// Returns what was asked of the store so far.
    pub(crate) fn requests(&self) -> Reading {
        self.meter.read()
    }

    /// Closes in order: what waits is committed.
    pub(crate) async fn close(self) {
        self.archive.close().await;
        let Reading { puts, put_bytes, gets, get_bytes, heads, lists, others } = self.requests();
        tracing::info!(puts, put_bytes, gets, get_bytes, heads, lists, others, "store requests");
    }
}

/// Probes the store and says what it is; a store that breaks a promise is not served.
async fn probe(store: &dyn WormStore) -> anyhow::Result<()> {
    let description = store.describe();
    let report = require_promises(store).await?;
    for ProbeCheck { name, outcome, detail } in &report.checks {
        tracing::debug!(check = name, %outcome, "store probe: {detail}");
    }
    tracing::info!(store = description.name, checks = report.checks.len(), "store probe passed");
    match description.enforcement {
        Enforcement::Prevents => {
            tracing::info!(enforcement = %description.enforcement, "{}", description.statement);
        }
        Enforcement::Detects => {
            tracing::warn!(enforcement = %description.enforcement, "{}", description.statement);
        }
    }
    Ok(())
}

/// Which store is served.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The archive's own.
    Store,
    /// The second copy, alone: the ledger goes on there.
    Replica {
        /// Whether it may lack events that this machine knows of.
        accepts_loss: bool,
    },
}

impl Source {
    /// Refuses a replica that lacks something.
    async fn check(
        self,
        directory: &ArchiveDirectory,
        store: &Arc<dyn WormStore>,
    ) -> anyhow::Result<Option<Loss>> {
        match self {
            Self::Store => Ok(None),
            Self::Replica { accepts_loss } => {
                let ledger = the_ledger(&**store).await?;
                replica::check_promotion(directory, store, ledger, accepts_loss).await
            }
        }
    }

    /// Begins to look after the stores, or records that the replica is served.
    async fn settle(
        self,
        directory: &ArchiveDirectory,
        settings: &Settings,
        opened: &Opened,
        (store, loss): (Arc<dyn WormStore>, Option<Loss>),
    ) -> anyhow::Result<()> {
        let archive = &opened.archive;
        let location = store.describe().location;
        let is_bucket = store.describe().enforcement == Enforcement::Prevents;
        let care = match self {
            Self::Store => replica::care(directory, settings, (store, archive.ledger())),
            Self::Replica { .. } => {
                tracing::warn!(
                    location,
                    "serving from the replica alone; make it the store in piperoll.toml"
                );
                replica::record_promotion(archive.engine(), &location, loss.as_ref()).await?;
                replica::care_alone(directory, settings, (store, archive.ledger()))
            }
        };
        archive.look_after(care);
        archive.keep();
        if let Some(snapshots) = settings.snapshot.settings(is_bucket) {
            archive.keep_snapshots(snapshots);
        }
        let place = directory.clone();
        let tokens = TokenSource::new(move || {
            let settings = Settings::load(&place, Flags::default(), &Environment::of_process());
            Some(Token::new(settings.ok()?.graph.token?.expose()))
        });
        archive.run_platform(settings.graph.platform(&settings.media, Some(tokens))?);
        Ok(())
    }
}

/// A server that accepts connections.
#[derive(Debug)]
pub(crate) struct Serving {
    opened: Opened,
    listener: TcpListener,
    announced: Announced,
    address: SocketAddr,
}

impl Serving {
    /// Opens the archive, listens, and leaves a note for other commands.
    pub(crate) async fn start(
        directory: &ArchiveDirectory,
        settings: &Settings,
        source: Source,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
            let failure = Failure::new(Exit::Failed, format!("cannot listen on `{}`", settings.listen));
            anyhow::Error::new(error).context(failure.hint("choose another address with --listen"))
        })?;
        let address = listener.local_addr().context("read the address of the listener")?;
        let lock = WriterLock::take(directory).await?;
        let store = match source {
            Source::Store => StorePlace::new(directory, &settings.store).open()?,
            Source::Replica { .. } => replica::required_place(directory, settings)?.open()?,
        };
        probe(&*store).await?;
        let loss = source.check(directory, &store).await?;
        let opening = Opening::default();
        let (recovering, fetching) = (opening.recovering.subscribe(), opening.fetching.subscribe());
        let logging = tokio::spawn(log_recovery(recovering, fetching));
        let opened = Opened::with(directory, settings, (lock, store.clone()), opening).await;
        logging.abort();
        let opened = opened?;
        source.settle(directory, settings, &opened, (store, loss)).await?;
        drop(tokio::spawn(log_catching_up(opened.archive.progress())));
        let running = Running { url: format!("http://{address}"), pid: std::process::id() };
        let announced = running.announce(&opened.directory)?;
        Ok(Self { opened, listener, announced, address })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn local_token(&self) -> &str {
        self.opened.local_token()
    }

    /// Serves until `shutdown` is done, then closes in order.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let served = piperoll_server::run(self.listener, self.opened.archive.clone(), shutdown).await;
        drop(self.announced);
        self.opened.close().await;
        served.context("serve")
    }
}

/// Says now and then how far local state is while it is made again from the store.
async fn log_recovery(recovering: watch::Receiver<Recovering>, fetching: watch::Receiver<Fetched>) {
    loop {
        tokio::time::sleep(LOG_EVERY).await;
        let Recovering { done, total } = *recovering.borrow();
        if done < total {
            tracing::info!(segments = done, of = total, "making local state again from the store");
        }
        let Fetched { done, total } = *fetching.borrow();
        if done < total {
            tracing::info!(bytes = done, of = total, "fetching a snapshot of index and projections");
        }
    }
}

/// Says now and then how far the index is, until it has caught up for the first time.
async fn log_catching_up(progress: watch::Receiver<Progress>) {
    loop {
        let now = *progress.borrow();
        if now.covered.min(now.projected) >= now.size || progress.has_changed().is_err() {
            return;
        }
        tokio::time::sleep(LOG_EVERY).await;
        let Progress { covered, size, .. } = *progress.borrow();
        if covered < size {
            tracing::info!(events = covered, of = size, "building the index from the store");
        }
    }
}

/// Begins to listen for the signals that end a server, and returns what waits for one.
pub(crate) fn interrupted() -> anyhow::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Refuses keys of another ledger before anything is done with them.
pub(crate) fn check_keys(reader: &LedgerReader, secrets: &LedgerSecrets) -> anyhow::Result<()> {
    let genesis = reader.genesis();
    let wrong = match () {
        () if genesis.public_key != secrets.signing.verifying_key().to_bytes() => "signing key",
        () if genesis.kek != secrets.kek.id() => "key-encryption key",
        () => return Ok(()),
    };
    let message = format!("expected the {wrong} of ledger `{}`, found another", genesis.ledger);
    Err(Failure::new(Exit::KeyUnknown, message).hint("put the keys of this ledger back in `secrets/`").into())
}

fn cannot_open(directory: &ArchiveDirectory) -> Failure {
    Failure::new(Exit::Failed, format!("archive in `{}` cannot be opened", directory.root().display()))
        .hint("run `piperoll doctor` and `piperoll verify`")
}

pub(crate) fn engine_settings(limits: &Limits) -> EngineSettings {
    let mut settings = EngineSettings::default();
    let set = |place: &mut usize, limit: Option<usize>| *place = limit.unwrap_or(*place);
    set(&mut settings.pool_events_max, limits.waiting_events_max);
    set(&mut settings.pool_bytes_max, limits.waiting_bytes_max);
    set(&mut settings.commit_events_max, limits.commit_events_max);
    set(&mut settings.commit_bytes_max, limits.commit_bytes_max);
    settings.linger = limits.commit_wait_us.map_or(settings.linger, Duration::from_micros);
    settings
}

fn whatsapp(settings: &WhatsApp) -> Whatsapp {
    Whatsapp {
        app_secrets: settings.app_secrets.iter().map(|secret| AppSecret::new(secret.expose())).collect(),
        verify_tokens: settings.verify_token.iter().map(|token| token.expose().to_owned()).collect(),
    }
}
