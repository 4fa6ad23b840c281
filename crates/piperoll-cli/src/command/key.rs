//! `piperoll key`: backup, restore and the public parts.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use console::Term;
use piperoll_format::Timestamp;
use piperoll_store::{Clock as _, SystemClock};
use piperoll_verify::LedgerReader;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::args::{Global, KeyCommand};
use crate::backup::{self, Cost};
use crate::directory::{ArchiveDirectory, create_secret_file, replace_secret_file};
use crate::error::{Exit, Failure};
use crate::output::{Output, object};
use crate::secret::{LedgerSecrets, hex, read_kek};
use crate::store::the_ledger;

/// The variable that stands for typing the passphrase.
const PASSPHRASE_VARIABLE: &str = "PIPEROLL_PASSPHRASE";

/// Written beside the keys, so that `doctor` knows of the backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BackupMarker {
    /// When, RFC 3339.
    pub(crate) made_at: String,
    /// The key-encryption key that was backed up.
    pub(crate) kek: String,
}

pub(crate) async fn run(global: &Global, command: &KeyCommand, output: &Output) -> anyhow::Result<Exit> {
    match command {
        KeyCommand::Backup(args) => {
            back_up(&ArchiveDirectory::existing(global.directory())?, &args.file, output)
        }
        KeyCommand::Restore(args) => {
            restore(&ArchiveDirectory::existing(global.directory())?, &args.file, output)
        }
        KeyCommand::Show => show(&ArchiveDirectory::existing(global.directory())?, output).await,
    }
}

fn back_up(directory: &ArchiveDirectory, file: &Path, output: &Output) -> anyhow::Result<Exit> {
    // Keys that cannot be read make no backup.
    let secrets = LedgerSecrets::read(directory)?;
    if file.exists() {
        let message = format!("backup file `{}` exists", file.display());
        return Err(Failure::new(Exit::Conflict, message).hint("name another file").into());
    }
    let passphrase = ask_passphrase(Ask::Twice)?;
    let sealed = backup::seal(directory, &passphrase, Cost::STANDARD)?;
    create_secret_file(file, sealed.as_bytes())?;
    // What cannot be opened again is no backup.
    let read = fs::read_to_string(file).with_context(|| format!("read `{}` back", file.display()))?;
    let _files = backup::open(&read, &passphrase)?;
    let made_at = Timestamp(SystemClock.now_micros()).to_string();
    let marker = BackupMarker { made_at, kek: secrets.kek.id().to_string() };
    replace_secret_file(&directory.backup_marker(), &serde_json::to_vec(&marker)?)?;
    if output.is_json() {
        output.json_line(&object([
            ("file", file.display().to_string().into()),
            ("kek", marker.kek.into()),
            ("made_at", marker.made_at.into()),
        ]))?;
    } else {
        output.line(format_args!("Wrote the keys to {}", file.display()))?;
        output.note("Keep the file and its passphrase apart from each other and away from this machine.");
    }
    Ok(Exit::Success)
}

fn restore(directory: &ArchiveDirectory, file: &Path, output: &Output) -> anyhow::Result<Exit> {
    let text = fs::read_to_string(file).with_context(|| format!("read `{}`", file.display()))?;
    let files = backup::open(&text, &ask_passphrase(Ask::Once)?)?;
    let restored = backup::restore(directory, &files)?;
    let kek = read_kek(&directory.kek())?.id().to_string();
    if output.is_json() {
        output.json_line(&object([("restored", restored.into()), ("kek", kek.into())]))?;
    } else if restored == 0 {
        output.line("All keys are in place already.")?;
    } else {
        output.line(format_args!("Put {restored} key files back. Run `piperoll verify` now."))?;
    }
    Ok(Exit::Success)
}

async fn show(directory: &ArchiveDirectory, output: &Output) -> anyhow::Result<Exit> {
    let secrets = LedgerSecrets::read(directory)?;
    let store = directory.open_store_read_only()?;
    let ledger = the_ledger(&*store).await?;
    let reader = LedgerReader::open(store, ledger).await?;
    let vkey = reader.vkey().to_string();
    let next = hex(&Sha256::digest(secrets.next.verifying_key().as_bytes()));
    let kek = secrets.kek.id().to_string();
    if output.is_json() {
        let origin = &reader.genesis().origin;
        output.json_line(&object([
            ("ledger", ledger.to_string().into()),
            ("origin", origin.as_str().into()),
            ("vkey", vkey.into()),
            ("kek", kek.into()),
            ("next_key_digest", next.into()),
        ]))?;
        return Ok(Exit::Success);
    }
    output.line(format_args!("ledger           {ledger}"))?;
    output.line(format_args!("origin           {}", reader.genesis().origin))?;
    output.line(format_args!("vkey             {vkey}"))?;
    output.line(format_args!("kek id           {kek}"))?;
    output.line(format_args!("next key digest  {next}"))?;
    Ok(Exit::Success)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Once,
    /// For a new passphrase, which nobody could correct later.
    Twice,
}

pub(crate) fn ask_passphrase(ask: Ask) -> anyhow::Result<Zeroizing<String>> {
    if let Ok(passphrase) = std::env::var(PASSPHRASE_VARIABLE) {
        return Ok(Zeroizing::new(passphrase));
    }
    let mut term = Term::stderr();
    if !term.is_term() || !std::io::stdin().is_terminal() {
        let hint = format!("set {PASSPHRASE_VARIABLE}, or run the command on a terminal");
        return Err(Failure::new(Exit::Usage, "a passphrase is needed and nobody is there to ask")
            .hint(hint)
            .into());
    }
    let mut read = |prompt: &str| -> anyhow::Result<Zeroizing<String>> {
        write!(term, "{prompt}: ").and_then(|()| term.flush()).context("write to the terminal")?;
        Ok(Zeroizing::new(term.read_secure_line().context("read the passphrase")?))
    };
    let passphrase = read("Passphrase")?;
    if ask == Ask::Twice && *read("Passphrase again")? != *passphrase {
        return Err(Failure::new(Exit::Usage, "the two passphrases differ").into());
    }
    Ok(passphrase)
}
