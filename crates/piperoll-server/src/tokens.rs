//! Access tokens: who may do what. Only their hashes are kept, in one local file.
//!
//! A token is `prt_` and 32 random bytes in base64url. It is shown once, when it is made; with 256 random bits one
//! SHA-256 is enough to keep it. Names are never used twice, because they stand in the ledger.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use piperoll_format::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

const PREFIX: &str = "prt_";
const SECRET_BYTES: usize = 32;
const NAME_CHARS_MAX: usize = 64;

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads and verifies.
    Auditor,
    /// Hands in events.
    Ingest,
    /// Searches, reads and exports.
    Officer,
}

impl Role {
    /// Returns the text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Ingest => "ingest",
            Self::Officer => "officer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let roles = [Self::Admin, Self::Auditor, Self::Ingest, Self::Officer];
        let found = roles.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("expected admin, auditor, ingest or officer, found `{text}`"))
    }
}

/// Who asks: a token's name and role. A command on the machine itself makes its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name that is recorded in the ledger.
    pub name: String,
    /// What the caller may do.
    pub role: Role,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// SHA-256 of the token, hexadecimal.
    sha256: String,
    pub(crate) created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) revoked_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// What a new token is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// Why a token could not be made, revoked or read.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The name has another form.
    #[error("expected a token name of 1 to 64 letters, digits, `.`, `_` and `-`, found `{found}`")]
    Name {
        /// The name.
        found: String,
    },
    /// The name was used before.
    #[error("a token named `{name}` exists or existed; names are never used twice")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is no such token in force.
    #[error("there is no token named `{name}` in force")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Nobody could make tokens any more.
    #[error("`{name}` is the last admin token in force; create another one first")]
    LastAdmin {
        /// The name.
        name: String,
    },
    /// The file cannot be read or written.
    #[error("token file `{}` cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file does not have the expected form.
    #[error("token file `{}` does not have the expected form", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where it differs.
        #[source]
        source: serde_json::Error,
    },
}

/// The tokens of an archive.
pub struct TokenStore {
    path: PathBuf,
    tokens: RwLock<Vec<Token>>,
}

impl fmt::Debug for TokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl TokenStore {
    /// Opens a token file; there are no tokens while it does not exist.
    ///
    /// # Errors
    /// [`TokenError::File`], [`TokenError::Content`].
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let tokens = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| TokenError::Content { path: path.to_owned(), source })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(TokenError::File { path: path.to_owned(), source }),
        };
        Ok(Self { path: path.to_owned(), tokens: RwLock::new(tokens) })
    }

    /// Makes a token and returns it; it cannot be shown again.
    ///
    /// # Errors
    /// [`TokenError::Name`], [`TokenError::Exists`], [`TokenError::File`]. There is no new token then.
    pub fn create(&self, new: &NewToken, now: Timestamp) -> Result<String, TokenError> {
        self.check_new(new)?;
        let mut random = [0; SECRET_BYTES];
        getrandom::fill(&mut random).expect("an archive that cannot draw random tokens must stop");
        let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let mut tokens = self.write();
        let mut changed = tokens.clone();
        changed.push(Token {
            name: new.name.clone(),
            role: new.role,
            sha256: hash(&secret),
            created_at: now.to_utc(),
            revoked_at: None,
            expires_at: new.expires_at.map(Timestamp::to_utc),
        });
        replace_file(&self.path, &changed)?;
        *tokens = changed;
        Ok(secret)
    }

    /// Says whether a token of this name could be made.
    pub(crate) fn check_new(&self, new: &NewToken) -> Result<(), TokenError> {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !(1..=NAME_CHARS_MAX).contains(&new.name.chars().count()) || !new.name.chars().all(valid) {
            return Err(TokenError::Name { found: new.name.chars().take(NAME_CHARS_MAX).collect() });
        }
        if self.read().iter().any(|token| token.name == new.name) {
            return Err(TokenError::Exists { name: new.name.clone() });
        }
        Ok(())
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// [`TokenError::Unknown`], [`TokenError::LastAdmin`], [`TokenError::File`]. The token stays in force then.
    pub fn revoke(&self, name: &str, now: Timestamp) -> Result<(), TokenError> {
        let now = now.to_utc();
        let mut tokens = self.write();
        let mut changed = tokens.clone();
        let in_force = |token: &Token| token.is_in_force(now);
        let token = changed.iter_mut().find(|token| token.name == name && in_force(token));
        let token = token.ok_or_else(|| TokenError::Unknown { name: name.to_owned() })?;
        token.revoked_at = Some(now);
        let was_admin = token.role == Role::Admin;
        if was_admin && !changed.iter().any(|token| token.role == Role::Admin && in_force(token)) {
            return Err(TokenError::LastAdmin { name: name.to_owned() });
        }
        replace_file(&self.path, &changed)?;
        *tokens = changed;
        Ok(())
    }

    /// Lists all tokens, also those that ended, in the order in which they were made.
    pub(crate) fn list(&self) -> Vec<Token> {
        self.read().clone()
    }

    /// Tells whose token this is, if it is in force.
    #[must_use]
    pub fn authenticate(&self, presented: &str, now: Timestamp) -> Option<Caller> {
        let (presented, now) = (hash(presented), now.to_utc());
        let tokens = self.read();
        // The hashes are compared in constant time, so that the time does not tell how close a guess is.
        let mut matching = tokens.iter().filter(|token| token.is_in_force(now));
        let token = matching.find(|token| bool::from(token.sha256.as_bytes().ct_eq(presented.as_bytes())))?;
        Some(Caller { name: token.name.clone(), role: token.role })
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Token>> {
        // The list is replaced as a whole; a panic elsewhere does not spoil it.
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Token>> {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Token {
    pub(crate) fn is_in_force(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

fn hash(token: &str) -> String {
    crate::wire::hex(&Sha256::digest(token.as_bytes()))
}

/// Writes the file beside the old one and renames it, readable for its owner only.
fn replace_file(path: &Path, tokens: &[Token]) -> Result<(), TokenError> {
    let failed = |source| TokenError::File { path: path.to_owned(), source };
    let text = serde_json::to_vec_pretty(tokens).expect("names, roles and times are always JSON");
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    fn new(name: &str, role: Role) -> NewToken {
        NewToken { name: name.to_owned(), role, expires_at: None }
    }

    #[test]
    fn token_is_known_by_its_hash_also_after_reopening_and_not_after_revocation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let store = TokenStore::open(&path).unwrap();
        let secret = store.create(&new("ann", Role::Officer), Timestamp(1)).unwrap();
        assert!(secret.starts_with("prt_") && secret.len() == 47);
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&secret));
        let store = TokenStore::open(&path).unwrap();
        let caller = Caller { name: "ann".to_owned(), role: Role::Officer };
        assert_eq!(store.authenticate(&secret, Timestamp(2)), Some(caller));
        assert_eq!(store.authenticate(&format!("{secret}x"), Timestamp(2)), None);
        assert_eq!(store.authenticate("", Timestamp(2)), None);
        store.revoke("ann", Timestamp(3)).unwrap();
        assert_eq!(store.authenticate(&secret, Timestamp(4)), None);
        assert!(matches!(store.revoke("ann", Timestamp(5)), Err(TokenError::Unknown { .. })));
        let again = store.create(&new("ann", Role::Admin), Timestamp(6));
        assert!(matches!(again, Err(TokenError::Exists { .. })));
    }

    #[test]
    fn token_ends_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let store = TokenStore::open(&dir.path().join("tokens.json")).unwrap();
        let end = Timestamp(10_000_000);
        let secret = store
            .create(&NewToken { expires_at: Some(end), ..new("ci", Role::Ingest) }, Timestamp(1))
            .unwrap();
        assert!(store.authenticate(&secret, Timestamp(9_999_999)).is_some());
        assert!(store.authenticate(&secret, end).is_none());
    }

    #[test]
    fn last_admin_stays_and_bad_names_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let store = TokenStore::open(&path).unwrap();
        store.create(&new("root", Role::Admin), Timestamp(1)).unwrap();
        assert!(matches!(store.revoke("root", Timestamp(2)), Err(TokenError::LastAdmin { .. })));
        for name in ["", "a b", "ü", &"x".repeat(65)] {
            let refused = store.create(&new(name, Role::Admin), Timestamp(1));
            assert!(matches!(refused, Err(TokenError::Name { .. })), "{name}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
