//! Showing settings without their secrets.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::file::Secret;
use super::store::{Mode, Store};
use super::{KEYS, Settings};
use crate::output::object;
use crate::secret::hex;

/// Returns the settings as TOML, each line with where it came from.
pub(crate) fn show_toml(settings: &Settings) -> String {
    let mut text = String::new();
    let mut table = "";
    for (key, origin) in KEYS.iter().zip(&settings.origins) {
        let (in_table, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if in_table != table {
            text.push_str(&format!("\n[{in_table}]\n"));
            table = in_table;
        }
        let line = match value(settings, key.path) {
            Value::Null => format!("# {name} is not set"),
            value => format!("{name} = {}", toml_of(&value)),
        };
        text.push_str(&format!("{line:<48} # {}\n", origin.name()));
    }
    text
}

/// Writes a value as TOML; of texts, numbers and lists of them both forms are the same.
fn toml_of(value: &Value) -> String {
    let has_members = |value: &Value| value.is_object();
    if !(has_members(value) || value.as_array().is_some_and(|list| list.iter().any(has_members))) {
        return value.to_string();
    }
    toml::Value::try_from(value).expect("settings have no null inside").to_string()
}

/// Returns the settings as JSON: for each key its value, origin and variable.
pub(crate) fn show_json(settings: &Settings) -> Value {
    let keys = KEYS.iter().zip(&settings.origins).map(|(key, origin)| {
        let members = [
            ("value", value(settings, key.path)),
            ("from", origin.name().into()),
            ("variable", key.variable.into()),
        ];
        let shown = object(members);
        (key.path.to_owned(), shown)
    });
    Value::Object(keys.collect())
}

fn value(settings: &Settings, path: &str) -> Value {
    let (whatsapp, limits) = (&settings.whatsapp, &settings.limits);
    match path {
        "listen" => settings.listen.to_string().into(),
        "time_zone" => settings.time_zone.name().into(),
        "whatsapp.app_secrets" if whatsapp.app_secrets.is_empty() => Value::Null,
        "whatsapp.app_secrets" => whatsapp.app_secrets.iter().map(masked_with_id).collect(),
        "whatsapp.verify_token" => whatsapp.verify_token.as_ref().map(|_| "********").into(),
        "limits.waiting_events_max" => limits.waiting_events_max.into(),
        "limits.waiting_bytes_max" => limits.waiting_bytes_max.into(),
        "limits.commit_events_max" => limits.commit_events_max.into(),
        "limits.commit_bytes_max" => limits.commit_bytes_max.into(),
        "limits.commit_wait_us" => limits.commit_wait_us.into(),
        "replica.behind_after_seconds" => settings.replica.behind_after_seconds.into(),
        "replica.compare_locks_hours" => settings.replica.compare_locks_hours.into(),
        "graph.base_url" => settings.graph.base_url.clone().into(),
        "graph.version" => settings.graph.version.clone().into(),
        "graph.token" => settings.graph.token.as_ref().map(|_| "********").into(),
        "graph.numbers" => texts(&settings.graph.numbers),
        "graph.media_hosts" => texts(&settings.graph.media_hosts),
        "graph.poll_every_seconds" => settings.graph.poll_every_seconds.into(),
        "graph.expected_callback" => settings.graph.expected_callback.clone().into(),
        "graph.message_history" => settings.graph.message_history.into(),
        "graph.message_counts" => settings.graph.message_counts.into(),
        "media.bytes_max" => settings.media.bytes_max.into(),
        "media.life_hours" => settings.media.life_hours.into(),
        "media.concurrency" => settings.media.concurrency.into(),
        "coverage.heartbeat_minutes" => settings.coverage.heartbeat_minutes.into(),
        "coverage.findings_hour" => settings.coverage.findings_hour.into(),
        "coverage.canaries" if settings.coverage.canaries.is_empty() => Value::Null,
        "coverage.canaries" => settings.coverage.canaries.clone().into(),
        "scrub.over_days" => settings.scrub.over_days.into(),
        "snapshot.enabled" => settings.snapshot.enabled.into(),
        "snapshot.every_hours" => settings.snapshot.every_hours.into(),
        "snapshot.every_events" => settings.snapshot.every_events.into(),
        _ if path.starts_with("consent.") => settings.consent.shown(path.trim_start_matches("consent.")),
        _ if path.starts_with("senders.") => settings.senders.shown(path.trim_start_matches("senders.")),
        _ if path.starts_with("proxy.") => settings.proxy.shown(path.trim_start_matches("proxy.")),
        _ => match path.strip_prefix("replica.") {
            Some(name) => store_value(&settings.replica.store(), name),
            None => store_value(&settings.store, path.trim_start_matches("store.")),
        },
    }
}

/// A list without anything in it is not set.
fn texts(list: &[String]) -> Value {
    if list.is_empty() { Value::Null } else { list.to_vec().into() }
}

fn store_value(store: &Store, path: &str) -> Value {
    let manager = store.records_manager.clone().unwrap_or_default();
    let masked = |secret: Option<Secret>| secret.map(|_| "********");
    match path {
        "url" => store.url.clone().into(),
        "endpoint" => store.endpoint.clone().into(),
        "region" => store.region.clone().into(),
        "mode" => store.mode.map(Mode::name).into(),
        "profile" => store.profile.clone().into(),
        "records_manager.profile" => manager.profile.into(),
        "records_manager.access_key_id" => manager.access_key_id.into(),
        "records_manager.secret_access_key" => masked(manager.secret_access_key).into(),
        _ => masked(manager.session_token).into(),
    }
}

/// An app secret is masked to the id under which deliveries record it, so that a rotation can be followed.
fn masked_with_id(secret: &Secret) -> Value {
    format!("******** (id {})", hex(&Sha256::digest(secret.expose().as_bytes())[..4])).into()
}
