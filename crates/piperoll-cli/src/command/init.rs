//! `piperoll init`: the one place where a ledger comes into being.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use piperoll_engine::{NewLedger, create_ledger};
use piperoll_format::{LedgerId, Timestamp};
use piperoll_policy::{Policy, PolicySet, shipped};
use piperoll_store::{Clock as _, Enforcement, SystemClock, WormStore};
use piperoll_tlog::note::key::NoteSigner;
use piperoll_verify::list_ledgers;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::args::{Global, InitArgs};
use crate::config::{Store as StoreSettings, nearest};
use crate::directory::{ArchiveDirectory, create_secret_directory, create_secret_file};
use crate::error::{Exit, Failure};
use crate::lock::WriterLock;
use crate::output::{BOLD, Output, YELLOW};
use crate::secret::{LedgerSecrets, random};
use crate::store::{StorePlace, require_promises};
use crate::token;

/// The policies of an archive that names none: the longest of them decides.
const POLICIES_DEFAULT: [&str; 5] =
    ["finra-4511", "sec-17a-4", "gdpr-consent", "operations", "disposal-records"];

const DIRECTORY_NOTE: &str = "\
A directory detects change and early deletion, it does not prevent them: whoever can write
to the disk can remove files, and `piperoll verify` finds it.";

const BUCKET_NOTE: &str = "\
The bucket keeps the records. With the backup of the keys, `piperoll restore` brings the archive back from it
on any machine.";

/// What belongs to a new archive; the token is shown this once.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Created {
    pub(crate) ledger: String,
    pub(crate) origin: String,
    pub(crate) vkey: String,
    pub(crate) token: String,
}

/// A policy as it is to be used: name of its file and text.
type PolicyText = (String, String);

pub(crate) async fn run(global: &Global, args: &InitArgs, output: &Output) -> anyhow::Result<Exit> {
    let directory = ArchiveDirectory::new(global.directory());
    let policies = choose_policies(&args.policies, &args.policy_file)?;
    let store = StoreSettings::of_args(&args.store, args.mode)?;
    let created = create(&directory, args.origin.as_deref(), &policies, &store).await?;
    if output.is_json() {
        output.json_line(&created)?;
        return Ok(Exit::Success);
    }
    let path = directory.root().display();
    output.line(format_args!("Created an archive in {BOLD}{path}{BOLD:#}\n"))?;
    output.line(format_args!("  ledger  {}", created.ledger))?;
    output.line(format_args!("  origin  {}", created.origin))?;
    output.line(format_args!("  vkey    {}", created.vkey))?;
    output.line(format_args!("  token   {}", created.token))?;
    output.line("\nThe token is an admin's and is shown this once. Give the vkey to your auditors.")?;
    output.note(format_args!(
        "\n{YELLOW}Losing the file `{}` loses every payload for ever.{YELLOW:#}\n\
         Back the keys up now:  piperoll --dir {path} key backup FILE\n",
        directory.kek().display()
    ));
    output.note(if store.is_s3() { BUCKET_NOTE } else { DIRECTORY_NOTE });
    Ok(Exit::Success)
}

/// Creates an archive in a directory that is empty or does not exist.
pub(crate) async fn create(
    directory: &ArchiveDirectory,
    origin: Option<&str>,
    policies: &[PolicyText],
    store: &StoreSettings,
) -> anyhow::Result<Created> {
    let (policies, set) = parse_policies(policies)?;
    let ledger = new_ledger_id()?;
    let origin = origin.map_or_else(|| format!("piperoll.local/{}", &ledger.to_string()[..8]), str::to_owned);
    let secrets = LedgerSecrets::generate()?;
    let signer = NoteSigner::new(&origin, secrets.signing.clone()).map_err(|error| {
        let failure = Failure::new(Exit::Usage, format!("origin `{origin}` cannot name a log"));
        anyhow::Error::new(error).context(failure.hint("use a name like `archive.example.com/records`"))
    })?;
    refuse_existing(directory)?;
    let place = StorePlace::new(directory, store);
    match &place {
        StorePlace::S3(_) => refuse_store(&place, &*place.open()?, directory).await?,
        StorePlace::Directory(path) if path.exists() => {
            refuse_store(&place, &*place.open_read_only()?, directory).await?;
        }
        StorePlace::Directory(_) => {}
    }
    create_secret_directory(&directory.secrets())?;
    let _lock = WriterLock::take(directory).await?;
    // Keys come before the ledger: without them it could never be read.
    secrets.create(directory)?;
    fs::create_dir_all(directory.policies()).context("create the directory for policies")?;
    for (name, text) in &policies {
        fs::write(directory.policies().join(name), text).with_context(|| format!("write policy `{name}`"))?;
    }
    let token = token::create_first(directory)?;
    if store.url.is_some() {
        create_secret_file(&directory.config(), store.to_toml().as_bytes())?;
    }
    let store = place.init()?;
    let new = NewLedger {
        ledger,
        origin: &origin,
        public_key: secrets.signing.verifying_key().to_bytes(),
        next_key_digest: Sha256::digest(secrets.next.verifying_key().as_bytes()).into(),
        kek: &secrets.kek,
        policies: policies.into_iter().map(|(_, text)| text).collect(),
        policy_set: &set,
        created_at: Timestamp(SystemClock.now_micros()),
    };
    let _genesis = create_ledger(store, new).await.context("create the ledger")?;
    Ok(Created { ledger: ledger.to_string(), origin, vkey: signer.verifier_key().to_string(), token })
}

/// Returns the shipped policies of the demonstration.
pub(crate) fn demo_policies() -> anyhow::Result<Vec<PolicyText>> {
    ["demo", "demo-rest", "operations", "disposal-records"].into_iter().map(shipped_policy).collect()
}

fn choose_policies(names: &[String], files: &[PathBuf]) -> anyhow::Result<Vec<PolicyText>> {
    let mut chosen = Vec::new();
    if names.is_empty() && files.is_empty() {
        for name in POLICIES_DEFAULT {
            chosen.push(shipped_policy(name)?);
        }
    }
    for name in names {
        chosen.push(shipped_policy(name.trim().trim_end_matches(".toml"))?);
    }
    for path in files {
        chosen.push(policy_file(path)?);
    }
    Ok(chosen)
}

fn shipped_policy(name: &str) -> anyhow::Result<PolicyText> {
    let file = format!("{name}.toml");
    if let Some((file, text)) = shipped().iter().find(|(shipped, _)| *shipped == file) {
        return Ok(((*file).to_owned(), (*text).to_owned()));
    }
    let known = || shipped().iter().map(|(file, _)| file.trim_end_matches(".toml"));
    let failure = Failure::new(Exit::Usage, format!("no shipped policy is called `{name}`"));
    let hint = match nearest(name, known()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(failure.hint(hint).into())
}

fn policy_file(path: &Path) -> anyhow::Result<PolicyText> {
    let text = fs::read_to_string(path).with_context(|| format!("read policy `{}`", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((name, text))
}

/// Reads the policies and sorts their texts by id, as genesis has them; files are named for the id.
fn parse_policies(texts: &[PolicyText]) -> anyhow::Result<(Vec<PolicyText>, PolicySet)> {
    let mut policies = Vec::new();
    for (name, text) in texts {
        let policy = Policy::parse(name, text).map_err(|error| {
            anyhow::Error::new(error)
                .context(Failure::new(Exit::Usage, format!("policy file `{name}` is not valid")))
        })?;
        policies.push((policy, text.clone()));
    }
    policies.sort_by(|a, b| a.0.id().cmp(b.0.id()));
    let sorted =
        policies.iter().map(|(policy, text)| (format!("{}.toml", policy.id()), text.clone())).collect();
    let set = PolicySet::new(policies.into_iter().map(|(policy, _)| policy).collect()).map_err(|error| {
        let failure = Failure::new(Exit::Usage, "these retention policies make no set");
        anyhow::Error::new(error).context(failure.hint(
            "`operations` and `disposal-records` belong to every set; see retention-policies/README.md",
        ))
    })?;
    Ok((sorted, set))
}

fn new_ledger_id() -> anyhow::Result<LedgerId> {
    let mut id = [0; LedgerId::LEN];
    id.copy_from_slice(&random()?[..LedgerId::LEN]);
    Ok(LedgerId(id))
}

/// Refuses a store that holds an archive already, and a bucket that cannot keep records.
async fn refuse_store(
    place: &StorePlace,
    store: &dyn WormStore,
    directory: &ArchiveDirectory,
) -> anyhow::Result<()> {
    let location = place.location();
    let ledgers = list_ledgers(store).await.with_context(|| format!("store `{location}` cannot be read"))?;
    if let Some(ledger) = ledgers.first() {
        let message = format!("expected no archive in `{location}`, found ledger `{ledger}`");
        let hint = format!(
            "bring it back with `piperoll --dir {} restore {} --keys FILE`, or choose another place",
            directory.root().display(),
            place.options()
        );
        return Err(Failure::new(Exit::Conflict, message).hint(hint).into());
    }
    // A directory that the archive makes itself is probed when it is served.
    if store.describe().enforcement == Enforcement::Prevents {
        let _report = require_promises(store).await?;
    }
    Ok(())
}

fn refuse_existing(directory: &ArchiveDirectory) -> anyhow::Result<()> {
    let path = directory.root();
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                let message = format!("expected an empty directory, found files in `{}`", path.display());
                Err(Failure::new(Exit::Conflict, message).hint("name another directory with --dir").into())
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("read `{}`", path.display())),
    }
}
