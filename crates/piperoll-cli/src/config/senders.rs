//! The settings of other providers' webhooks, and of the proxy to the send endpoints.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use piperoll_graph::Forwarder;
use piperoll_server::{OnArchiveFailure, Proxy as ServerProxy, SenderCheck, Senders as ServerSenders};
use piperoll_sources::{AppSecret, Sender as Provider};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::KEYS;
use super::file::Secret;
use crate::error::{Exit, Failure};

/// How long the platform may take to answer a request to send, in seconds, unless given.
const TIMEOUT_SECONDS: u64 = 60;

/// Providers that deliver WhatsApp traffic in envelopes of their own; the others' webhooks are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Senders {
    /// 360dialog: `secrets`, and `secret_header` for webhooks of numbers, which it does not sign.
    pub(crate) dialog360: Option<Sender>,
    /// `YCloud`: `secrets`.
    pub(crate) ycloud: Option<Sender>,
    /// Twilio: `secrets` (auth tokens) and `url`.
    pub(crate) twilio: Option<Sender>,
    /// AWS End User Messaging Social: `topic_arns`, `allow_sha1`.
    pub(crate) aws: Option<Sender>,
    /// Gupshup, which signs nothing: `allow_unsigned`, `secret_header` and `secrets`.
    pub(crate) gupshup: Option<Sender>,
    /// Infobip, which signs nothing: `allow_unsigned`, `secret_header` and `secrets`.
    pub(crate) infobip: Option<Sender>,
    /// Bird: `secrets` (signing keys) and `url`.
    pub(crate) bird: Option<Sender>,
    /// Vonage: `secrets` (signature secrets).
    pub(crate) vonage: Option<Sender>,
}

/// What one provider's webhooks are checked with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sender {
    /// Secrets shared with the provider; several while one is being replaced.
    pub(crate) secrets: Vec<Secret>,
    /// The public address of the route, as the provider knows and signs it.
    pub(crate) url: Option<String>,
    /// The header in which a provider that does not sign sends one of the secrets.
    pub(crate) secret_header: Option<String>,
    /// Topics of Amazon SNS that may deliver.
    pub(crate) topic_arns: Vec<String>,
    /// Accept that the provider does not sign, so that whoever knows the secret can write messages.
    pub(crate) allow_unsigned: Option<bool>,
    /// Accept signatures of Amazon SNS over SHA-1.
    pub(crate) allow_sha1: Option<bool>,
}

/// The proxy that archives what is sent through it; off unless `upstream` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Proxy {
    /// Where requests to send go, such as `https://graph.facebook.com`.
    pub(crate) upstream: Option<String>,
    /// What becomes of a request that cannot be archived: `refuse` unless given.
    pub(crate) on_archive_failure: Option<ArchiveFailure>,
    /// How long the platform may take to answer, in seconds; 60 unless given.
    #[cfg_attr(test, schemars(range(min = 1, max = 600)))]
    pub(crate) timeout_s: Option<u64>,
}

/// What becomes of a request to send that cannot be archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum ArchiveFailure {
    /// It is refused and not sent.
    Refuse,
    /// It is sent, and the gap is recorded later.
    Forward,
}

impl FromStr for ArchiveFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "forward" => Ok(Self::Forward),
            _ => Err(format!("expected `refuse` or `forward`, found `{text}`")),
        }
    }
}

impl Senders {
    /// Every provider with its key in the file.
    fn all(&self) -> [(&'static str, Provider, Option<&Sender>); 8] {
        [
            ("dialog360", Provider::Dialog360, self.dialog360.as_ref()),
            ("ycloud", Provider::YCloud, self.ycloud.as_ref()),
            ("twilio", Provider::Twilio, self.twilio.as_ref()),
            ("aws", Provider::Aws, self.aws.as_ref()),
            ("gupshup", Provider::Gupshup, self.gupshup.as_ref()),
            ("infobip", Provider::Infobip, self.infobip.as_ref()),
            ("bird", Provider::Bird, self.bird.as_ref()),
            ("vonage", Provider::Vonage, self.vonage.as_ref()),
        ]
    }

    /// Reads the settings from the texts of keys, such as environment variables.
    pub(crate) fn of(get: &impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let one = |name| Sender::of(name, get);
        Ok(Self {
            dialog360: one("dialog360")?,
            ycloud: one("ycloud")?,
            twilio: one("twilio")?,
            aws: one("aws")?,
            gupshup: one("gupshup")?,
            infobip: one("infobip")?,
            bird: one("bird")?,
            vonage: one("vonage")?,
        })
    }

    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            dialog360: over(self.dialog360, below.dialog360),
            ycloud: over(self.ycloud, below.ycloud),
            twilio: over(self.twilio, below.twilio),
            aws: over(self.aws, below.aws),
            gupshup: over(self.gupshup, below.gupshup),
            infobip: over(self.infobip, below.infobip),
            bird: over(self.bird, below.bird),
            vonage: over(self.vonage, below.vonage),
        }
    }

    /// Checks that every provider has what its webhooks are checked with.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, provider, sender) in self.all() {
            let Some(sender) = sender.filter(|sender| **sender != Sender::default()) else { continue };
            let needs = |what: &str| Err(format!("`senders.{name}`: expected {what}, found none"));
            if sender.secrets.iter().any(|secret| secret.expose().is_empty()) {
                return Err(format!("`senders.{name}.secrets`: expected a secret, found an empty text"));
            }
            match provider {
                Provider::Aws if sender.topic_arns.is_empty() => return needs("`topic_arns`"),
                Provider::Aws => {}
                _ if sender.secrets.is_empty() => return needs("`secrets`"),
                Provider::Twilio | Provider::Bird if sender.url.is_none() => return needs("`url`"),
                Provider::Gupshup | Provider::Infobip if sender.secret_header.is_none() => {
                    return needs("`secret_header`, because this provider signs nothing");
                }
                Provider::Gupshup | Provider::Infobip if sender.allow_unsigned != Some(true) => {
                    return needs("`allow_unsigned = true`, because this provider signs nothing");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns what the server checks webhooks with.
    pub(crate) fn checks(&self) -> ServerSenders {
        let configured = self.all().into_iter().filter_map(|(_, provider, sender)| Some((provider, sender?)));
        let configured = configured.filter(|(_, sender)| **sender != Sender::default());
        let checks = configured.map(|(provider, sender)| {
            let check = SenderCheck {
                secrets: sender.secrets.iter().map(|secret| AppSecret::new(secret.expose())).collect(),
                url: sender.url.clone(),
                secret_header: sender.secret_header.as_ref().map(|name| name.to_ascii_lowercase()),
                topic_arns: sender.topic_arns.clone(),
                allow_sha1: sender.allow_sha1.unwrap_or_default(),
            };
            (provider, check)
        });
        ServerSenders { checks: checks.collect(), sns_client: None }
    }

    /// Returns the value of a key below `senders.`, secrets masked.
    pub(crate) fn shown(&self, path: &str) -> Value {
        let (name, key) = path.split_once('.').unwrap_or((path, ""));
        let found = self.all().into_iter().find(|(known, _, _)| *known == name);
        let Some(sender) = found.and_then(|(_, _, sender)| sender) else { return Value::Null };
        let list = |list: &[String]| if list.is_empty() { Value::Null } else { list.to_vec().into() };
        match key {
            "secrets" if sender.secrets.is_empty() => Value::Null,
            "secrets" => sender.secrets.iter().map(masked).collect(),
            "url" => sender.url.clone().into(),
            "secret_header" => sender.secret_header.clone().into(),
            "topic_arns" => list(&sender.topic_arns),
            "allow_unsigned" => sender.allow_unsigned.into(),
            _ => sender.allow_sha1.into(),
        }
    }
}

/// A secret is masked to the id under which deliveries record it.
fn masked(secret: &Secret) -> Value {
    format!("******** (id {})", AppSecret::new(secret.expose()).key_id()).into()
}

fn over(above: Option<Sender>, below: Option<Sender>) -> Option<Sender> {
    let (Some(above), Some(below)) = (&above, &below) else { return above.or(below) };
    let list = |above: &Vec<String>, below: &Vec<String>| {
        if above.is_empty() { below.clone() } else { above.clone() }
    };
    Some(Sender {
        secrets: if above.secrets.is_empty() { below.secrets.clone() } else { above.secrets.clone() },
        url: above.url.clone().or(below.url.clone()),
        secret_header: above.secret_header.clone().or(below.secret_header.clone()),
        topic_arns: list(&above.topic_arns, &below.topic_arns),
        allow_unsigned: above.allow_unsigned.or(below.allow_unsigned),
        allow_sha1: above.allow_sha1.or(below.allow_sha1),
    })
}

impl Sender {
    fn of(name: &str, get: &impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let text = |key: &str| {
            let path = format!("senders.{name}.{key}");
            KEYS.iter().find(|known| known.path == path).and_then(|known| get(known.path))
        };
        let list = |key| {
            let parts = text(key).unwrap_or_default();
            let parts = parts.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        let flag = |key: &str| {
            let parse = |text: String| {
                text.parse::<bool>().map_err(|_| {
                    format!("`senders.{name}.{key}`: expected `true` or `false`, found `{text}`")
                })
            };
            text(key).map(parse).transpose()
        };
        let sender = Self {
            secrets: list("secrets").into_iter().map(Secret::new).collect(),
            url: text("url"),
            secret_header: text("secret_header"),
            topic_arns: list("topic_arns"),
            allow_unsigned: flag("allow_unsigned")?,
            allow_sha1: flag("allow_sha1")?,
        };
        Ok(Some(sender).filter(|sender| *sender != Self::default()))
    }
}

impl Proxy {
    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            upstream: self.upstream.or(below.upstream),
            on_archive_failure: self.on_archive_failure.or(below.on_archive_failure),
            timeout_s: self.timeout_s.or(below.timeout_s),
        }
    }

    /// Checks what types cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.timeout_s {
            Some(seconds) if !(1..=600).contains(&seconds) => {
                Err(format!("`proxy.timeout_s`: expected 1 to 600, found {seconds}"))
            }
            _ => Ok(()),
        }
    }

    /// Makes the proxy, if there is one.
    pub(crate) fn build(&self) -> anyhow::Result<Option<ServerProxy>> {
        let Some(upstream) = &self.upstream else { return Ok(None) };
        let timeout = Duration::from_secs(self.timeout_s.unwrap_or(TIMEOUT_SECONDS));
        let wrong = || Failure::new(Exit::Usage, format!("`proxy.upstream` cannot be used: `{upstream}`"));
        let forwarder = Forwarder::new(upstream, timeout).with_context(wrong)?;
        let on_archive_failure = match self.on_archive_failure {
            Some(ArchiveFailure::Forward) => OnArchiveFailure::Forward,
            Some(ArchiveFailure::Refuse) | None => OnArchiveFailure::Refuse,
        };
        Ok(Some(ServerProxy { forwarder, on_archive_failure }))
    }

    /// Returns the value of a key below `proxy.`.
    pub(crate) fn shown(&self, key: &str) -> Value {
        match key {
            "upstream" => self.upstream.clone().into(),
            "on_archive_failure" => self.on_archive_failure.map_or(Value::Null, |choice| {
                if choice == ArchiveFailure::Forward { "forward".into() } else { "refuse".into() }
            }),
            _ => self.timeout_s.unwrap_or(TIMEOUT_SECONDS).into(),
        }
    }
}
