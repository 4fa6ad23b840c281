//! The settings of the store: where it is and by whose rights it is used.

use std::fmt;
use std::str::FromStr;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::file::{ConfigFile, Secret};
use crate::args::StoreArgs;
use crate::error::{Exit, Failure};

/// How an S3 address begins.
pub(crate) const S3_SCHEME: &str = "s3://";

/// Where the archive keeps its truth; `store` in its own directory unless given.
///
/// Credentials of the writer come from the usual AWS environment variables, a profile or a web identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// `s3://bucket/prefix`, or the path of a directory, counted from the directory of the archive.
    pub(crate) url: Option<String>,
    /// Address of an S3 service that is not AWS, such as `https://s3.example.com`.
    pub(crate) endpoint: Option<String>,
    /// Region of the bucket; taken from the environment unless given.
    pub(crate) region: Option<String>,
    /// How objects are locked: `compliance` unless given.
    pub(crate) mode: Option<Mode>,
    /// Profile in the AWS configuration files whose credentials the writer uses.
    pub(crate) profile: Option<String>,
    /// The identity that may delete what retention no longer keeps and clear holds; only where that is done.
    pub(crate) records_manager: Option<RecordsManager>,
}

/// How the objects of an S3 store are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Nobody can delete a locked object.
    Compliance,
    /// Nobody can delete a locked object but those with a special right.
    Governance,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Compliance => "compliance",
            Self::Governance => "governance",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "compliance" => Ok(Self::Compliance),
            "governance" => Ok(Self::Governance),
            _ => Err(format!("expected `compliance` or `governance`, found `{text}`")),
        }
    }
}

/// The credentials of the records manager: a profile, or a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordsManager {
    /// Profile in the AWS configuration files.
    pub(crate) profile: Option<String>,
    /// Access key, when there is no profile.
    pub(crate) access_key_id: Option<String>,
    /// The secret of the access key.
    pub(crate) secret_access_key: Option<Secret>,
    /// Session token, with temporary credentials.
    pub(crate) session_token: Option<Secret>,
}

impl RecordsManager {
    /// Tells whether nothing is set, so that this machine only captures.
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), String> {
        const TABLE: &str = "`store.records_manager`";
        let key = (self.access_key_id.is_some(), self.secret_access_key.is_some());
        match (self.profile.is_some(), key) {
            (true, (false, false)) if self.session_token.is_none() => Ok(()),
            (false, (true, true)) => Ok(()),
            (true, _) => Err(format!("{TABLE}: expected a profile or an access key, found both")),
            (false, _) => {
                Err(format!("{TABLE}: expected `access_key_id` and `secret_access_key`, found one of them"))
            }
        }
    }
}

impl Store {
    /// Takes the store that the command line names.
    pub(crate) fn of_args(args: &StoreArgs, mode: Option<Mode>) -> anyhow::Result<Self> {
        let url = match &args.store {
            Some(path) if !path.contains("://") => {
                let path = std::path::absolute(path).with_context(|| format!("find directory `{path}`"))?;
                Some(path.display().to_string())
            }
            url => url.clone(),
        };
        let store = Self {
            url,
            endpoint: args.endpoint.clone(),
            region: args.region.clone(),
            mode,
            profile: args.profile.clone(),
            records_manager: None,
        };
        store.check().map_err(|error| Failure::new(Exit::Usage, error))?;
        Ok(store)
    }

    /// Returns the text of a configuration file that names this store; nothing for the usual place.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::new();
        if self.url.is_some() {
            let config = ConfigFile { store: Some(self.clone()), ..ConfigFile::default() };
            text.push_str(&toml::to_string(&config).expect("a configuration can be written as TOML"));
        }
        text
    }

    /// Tells whether the store is a bucket.
    pub(crate) fn is_s3(&self) -> bool {
        self.url.as_deref().is_some_and(|url| url.starts_with(S3_SCHEME))
    }

    /// Returns the records manager's credentials, if this machine has them.
    pub(crate) fn records_manager(&self) -> Option<&RecordsManager> {
        self.records_manager.as_ref().filter(|manager| !manager.is_empty())
    }

    /// Checks what types cannot say; `self` has the values of all sources.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(url) = self.url.as_deref().filter(|url| !url.starts_with(S3_SCHEME))
            && (url.contains("://") || url.is_empty())
        {
            return Err(format!("`store.url`: expected `s3://bucket/prefix` or a path, found `{url}`"));
        }
        let only_s3 = [
            ("endpoint", self.endpoint.is_some()),
            ("region", self.region.is_some()),
            ("mode", self.mode.is_some()),
            ("profile", self.profile.is_some()),
            ("records_manager", self.records_manager().is_some()),
        ];
        if let Some((key, _)) = only_s3.iter().find(|(_, is_set)| *is_set && !self.is_s3()) {
            return Err(format!(
                "`store.{key}`: expected `store.url` to name a bucket, `s3://bucket/prefix`"
            ));
        }
        self.records_manager().map_or(Ok(()), RecordsManager::check)
    }

    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        let (manager, below_manager) =
            (self.records_manager.unwrap_or_default(), below.records_manager.unwrap_or_default());
        Self {
            url: self.url.or(below.url),
            endpoint: self.endpoint.or(below.endpoint),
            region: self.region.or(below.region),
            mode: self.mode.or(below.mode),
            profile: self.profile.or(below.profile),
            records_manager: Some(RecordsManager {
                profile: manager.profile.or(below_manager.profile),
                access_key_id: manager.access_key_id.or(below_manager.access_key_id),
                secret_access_key: manager.secret_access_key.or(below_manager.secret_access_key),
                session_token: manager.session_token.or(below_manager.session_token),
            }),
        }
    }
}
