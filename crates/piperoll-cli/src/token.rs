//! Tokens that this machine makes for itself: the first admin's, and the one of local commands.

use std::fs;

use anyhow::Context as _;
use piperoll_format::Timestamp;
use piperoll_server::{NewToken, Role, TokenError, TokenStore};
use piperoll_store::{Clock as _, SystemClock};

use crate::directory::{ArchiveDirectory, replace_secret_file};

/// Name of the token that `init` shows.
const FIRST_NAME: &str = "admin";

/// Name under which commands on the machine itself stand in the record of access.
const LOCAL_NAME: &str = "local";

/// So many local tokens in a row were revoked before somebody should look into it.
const LOCAL_NAMES_MAX: u32 = 1_000;

/// Makes the first admin token and returns it.
pub(crate) fn create_first(directory: &ArchiveDirectory) -> anyhow::Result<String> {
    let tokens = TokenStore::open(&directory.tokens())?;
    let new = NewToken { name: FIRST_NAME.to_owned(), role: Role::Admin, expires_at: None };
    Ok(tokens.create(&new, now())?)
}

/// Returns the token of local commands; makes one when there is none in force.
///
/// Its file lies beside the keys: who can read it can read the whole archive anyway.
pub(crate) fn local(directory: &ArchiveDirectory, tokens: &TokenStore) -> anyhow::Result<String> {
    let path = directory.local_token();
    if let Ok(token) = fs::read_to_string(&path)
        && tokens.authenticate(token.trim(), now()).is_some()
    {
        return Ok(token.trim().to_owned());
    }
    for number in 1..=LOCAL_NAMES_MAX {
        let name = if number == 1 { LOCAL_NAME.to_owned() } else { format!("{LOCAL_NAME}-{number}") };
        match tokens.create(&NewToken { name, role: Role::Admin, expires_at: None }, now()) {
            Ok(token) => {
                replace_secret_file(&path, token.as_bytes())?;
                return Ok(token);
            }
            Err(TokenError::Exists { .. }) => {}
            Err(error) => return Err(error).context("make a token for local commands"),
        }
    }
    anyhow::bail!("expected a free name for a local token, found {LOCAL_NAMES_MAX} in use")
}

fn now() -> Timestamp {
    Timestamp(SystemClock.now_micros())
}
