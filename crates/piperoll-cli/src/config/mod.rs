//! Settings: from `piperoll.toml`, the environment and the command line, the later one winning.
//!
//! [`Settings`] are values that can be written down; what is built from them is made in `serve.rs`. Every key of the
//! file has an environment variable, `PIPEROLL_` and its path in capitals; see [`KEYS`].

mod consent;
mod coverage;
mod environment;
mod file;
mod graph;
mod replica;
mod senders;
mod show;
mod snapshot;
mod store;

use std::net::SocketAddr;

use chrono_tz::Tz;

pub(crate) use consent::Consent;
pub(crate) use coverage::Coverage;
pub(crate) use environment::Environment;
pub(crate) use file::{ConfigFile, Limits, Secret, WhatsApp};
pub(crate) use graph::{Graph, Media};
pub(crate) use replica::{Replica, Scrub};
pub(crate) use senders::{Proxy, Senders};
pub(crate) use show::{show_json, show_toml};
pub(crate) use snapshot::Snapshot;
pub(crate) use store::{Mode, RecordsManager, Store};

use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};

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
    key("store.url", "PIPEROLL_STORE_URL"),
    key("store.endpoint", "PIPEROLL_STORE_ENDPOINT"),
    key("store.region", "PIPEROLL_STORE_REGION"),
    key("store.mode", "PIPEROLL_STORE_MODE"),
    key("store.profile", "PIPEROLL_STORE_PROFILE"),
    key("store.records_manager.profile", "PIPEROLL_STORE_RECORDS_MANAGER_PROFILE"),
    key("store.records_manager.access_key_id", "PIPEROLL_STORE_RECORDS_MANAGER_ACCESS_KEY_ID"),
    key("store.records_manager.secret_access_key", "PIPEROLL_STORE_RECORDS_MANAGER_SECRET_ACCESS_KEY"),
    key("store.records_manager.session_token", "PIPEROLL_STORE_RECORDS_MANAGER_SESSION_TOKEN"),
    key("replica.url", "PIPEROLL_REPLICA_URL"),
    key("replica.endpoint", "PIPEROLL_REPLICA_ENDPOINT"),
    key("replica.region", "PIPEROLL_REPLICA_REGION"),
    key("replica.mode", "PIPEROLL_REPLICA_MODE"),
    key("replica.profile", "PIPEROLL_REPLICA_PROFILE"),
    key("replica.behind_after_seconds", "PIPEROLL_REPLICA_BEHIND_AFTER_SECONDS"),
    key("replica.compare_locks_hours", "PIPEROLL_REPLICA_COMPARE_LOCKS_HOURS"),
    key("replica.records_manager.profile", "PIPEROLL_REPLICA_RECORDS_MANAGER_PROFILE"),
    key("replica.records_manager.access_key_id", "PIPEROLL_REPLICA_RECORDS_MANAGER_ACCESS_KEY_ID"),
    key("replica.records_manager.secret_access_key", "PIPEROLL_REPLICA_RECORDS_MANAGER_SECRET_ACCESS_KEY"),
    key("replica.records_manager.session_token", "PIPEROLL_REPLICA_RECORDS_MANAGER_SESSION_TOKEN"),
    key("scrub.over_days", "PIPEROLL_SCRUB_OVER_DAYS"),
    key("snapshot.enabled", "PIPEROLL_SNAPSHOT_ENABLED"),
    key("snapshot.every_hours", "PIPEROLL_SNAPSHOT_EVERY_HOURS"),
    key("snapshot.every_events", "PIPEROLL_SNAPSHOT_EVERY_EVENTS"),
    key("graph.base_url", "PIPEROLL_GRAPH_BASE_URL"),
    key("graph.version", "PIPEROLL_GRAPH_VERSION"),
    key("graph.token", "PIPEROLL_GRAPH_TOKEN"),
    key("graph.numbers", "PIPEROLL_GRAPH_NUMBERS"),
    key("graph.media_hosts", "PIPEROLL_GRAPH_MEDIA_HOSTS"),
    key("graph.poll_every_seconds", "PIPEROLL_GRAPH_POLL_EVERY_SECONDS"),
    key("graph.expected_callback", "PIPEROLL_GRAPH_EXPECTED_CALLBACK"),
    key("graph.message_history", "PIPEROLL_GRAPH_MESSAGE_HISTORY"),
    key("graph.message_counts", "PIPEROLL_GRAPH_MESSAGE_COUNTS"),
    key("media.bytes_max", "PIPEROLL_MEDIA_BYTES_MAX"),
    key("media.life_hours", "PIPEROLL_MEDIA_LIFE_HOURS"),
    key("media.concurrency", "PIPEROLL_MEDIA_CONCURRENCY"),
    key("coverage.heartbeat_minutes", "PIPEROLL_COVERAGE_HEARTBEAT_MINUTES"),
    key("coverage.findings_hour", "PIPEROLL_COVERAGE_FINDINGS_HOUR"),
    key("coverage.canaries", "PIPEROLL_COVERAGE_CANARIES"),
    key("consent.languages", "PIPEROLL_CONSENT_LANGUAGES"),
    key("consent.deciding_words", "PIPEROLL_CONSENT_DECIDING_WORDS"),
    key("consent.words_decide_every_purpose", "PIPEROLL_CONSENT_WORDS_DECIDE_EVERY_PURPOSE"),
    key("consent.buttons", "PIPEROLL_CONSENT_BUTTONS"),
    key("consent.default_purpose", "PIPEROLL_CONSENT_DEFAULT_PURPOSE"),
    key("consent.flows", "PIPEROLL_CONSENT_FLOWS"),
    key("senders.dialog360.secrets", "PIPEROLL_SENDERS_DIALOG360_SECRETS"),
    key("senders.dialog360.secret_header", "PIPEROLL_SENDERS_DIALOG360_SECRET_HEADER"),
    key("senders.ycloud.secrets", "PIPEROLL_SENDERS_YCLOUD_SECRETS"),
    key("senders.twilio.secrets", "PIPEROLL_SENDERS_TWILIO_SECRETS"),
    key("senders.twilio.url", "PIPEROLL_SENDERS_TWILIO_URL"),
    key("senders.aws.topic_arns", "PIPEROLL_SENDERS_AWS_TOPIC_ARNS"),
    key("senders.aws.allow_sha1", "PIPEROLL_SENDERS_AWS_ALLOW_SHA1"),
    key("senders.gupshup.secrets", "PIPEROLL_SENDERS_GUPSHUP_SECRETS"),
    key("senders.gupshup.secret_header", "PIPEROLL_SENDERS_GUPSHUP_SECRET_HEADER"),
    key("senders.gupshup.allow_unsigned", "PIPEROLL_SENDERS_GUPSHUP_ALLOW_UNSIGNED"),
    key("senders.infobip.secrets", "PIPEROLL_SENDERS_INFOBIP_SECRETS"),
    key("senders.infobip.secret_header", "PIPEROLL_SENDERS_INFOBIP_SECRET_HEADER"),
    key("senders.infobip.allow_unsigned", "PIPEROLL_SENDERS_INFOBIP_ALLOW_UNSIGNED"),
    key("senders.bird.secrets", "PIPEROLL_SENDERS_BIRD_SECRETS"),
    key("senders.bird.url", "PIPEROLL_SENDERS_BIRD_URL"),
    key("senders.vonage.secrets", "PIPEROLL_SENDERS_VONAGE_SECRETS"),
    key("proxy.upstream", "PIPEROLL_PROXY_UPSTREAM"),
    key("proxy.on_archive_failure", "PIPEROLL_PROXY_ON_ARCHIVE_FAILURE"),
    key("proxy.timeout_s", "PIPEROLL_PROXY_TIMEOUT_S"),
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
    /// Whether the operator says that the clock of this host is right.
    pub(crate) confirms_clock: bool,
}

/// The settings in effect.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) time_zone: Tz,
    pub(crate) whatsapp: WhatsApp,
    pub(crate) limits: Limits,
    pub(crate) senders: Senders,
    pub(crate) proxy: Proxy,
    pub(crate) store: Store,
    pub(crate) replica: Replica,
    pub(crate) scrub: Scrub,
    pub(crate) snapshot: Snapshot,
    pub(crate) graph: Graph,
    pub(crate) media: Media,
    pub(crate) coverage: Coverage,
    pub(crate) consent: Consent,
    /// Whether the operator says that the clock of this host is right; never in the file.
    pub(crate) confirms_clock: bool,
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
        let store = merged.store.unwrap_or_default();
        store.check().map_err(|error| Failure::new(Exit::Usage, format!("configuration: {error}")))?;
        let replica = merged.replica.unwrap_or_default();
        replica.check().map_err(|error| Failure::new(Exit::Usage, format!("configuration: {error}")))?;
        let (senders, proxy) = (merged.senders.unwrap_or_default(), merged.proxy.unwrap_or_default());
        senders
            .check()
            .and_then(|()| proxy.check())
            .map_err(|error| Failure::new(Exit::Usage, format!("configuration: {error}")))?;
        let listen_default = || LISTEN_DEFAULT.parse().expect("the default address is one");
        Ok(Self {
            listen: flags.listen.or(merged.listen).unwrap_or_else(listen_default),
            time_zone: flags.time_zone.or(merged.time_zone.map(|zone| zone.0)).unwrap_or(Tz::UTC),
            whatsapp: merged.whatsapp.unwrap_or_default(),
            limits: merged.limits.unwrap_or_default(),
            senders,
            proxy,
            store,
            replica,
            scrub: merged.scrub.unwrap_or_default(),
            snapshot: merged.snapshot.unwrap_or_default(),
            graph: merged.graph.unwrap_or_default(),
            media: merged.media.unwrap_or_default(),
            coverage: merged.coverage.unwrap_or_default(),
            consent: merged.consent.unwrap_or_default(),
            confirms_clock: flags.confirms_clock,
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
