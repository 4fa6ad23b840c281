//! Signals of consent: everything that may say whether a person wants messages.

use std::collections::BTreeMap;

use piperoll_format::Kind;
use piperoll_sources::{Direction, Message};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alias::{aliases, person_of};
use crate::fact::{Facts, Observed, Table};
use crate::keyword::{Sense, keyword_of};
use crate::talk::number_of;
use crate::time::micros;

/// The error of a status that says that the person stopped marketing messages.
const STOPPED_MARKETING: i64 = 131_050;
/// Answers of a flow that are kept.
const ANSWERS_MAX: usize = 64;
/// The longest answer that is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 256;

/// What a person did, or seems to have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Agreed.
    Given,
    /// Withdrew the agreement.
    Withdrawn,
    /// Declined when asked.
    Refused,
    /// The agreement ended by its own terms.
    Expired,
}

/// How a signal came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// An event handed in through the API.
    Api,
    /// A message that was nothing but a word of the list.
    Keyword {
        /// The word, normalised.
        word: String,
        /// The languages it is used in.
        languages: String,
        /// Whether it revokes by itself (47 CFR 64.1200(a)(10)).
        per_se: bool,
    },
    /// A button whose text or payload is a word of the list, such as "Stop promotions".
    Button {
        /// The word, normalised.
        word: String,
    },
    /// A choice in WhatsApp (`user_preferences`): `stop`, `resume`, `signup`.
    Preference {
        /// Which.
        value: String,
    },
    /// A message was not delivered because the person stopped marketing messages (131050).
    Undelivered,
    /// The answers of a flow; the rules say what they mean.
    Flow {
        /// Field → answer, as far as both are short.
        answers: BTreeMap<String, String>,
    },
}

/// A fact of [`Table::Consent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// What it says; absent where the rules must say it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub act: Option<Act>,
    /// How it came.
    pub via: Via,
    /// What the consent is for; everything when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<String>,
    /// Where the person said it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub channel: Option<String>,
    /// The business number's id; every number when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number: Option<String>,
    /// When the agreement ends by its own terms, microseconds since the epoch; never when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<i64>,
}

/// Adds what an event says about consent.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let Some(signal) = signal(observed) else { return };
    let Some(party) = person_of(observed.message) else { return };
    for alias in aliases(party) {
        facts.put(Table::Consent, &alias, observed.at(), &signal);
    }
}

fn signal(observed: &Observed<'_>) -> Option<Signal> {
    let message = observed.message;
    match observed.kind {
        Kind::ConsentGiven => Some(of_api(Act::Given, observed)),
        Kind::ConsentWithdrawn => Some(of_api(Act::Withdrawn, observed)),
        Kind::ConsentRefused => Some(of_api(Act::Refused, observed)),
        Kind::ConsentExpired => Some(of_api(Act::Expired, observed)),
        Kind::WhatsappPreference => of_preference(message),
        Kind::WhatsappStatus | Kind::WhatsappStandby if message.error_codes.contains(&STOPPED_MARKETING) => {
            Some(of_whatsapp(Some(Act::Withdrawn), Via::Undelivered, Some("marketing"), message))
        }
        Kind::WhatsappMessage | Kind::WhatsappStandby | Kind::WhatsappHistory
            if message.direction == Some(Direction::Inbound) =>
        {
            of_message(message)
        }
        _ => None,
    }
}

/// The members of a consent event that are no texts of its message.
#[derive(Default, Deserialize)]
struct Document {
    purpose: Option<String>,
    channel: Option<String>,
    number: Option<String>,
    expires_at: Option<String>,
}

fn of_api(act: Act, observed: &Observed<'_>) -> Signal {
    let body = observed.payload.parts.first().map(Vec::as_slice).unwrap_or_default();
    let Document { purpose, channel, number, expires_at } = serde_json::from_slice(body).unwrap_or_default();
    let expires_at = expires_at.as_deref().and_then(micros).filter(|_| act == Act::Given);
    Signal { act: Some(act), via: Via::Api, purpose, channel, number, expires_at }
}

fn of_whatsapp(act: Option<Act>, via: Via, purpose: Option<&str>, message: &Message) -> Signal {
    Signal {
        act,
        via,
        purpose: purpose.map(str::to_owned),
        channel: Some("whatsapp".to_owned()),
        number: number_of(message),
        expires_at: None,
    }
}

fn of_preference(message: &Message) -> Option<Signal> {
    let preference = message.preference.as_ref()?;
    let act = match preference.value.to_ascii_lowercase().as_str() {
        "stop" => Act::Withdrawn,
        "resume" | "signup" => Act::Given,
        _ => return None,
    };
    let category = preference.category.as_deref().unwrap_or("marketing_messages");
    let purpose = if category == "marketing_messages" { "marketing" } else { category };
    let via = Via::Preference { value: preference.value.clone() };
    Some(of_whatsapp(Some(act), via, Some(purpose), message))
}

fn of_message(message: &Message) -> Option<Signal> {
    if let Some(choice) = &message.choice {
        let said = [choice.text.as_deref(), choice.payload.as_deref()];
        let word = said.into_iter().flatten().find_map(keyword_of);
        let word = word.filter(|word| word.sense == Sense::Out)?.word;
        return Some(of_whatsapp(None, Via::Button { word: word.to_owned() }, Some("marketing"), message));
    }
    if let Some(answers) = &message.answers {
        return Some(of_whatsapp(None, Via::Flow { answers: flat(answers) }, None, message));
    }
    let text = message.texts.first().filter(|_| message.message_type == "text")?;
    let keyword = keyword_of(text)?;
    let act = if keyword.sense == Sense::Out { Act::Withdrawn } else { Act::Given };
    let via = Via::Keyword {
        word: keyword.word.to_owned(),
        languages: keyword.languages.to_owned(),
        per_se: keyword.is_per_se,
    };
    Some(of_whatsapp(Some(act), via, None, message))
}

/// Takes the short answers of the first level.
fn flat(answers: &Value) -> BTreeMap<String, String> {
    let members = answers.as_object().into_iter().flatten();
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let short = |(key, value): (&String, &Value)| {
        let value = text(value).filter(|text| text.len() <= ANSWER_BYTES_MAX)?;
        (key.len() <= ANSWER_BYTES_MAX && key != "flow_token").then(|| (key.clone(), value))
    };
    members.filter_map(short).take(ANSWERS_MAX).collect()
}
