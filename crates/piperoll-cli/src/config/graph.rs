//! The settings of the connection to the Graph API, and of what is fetched and asked there.

use std::time::Duration;

use anyhow::Context as _;
use piperoll_extract::{Extractor, Limits};
use piperoll_graph::{GraphClient, GraphOptions, Secret as Token, TokenSource};
use piperoll_server::{MediaSettings, Platform, PollSettings, PolledNumber};
use serde::{Deserialize, Serialize};

use super::file::Secret;
use crate::error::{Exit, Failure};

/// Connection to the Graph API, where media are fetched and numbers, subscriptions and templates are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Graph {
    /// Address of the Graph API; `https://graph.facebook.com` unless given.
    pub(crate) base_url: Option<String>,
    /// Version of the Graph API; v24.0 unless given.
    pub(crate) version: Option<String>,
    /// Access token with the rights `whatsapp_business_messaging` and `whatsapp_business_management`; without it
    /// nothing is fetched or asked. A new one in the file takes effect when the platform refuses the old one.
    pub(crate) token: Option<Secret>,
    /// Business numbers that are asked about: `phone_number_id`, or `phone_number_id:account_id` to ask for the
    /// account's templates and subscriptions as well.
    #[serde(default)]
    pub(crate) numbers: Vec<String>,
    /// Hosts that media may be downloaded from, `name` or `name:port`; lookaside.fbsbx.com unless given.
    #[serde(default)]
    pub(crate) media_hosts: Vec<String>,
    /// Seconds between two rounds of questions; 600 unless given.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) poll_every_seconds: Option<u64>,
    /// Address that WhatsApp is to send webhooks to, as it stands in the app's dashboard. When the platform says that
    /// it sends them elsewhere, the number counts as degraded; without this setting only a change is noticed.
    pub(crate) expected_callback: Option<String>,
    /// Whether the platform's list of messages (`message_history`) is compared with what was captured; false unless
    /// given. Not every account has it.
    pub(crate) message_history: Option<bool>,
    /// Whether the platform's counts of messages per day (`analytics`) are compared with what was captured; false unless
    /// given. They need `phone_number_id:account_id` in `numbers`.
    pub(crate) message_counts: Option<bool>,
}

/// How media are fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Media {
    /// Largest attachment that is taken, in bytes; 115343360 unless given.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) bytes_max: Option<u64>,
    /// Hours that the platform keeps media: 168 unless given, 1 for numbers without storage.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) life_hours: Option<u64>,
    /// Attachments that are fetched at the same time; 4 unless given.
    #[cfg_attr(test, schemars(range(min = 1, max = 64)))]
    pub(crate) concurrency: Option<usize>,
}

/// Most attachments at the same time: each may hold a thread that writes to the disk.
const CONCURRENCY_MAX: usize = 64;

impl Graph {
    /// Checks what types cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.poll_every_seconds == Some(0) {
            return Err("`graph.poll_every_seconds`: expected a number from 1, found 0".to_owned());
        }
        if let Some(found) = &self.expected_callback
            && !["https://", "http://"].iter().any(|scheme| found.starts_with(scheme))
        {
            return Err(format!("`graph.expected_callback`: expected an https address, found `{found}`"));
        }
        if self.token.as_ref().is_some_and(|token| token.expose().trim().is_empty()) {
            return Err("`graph.token`: expected a token, found an empty text".to_owned());
        }
        self.numbers.iter().try_for_each(|text| number(text).map(drop))
    }

    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        let either = |above: Vec<String>, below: Vec<String>| if above.is_empty() { below } else { above };
        Self {
            base_url: self.base_url.or(below.base_url),
            version: self.version.or(below.version),
            token: self.token.or(below.token),
            numbers: either(self.numbers, below.numbers),
            media_hosts: either(self.media_hosts, below.media_hosts),
            poll_every_seconds: self.poll_every_seconds.or(below.poll_every_seconds),
            expected_callback: self.expected_callback.or(below.expected_callback),
            message_history: self.message_history.or(below.message_history),
            message_counts: self.message_counts.or(below.message_counts),
        }
    }

    /// Makes the client; none without a token.
    fn client(&self, tokens: Option<TokenSource>) -> anyhow::Result<Option<GraphClient>> {
        let Some(token) = &self.token else { return Ok(None) };
        let token = Token::new(token.expose());
        let mut options = GraphOptions { token, token_source: tokens, ..GraphOptions::default() };
        if let Some(base_url) = &self.base_url {
            options.base_url.clone_from(base_url);
        }
        if let Some(version) = &self.version {
            options.version.clone_from(version);
        }
        if !self.media_hosts.is_empty() {
            options.media_hosts.clone_from(&self.media_hosts);
        }
        let client = GraphClient::new(options);
        client
            .map(Some)
            .with_context(|| Failure::new(Exit::Usage, "the Graph API cannot be reached as configured"))
    }

    /// Returns what runs beside the archive; `tokens` is asked when the platform refuses the token.
    pub(crate) fn platform(&self, media: &Media, tokens: Option<TokenSource>) -> anyhow::Result<Platform> {
        let (fetched, polled) = (MediaSettings::default(), PollSettings::default());
        let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3_600));
        let life = media.life_hours.map_or(fetched.life, hours);
        let mut pauses = fetched.pauses;
        // A short life has room for many tries as well.
        pauses.most = pauses.most.min(life / 12);
        let numbers = self.numbers.iter().map(|text| number(text));
        let numbers = numbers.collect::<Result<_, _>>().map_err(|error| Failure::new(Exit::Usage, error))?;
        Ok(Platform {
            graph: self.client(tokens)?,
            media: MediaSettings {
                bytes_max: media.bytes_max.unwrap_or(fetched.bytes_max),
                concurrency: media.concurrency.unwrap_or(fetched.concurrency),
                life,
                pauses,
            },
            extractor: Some(Extractor::new(std::env::current_exe()?, Limits::default())),
            poll: PollSettings {
                every: self.poll_every_seconds.map_or(polled.every, Duration::from_secs),
                numbers,
                expected_callback: self.expected_callback.clone(),
                message_history: self.message_history.unwrap_or(polled.message_history),
                message_counts: self.message_counts.unwrap_or(polled.message_counts),
                ..polled
            },
        })
    }
}

impl Media {
    /// Checks what types cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.bytes_max == Some(0) || self.life_hours == Some(0) {
            return Err("`media`: expected numbers from 1, found 0".to_owned());
        }
        match self.concurrency {
            Some(found) if !(1..=CONCURRENCY_MAX).contains(&found) => {
                Err(format!("`media.concurrency`: expected 1 to {CONCURRENCY_MAX}, found {found}"))
            }
            _ => Ok(()),
        }
    }

    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            bytes_max: self.bytes_max.or(below.bytes_max),
            life_hours: self.life_hours.or(below.life_hours),
            concurrency: self.concurrency.or(below.concurrency),
        }
    }
}

/// Reads `id` or `id:account`.
fn number(text: &str) -> Result<PolledNumber, String> {
    let (id, account) = text.split_once(':').map_or((text, None), |(id, account)| (id, Some(account)));
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if is_id(id) && account.is_none_or(is_id) {
        return Ok(PolledNumber { id: id.to_owned(), account: account.map(str::to_owned) });
    }
    Err(format!("`graph.numbers`: expected `phone_number_id:account_id` in digits, found `{text}`"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn platform_is_made_of_the_settings() {
        let graph = Graph {
            token: Some(Secret::new("EAAG")),
            numbers: vec!["106:102".to_owned(), "107".to_owned()],
            ..Graph::default()
        };
        let media = Media { life_hours: Some(1), ..Media::default() };
        let platform = graph.platform(&media, None).unwrap();
        assert!(platform.graph.is_some());
        assert_eq!(platform.media.pauses.most, Duration::from_secs(300));
        let numbers: Vec<_> =
            platform.poll.numbers.iter().map(|number| (&*number.id, number.account.as_deref())).collect();
        assert_eq!(numbers, [("106", Some("102")), ("107", None)]);
        assert!(Graph::default().platform(&media, None).unwrap().graph.is_none());
    }

    #[test]
    fn wrong_values_are_named() {
        let wrong = |text: &str| Graph { numbers: vec![text.to_owned()], ..Graph::default() }.check();
        for text in ["", ":", "106:", ":102", "+49", "106:102:1"] {
            assert!(wrong(text).is_err(), "{text}");
        }
        let plain = Graph {
            token: Some(Secret::new("EAAG")),
            base_url: Some("http://graph.example".to_owned()),
            ..Graph::default()
        };
        let callback = |text: &str| Graph { expected_callback: Some(text.to_owned()), ..Graph::default() };
        assert!(callback("archive.example/hook").check().is_err());
        assert!(callback("https://archive.example/hook").check().is_ok());
        assert!(plain.platform(&Media::default(), None).is_err());
        assert!(Media { concurrency: Some(0), ..Media::default() }.check().is_err());
    }
}
