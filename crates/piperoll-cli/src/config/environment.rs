//! Settings from environment variables.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::consent::{self, Consent};
use super::coverage::Coverage;
use super::file::{ConfigFile, Limits, Secret, WhatsApp};
use super::graph::{Graph, Media};
use super::replica::{Replica, Scrub};
use super::senders::{Proxy, Senders};
use super::snapshot::Snapshot;
use super::store::{RecordsManager, Store};
use super::{KEYS, nearest};
use crate::error::{Exit, Failure};

const PREFIX: &str = "PIPEROLL_";

/// The variables that begin with `PIPEROLL_`, as the process got them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes the variables of this process.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Self(variables.collect())
    }

    /// Takes the given variables.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Returns variables that look like misspelt settings, each with the one that may be meant.
    pub(crate) fn misspelt(&self) -> Vec<(String, &'static str)> {
        let known = || KEYS.iter().map(|key| key.variable);
        let unknown = self.0.keys().filter(|name| !known().any(|variable| variable == name.as_str()));
        // The prefix alone makes any two names similar.
        let suffixes = || known().map(|name| &name[PREFIX.len()..]);
        let likely = unknown.filter_map(|name| {
            let found = nearest(&name[PREFIX.len()..], suffixes())?;
            let meant = known().find(|variable| variable[PREFIX.len()..] == *found)?;
            (strsim::damerau_levenshtein(name, meant) <= 3).then(|| (name.clone(), meant))
        });
        likely.collect()
    }

    /// Reads the variables as a configuration; an empty variable counts as not set.
    pub(crate) fn parse(&self) -> anyhow::Result<ConfigFile> {
        let app_secrets = self.get("whatsapp.app_secrets").map(list).unwrap_or_default();
        let wrong = |error: String| Failure::new(Exit::Usage, format!("environment: {error}"));
        let config = ConfigFile {
            listen: self.read("listen")?,
            time_zone: self.read("time_zone")?,
            whatsapp: Some(WhatsApp {
                app_secrets: app_secrets.into_iter().map(Secret::new).collect(),
                verify_token: self.get("whatsapp.verify_token").map(Secret::new),
            }),
            limits: Some(Limits {
                waiting_events_max: self.read("limits.waiting_events_max")?,
                waiting_bytes_max: self.read("limits.waiting_bytes_max")?,
                commit_events_max: self.read("limits.commit_events_max")?,
                commit_bytes_max: self.read("limits.commit_bytes_max")?,
                commit_wait_us: self.read("limits.commit_wait_us")?,
            }),
            senders: Some(Senders::of(&|path| self.get(path).map(str::to_owned)).map_err(wrong)?),
            proxy: Some(Proxy {
                upstream: self.get("proxy.upstream").map(str::to_owned),
                on_archive_failure: self.read("proxy.on_archive_failure")?,
                timeout_s: self.read("proxy.timeout_s")?,
            }),
            store: Some(self.store()?),
            replica: Some(self.replica()?),
            scrub: Some(Scrub { over_days: self.read("scrub.over_days")? }),
            snapshot: Some(self.snapshot()?),
            graph: Some(self.graph()?),
            media: Some(self.media()?),
            coverage: Some(self.coverage()?),
            consent: Some(self.consent()?),
        };
        config.check_values().map_err(wrong)?;
        Ok(config)
    }

    fn store(&self) -> anyhow::Result<Store> {
        let text = |path| self.get(path).map(str::to_owned);
        Ok(Store {
            url: text("store.url"),
            endpoint: text("store.endpoint"),
            region: text("store.region"),
            mode: self.read("store.mode")?,
            profile: text("store.profile"),
            records_manager: Some(RecordsManager {
                profile: text("store.records_manager.profile"),
                access_key_id: text("store.records_manager.access_key_id"),
                secret_access_key: self.get("store.records_manager.secret_access_key").map(Secret::new),
                session_token: self.get("store.records_manager.session_token").map(Secret::new),
            }),
        })
    }

    fn replica(&self) -> anyhow::Result<Replica> {
        let text = |path| self.get(path).map(str::to_owned);
        Ok(Replica {
            url: text("replica.url"),
            endpoint: text("replica.endpoint"),
            region: text("replica.region"),
            mode: self.read("replica.mode")?,
            profile: text("replica.profile"),
            records_manager: Some(RecordsManager {
                profile: text("replica.records_manager.profile"),
                access_key_id: text("replica.records_manager.access_key_id"),
                secret_access_key: self.get("replica.records_manager.secret_access_key").map(Secret::new),
                session_token: self.get("replica.records_manager.session_token").map(Secret::new),
            }),
            behind_after_seconds: self.read("replica.behind_after_seconds")?,
            compare_locks_hours: self.read("replica.compare_locks_hours")?,
        })
    }

    fn graph(&self) -> anyhow::Result<Graph> {
        let text = |path| self.get(path).map(str::to_owned);
        let texts =
            |path| self.get(path).map(list).unwrap_or_default().into_iter().map(str::to_owned).collect();
        Ok(Graph {
            base_url: text("graph.base_url"),
            version: text("graph.version"),
            token: self.get("graph.token").map(Secret::new),
            numbers: texts("graph.numbers"),
            media_hosts: texts("graph.media_hosts"),
            poll_every_seconds: self.read("graph.poll_every_seconds")?,
            expected_callback: text("graph.expected_callback"),
            message_history: self.read("graph.message_history")?,
            message_counts: self.read("graph.message_counts")?,
        })
    }

    fn snapshot(&self) -> anyhow::Result<Snapshot> {
        Ok(Snapshot {
            enabled: self.read("snapshot.enabled")?,
            every_hours: self.read("snapshot.every_hours")?,
            every_events: self.read("snapshot.every_events")?,
        })
    }

    fn media(&self) -> anyhow::Result<Media> {
        Ok(Media {
            bytes_max: self.read("media.bytes_max")?,
            life_hours: self.read("media.life_hours")?,
            concurrency: self.read("media.concurrency")?,
        })
    }

    fn coverage(&self) -> anyhow::Result<Coverage> {
        let canaries = self.get("coverage.canaries").map(list).unwrap_or_default();
        Ok(Coverage {
            heartbeat_minutes: self.read("coverage.heartbeat_minutes")?,
            findings_hour: self.read("coverage.findings_hour")?,
            canaries: canaries.into_iter().map(str::to_owned).collect(),
        })
    }

    fn consent(&self) -> anyhow::Result<Consent> {
        let wrong = |error: String| Failure::new(Exit::Usage, format!("environment: {error}"));
        let texts = |path| self.get(path).map(list).unwrap_or_default();
        let flows = self.get("consent.flows").map(consent::flows).transpose().map_err(wrong)?;
        Ok(Consent {
            languages: consent::languages(texts("consent.languages")).map_err(wrong)?,
            deciding_words: texts("consent.deciding_words").into_iter().map(str::to_owned).collect(),
            words_decide_every_purpose: self.read("consent.words_decide_every_purpose")?,
            buttons: self.read("consent.buttons")?,
            default_purpose: self.get("consent.default_purpose").map(str::to_owned),
            flows: flows.unwrap_or_default(),
        })
    }

    fn get(&self, path: &str) -> Option<&str> {
        let key = KEYS.iter().find(|key| key.path == path).expect("only keys of the list are asked for");
        self.0.get(key.variable).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn read<T>(&self, path: &str) -> anyhow::Result<Option<T>>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.get(path) else { return Ok(None) };
        let variable = KEYS.iter().find(|key| key.path == path).map_or(path, |key| key.variable);
        let parsed = text.parse().map_err(|error| anyhow::anyhow!("{error}"));
        let failure =
            || Failure::new(Exit::Usage, format!("environment variable `{variable}` has the value `{text}`"));
        parsed.map(Some).with_context(failure)
    }
}

fn list(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}
