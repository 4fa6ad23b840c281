//! Where the ledger is: from whatever bucket or directory was named to the store and the ledger's id.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use piperoll_format::LedgerId;
use piperoll_store::{
    DirectoryStore, S3Credentials, S3Location, S3Mode, S3Options, S3Store, SystemClock, WormStore,
};
use piperoll_verify::{ReadError, list_ledgers};

use crate::args::VerifyArgs;
use crate::error::{Exit, Failure};

/// How an S3 address begins.
const S3_SCHEME: &str = "s3://";

/// A ledger in a directory store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Root of the store.
    pub(crate) store: PathBuf,
    pub(crate) ledger: LedgerId,
}

/// Opens the store that was named, for reading, and finds the ledger in it.
pub(crate) async fn open(args: &VerifyArgs) -> anyhow::Result<(Arc<dyn WormStore>, LedgerId)> {
    if args.store.starts_with(S3_SCHEME) {
        return open_bucket(args).await;
    }
    let only_s3 = [("endpoint", &args.endpoint), ("region", &args.region), ("profile", &args.profile)];
    if let Some((option, _)) = only_s3.iter().find(|(_, value)| value.is_some()) {
        let message = format!("--{option} is for a bucket, `s3://bucket/prefix`, found `{}`", args.store);
        return Err(Failure::new(Exit::Usage, message).into());
    }
    let place = find(Path::new(&args.store), args.ledger)?;
    let store = DirectoryStore::open_read_only(&place.store, Arc::new(SystemClock));
    let store = store.with_context(|| format!("store `{}` cannot be read", place.store.display()))?;
    Ok((Arc::new(store), place.ledger))
}

/// Opens a bucket, of which the prefix of the archive or of one ledger was named.
async fn open_bucket(args: &VerifyArgs) -> anyhow::Result<(Arc<dyn WormStore>, LedgerId)> {
    let unusable = || Failure::new(Exit::Usage, format!("store `{}` cannot be used", args.store));
    let mut location: S3Location = args.store.parse().with_context(unusable)?;
    let named = location.prefix.rsplit('/').next().and_then(|name| name.parse::<LedgerId>().ok());
    if named.is_some() {
        let parent = location.prefix.rsplit_once('/').map_or("", |(parent, _)| parent);
        location.prefix = parent.to_owned();
    }
    let credentials = args.profile.clone().map_or(S3Credentials::Environment, S3Credentials::Profile);
    // The mode is that of new locks, of which there will be none.
    let options = S3Options {
        endpoint: args.endpoint.clone(),
        region: args.region.clone(),
        ..S3Options::new(location, S3Mode::Compliance, credentials)
    };
    let store = S3Store::connect(options, Arc::new(SystemClock)).with_context(unusable)?;
    let ledger = match (named, args.ledger) {
        (Some(named), Some(wanted)) if named != wanted => {
            let message = format!("expected ledger `{wanted}`, found `{named}`");
            return Err(Failure::new(Exit::NotFound, message).into());
        }
        (Some(ledger), _) => ledger,
        (None, wanted) => {
            let found = list_ledgers(&store).await.map_err(|error| unreadable(args, error))?;
            choose(&args.store, &found, wanted)?
        }
    };
    Ok((Arc::new(store), ledger))
}

/// Says what to look at when a bucket cannot be read.
fn unreadable(args: &VerifyArgs, error: ReadError) -> anyhow::Error {
    let failure = Failure::new(Exit::Incomplete, format!("store `{}` cannot be read", args.store));
    let hint = "credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, --profile or a web identity; \
                a service that is not AWS needs --endpoint";
    anyhow::Error::new(error).context(failure.hint(hint))
}

/// Chooses the ledger that is wanted, or the only one.
fn choose(store: &str, found: &[LedgerId], wanted: Option<LedgerId>) -> anyhow::Result<LedgerId> {
    match (wanted, found) {
        (Some(ledger), _) if found.contains(&ledger) => Ok(ledger),
        (None, [ledger]) => Ok(*ledger),
        (Some(ledger), _) => {
            let message = format!("expected ledger `{ledger}` in `{store}`, found {}", list(found));
            Err(Failure::new(Exit::NotFound, message).into())
        }
        (None, []) => {
            let message = format!("expected a ledger in `{store}`, found none");
            Err(Failure::new(Exit::NotFound, message).into())
        }
        (None, _) => {
            let message = format!("expected one ledger in `{store}`, found {}", list(found));
            Err(Failure::new(Exit::Conflict, message).hint("name one with --ledger").into())
        }
    }
}

/// Finds the ledger in the directory of an archive, of its store, or of the ledger itself.
///
/// It goes by the names of directories: that a ledger has no genesis object is for the verification to find.
pub(crate) fn find(named: &Path, wanted: Option<LedgerId>) -> anyhow::Result<Place> {
    let path = fs::canonicalize(named).map_err(|error| {
        let failure = Failure::new(Exit::NotFound, format!("store `{}` cannot be found", named.display()));
        anyhow::Error::new(error).context(failure)
    })?;
    let own_name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    if let (Some(ledger), Some(store)) = (own_name, path.parent()) {
        return check_wanted(Place { store: store.to_owned(), ledger }, wanted);
    }
    let inner = path.join("store");
    let store = if ledgers(&path)?.is_empty() && inner.is_dir() { inner } else { path };
    let found = ledgers(&store)?;
    let ledger = choose(&store.display().to_string(), &found, wanted)?;
    Ok(Place { store, ledger })
}

fn check_wanted(place: Place, wanted: Option<LedgerId>) -> anyhow::Result<Place> {
    match wanted.filter(|wanted| *wanted != place.ledger) {
        None => Ok(place),
        Some(wanted) => {
            let message = format!("expected ledger `{wanted}`, found `{}`", place.ledger);
            Err(Failure::new(Exit::NotFound, message).into())
        }
    }
}

fn ledgers(store: &Path) -> anyhow::Result<Vec<LedgerId>> {
    let context = || format!("list `{}`", store.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(store).with_context(context)? {
        let entry = entry.with_context(context)?;
        if let Some(ledger) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && entry.path().is_dir()
        {
            found.push(ledger);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn list(ledgers: &[LedgerId]) -> String {
    match ledgers {
        [] => "none".to_owned(),
        _ => ledgers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
