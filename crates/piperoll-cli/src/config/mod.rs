//! Settings: from `piperoll.toml`, the environment and the command line, the later one winning.
//!
//! [`Settings`] are values that can be written down; what is built from them is made in `serve.rs`. Every key of the
//! file has an environment variable, `PIPEROLL_` and its path in capitals; see [`KEYS`].

mod environment;
mod file;
mod show;

use std::net::SocketAddr;

use chrono_tz::Tz;

pub(crate) use environment::Environment;
pub(crate) use file::{ConfigFile, Limits, Secret, WhatsApp};
pub(crate) use show::{show_json, show_toml};

use crate::directory::ArchiveDirectory;

/// Where the server listens unless told otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:8722";

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Path in the file, dots between tables.
    pub(crate) path: &'static str,
    /// The environment variable that stands above the file.
    pub(crate) variable: &'static str,
}

const fn key(path: &'static str, variable: &'static str) -> Key {
    Key { path, variable }
}

/// Every key, in the order in which they are shown.
pub(crate) const KEYS: &[Key] = &[
    key("listen", "PIPEROLL_LISTEN"),
    key("time_zone", "PIPEROLL_TIME_ZONE"),
    key("whatsapp.app_secrets", "PIPEROLL_WHATSAPP_APP_SECRET"),
    key("whatsapp.verify_token", "PIPEROLL_WHATSAPP_VERIFY_TOKEN"),
    key("limits.waiting_events_max", "PIPEROLL_LIMITS_WAITING_EVENTS_MAX"),
    key("limits.waiting_bytes_max", "PIPEROLL_LIMITS_WAITING_BYTES_MAX"),
    key("limits.commit_events_max", "PIPEROLL_LIMITS_COMMIT_EVENTS_MAX"),
    key("limits.commit_bytes_max", "PIPEROLL_LIMITS_COMMIT_BYTES_MAX"),
    key("limits.commit_wait_us", "PIPEROLL_LIMITS_COMMIT_WAIT_US"),
];

/// Where the value of a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File,
    Environment,
    Flag,
}

impl Origin {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// What the command line says about settings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) time_zone: Option<Tz>,
}

/// The settings in effect.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) time_zone: Tz,
    pub(crate) whatsapp: WhatsApp,
    pub(crate) limits: Limits,
    /// Origin of each key, in the order of [`KEYS`].
    pub(crate) origins: Vec<Origin>,
}

impl Settings {
    /// Reads the settings of an archive.
    ///
    /// # Errors
    /// Names the file or the variable, the key and what was expected.
    pub(crate) fn load(
        directory: &ArchiveDirectory,
        flags: Flags,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let file = ConfigFile::read(&directory.config())?;
        Self::merge(file, flags, environment)
    }

    pub(crate) fn merge(file: ConfigFile, flags: Flags, environment: &Environment) -> anyhow::Result<Self> {
        let from_environment = environment.parse()?;
        let origins = KEYS.iter().map(|key| {
            let by_flag = match key.path {
                "listen" => flags.listen.is_some(),
                "time_zone" => flags.time_zone.is_some(),
                _ => false,
            };
            match () {
                () if by_flag => Origin::Flag,
                () if from_environment.has(key.path) => Origin::Environment,
                () if file.has(key.path) => Origin::File,
                () => Origin::Default,
            }
        });
        let origins = origins.collect();
        let merged = from_environment.over(file);
        let listen_default = || LISTEN_DEFAULT.parse().expect("the default address is one");
        Ok(Self {
            listen: flags.listen.or(merged.listen).unwrap_or_else(listen_default),
            time_zone: flags.time_zone.or(merged.time_zone.map(|zone| zone.0)).unwrap_or(Tz::UTC),
            whatsapp: merged.whatsapp.unwrap_or_default(),
            limits: merged.limits.unwrap_or_default(),
            origins,
        })
    }
}

/// Returns the known name that is nearest to a misspelt one, if any is near.
pub(crate) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, a suggestion is more likely to confuse than to help.
    const SIMILARITY_MIN: f64 = 0.7;
    let scored = known.into_iter().map(|name| (strsim::jaro_winkler(found, name), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= SIMILARITY_MIN).then_some(best.1)
}
