//! The section `[consent]`: how signals of consent are read.

use std::collections::BTreeMap;
use std::str::FromStr;

use piperoll_server::{Act, ConsentRules, FlowRule, WordRule, is_consent_language};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How signals of consent are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Consent {
    /// What a word such as ABMELDEN does, by the code of its language: `decide` withdraws a consent to marketing, `ask`
    /// makes a candidate about which somebody decides. They ask unless given; the words of 47 CFR 64.1200(a)(10), such
    /// as STOP, always decide.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) languages: BTreeMap<String, Rule>,
    /// Single words that decide, whatever their language does.
    #[serde(default)]
    pub(crate) deciding_words: Vec<String>,
    /// Whether words that decide do so about every purpose; only about marketing unless given.
    pub(crate) words_decide_every_purpose: Option<bool>,
    /// What buttons such as "Stop promotions" do; they decide unless given.
    pub(crate) buttons: Option<Rule>,
    /// The purpose of a consent that names none; every purpose unless given. A withdrawal that names none ends all.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) default_purpose: Option<String>,
    /// What answers of flows mean; of several that fit, the first.
    #[serde(default)]
    pub(crate) flows: Vec<Flow>,
}

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// It decides.
    Decide,
    /// Somebody must decide.
    Ask,
}

/// What an answer of a flow means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Flow {
    /// The member of the flow's answers (`response_json`).
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) key: String,
    /// The answer as text, such as `true`.
    pub(crate) value: String,
    /// What it means.
    pub(crate) means: Meaning,
    /// What the consent is for; the default purpose unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) purpose: Option<String>,
}

/// What an answer can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Meaning {
    /// The person agrees.
    Given,
    /// The person withdraws.
    Withdrawn,
    /// The person declines.
    Refused,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "decide" => Ok(Self::Decide),
            "ask" => Ok(Self::Ask),
            _ => Err(format!("expected `decide` or `ask`, found `{text}`")),
        }
    }
}

impl Rule {
    const fn word_rule(self) -> WordRule {
        match self {
            Self::Decide => WordRule::Decide,
            Self::Ask => WordRule::Ask,
        }
    }
}

impl Consent {
    /// Takes every key from `self` that it has, and the others from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        fn list<T>(above: Vec<T>, below: Vec<T>) -> Vec<T> {
            if above.is_empty() { below } else { above }
        }
        Self {
            languages: if self.languages.is_empty() { below.languages } else { self.languages },
            deciding_words: list(self.deciding_words, below.deciding_words),
            words_decide_every_purpose: self.words_decide_every_purpose.or(below.words_decide_every_purpose),
            buttons: self.buttons.or(below.buttons),
            default_purpose: self.default_purpose.or(below.default_purpose),
            flows: list(self.flows, below.flows),
        }
    }

    /// Checks what types cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(code) = self.languages.keys().find(|code| !is_consent_language(code)) {
            return Err(format!(
                "`consent.languages`: expected the code of a language with known words such as `de`, found `{code}`"
            ));
        }
        if let Some(word) = self.deciding_words.iter().find(|word| !word.chars().any(char::is_alphanumeric)) {
            return Err(format!("`consent.deciding_words`: expected a word, found `{word}`"));
        }
        let purposes = self.flows.iter().filter_map(|flow| flow.purpose.as_ref());
        if self.default_purpose.iter().chain(purposes).any(|purpose| purpose.trim().is_empty()) {
            return Err("`consent`: expected a purpose such as `marketing`, found an empty text".to_owned());
        }
        if self.flows.iter().any(|flow| flow.key.is_empty()) {
            return Err("`consent.flows`: expected a `key`, found an empty text".to_owned());
        }
        Ok(())
    }

    /// Returns what the server is told.
    pub(crate) fn rules(&self) -> ConsentRules {
        let flow = |flow: &Flow| FlowRule {
            key: flow.key.clone(),
            value: flow.value.clone(),
            means: match flow.means {
                Meaning::Given => Act::Given,
                Meaning::Withdrawn => Act::Withdrawn,
                Meaning::Refused => Act::Refused,
            },
            purpose: flow.purpose.clone(),
        };
        ConsentRules {
            deciding_words: self.deciding_words.clone(),
            languages: self.languages.iter().map(|(code, rule)| (code.clone(), rule.word_rule())).collect(),
            words_decide_every_purpose: self.words_decide_every_purpose.unwrap_or_default(),
            buttons_ask: self.buttons == Some(Rule::Ask),
            flow: self.flows.iter().map(flow).collect(),
            default_purpose: self.default_purpose.clone(),
        }
    }

    /// Returns the value of a key as it is shown; nothing where it is not set.
    pub(crate) fn shown(&self, name: &str) -> Value {
        let values = serde_json::to_value(self).expect("texts and choices are always JSON");
        let value = values.get(name).cloned().unwrap_or_default();
        if value.as_array().is_some_and(Vec::is_empty) { Value::Null } else { value }
    }
}

/// Reads languages as the environment has them: `de=decide, es=ask`.
pub(super) fn languages<'a>(
    pairs: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, Rule>, String> {
    let read = |pair: &str| {
        let expected = || format!("`consent.languages`: expected pairs such as `de=decide`, found `{pair}`");
        let (code, rule) = pair.split_once('=').ok_or_else(expected)?;
        Ok((code.trim().to_owned(), rule.trim().parse()?))
    };
    pairs.into_iter().map(read).collect()
}

/// Reads flows as the environment has them: a JSON array of objects with the members of the file.
pub(super) fn flows(text: &str) -> Result<Vec<Flow>, String> {
    serde_json::from_str(text).map_err(|error| format!("`consent.flows`: expected a JSON array: {error}"))
}
