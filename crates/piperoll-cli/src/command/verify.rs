//! `piperoll verify`: checks everything that is stored, beside a running server, and writes nothing to the ledger.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use piperoll_format::{Genesis, LedgerId, ObjectName, Timestamp};
use piperoll_store::{Clock as _, ObjectKey, SystemClock, WormStore};
use piperoll_tlog::note::key::{KeyName, VerifierKey};
use piperoll_verify::remember::{Remembered, Update, update};
use piperoll_verify::report::{FindingCode, Report};
use piperoll_verify::verify::{Progress, VerifyError, VerifyOptions, verify_ledger};
use piperoll_verify::{KeySource, StoreKeys, list_ledgers};
use serde::Serialize;

use crate::args::{Global, VerifyArgs};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};
use crate::output::{GREEN, Output, RED, YELLOW};
use crate::secret::{read_kek, read_signing_key};
use crate::store::the_ledger;

/// Codes that say that the trusted key is not the one that signed.
const KEY_CODES: [FindingCode; 2] = [FindingCode::KeyUnknown, FindingCode::OriginMismatch];

/// A report as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    verdict: String,
    exit: u8,
    report: &'a Report,
}

pub(crate) async fn run(global: &Global, args: &VerifyArgs, output: &Output) -> anyhow::Result<Exit> {
    if global.server.is_some() && global.dir.is_none() {
        let message = "a server cannot verify itself for you";
        let hint =
            "run `piperoll verify --dir DIR`, or `piperoll-audit verify STORE --vkey KEY`, on the store";
        return Err(Failure::new(Exit::Usage, message).hint(hint).into());
    }
    let directory = ArchiveDirectory::existing(global.directory())?;
    let report = verify(&directory, args, output).await?;
    print(&report, output)?;
    Ok(exit_of(&report))
}

/// Verifies an archive and remembers its newest checkpoint for the next run.
pub(crate) async fn verify(
    directory: &ArchiveDirectory,
    args: &VerifyArgs,
    output: &Output,
) -> anyhow::Result<Report> {
    let store = directory.open_store_read_only()?;
    let ledger = find_ledger(&*store).await?;
    let origin = origin(&*store, ledger).await?;
    let place = origin.as_deref().map(|origin| directory.remembered(origin));
    let remembered = place.as_deref().map(read_remembered).transpose()?.flatten();
    let compared = match &args.since {
        Some(path) => {
            let found = read_remembered(path)?;
            let missing =
                || Failure::new(Exit::Usage, format!("checkpoint file `{}` is missing", path.display()));
            Some(found.ok_or_else(missing)?)
        }
        None => remembered.clone(),
    };
    let bar = output.progress("Verifying", 0);
    let show = |progress: &Progress| {
        bar.set_length(progress.segments_total);
        bar.set_position(progress.segments);
    };
    let options = VerifyOptions {
        vkeys: own_vkey(directory, origin.as_deref())?.into_iter().collect(),
        quick: args.quick,
        since: compared.as_ref().map(|since| since.as_str().to_owned()),
        keys: if args.no_keys { None } else { keys(directory, &store, ledger)? },
        now: Timestamp(SystemClock.now_micros()),
        progress: Some(&show),
    };
    let verified = verify_ledger(store.clone(), ledger, options).await;
    bar.finish_and_clear();
    let report = verified.map_err(|error| match error {
        VerifyError::NoLedger { .. } => {
            anyhow::Error::new(error).context(Failure::new(Exit::NotFound, "no ledger"))
        }
        VerifyError::Store(_) => anyhow::Error::new(error).context(Failure::new(Exit::Incomplete, "store")),
    })?;
    // A checkpoint from elsewhere says nothing about the remembered one, which then stays.
    if let (Some(place), true) = (place, args.since.is_none() || remembered.is_none())
        && let Update::Replace(note) = update(compared.as_ref(), &report)
    {
        remember(&place, &note)?;
    }
    Ok(report)
}

/// Prints a report, the verdict in colour.
pub(crate) fn print(report: &Report, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(&Shown { verdict: report.verdict(), exit: exit_of(report) as u8, report });
    }
    let text = report.to_string();
    let verdict = report.verdict();
    output.line(text.strip_suffix(&verdict).unwrap_or(&text).trim_end())?;
    match exit_of(report) {
        Exit::Success => output.line(format_args!("\n{GREEN}{verdict}{GREEN:#}")),
        Exit::Incomplete => output.line(format_args!("\n{YELLOW}{verdict}{YELLOW:#}")),
        _ => output.line(format_args!("\n{RED}{verdict}{RED:#}")),
    }
}

/// Returns the exit code that a report stands for.
pub(crate) fn exit_of(report: &Report) -> Exit {
    if KEY_CODES.iter().any(|code| report.finding_counts.contains_key(code)) {
        Exit::KeyUnknown
    } else if !report.is_clean() {
        Exit::Findings
    } else if !report.is_complete() {
        Exit::Incomplete
    } else {
        Exit::Success
    }
}

/// Finds the ledger also when its genesis object is gone, which is a finding and not a reason to stop.
async fn find_ledger(store: &dyn WormStore) -> anyhow::Result<LedgerId> {
    match list_ledgers(store).await?.as_slice() {
        [ledger] => Ok(*ledger),
        _ => the_ledger(store).await,
    }
}

/// Returns the name of the log as genesis has it, if genesis can be read.
async fn origin(store: &dyn WormStore, ledger: LedgerId) -> anyhow::Result<Option<String>> {
    let key = ObjectKey::new(ObjectName::Genesis.key(ledger)).expect("object names are keys");
    match store.get(&key).await {
        Ok(bytes) => Ok(Genesis::decode(&bytes).ok().map(|genesis| genesis.origin)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error).context(Failure::new(Exit::Incomplete, "genesis cannot be read")),
    }
}

/// Returns the key that this machine signs with, so that a replaced ledger is noticed; nothing where there is none.
fn own_vkey(directory: &ArchiveDirectory, origin: Option<&str>) -> anyhow::Result<Option<VerifierKey>> {
    let path = directory.signing_key();
    let Some(origin) = origin.filter(|_| path.exists()) else { return Ok(None) };
    let public_key = read_signing_key(&path)?.verifying_key();
    Ok(KeyName::new(origin).and_then(|name| VerifierKey::new(name, public_key)).ok())
}

fn keys(
    directory: &ArchiveDirectory,
    store: &Arc<dyn WormStore>,
    ledger: LedgerId,
) -> anyhow::Result<Option<Arc<dyn KeySource>>> {
    if !directory.kek().exists() {
        return Ok(None);
    }
    let kek = read_kek(&directory.kek())?;
    Ok(Some(Arc::new(StoreKeys::new(store.clone(), ledger, kek))))
}

fn read_remembered(path: &Path) -> anyhow::Result<Option<Remembered>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let failure = || Failure::new(Exit::Usage, format!("`{}` is no checkpoint", path.display()));
            Ok(Some(Remembered::parse(&text).with_context(failure)?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read `{}`", path.display())),
    }
}

/// Replaces what is remembered in one step: half a checkpoint would compare with nothing.
fn remember(path: &Path, note: &str) -> anyhow::Result<()> {
    let context = || format!("remember the checkpoint in `{}`", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(context)?;
    }
    let staged = path.with_extension("new");
    fs::write(&staged, note).and_then(|()| fs::rename(&staged, path)).with_context(context)
}
