//! The file `piperoll.toml`; its schema is `schemas/config.schema.json`.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

use anyhow::Context as _;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use toml::Value;

use super::consent::Consent;
use super::coverage::Coverage;
use super::graph::{Graph, Media};
use super::replica::{Replica, Scrub};
use super::senders::{Proxy, Senders};
use super::snapshot::Snapshot;
use super::store::Store;
use super::{KEYS, nearest};
use crate::error::{Exit, Failure};

/// Configuration of an archive; every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "Piperoll configuration"))]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// Address to listen on; 127.0.0.1:8722 unless given.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) listen: Option<SocketAddr>,
    /// IANA time zone of dates in queries and of times shown; UTC unless given.
    pub(crate) time_zone: Option<Zone>,
    /// Connection to the WhatsApp Business Platform.
    pub(crate) whatsapp: Option<WhatsApp>,
    /// How much may wait and how much one commit takes.
    pub(crate) limits: Option<Limits>,
    /// Providers that deliver WhatsApp traffic in envelopes of their own.
    pub(crate) senders: Option<Senders>,
    /// The proxy to the send endpoints.
    pub(crate) proxy: Option<Proxy>,
    /// Where the archive keeps its truth.
    pub(crate) store: Option<Store>,
    /// Where the second copy is.
    pub(crate) replica: Option<Replica>,
    /// Passes over all objects.
    pub(crate) scrub: Option<Scrub>,
    /// Copies of index and projections in the store.
    pub(crate) snapshot: Option<Snapshot>,
    /// Connection to the Graph API.
    pub(crate) graph: Option<Graph>,
    /// How media are fetched.
    pub(crate) media: Option<Media>,
    /// How the capture is watched.
    pub(crate) coverage: Option<Coverage>,
    /// How signals of consent are read.
    pub(crate) consent: Option<Consent>,
}

/// An IANA time zone such as `Europe/Warsaw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(transparent))]
pub(crate) struct Zone(#[cfg_attr(test, schemars(with = "String"))] pub(crate) Tz);

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("expected an IANA time zone such as `Europe/Warsaw`, found `{text}`");
        text.parse().map(Self).map_err(|_| unknown())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

/// Connection to the WhatsApp Business Platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WhatsApp {
    /// Secrets of the Meta apps that sign webhooks; several while a secret is being replaced.
    #[serde(default)]
    pub(crate) app_secrets: Vec<Secret>,
    /// The token that Meta repeats when the callback address is registered.
    pub(crate) verify_token: Option<Secret>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub(crate) struct Secret(#[cfg_attr(test, schemars(length(min = 1)))] String);

impl Secret {
    /// Takes a secret.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How much may wait and how much one commit takes; what is not given is decided by the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Most events that wait for a commit; further ones are answered with 503.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) waiting_events_max: Option<usize>,
    /// Most bytes that wait for a commit.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) waiting_bytes_max: Option<usize>,
    /// Most events that one commit takes.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) commit_events_max: Option<usize>,
    /// Most bytes that one commit takes.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) commit_bytes_max: Option<usize>,
    /// How long a commit waits for more events under load, in microseconds.
    pub(crate) commit_wait_us: Option<u64>,
}

impl ConfigFile {
    /// Reads the file; a file that does not exist sets nothing.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&path.display().to_string(), &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("read `{}`", path.display())),
        }
    }

    /// Reads the text of a file; `name` is used in messages only.
    pub(crate) fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let malformed = |error: toml::de::Error| {
            Failure::new(Exit::Usage, format!("configuration `{name}`: {}", error.to_string().trim_end()))
        };
        let table: toml::Table = toml::from_str(text).map_err(malformed)?;
        check_keys(name, "", &table)?;
        let config: Self = toml::from_str(text).map_err(malformed)?;
        config
            .check_values()
            .map_err(|error| Failure::new(Exit::Usage, format!("configuration `{name}`: {error}")))?;
        Ok(config)
    }

    /// Checks what types cannot say.
    pub(crate) fn check_values(&self) -> Result<(), String> {
        let limits = self.limits.clone().unwrap_or_default();
        let counts = [
            ("limits.waiting_events_max", limits.waiting_events_max),
            ("limits.waiting_bytes_max", limits.waiting_bytes_max),
            ("limits.commit_events_max", limits.commit_events_max),
            ("limits.commit_bytes_max", limits.commit_bytes_max),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == Some(0)) {
            return Err(format!("`{key}`: expected a number from 1, found 0"));
        }
        self.coverage.as_ref().map_or(Ok(()), Coverage::check)?;
        self.consent.as_ref().map_or(Ok(()), Consent::check)?;
        self.graph.as_ref().map_or(Ok(()), Graph::check)?;
        self.media.as_ref().map_or(Ok(()), Media::check)?;
        self.snapshot.as_ref().map_or(Ok(()), Snapshot::check)?;
        let whatsapp = self.whatsapp.clone().unwrap_or_default();
        let secrets = || whatsapp.app_secrets.iter().chain(&whatsapp.verify_token);
        if secrets().any(|secret| secret.0.is_empty()) {
            return Err("`whatsapp`: expected a secret, found an empty text".to_owned());
        }
        Ok(())
    }

    /// Tells whether a key of [`KEYS`] is set.
    pub(crate) fn has(&self, path: &str) -> bool {
        let value = Value::try_from(self).expect("a configuration can be written as TOML");
        let found = path.split('.').try_fold(&value, |value, name| value.get(name));
        found.is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()))
    }

    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        let (whatsapp, limits) = (self.whatsapp.unwrap_or_default(), self.limits.unwrap_or_default());
        let below_whatsapp = below.whatsapp.unwrap_or_default();
        let below_limits = below.limits.unwrap_or_default();
        let app_secrets =
            if whatsapp.app_secrets.is_empty() { below_whatsapp.app_secrets } else { whatsapp.app_secrets };
        Self {
            listen: self.listen.or(below.listen),
            time_zone: self.time_zone.or(below.time_zone),
            whatsapp: Some(WhatsApp {
                app_secrets,
                verify_token: whatsapp.verify_token.or(below_whatsapp.verify_token),
            }),
            limits: Some(Limits {
                waiting_events_max: limits.waiting_events_max.or(below_limits.waiting_events_max),
                waiting_bytes_max: limits.waiting_bytes_max.or(below_limits.waiting_bytes_max),
                commit_events_max: limits.commit_events_max.or(below_limits.commit_events_max),
                commit_bytes_max: limits.commit_bytes_max.or(below_limits.commit_bytes_max),
                commit_wait_us: limits.commit_wait_us.or(below_limits.commit_wait_us),
            }),
            senders: Some(self.senders.unwrap_or_default().over(below.senders.unwrap_or_default())),
            proxy: Some(self.proxy.unwrap_or_default().over(below.proxy.unwrap_or_default())),
            store: Some(self.store.unwrap_or_default().over(below.store.unwrap_or_default())),
            replica: Some(self.replica.unwrap_or_default().over(below.replica.unwrap_or_default())),
            scrub: Some(self.scrub.unwrap_or_default().over(below.scrub.unwrap_or_default())),
            snapshot: Some(self.snapshot.unwrap_or_default().over(below.snapshot.unwrap_or_default())),
            graph: Some(self.graph.unwrap_or_default().over(below.graph.unwrap_or_default())),
            media: Some(self.media.unwrap_or_default().over(below.media.unwrap_or_default())),
            coverage: Some(self.coverage.unwrap_or_default().over(below.coverage.unwrap_or_default())),
            consent: Some(self.consent.unwrap_or_default().over(below.consent.unwrap_or_default())),
        }
    }
}

/// Refuses keys that do not exist, naming the nearest one that does.
fn check_keys(file: &str, prefix: &str, table: &toml::Table) -> Result<(), Failure> {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        if KEYS.iter().any(|key| key.path == path) {
            continue;
        }
        let inner = format!("{path}.");
        let is_table = KEYS.iter().any(|key| key.path.starts_with(&inner));
        match value {
            Value::Table(table) if is_table => check_keys(file, &inner, table)?,
            // A table in the wrong form is for the types to report.
            _ if is_table => {}
            _ => return Err(unknown_key(file, &path)),
        }
    }
    Ok(())
}

fn unknown_key(file: &str, path: &str) -> Failure {
    let tables = KEYS.iter().filter_map(|key| key.path.rsplit_once('.').map(|(table, _)| table));
    let known = KEYS.iter().map(|key| key.path).chain(tables);
    let failure = Failure::new(Exit::Usage, format!("configuration `{file}`: unknown key `{path}`"));
    match nearest(path, known) {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        None => failure.hint("the keys are in schemas/config.schema.json"),
    }
}
