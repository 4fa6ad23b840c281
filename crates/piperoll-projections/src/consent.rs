//! The state of a consent at a time: which signal decides it, under which rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fact::Fact;
use crate::signal::{Act, Signal, Via};
use crate::time::utc;

/// The state of a consent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentState {
    /// The person agreed, and nothing later says otherwise.
    Given,
    /// The person withdrew the agreement.
    Withdrawn,
    /// The person declined when asked.
    Refused,
    /// The agreement ended by its own terms.
    Expired,
    /// Nothing says anything.
    #[default]
    Unknown,
    /// The person may have withdrawn it; somebody must decide. Until then nothing may be sent.
    CandidateWithdrawn,
}

impl ConsentState {
    /// Returns the text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Withdrawn => "withdrawn",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::CandidateWithdrawn => "candidate-withdrawn",
        }
    }
}

/// What a field of a flow means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowRule {
    /// The field of the answers.
    pub key: String,
    /// The answer that has the meaning, as text.
    pub value: String,
    /// The meaning.
    pub means: Act,
    /// What the consent is for; everything when absent.
    #[serde(default)]
    pub purpose: Option<String>,
}

/// What a word of the list does that is none of 47 CFR 64.1200(a)(10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordRule {
    /// It withdraws a consent to marketing.
    Decide,
    /// It makes a candidate, about which somebody decides.
    Ask,
}

/// How signals are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentRules {
    /// Words beside those of 47 CFR 64.1200(a)(10) that withdraw a consent to marketing without asking.
    pub deciding_words: Vec<String>,
    /// What the words of a language do, by its code such as `de`; they ask where nothing is said. A word of several
    /// languages decides when it does in one of them.
    pub languages: BTreeMap<String, WordRule>,
    /// Whether a word decides about every purpose, not only about marketing.
    pub words_decide_every_purpose: bool,
    /// Whether buttons such as "Stop promotions" only make candidates.
    pub buttons_ask: bool,
    /// What answers of flows mean; of several that fit, the first.
    pub flow: Vec<FlowRule>,
    /// The purpose of a consent that names none; every purpose when absent. A withdrawal that names none always ends all.
    pub default_purpose: Option<String>,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsentQuestion<'a> {
    /// What the messages are for, such as `marketing`; any when absent.
    pub purpose: Option<&'a str>,
    /// The business number's id; any when absent.
    pub number: Option<&'a str>,
    /// The channel on which the consent must have been given; any when absent. A withdrawal counts on any channel.
    pub channel: Option<&'a str>,
    /// The moment, microseconds since the epoch; signals of that moment count.
    pub at: i64,
}

/// A signal and what the rules make of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// The event.
    pub seq: u64,
    /// When it happened, microseconds since the epoch.
    pub at: i64,
    /// The signal.
    pub signal: Signal,
    /// What it makes of the state; absent where it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub makes: Option<ConsentState>,
    /// Why.
    pub rule: String,
}

/// The state of a consent with everything that speaks for and against it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The state.
    pub state: ConsentState,
    /// The event that decides it; absent when nothing does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided_by: Option<u64>,
    /// The rule by which it does.
    pub rule: String,
    /// The signals up to the moment that are about what was asked, oldest first.
    pub evidence: Vec<Weighed>,
}

impl ConsentRules {
    /// Returns the purpose of what names none.
    fn purpose_of(&self, act: Option<Act>) -> Option<&str> {
        self.default_purpose.as_deref().filter(|_| act == Some(Act::Given))
    }

    /// Tells whether the words of one of the languages decide; `languages` is a list such as `es pt`.
    fn decides_in(&self, languages: &str) -> bool {
        languages.split(' ').any(|language| self.languages.get(language) == Some(&WordRule::Decide))
    }
}

/// Computes the state of a consent from the signals of all aliases of a person. Order and repeats do not matter.
#[must_use]
pub fn consent(
    mut signals: Vec<Fact<Signal>>,
    question: &ConsentQuestion<'_>,
    rules: &ConsentRules,
) -> Consent {
    signals.sort_by_key(|fact| (fact.at, fact.seq));
    signals.dedup_by_key(|fact| fact.seq);
    let rule = "nothing says whether the person agreed".to_owned();
    let mut found = Consent { rule, ..Consent::default() };
    let mut ends_at = None;
    for Fact { at, seq, value: signal } in signals {
        if at > question.at || !is_about(&signal, question, rules) {
            continue;
        }
        expire(&mut found, ends_at, at);
        let (makes, mut rule) = weigh(&signal, question, rules, found.state);
        if let Some(end) = signal.expires_at {
            rule = format!("{rule}, until {}", shortly(end));
        }
        if let Some(state) = makes {
            ends_at = signal.expires_at.filter(|_| state == ConsentState::Given);
            (found.state, found.decided_by, found.rule) = (state, Some(seq), rule.clone());
        }
        found.evidence.push(Weighed { seq, at, signal, makes, rule });
    }
    expire(&mut found, ends_at, question.at);
    found
}

/// Writes a time as people read it, without parts of a second that are none.
fn shortly(at: i64) -> String {
    utc(at).replace(".000000Z", "Z")
}

/// Ends an agreement whose time is over; the event that gave it says so itself.
fn expire(found: &mut Consent, ends_at: Option<i64>, at: i64) {
    if found.state == ConsentState::Given
        && let Some(end) = ends_at.filter(|end| *end <= at)
    {
        found.state = ConsentState::Expired;
        found.rule = format!("the agreement was given until {} and has ended", shortly(end));
    }
}

fn is_about(signal: &Signal, question: &ConsentQuestion<'_>, rules: &ConsentRules) -> bool {
    let fits = |has: Option<&str>, asked: Option<&str>| {
        has.zip(asked).is_none_or(|(has, asked)| has.trim().eq_ignore_ascii_case(asked.trim()))
    };
    let is_given_elsewhere = signal.act == Some(Act::Given)
        && question.channel.is_some()
        && !fits(Some(signal.channel.as_deref().unwrap_or_default()), question.channel);
    // A flow says only under the rules what it is about.
    let is_flow = matches!(signal.via, Via::Flow { .. });
    let purpose = signal.purpose.as_deref().or_else(|| rules.purpose_of(signal.act));
    (is_flow || fits(purpose, question.purpose))
        && fits(signal.number.as_deref(), question.number)
        && !is_given_elsewhere
}

/// Decides what one signal makes of the state so far.
fn weigh(
    signal: &Signal,
    question: &ConsentQuestion<'_>,
    rules: &ConsentRules,
    so_far: ConsentState,
) -> (Option<ConsentState>, String) {
    match &signal.via {
        Via::Api => (signal.act.map(state_of), "a consent event says so".to_owned()),
        Via::Preference { value } => {
            (signal.act.map(state_of), format!("the person's choice in WhatsApp (`{value}`) decides"))
        }
        Via::Undelivered => {
            let rule = "WhatsApp refused delivery because the person stopped marketing messages (131050)";
            (Some(ConsentState::Withdrawn), rule.to_owned())
        }
        Via::Flow { answers } => weigh_flow(answers, question, rules),
        Via::Button { word } if rules.buttons_ask => candidate(so_far, format!("the button `{word}` asks")),
        Via::Button { word } => (Some(ConsentState::Withdrawn), format!("the button `{word}` decides")),
        Via::Keyword { word, .. } if signal.act == Some(Act::Given) => {
            (None, format!("the word `{word}` gives no consent by itself; somebody must decide"))
        }
        Via::Keyword { word, languages, per_se } => {
            let is_chosen = rules.decides_in(languages)
                || rules.deciding_words.iter().any(|chosen| crate::keyword::normalise(chosen) == *word);
            weigh_word(word, (*per_se, is_chosen), question, rules, so_far)
        }
    }
}

const fn state_of(act: Act) -> ConsentState {
    match act {
        Act::Given => ConsentState::Given,
        Act::Withdrawn => ConsentState::Withdrawn,
        Act::Refused => ConsentState::Refused,
        Act::Expired => ConsentState::Expired,
    }
}

/// A candidate changes nothing where there is nothing left to withdraw.
fn candidate(so_far: ConsentState, rule: String) -> (Option<ConsentState>, String) {
    let open =
        matches!(so_far, ConsentState::Given | ConsentState::Unknown | ConsentState::CandidateWithdrawn);
    (open.then_some(ConsentState::CandidateWithdrawn), rule)
}

fn weigh_word(
    word: &str,
    (is_per_se, is_chosen): (bool, bool),
    question: &ConsentQuestion<'_>,
    rules: &ConsentRules,
    so_far: ConsentState,
) -> (Option<ConsentState>, String) {
    let is_marketing = question.purpose.is_none_or(|purpose| purpose.eq_ignore_ascii_case("marketing"));
    if !(is_per_se || is_chosen) {
        return candidate(so_far, format!("the word `{word}` asks: somebody must decide"));
    }
    if !is_marketing && !rules.words_decide_every_purpose {
        return candidate(
            so_far,
            format!("the word `{word}` decides about marketing; for this purpose it asks"),
        );
    }
    let source = if is_per_se { "47 CFR 64.1200(a)(10)" } else { "the configuration" };
    (Some(ConsentState::Withdrawn), format!("the word `{word}` withdraws by itself ({source})"))
}

fn weigh_flow(
    answers: &BTreeMap<String, String>,
    question: &ConsentQuestion<'_>,
    rules: &ConsentRules,
) -> (Option<ConsentState>, String) {
    let fits = |rule: &&FlowRule| {
        let same = |purpose: &str| question.purpose.is_none_or(|asked| asked.eq_ignore_ascii_case(purpose));
        let purpose = rule.purpose.as_deref().or_else(|| rules.purpose_of(Some(rule.means)));
        purpose.is_none_or(same) && answers.get(&rule.key) == Some(&rule.value)
    };
    match rules.flow.iter().find(fits) {
        Some(rule) => (
            Some(state_of(rule.means)),
            format!("the flow's answer `{}` to `{}` decides, as configured", rule.value, rule.key),
        ),
        None => (None, "no rule says what the flow's answers mean".to_owned()),
    }
}
