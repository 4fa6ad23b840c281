//! `piperoll restore`: brings an archive back from its store, with the keys of a backup, on any machine.
//!
//! What is there is kept: it fills in keys, configuration, policies and a token where they are missing, and derives
//! local state and index from the store.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use futures::future::try_join;
use futures::{TryFutureExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use piperoll_engine::{Recovering, Settings as EngineSettings, Shelf, recover_local_state};
use piperoll_format::{ObjectName, Seq};
use piperoll_policy::Policy;
use piperoll_server::{Fetched, Origin, Progress, restore_from_snapshot};
use piperoll_store::{LockMode, MeteredStore, ObjectKey, Reading, WormStore};
use piperoll_verify::{LedgerReader, StoreKeys};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::args::{Global, RestoreArgs};
use crate::backup;
use crate::command::key::{Ask, ask_passphrase};
use crate::config::{Environment, Flags, Limits, Mode, Settings, Store as StoreSettings};
use crate::directory::{ArchiveDirectory, create_secret_directory, create_secret_file, replace_secret_file};
use crate::error::{Exit, Failure};
use crate::lock::WriterLock;
use crate::output::{BOLD, Output};
use crate::policies::CHANGED_POLICIES;
use crate::secret::LedgerSecrets;
use crate::serve::{check_keys, engine_settings};
use crate::store::{StorePlace, require_promises, the_ledger};
use crate::text::{count, counted};
use crate::token;

/// Counts of what was asked of a store.
#[derive(Serialize)]
struct Requests {
    puts: u64,
    put_bytes: u64,
    gets: u64,
    get_bytes: u64,
    heads: u64,
    lists: u64,
}

impl From<Reading> for Requests {
    fn from(reading: Reading) -> Self {
        let Reading { puts, put_bytes, gets, get_bytes, heads, lists, .. } = reading;
        Self { puts, put_bytes, gets, get_bytes, heads, lists }
    }
}

/// Where search index and projections came from.
#[derive(Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
enum IndexSource {
    /// They were there.
    Local,
    /// From a snapshot, and from the events behind it.
    Snapshot { snapshot_events: u64, taken_at: String, read_events: u64 },
    /// From the ledger alone.
    Ledger { reason: String },
}

impl IndexSource {
    fn of(origin: &Origin, events: u64) -> Self {
        match origin {
            Origin::Local => Self::Local,
            Origin::Snapshot { events: had, taken_at } => Self::Snapshot {
                snapshot_events: *had,
                taken_at: taken_at.to_string(),
                read_events: events.saturating_sub(*had),
            },
            Origin::Ledger { reason } => Self::Ledger { reason: reason.clone() },
        }
    }

    /// Says it in words.
    fn sentence(&self) -> String {
        match self {
            Self::Local => "was there".to_owned(),
            Self::Snapshot { snapshot_events, taken_at, read_events } => {
                let had = counted(*snapshot_events, "event", "events");
                format!("from the snapshot of {taken_at} with {had}, and {} read", count(*read_events))
            }
            Self::Ledger { reason } => format!("from the ledger: {reason}"),
        }
    }
}

/// What was brought back.
#[derive(Serialize)]
struct Restored {
    ledger: String,
    origin: String,
    store: String,
    events: u64,
    seconds: f64,
    /// What was asked of the store meanwhile.
    requests: Requests,
    /// Where search index and projections came from.
    index: IndexSource,
    /// A new admin token, when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

pub(crate) async fn run(global: &Global, args: &RestoreArgs, output: &Output) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let directory = ArchiveDirectory::new(global.directory());
    let named = choose_store(&directory, args)?;
    let store = StorePlace::new(&directory, &named).open_read_only()?;
    let ledger = the_ledger(&*store).await?;
    let reader = LedgerReader::open(store.clone(), ledger).await?;
    let mode = if named.is_s3() { lock_mode(&reader).await? } else { None };
    let named = StoreSettings { mode: named.mode.or(mode), ..named };
    let metered = MeteredStore::new(StorePlace::new(&directory, &named).open()?);
    let meter = metered.meter();
    let store: Arc<dyn WormStore> = Arc::new(metered);
    // While the ledger is read, which writes nothing there.
    let probed = tokio::spawn({
        let store = store.clone();
        async move { require_promises(&*store).await }
    });
    put_keys_back(&directory, args.keys.as_deref(), &reader)?;
    if named.url.is_some() && !directory.config().exists() {
        create_secret_file(&directory.config(), named.to_toml().as_bytes())?;
    }
    create_secret_directory(directory.root())?;
    fs::create_dir_all(directory.state()).context("create the directory for derived state")?;
    let _lock = WriterLock::take(&directory).await?;
    let flags = Flags { time_zone: global.tz, ..Flags::default() };
    let settings = Settings::load(&directory, flags, &Environment::of_process())?;
    let place =
        Place { directory: &directory, limits: &settings.limits, reader: &reader, store: store.clone() };
    let probed = async { probed.await.context("probe the store")? };
    let (derived, _report) = try_join(place.derive(args.no_snapshot, output), probed).await?;
    let Derived { origin, configured, events } = derived;
    put_policies_back(&directory, &reader, &configured).await?;
    let has_tokens = directory.tokens().exists();
    let token = if has_tokens { None } else { Some(token::create_first(&directory)?) };
    let requests = meter.read();
    let restored = Restored {
        ledger: ledger.to_string(),
        origin: reader.genesis().origin.clone(),
        store: store.describe().location,
        events,
        seconds: (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0,
        requests: requests.into(),
        index: IndexSource::of(&origin, events),
        token,
    };
    print(&directory, &restored, output)?;
    Ok(Exit::Success)
}

fn print(directory: &ArchiveDirectory, restored: &Restored, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(restored);
    }
    let events = counted(restored.events, "event", "events");
    output.line(format_args!("Restored {BOLD}{events}{BOLD:#} in {:.1} s", restored.seconds))?;
    output.line(format_args!("\n  ledger  {}", restored.ledger))?;
    output.line(format_args!("  origin  {}", restored.origin))?;
    output.line(format_args!("  store   {}", restored.store))?;
    output.line(format_args!("  index   {}", restored.index.sentence()))?;
    if let Some(token) = &restored.token {
        output.line(format_args!("  token   {token}"))?;
        output.note(
            "\nThe token is a new admin's and is shown this once: tokens live on the machine and not in the store.",
        );
    }
    output.note(format_args!(
        "\nSecrets of senders and other settings are not in the store: put them back into `{}`.\n\
         Then run  piperoll --dir {dir} verify  and  piperoll --dir {dir} serve",
        directory.config().display(),
        dir = directory.root().display(),
    ));
    Ok(())
}

/// Takes the store of the command line, or that of the configuration that is there.
fn choose_store(directory: &ArchiveDirectory, args: &RestoreArgs) -> anyhow::Result<StoreSettings> {
    let configured = Settings::load(directory, Flags::default(), &Environment::of_process())?.store;
    let named = StoreSettings::of_args(&args.store, None)?;
    match (named.url.is_some(), configured.url.is_some()) {
        (false, _) => Ok(configured),
        (true, false) => Ok(named),
        (true, true) if named.url == configured.url => Ok(configured),
        (true, true) => {
            let message = format!(
                "expected the store of `{}`, `{}`, found `{}`",
                directory.config().display(),
                configured.url.unwrap_or_default(),
                named.url.unwrap_or_default()
            );
            Err(Failure::new(Exit::Conflict, message).hint("leave out --store, or name another --dir").into())
        }
    }
}

/// Puts the keys of a backup in place, if they are the ledger's; without a backup they must be there.
fn put_keys_back(
    directory: &ArchiveDirectory,
    file: Option<&Path>,
    reader: &LedgerReader,
) -> anyhow::Result<()> {
    let Some(file) = file else {
        if directory.signing_key().exists() || directory.kek().exists() {
            return check_keys(reader, &LedgerSecrets::read(directory)?);
        }
        let message =
            format!("expected the keys of the ledger in `{}`, found none", directory.secrets().display());
        let hint = "name their backup with --keys FILE, as `piperoll key backup` wrote it";
        return Err(Failure::new(Exit::KeyUnknown, message).hint(hint).into());
    };
    let text = fs::read_to_string(file).with_context(|| format!("read `{}`", file.display()))?;
    let files = backup::open(&text, &ask_passphrase(Ask::Once)?)?;
    check_keys(reader, &backup::secrets(&files)?)?;
    let _restored = backup::restore(directory, &files)?;
    Ok(())
}

/// Returns the mode in which the ledger was locked when it was created.
async fn lock_mode(reader: &LedgerReader) -> anyhow::Result<Option<Mode>> {
    let key = ObjectKey::new(ObjectName::Genesis.key(reader.ledger())).expect("object names are keys");
    let head = reader.store().head(&key).await.context("read the lock of the ledger")?;
    Ok(match head.lock.mode {
        LockMode::Governance => Some(Mode::Governance),
        LockMode::Compliance => Some(Mode::Compliance),
        LockMode::None | LockMode::Recorded => None,
    })
}

/// A recorded change, as far as it matters here.
#[derive(Deserialize)]
struct Change {
    what: String,
    #[serde(default)]
    policies: Vec<String>,
}

/// Writes the policies that were in force last, unless some are there.
async fn put_policies_back(
    directory: &ArchiveDirectory,
    reader: &LedgerReader,
    configured: &[Seq],
) -> anyhow::Result<()> {
    let recorded = recorded_policies(reader, configured).await?;
    if !directory.policies().exists() {
        fs::create_dir_all(directory.policies()).context("create the directory for policies")?;
        for text in recorded.as_ref().unwrap_or(&reader.genesis().policies) {
            let policy = Policy::parse("recorded policy", text).context("read the recorded policies")?;
            let path = directory.policies().join(format!("{}.toml", policy.id()));
            fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))?;
        }
    }
    match recorded {
        // Nobody must record the change once more.
        Some(recorded) if !directory.recorded_policies().exists() => {
            replace_secret_file(&directory.recorded_policies(), &serde_json::to_vec(&recorded)?)
        }
        _ => Ok(()),
    }
}

/// Returns the policies of the newest recorded change; nothing when those of genesis are in force.
async fn recorded_policies(reader: &LedgerReader, configured: &[Seq]) -> anyhow::Result<Option<Vec<String>>> {
    for seq in configured.iter().rev() {
        let mut read = reader.stream(*seq, Seq(seq.0 + 1));
        while let Some(batch) = read.try_next().await? {
            for event in batch {
                let opened = event.payload?;
                let document = opened.payload.parts.first().map(|part| &part[..]).unwrap_or_default();
                if let Ok(change) = serde_json::from_slice::<Change>(document)
                    && change.what == CHANGED_POLICIES
                {
                    return Ok(Some(change.policies));
                }
            }
        }
    }
    Ok(None)
}

/// Where an archive is brought back.
struct Place<'a> {
    directory: &'a ArchiveDirectory,
    limits: &'a Limits,
    reader: &'a LedgerReader,
    store: Arc<dyn WormStore>,
}

/// What was made from a store.
struct Derived {
    /// Where index and projections come from.
    origin: Origin,
    /// The events that changed the configuration.
    configured: Vec<Seq>,
    events: u64,
}

/// How far everything is.
struct Told {
    recovering: watch::Receiver<Recovering>,
    fetching: watch::Receiver<Fetched>,
    indexing: watch::Receiver<Progress>,
}

impl Place<'_> {
    /// Fetches a snapshot, unless none is to be used, and brings local state, index and projections to the end of the
    /// ledger, at the same time.
    async fn derive(&self, ignores_snapshot: bool, output: &Output) -> anyhow::Result<Derived> {
        let keys = LedgerSecrets::read(self.directory)?.writer_keys();
        let (recovering, fetching) = (watch::Sender::default(), watch::Sender::default());
        let indexing = watch::Sender::default();
        let told = Told {
            recovering: recovering.subscribe(),
            fetching: fetching.subscribe(),
            indexing: indexing.subscribe(),
        };
        let settings = EngineSettings { recovering, ..engine_settings(self.limits) };
        let (store, ledger) = (self.store.clone(), self.reader.ledger());
        let (state, index) = (self.directory.state(), self.directory.index());
        let places = || (state.clone(), index.clone());
        let work = async {
            let origin = if ignores_snapshot {
                Origin::Ledger { reason: "no snapshot was to be used".to_owned() }
            } else {
                let shelf = Shelf::new(store.clone(), ledger, &keys.kek);
                restore_from_snapshot(&shelf, self.reader, places(), &fetching).await
            };
            let opener = Arc::new(StoreKeys::new(store.clone(), ledger, keys.kek.clone()));
            let reader = LedgerReader::open(store.clone(), ledger).await?.with_keys(opener);
            let state = recover_local_state(store, ledger, &keys, &state, &settings);
            let index = piperoll_server::derive(reader, places(), &indexing);
            let (configured, events) =
                try_join(state.map_err(anyhow::Error::new), index.map_err(anyhow::Error::new)).await?;
            anyhow::Ok(Derived { origin, configured, events })
        };
        let bar = output.progress("Replaying", 0);
        let done = tokio::select! {
            done = work => done,
            never = show(told, &bar) => match never {},
        };
        bar.finish_and_clear();
        done
    }
}

/// Shows how far everything is, until somebody has had enough.
async fn show(mut told: Told, bar: &ProgressBar) -> Infallible {
    loop {
        let is_told = tokio::select! {
            told = told.fetching.changed() => told,
            told = told.recovering.changed() => told,
            told = told.indexing.changed() => told,
        };
        if is_told.is_err() {
            return std::future::pending().await;
        }
        let Recovering { done, total } = *told.recovering.borrow_and_update();
        let Fetched { done: bytes, total: of } = *told.fetching.borrow_and_update();
        let Progress { covered, projected, size, .. } = *told.indexing.borrow_and_update();
        let (what, done, total) = match (size > 0, of > 0) {
            // Either moves only when it commits.
            (true, _) => ("Indexing", (covered.min(size) + projected.min(size)) / 2, size),
            (false, true) => ("Fetching", bytes, of),
            (false, false) => ("Replaying", done, total),
        };
        bar.set_prefix(what);
        bar.set_length(total);
        bar.set_position(done);
    }
}
