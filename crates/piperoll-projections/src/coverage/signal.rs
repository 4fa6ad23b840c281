//! Notices that open, close or degrade a number's capture, and the spans they make.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::interval::Span;
use super::{Cause, State};
use crate::fact::Fact;

/// Something that independently opens, closes or degrades the capture: the newest notice of each counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Aspect {
    /// Whether the number is connected.
    Link,
    /// The ban of its account.
    Ban,
    /// A restriction of its account.
    Restriction,
    /// The number's own status, as asked.
    Status,
    /// Whether the number is on the Business app, as asked.
    App,
    /// Whether questions about it are answered.
    Permission,
    /// Whether an app is subscribed.
    Subscription,
    /// Where the account's webhooks go.
    Callback,
    /// Where the number's webhooks go.
    NumberCallback,
    /// A phone.
    Device(String),
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Signal {
    /// The aspect has a state from now on, or until a moment that the notice names.
    Set {
        aspect: Aspect,
        state: State,
        cause: Cause,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        until: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        detail: Option<String>,
    },
    /// The aspect has a value; a value other than the first one seen degrades the capture.
    Value { aspect: Aspect, value: Option<String>, cause: Cause },
    /// The archive put on record that the state changed.
    Noted { state: State, cause: Cause },
    /// The platform listed messages from here on.
    Listed { to: i64, listed: u64, missing: u64 },
    /// The platform counted messages from here on.
    Counted { to: i64, sent: u64, delivered: u64 },
    /// The archive put on record that so much is missing from here on.
    Lost {
        cause: Cause,
        to: i64,
        count: u64,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        detail: Option<String>,
    },
}

/// What is in force for an aspect.
#[derive(Clone)]
struct Force {
    since: i64,
    state: State,
    cause: Cause,
    until: Option<i64>,
    seq: u64,
    detail: Option<String>,
}

/// Turns notices, oldest first, into spans up to `now`. Spans of an open aspect are left out, but for the link's.
pub(super) fn spans(signals: &[Fact<Signal>], now: i64) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut forces: BTreeMap<Aspect, Force> = BTreeMap::new();
    let mut first_values: BTreeMap<Aspect, Option<String>> = BTreeMap::new();
    for fact in signals {
        let (aspect, force) = match &fact.value {
            Signal::Set { aspect, state, cause, until, detail } => {
                let (until, detail) = (*until, detail.clone());
                let force =
                    Force { since: fact.at, state: *state, cause: *cause, until, seq: fact.seq, detail };
                (aspect, force)
            }
            Signal::Value { aspect, value, cause } => {
                let first = first_values.entry(aspect.clone()).or_insert_with(|| value.clone());
                let state = if first == value { State::Open } else { State::Degraded };
                let (since, seq) = (fact.at, fact.seq);
                (aspect, Force { since, state, cause: *cause, until: None, seq, detail: None })
            }
            Signal::Noted { .. } | Signal::Lost { .. } | Signal::Listed { .. } | Signal::Counted { .. } => {
                continue;
            }
        };
        match forces.get_mut(aspect) {
            // The same again is no news; the first notice stays the evidence.
            Some(known)
                if (known.state, known.cause) == (force.state, force.cause) && force.until.is_none() => {}
            Some(known) => {
                end(aspect, known, fact.at, &mut spans);
                *known = force;
            }
            None => drop(forces.insert(aspect.clone(), force)),
        }
    }
    forces.iter().for_each(|(aspect, force)| end(aspect, force, now, &mut spans));
    spans
}

fn end(aspect: &Aspect, force: &Force, at: i64, spans: &mut Vec<Span>) {
    let to = force.until.map_or(at, |until| until.min(at));
    if to > force.since && (force.state != State::Open || *aspect == Aspect::Link) {
        spans.push(Span {
            from: force.since,
            to,
            state: force.state,
            cause: force.cause,
            evidence: vec![force.seq],
            detail: force.detail.clone(),
        });
    }
}
