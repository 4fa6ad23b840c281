//! Where everything is in the directory of an archive.
//!
//! | path | what |
//! |---|---|
//! | `store/` | the write-once directory store: the truth; elsewhere if the configuration says so |
//! | `secrets/` | keys and tokens; only the owner may read (0700, files 0600) |
//! | `policies/*.toml` | the retention policies in force |
//! | `piperoll.toml` | configuration, optional |
//! | `state/` | derived state: index, projections, remembered checkpoints; and `unrecorded-sends.jsonl`, which is not derived: gaps of the proxy that are not on the record yet |
//! | `run/` | lock of the writing process, and how to reach it |

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use piperoll_policy::{Policy, PolicySet};
use piperoll_store::WormStore;

use crate::error::{Exit, Failure};
use crate::store::StorePlace;

/// Mode of files that hold secrets.
pub(crate) const SECRET_FILE_MODE: u32 = 0o600;
/// Mode of directories that hold secrets.
pub(crate) const SECRET_DIRECTORY_MODE: u32 = 0o700;

/// The directory of an archive; knows paths, holds nothing open.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveDirectory {
    root: PathBuf,
}

impl ArchiveDirectory {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Takes a directory that holds an archive.
    pub(crate) fn existing(root: &Path) -> anyhow::Result<Self> {
        let directory = Self::new(root);
        // The store may be elsewhere, and the keys may be lost.
        if directory.store().is_dir() || directory.secrets().is_dir() || directory.config().is_file() {
            return Ok(directory);
        }
        let message = format!("expected an archive in `{}`, found none", root.display());
        let hint =
            format!("create one with `piperoll init --dir {}`, or name another with --dir", root.display());
        Err(Failure::new(Exit::NotFound, message).hint(hint).into())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    pub(crate) fn signing_key(&self) -> PathBuf {
        self.secrets().join("signing-key.pem")
    }

    pub(crate) fn next_key(&self) -> PathBuf {
        self.secrets().join("next-key.pem")
    }

    pub(crate) fn kek(&self) -> PathBuf {
        self.secrets().join("kek")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.secrets().join("tokens.json")
    }

    /// Says when the keys were last backed up.
    pub(crate) fn backup_marker(&self) -> PathBuf {
        self.secrets().join("backup.json")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.state().join("index")
    }

    /// The newest verified checkpoint of a log.
    pub(crate) fn remembered(&self, origin: &str) -> PathBuf {
        self.state().join("remembered").join(piperoll_verify::remember::file_name(origin))
    }

    /// The policies that were put on the record last; derived from the ledger.
    pub(crate) fn recorded_policies(&self) -> PathBuf {
        self.state().join("policies.json")
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.root.join("policies")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("piperoll.toml")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(crate) fn writer_lock(&self) -> PathBuf {
        self.run().join("lock")
    }

    pub(crate) fn serve_json(&self) -> PathBuf {
        self.run().join("serve.json")
    }

    /// The token of commands on this machine.
    pub(crate) fn local_token(&self) -> PathBuf {
        self.secrets().join("local-token")
    }

    /// Opens the store for reading only, beside whoever writes.
    pub(crate) fn open_store_read_only(&self) -> anyhow::Result<Arc<dyn WormStore>> {
        StorePlace::of(self)?.open_read_only()
    }

    /// Reads the policies in force.
    pub(crate) fn policy_set(&self) -> anyhow::Result<PolicySet> {
        let mut policies = Vec::new();
        let directory = self.policies();
        let entries = fs::read_dir(&directory).with_context(|| format!("read `{}`", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                policies.push(read_policy(&path)?);
            }
        }
        PolicySet::new(policies).with_context(|| format!("policies in `{}`", directory.display()))
    }
}

/// Reads a policy file.
pub(crate) fn read_policy(path: &Path) -> anyhow::Result<Policy> {
    let text = fs::read_to_string(path).with_context(|| format!("read policy `{}`", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Policy::parse(&name, &text)?)
}

/// Creates a directory that only the owner may enter.
pub(crate) fn create_secret_directory(path: &Path) -> anyhow::Result<()> {
    let created = fs::DirBuilder::new().recursive(true).mode(SECRET_DIRECTORY_MODE).create(path);
    created.with_context(|| format!("create `{}`", path.display()))
}

/// Creates a file that only the owner may read, durably; fails when it exists.
pub(crate) fn create_secret_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    write_durably(options.write(true).create_new(true), path, bytes)
        .with_context(|| format!("create `{}`", path.display()))
}

/// Replaces a file that only the owner may read, in one step.
pub(crate) fn replace_secret_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let staged = path.with_extension("new");
    let mut options = OpenOptions::new();
    write_durably(options.write(true).create(true).truncate(true), &staged, bytes)
        .and_then(|()| fs::rename(&staged, path))
        .with_context(|| format!("write `{}`", path.display()))
}

fn write_durably(options: &mut OpenOptions, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = options.mode(SECRET_FILE_MODE).open(path)?;
    // `mode` counts only for a new file.
    file.set_permissions(fs::Permissions::from_mode(SECRET_FILE_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // A name alone is in the directory at hand, which has an empty name here.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(parent)?.sync_all()
}
