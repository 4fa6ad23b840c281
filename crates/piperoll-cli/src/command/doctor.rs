//! `piperoll doctor`: looks at everything around an archive and says what to do.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{Cell, Color};
use piperoll_engine::Shelf;
use piperoll_format::{ObjectName, Timestamp};
use piperoll_index::{Options, SearchIndex};
use piperoll_store::{
    Clock as _, Enforcement, ObjectKey, ProbeOutcome, ProbeReport, StoreDescription, SystemClock, WormStore,
};
use piperoll_verify::LedgerReader;
use serde::Serialize;
use serde_json::Value;

use crate::args::Global;
use crate::command;
use crate::command::key::BackupMarker;
use crate::config::{Environment, Flags, Settings};
use crate::directory::{ArchiveDirectory, SECRET_FILE_MODE};
use crate::error::{Exit, one_line};
use crate::lock::{Running, WriterLock};
use crate::output::{BOLD, GREEN, Output, RED, YELLOW, object};
use crate::replica;
use crate::secret::read_kek;
use crate::store::{StorePlace, said, the_ledger};
use crate::text::{bytes, count, fit};

/// Below this, the next month of traffic may not fit.
const FREE_BYTES_MIN: u64 = 2 * 1024 * 1024 * 1024;

/// So many events behind is no sign of trouble: each command leaves its own record, and the next one catches up.
const LAG_MAX: u64 = 1_000;

/// What a check found is cut to so much in the table; the JSON has all of it.
const FOUND_COLUMNS_MAX: usize = 240;

/// A verification that is older than this should be made again.
const VERIFIED_WITHIN: Duration = Duration::from_secs(31 * 24 * 3_600);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
struct Line {
    state: State,
    what: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Line {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { state: State::Ok, what, found: found.into(), todo: None }
    }

    fn warn(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { state: State::Warn, what, found: found.into(), todo: Some(todo.into()) }
    }

    fn fail(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { state: State::Fail, what, found: found.into(), todo: Some(todo.into()) }
    }
}

/// The report as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    checks: &'a [Line],
    /// What the store says of itself, and every check of its probe; nothing when it cannot be opened.
    store: Option<Value>,
}

pub(crate) async fn run(global: &Global, output: &Output) -> anyhow::Result<Exit> {
    let directory = ArchiveDirectory::existing(global.directory())?;
    let mut lines = vec![server(&directory)];
    let mut probed = None;
    let place = StorePlace::of(&directory);
    match place.as_ref().map(|place| (place, place.open())) {
        Ok((place, Ok(store))) => {
            let (description, report) = (store.describe(), store.probe().await);
            lines.extend(judge(&description, &report));
            probed = Some((description, report));
            lines.extend(ledger(&directory, store, output).await);
            lines.extend(place.local().map(space));
        }
        Ok((_, Err(error))) => {
            lines.push(Line::fail("store", one_line(&error), "check `store` in piperoll.toml"));
        }
        // The line about the configuration says why.
        Err(_) => lines.push(Line::fail("store", "is not known without a configuration", "see below")),
    }
    lines.extend(replica_line(global, &directory).await);
    lines.push(policies(&directory));
    lines.push(config(&directory));
    lines.push(permissions(&directory));
    lines.push(backup(&directory, output));
    if output.is_json() {
        let store = probed.as_ref().map(|(description, report)| store_json(description, report));
        output.json_line(&Shown { checks: &lines, store })?;
    } else {
        show(&lines, output)?;
        if let Some((description, report)) = &probed {
            show_store(description, report, output)?;
        }
    }
    let has_failed = lines.iter().any(|line| line.state == State::Fail);
    Ok(if has_failed { Exit::Failed } else { Exit::Success })
}

/// Looks at the ledger in the store.
async fn ledger(directory: &ArchiveDirectory, store: Arc<dyn WormStore>, output: &Output) -> Vec<Line> {
    let ledger = match the_ledger(&*store).await {
        Ok(ledger) => ledger,
        Err(error) => return vec![Line::fail("ledger", one_line(&error), "run `piperoll verify`")],
    };
    match LedgerReader::open(store, ledger).await {
        Ok(reader) => ledger_lines(directory, &reader, output).await,
        Err(error) => vec![Line::fail("ledger", error.to_string(), "run `piperoll verify`")],
    }
}

fn show(lines: &[Line], output: &Output) -> anyhow::Result<()> {
    for Line { state, what, found, todo } in lines {
        match state {
            State::Ok => output.line(format_args!("{GREEN}ok  {GREEN:#} {what:<14} {found}"))?,
            State::Warn => output.line(format_args!("{YELLOW}warn{YELLOW:#} {what:<14} {found}"))?,
            State::Fail => output.line(format_args!("{RED}fail{RED:#} {what:<14} {found}"))?,
        }
        if let Some(todo) = todo {
            output.line(format_args!("{:>22}{todo}", "→ "))?;
        }
    }
    Ok(())
}

fn server(directory: &ArchiveDirectory) -> Line {
    match Running::find(directory) {
        Ok(Some((running, _))) => {
            Line::ok("server", format!("runs at {} (process {})", running.url, running.pid))
        }
        Ok(None) if WriterLock::is_held(directory) => {
            Line::ok("server", "another command writes at the moment")
        }
        Ok(None) => Line::ok("server", "does not run; commands work on the directory"),
        Err(error) => Line::fail("server", one_line(&error), "remove `run/serve.json` and start it again"),
    }
}

/// Shows every check of the store's probe.
fn show_store(description: &StoreDescription, report: &ProbeReport, output: &Output) -> anyhow::Result<()> {
    let StoreDescription { name, location, enforcement, .. } = description;
    output.line(format_args!("\n{BOLD}Store {location}{BOLD:#} ({name}, {enforcement})"))?;
    let rows = report.checks.iter().map(|check| {
        let outcome = match check.outcome {
            ProbeOutcome::Passed => Cell::new(check.outcome).fg(Color::Green),
            ProbeOutcome::Failed => Cell::new(check.outcome).fg(Color::Red),
            ProbeOutcome::Noted => Cell::new(check.outcome),
        };
        vec![Cell::new(check.name), outcome, Cell::new(fit(&check.detail, FOUND_COLUMNS_MAX))]
    });
    output.table(&["check", "outcome", "found"], rows.collect(), &[])
}

fn store_json(description: &StoreDescription, report: &ProbeReport) -> Value {
    let checks = report.checks.iter().map(|check| {
        object([
            ("check", check.name.into()),
            ("outcome", check.outcome.to_string().into()),
            ("found", check.detail.as_str().into()),
        ])
    });
    object([
        ("kind", description.name.as_str().into()),
        ("location", description.location.as_str().into()),
        ("enforcement", description.enforcement.to_string().into()),
        ("statement", description.statement.as_str().into()),
        ("passed", report.is_passed().into()),
        ("probe", checks.collect()),
    ])
}

/// Judges what the probe found.
fn judge(description: &StoreDescription, report: &ProbeReport) -> Vec<Line> {
    let failed = report.checks.iter().filter(|check| check.outcome == ProbeOutcome::Failed);
    let mut lines: Vec<Line> = failed
        .map(|check| {
            let todo = "do not archive to this storage until the check passes";
            Line::fail("store probe", said(check), todo)
        })
        .collect();
    if lines.is_empty() {
        let passed = report.checks.iter().filter(|check| check.outcome == ProbeOutcome::Passed);
        lines.push(Line::ok("store probe", format!("{} checks passed, see below", passed.count())));
    }
    lines.push(match description.enforcement {
        Enforcement::Prevents => Line::ok("enforcement", description.statement.clone()),
        Enforcement::Detects => Line::warn(
            "enforcement",
            format!("a {} detects change and early deletion, it does not prevent them", description.name),
            "restrict who can log in here, keep copies elsewhere, and remember checkpoints on another machine",
        ),
    });
    lines
}

async fn ledger_lines(directory: &ArchiveDirectory, reader: &LedgerReader, output: &Output) -> Vec<Line> {
    let mut lines = vec![Line::ok("ledger", format!("{} as {}", reader.ledger(), reader.genesis().origin))];
    let newest = reader.head().map(|head| head.recorded_at);
    let found = match newest {
        Some(newest) => format!("{} events, newest {}", count(reader.size()), output.time(newest.to_utc())),
        None => "no event yet".to_owned(),
    };
    lines.push(Line::ok("events", found));
    lines.push(lock_mode(reader, output).await);
    lines.push(clock(newest, output));
    lines.push(checkpoint(reader).await);
    lines.push(index(directory, reader.size()));
    lines.extend(snapshot(directory, reader).await);
    lines.push(verified(directory, &reader.genesis().origin, output));
    lines
}

async fn lock_mode(reader: &LedgerReader, output: &Output) -> Line {
    let key = ObjectKey::new(ObjectName::Genesis.key(reader.ledger())).expect("object names are keys");
    match reader.store().head(&key).await {
        Ok(meta) => match meta.lock.retain_until {
            Some(until) => {
                let until = output.time(Timestamp(until).to_utc());
                let mode = format!("{:?}", meta.lock.mode).to_lowercase();
                Line::ok("lock", format!("{mode}, genesis until {until}"))
            }
            None => Line::fail(
                "lock",
                "genesis has no lock",
                "run `piperoll verify`; was the store copied without times?",
            ),
        },
        Err(error) => Line::fail("lock", error.to_string(), "run `piperoll verify`"),
    }
}

fn clock(newest: Option<Timestamp>, output: &Output) -> Line {
    let now = Timestamp(SystemClock.now_micros());
    let shown = output.time(now.to_utc());
    if newest.is_some_and(|newest| newest > now) {
        return Line::fail(
            "clock",
            format!("says {shown}, before the newest event"),
            "set the clock of this machine",
        );
    }
    Line::ok("clock", format!("says {shown}"))
}

async fn checkpoint(reader: &LedgerReader) -> Line {
    const REPAIR: &str = "start `piperoll serve` once: it publishes what is missing";
    let key = ObjectKey::new(ObjectName::Checkpoint.key(reader.ledger())).expect("object names are keys");
    match reader.store().get(&key).await {
        Ok(note) => {
            match piperoll_tlog::checkpoint::Checkpoint::open(&note, std::slice::from_ref(reader.vkey())) {
                Ok(published) if published.size == reader.size() => {
                    Line::ok("checkpoint", format!("published for {} events", count(published.size)))
                }
                Ok(published) => {
                    let found =
                        format!("published for {} of {} events", count(published.size), count(reader.size()));
                    Line::warn("checkpoint", found, REPAIR)
                }
                Err(error) => Line::fail("checkpoint", error.to_string(), "run `piperoll verify`"),
            }
        }
        Err(error) if error.is_not_found() => Line::warn("checkpoint", "none is published yet", REPAIR),
        Err(error) => Line::fail("checkpoint", error.to_string(), "check the disk"),
    }
}

fn index(directory: &ArchiveDirectory, size: u64) -> Line {
    const REBUILD: &str = "run `piperoll index rebuild`";
    let path = directory.index();
    if !path.join("meta.json").exists() {
        return Line::warn("index", "there is none", "it is built when the archive is used next");
    }
    match SearchIndex::open(&path, Options::default()) {
        Ok(index) => {
            let covered = index.cursor().unwrap_or(0);
            let found = format!("covers {} of {} events", count(covered), count(size));
            if covered + LAG_MAX < size {
                Line::warn(
                    "index",
                    found,
                    "a running server catches up within seconds; otherwise the next command does",
                )
            } else {
                Line::ok("index", found)
            }
        }
        Err(error) => Line::warn("index", error.to_string(), REBUILD),
    }
}

/// Tells how far the newest snapshot in the store says it is, if there is one.
async fn snapshot(directory: &ArchiveDirectory, reader: &LedgerReader) -> Option<Line> {
    let shelf = Shelf::new(reader.store().clone(), reader.ledger(), &read_kek(&directory.kek()).ok()?);
    match shelf.newest().await {
        Ok(newest) => {
            let found = format!("has {} of {} events", count(newest?.cursor.0), count(reader.size()));
            Some(Line::ok("snapshot", found))
        }
        Err(error) => Some(Line::warn("snapshot", one_line(&error.into()), "check the rights of the writer")),
    }
}

fn verified(directory: &ArchiveDirectory, origin: &str, output: &Output) -> Line {
    let modified = fs::metadata(directory.remembered(origin)).and_then(|metadata| metadata.modified());
    let Ok(modified) = modified else {
        return Line::warn("verification", "was never done here", "run `piperoll verify`");
    };
    let at = chrono::DateTime::<chrono::Utc>::from(modified);
    let age =
        Timestamp(SystemClock.now_micros()).to_utc().signed_duration_since(at).to_std().unwrap_or_default();
    let found = format!("last clean on {}", output.time(at));
    if age > VERIFIED_WITHIN {
        return Line::warn("verification", found, "run `piperoll verify`");
    }
    Line::ok("verification", found)
}

/// Tells how the second copy does; nothing when none is configured.
async fn replica_line(global: &Global, directory: &ArchiveDirectory) -> Option<Line> {
    const STATUS: &str = "run `piperoll replica status`";
    let settings = Settings::load(directory, Flags::default(), &Environment::of_process()).ok()?;
    let place = replica::place(directory, &settings)?;
    let view = match command::replica::view(global).await {
        Ok(view) => view,
        Err(error) => return Some(Line::fail("replica", one_line(&error), STATUS)),
    };
    let behind = view.events_behind.map_or_else(
        || "of unknown state".to_owned(),
        |events| match events {
            0 => "complete".to_owned(),
            events => format!("{} events behind", count(events)),
        },
    );
    let found = format!("in `{}` is {behind}", place.location());
    Some(match view.trouble.as_ref() {
        Some(trouble) => Line::fail("replica", format!("{found}: {trouble}"), STATUS),
        None if !command::replica::is_well(&view) => Line::fail("replica", found, STATUS),
        None if view.events_behind > Some(0) && !view.is_following => {
            Line::warn("replica", found, "start `piperoll serve`: it copies")
        }
        None => Line::ok("replica", found),
    })
}

fn policies(directory: &ArchiveDirectory) -> Line {
    match directory.policy_set() {
        Ok(set) => {
            let ids: Vec<String> =
                set.policies().iter().map(|policy| format!("{} ({})", policy.id(), policy.keep())).collect();
            Line::ok("policies", ids.join(", "))
        }
        Err(error) => Line::fail("policies", one_line(&error), "correct the files in `policies/`"),
    }
}

fn config(directory: &ArchiveDirectory) -> Line {
    let environment = Environment::of_process();
    if let Some((name, meant)) = environment.misspelt().into_iter().next() {
        return Line::warn(
            "configuration",
            format!("unknown variable `{name}`"),
            format!("is `{meant}` meant?"),
        );
    }
    match Settings::load(directory, Flags::default(), &environment) {
        Ok(settings) if settings.whatsapp.app_secrets.is_empty() => {
            let todo = "set PIPEROLL_WHATSAPP_APP_SECRET, or `app_secrets` in piperoll.toml";
            Line::warn("configuration", "no WhatsApp app secret is set here: webhooks are refused", todo)
        }
        Ok(_) => Line::ok("configuration", "is valid"),
        Err(error) => {
            Line::fail("configuration", one_line(&error), "correct `piperoll.toml` or the environment")
        }
    }
}

fn permissions(directory: &ArchiveDirectory) -> Line {
    match readable_by_others(directory) {
        Ok(open) if open.is_empty() => Line::ok("secrets", "only their owner can read them"),
        Ok(open) => {
            let todo = format!("chmod go-rwx {}", open.join(" "));
            Line::fail("secrets", "others can read secret files", todo)
        }
        Err(error) => {
            Line::fail("secrets", error.to_string(), "put them back with `piperoll key restore FILE`")
        }
    }
}

fn readable_by_others(directory: &ArchiveDirectory) -> io::Result<Vec<String>> {
    let mut paths = vec![directory.secrets()];
    for entry in fs::read_dir(directory.secrets())? {
        paths.push(entry?.path());
    }
    if directory.config().exists() && fs::read_to_string(directory.config())?.contains("secret") {
        paths.push(directory.config());
    }
    let mut open = Vec::new();
    for path in paths {
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        if mode & !(SECRET_FILE_MODE | 0o100) != 0 {
            open.push(path.display().to_string());
        }
    }
    Ok(open)
}

fn backup(directory: &ArchiveDirectory, output: &Output) -> Line {
    const ADVICE: &str = "run `piperoll key backup FILE`: losing the key-encryption key loses every payload";
    let kek = match read_kek(&directory.kek()) {
        Ok(kek) => kek.id().to_string(),
        Err(error) => return Line::fail("key backup", one_line(&error), "run `piperoll key restore FILE`"),
    };
    let marker = fs::read(directory.backup_marker()).ok();
    match marker.and_then(|marker| serde_json::from_slice::<BackupMarker>(&marker).ok()) {
        Some(marker) if marker.kek == kek => {
            Line::ok("key backup", format!("made {}", output.time_of(&marker.made_at)))
        }
        Some(_) => Line::warn("key backup", "is of another key", ADVICE),
        None => Line::warn("key backup", "was never made", ADVICE),
    }
}

fn space(path: &Path) -> Line {
    match rustix::fs::statvfs(path) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let shown = format!("{} free", bytes(free));
            if free < FREE_BYTES_MIN {
                Line::warn("disk", shown, "make room: a full disk stops the archive from taking webhooks")
            } else {
                Line::ok("disk", shown)
            }
        }
        Err(error) => Line::warn("disk", error.to_string(), "check the disk"),
    }
}
