//! The composition root: from a directory and settings to a running archive.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use piperoll_engine::{Components, Settings as EngineSettings, SystemEntropy};
use piperoll_index::Options;
use piperoll_server::{Archive, Parts, Whatsapp};
use piperoll_sources::whatsapp::AppSecret;
use piperoll_store::{DirectoryStore, ProbeOutcome, SystemClock, WormStore as _};
use piperoll_verify::LedgerReader;
use tokio::net::TcpListener;

use crate::args::Global;
use crate::config::{Environment, Flags, Limits, Settings, WhatsApp};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};
use crate::lock::{Announced, Running, WriterLock};
use crate::secret::LedgerSecrets;
use crate::{policies, token};

/// An archive that this process writes to.
#[derive(Debug)]
pub(crate) struct Opened {
    archive: Arc<Archive>,
    directory: ArchiveDirectory,
    store: Arc<DirectoryStore>,
    local_token: String,
    // Last, so that the lock is given back when all else is closed.
    _lock: WriterLock,
}

impl Opened {
    /// Opens an archive for writing.
    pub(crate) async fn open(directory: &ArchiveDirectory, settings: &Settings) -> anyhow::Result<Self> {
        let lock = WriterLock::take(directory).await?;
        let store = directory.open_store()?;
        let ledger = directory.ledger(&store).await?;
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
            settings: engine_settings(&settings.limits),
            index_dir: directory.index(),
            index: Options::default(),
            tokens: directory.tokens(),
            whatsapp: whatsapp(&settings.whatsapp),
            time_zone: settings.time_zone,
        };
        std::fs::create_dir_all(directory.state()).context("create the directory for derived state")?;
        let archive = Arc::new(Archive::open(parts).await.with_context(|| cannot_open(directory))?);
        policies::record_change(directory, archive.engine()).await?;
        let local_token = token::local(directory, archive.tokens())?;
        Ok(Self { archive, directory: directory.clone(), store, local_token, _lock: lock })
    }

    /// Opens an archive for one command, with everything searchable.
    pub(crate) async fn for_command(directory: &ArchiveDirectory, global: &Global) -> anyhow::Result<Self> {
        let flags = Flags { time_zone: global.tz, ..Flags::default() };
        let settings = Settings::load(directory, flags, &Environment::of_process())?;
        let opened = Self::open(directory, &settings).await?;
        opened.archive.catch_up().await;
        Ok(opened)
    }

    #[cfg(test)]
    pub(crate) const fn archive(&self) -> &Arc<Archive> {
        &self.archive
    }

    pub(crate) fn router(&self) -> Router {
        piperoll_server::router(self.archive.clone())
    }

    pub(crate) fn local_token(&self) -> &str {
        &self.local_token
    }

    /// Closes in order: what waits is committed.
    pub(crate) async fn close(self) {
        self.archive.close().await;
    }

    /// Probes the store and says what it is; a store that breaks a promise is not served.
    async fn probe(&self) -> anyhow::Result<()> {
        let description = self.store.describe();
        let report = self.store.probe().await;
        for check in &report.checks {
            match check.outcome {
                ProbeOutcome::Failed => tracing::error!(check = check.name, "store probe: {}", check.detail),
                _ => {
                    let (name, outcome) = (check.name, check.outcome);
                    tracing::debug!(check = name, %outcome, "store probe: {}", check.detail);
                }
            }
        }
        if !report.is_passed() {
            let message = format!("store `{}` does not keep its promises", description.location);
            return Err(Failure::new(Exit::Failed, message).hint("run `piperoll doctor`").into());
        }
        tracing::info!(store = description.name, checks = report.checks.len(), "store probe passed");
        tracing::warn!(enforcement = %description.enforcement, "{}", description.statement);
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
    pub(crate) async fn start(directory: &ArchiveDirectory, settings: &Settings) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
            let failure = Failure::new(Exit::Failed, format!("cannot listen on `{}`", settings.listen));
            anyhow::Error::new(error).context(failure.hint("choose another address with --listen"))
        })?;
        let address = listener.local_addr().context("read the address of the listener")?;
        let opened = Opened::open(directory, settings).await?;
        opened.probe().await?;
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

/// Waits for the signal that ends a server.
pub(crate) async fn interrupted() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Refuses keys of another ledger before anything is done with them.
fn check_keys(reader: &LedgerReader, secrets: &LedgerSecrets) -> anyhow::Result<()> {
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

fn engine_settings(limits: &Limits) -> EngineSettings {
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
