//! From the settings of a store to the store itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use piperoll_format::LedgerId;
use piperoll_store::{
    DirectoryStore, ProbeCheck, ProbeOutcome, ProbeReport, S3Credentials, S3Mode, S3Options, S3Store,
    SystemClock, WormStore,
};
use piperoll_verify::find_ledgers;

use crate::config::{Environment, Flags, Mode, RecordsManager, Settings, Store as StoreSettings};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};
use crate::text::fit;

/// Where the objects of an archive are.
#[derive(Clone, Debug)]
pub(crate) enum StorePlace {
    /// A directory on this machine.
    Directory(PathBuf),
    /// A bucket of an S3 service.
    S3(Box<StoreSettings>),
}

impl StorePlace {
    /// Takes the place that the configuration of an archive names.
    pub(crate) fn of(directory: &ArchiveDirectory) -> anyhow::Result<Self> {
        let settings = Settings::load(directory, Flags::default(), &Environment::of_process())?;
        Ok(Self::new(directory, &settings.store))
    }

    /// Takes the place that settings name.
    pub(crate) fn new(directory: &ArchiveDirectory, settings: &StoreSettings) -> Self {
        match &settings.url {
            Some(_) if settings.is_s3() => Self::S3(Box::new(settings.clone())),
            Some(path) => Self::Directory(directory.root().join(path)),
            None => Self::Directory(directory.store()),
        }
    }

    /// Returns where it is, for messages.
    pub(crate) fn location(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::S3(settings) => settings.url.clone().unwrap_or_default(),
        }
    }

    /// Returns the options that name it on the command line.
    pub(crate) fn options(&self) -> String {
        let endpoint = match self {
            Self::S3(settings) => settings.endpoint.as_ref(),
            Self::Directory(_) => None,
        };
        let endpoint = endpoint.map_or_else(String::new, |endpoint| format!(" --endpoint {endpoint}"));
        format!("--store {}{endpoint}", self.location())
    }

    /// Returns the directory whose disk fills up, if the store is one.
    pub(crate) fn local(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::S3(_) => None,
        }
    }

    /// Makes a new store; a bucket exists before.
    pub(crate) fn init(&self) -> anyhow::Result<Arc<dyn WormStore>> {
        match self {
            Self::Directory(path) => {
                let store = DirectoryStore::init(path, Arc::new(SystemClock)).context("create the store")?;
                Ok(Arc::new(store))
            }
            Self::S3(_) => self.open(),
        }
    }

    /// Opens the store for reading and writing.
    pub(crate) fn open(&self) -> anyhow::Result<Arc<dyn WormStore>> {
        match self {
            Self::Directory(path) => {
                let store = DirectoryStore::open(path, Arc::new(SystemClock));
                Ok(Arc::new(store.with_context(|| format!("store `{}` cannot be opened", self.location()))?))
            }
            Self::S3(settings) => connect(settings),
        }
    }

    /// Opens the store for reading only, beside whoever writes.
    pub(crate) fn open_read_only(&self) -> anyhow::Result<Arc<dyn WormStore>> {
        match self {
            Self::Directory(path) => {
                let store = DirectoryStore::open_read_only(path, Arc::new(SystemClock));
                Ok(Arc::new(store.with_context(|| format!("store `{}` cannot be read", self.location()))?))
            }
            Self::S3(settings) => {
                // Who only reads has no use for the right to delete.
                connect(&StoreSettings { records_manager: None, ..(**settings).clone() })
            }
        }
    }
}

/// Returns the one ledger in a store.
pub(crate) async fn the_ledger(store: &dyn WormStore) -> anyhow::Result<LedgerId> {
    let ledgers = find_ledgers(store).await?;
    let location = store.describe().location;
    match ledgers.as_slice() {
        [ledger] => Ok(*ledger),
        [] => {
            let message = format!("expected a ledger in `{location}`, found none");
            let hint =
                "a creation that was interrupted left this; remove the directory and run `piperoll init`";
            Err(Failure::new(Exit::NotFound, message).hint(hint).into())
        }
        _ => {
            let message = format!("expected one ledger in `{location}`, found {}", ledgers.len());
            Err(Failure::new(Exit::Conflict, message).into())
        }
    }
}

/// Probes a store, and refuses one that breaks a promise, with everything that it breaks.
pub(crate) async fn require_promises(store: &dyn WormStore) -> anyhow::Result<ProbeReport> {
    let report = store.probe().await;
    let failed = report.checks.iter().filter(|check| check.outcome == ProbeOutcome::Failed);
    let failed: Vec<String> = failed.map(said).collect();
    if failed.is_empty() {
        return Ok(report);
    }
    let location = store.describe().location;
    let message = format!("store `{location}` does not keep its promises: {}", failed.join("; "));
    let hint = "do not archive to this storage; `piperoll doctor` shows every check of an archive's store";
    Err(Failure::new(Exit::Failed, message).hint(hint).into())
}

/// Says in one line what a check found: what a service answers can be long.
pub(crate) fn said(check: &ProbeCheck) -> String {
    const COLUMNS_MAX: usize = 200;
    fit(&format!("{}: {}", check.name, check.detail), COLUMNS_MAX)
}

/// Connects to a bucket. Nothing is sent yet.
fn connect(settings: &StoreSettings) -> anyhow::Result<Arc<dyn WormStore>> {
    let url = settings.url.as_deref().unwrap_or_default();
    let unusable = || Failure::new(Exit::Usage, format!("store `{url}` cannot be used"));
    let mode = match settings.mode {
        Some(Mode::Governance) => S3Mode::Governance,
        Some(Mode::Compliance) | None => S3Mode::Compliance,
    };
    let credentials = settings.profile.clone().map_or(S3Credentials::Environment, S3Credentials::Profile);
    let location = url.parse().with_context(unusable)?;
    let options = S3Options {
        endpoint: settings.endpoint.clone(),
        region: settings.region.clone(),
        records_manager: settings.records_manager().and_then(credentials_of),
        ..S3Options::new(location, mode, credentials)
    };
    Ok(Arc::new(S3Store::connect(options, Arc::new(SystemClock)).with_context(unusable)?))
}

fn credentials_of(manager: &RecordsManager) -> Option<S3Credentials> {
    if let Some(profile) = &manager.profile {
        return Some(S3Credentials::Profile(profile.clone()));
    }
    Some(S3Credentials::Static {
        access_key_id: manager.access_key_id.clone()?,
        secret_access_key: manager.secret_access_key.as_ref()?.expose().to_owned(),
        session_token: manager.session_token.as_ref().map(|token| token.expose().to_owned()),
    })
}
