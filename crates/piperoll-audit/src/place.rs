//! Where the ledger is: from whatever directory was named to the store and the ledger's id.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use piperoll_format::LedgerId;

use crate::error::{Exit, Failure};

/// A ledger in a directory store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Root of the store.
    pub(crate) store: PathBuf,
    pub(crate) ledger: LedgerId,
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
    match (wanted, found.as_slice()) {
        (Some(ledger), _) if found.contains(&ledger) => Ok(Place { store, ledger }),
        (None, [ledger]) => Ok(Place { store, ledger: *ledger }),
        (Some(ledger), _) => {
            let message =
                format!("expected ledger `{ledger}` in `{}`, found {}", store.display(), list(&found));
            Err(Failure::new(Exit::NotFound, message).into())
        }
        (None, []) => {
            let message = format!("expected a ledger in `{}`, found none", store.display());
            Err(Failure::new(Exit::NotFound, message).into())
        }
        (None, _) => {
            let message = format!("expected one ledger in `{}`, found {}", store.display(), list(&found));
            Err(Failure::new(Exit::Conflict, message).hint("name one with --ledger").into())
        }
    }
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
