//! `piperoll-audit verify`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use piperoll_format::{Kek, Timestamp};
use piperoll_store::{Clock as _, SystemClock};
use piperoll_verify::remember::{Remembered, Update, update};
use piperoll_verify::report::{FindingCode, Report};
use piperoll_verify::verify::{Progress, VerifyOptions, verify_ledger};
use piperoll_verify::{KeySource, StoreKeys};
use serde::Serialize;

use crate::args::VerifyArgs;
use crate::error::{Exit, Failure};
use crate::place;

/// Codes that say that the trusted key is not the one that signed.
const KEY_CODES: [FindingCode; 2] = [FindingCode::KeyUnknown, FindingCode::OriginMismatch];

/// A report as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    verdict: String,
    exit: u8,
    report: &'a Report,
}

pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = verify(args) => report,
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted").into()),
        }
    });
    runtime.shutdown_background();
    let report = report?;
    print(&report, args.json)?;
    Ok(exit_of(&report))
}

async fn verify(args: &VerifyArgs) -> anyhow::Result<Report> {
    let (store, ledger) = place::open(args).await?;
    let compared = match (&args.since, &args.remember) {
        (Some(path), _) => {
            let missing =
                || Failure::new(Exit::Usage, format!("checkpoint file `{}` is missing", path.display()));
            Some(read_remembered(path)?.ok_or_else(missing)?)
        }
        (None, Some(path)) => read_remembered(path)?,
        (None, None) => None,
    };
    let keys: Option<Arc<dyn KeySource>> = match &args.kek {
        Some(path) => Some(Arc::new(StoreKeys::new(store.clone(), ledger, read_kek(path)?))),
        None => None,
    };
    let bar = if args.json { ProgressBar::hidden() } else { progress_bar() };
    let show = |progress: &Progress| {
        bar.set_length(progress.segments_total);
        bar.set_position(progress.segments);
    };
    let options = VerifyOptions {
        vkeys: args.vkey.clone(),
        quick: args.quick,
        since: compared.as_ref().map(|since| since.as_str().to_owned()),
        keys,
        now: Timestamp(SystemClock.now_micros()),
        progress: Some(&show),
    };
    let verified = verify_ledger(store, ledger, options).await;
    bar.finish_and_clear();
    let report = verified?;
    if let Some(path) = &args.remember
        && let Update::Replace(note) = update(compared.as_ref(), &report)
    {
        remember(path, &note)?;
    }
    Ok(report)
}

fn exit_of(report: &Report) -> Exit {
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

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let text = if json {
        serde_json::to_string(&Shown { verdict: report.verdict(), exit: exit_of(report) as u8, report })?
    } else {
        report.to_string()
    };
    writeln!(stdout, "{text}").context("write to stdout")
}

/// The bar shows itself on a terminal only.
fn progress_bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix:>12} [{bar:30}] {human_pos}/{human_len} segments {eta}");
    let bar =
        ProgressBar::new(0).with_style(style.expect("the template is well formed").progress_chars("=> "));
    bar.set_prefix("Verifying");
    bar
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
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let staged = path.with_file_name(name);
    fs::write(&staged, note)
        .and_then(|()| fs::rename(&staged, path))
        .with_context(|| format!("remember the checkpoint in `{}`", path.display()))
}

/// Reads the key file of an archive: a header line, then 64 hexadecimal digits.
fn read_kek(path: &Path) -> anyhow::Result<Kek> {
    let text = fs::read_to_string(path).with_context(|| format!("read key file `{}`", path.display()))?;
    let malformed = || {
        let message =
            format!("key file `{}`: expected a header line and 64 hexadecimal digits", path.display());
        Failure::new(Exit::KeyUnknown, message)
    };
    let digits = text.lines().nth(1).map(str::trim).filter(|digits| digits.len() == 64);
    let digits = digits
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .ok_or_else(malformed)?;
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).map_err(|_| malformed())?;
    }
    Ok(Kek::new(bytes))
}
