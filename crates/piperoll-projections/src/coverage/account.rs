//! What the platform says about accounts and numbers, by itself or when asked, as notices.

use serde_json::Value;

use super::signal::{Aspect, Signal};
use super::{Cause, DAY, State, callback};

/// The deepest that a member is looked for.
const DEPTH_MAX: usize = 12;

/// The error code of an answer for which a permission or token is missing.
const TOKEN_ERROR: i64 = 190;

/// Finds a member of an object or of what is in it, the nearest to the outside first in the order of the text.
pub(super) fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    find_to(value, key, DEPTH_MAX)
}

fn find_to<'a>(value: &'a Value, key: &str, depth: usize) -> Option<&'a Value> {
    let inner: Box<dyn Iterator<Item = &'a Value>> = match value {
        _ if depth == 0 => return None,
        Value::Object(members) => {
            if let Some(found) = members.get(key) {
                return Some(found);
            }
            Box::new(members.values())
        }
        Value::Array(items) => Box::new(items.iter()),
        _ => return None,
    };
    inner.into_iter().find_map(|value| find_to(value, key, depth - 1))
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    find(value, key)?.as_str()
}

/// Returns the digits of a phone number as written.
pub(super) fn digits(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

pub(super) fn set(aspect: Aspect, state: State, cause: Cause, detail: Option<&str>) -> Signal {
    Signal::Set { aspect, state, cause, until: None, detail: detail.map(short) }
}

/// A detail from outside, bounded.
pub(super) fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Reads `account_update`: a whole body, or the slices of one.
pub(super) fn update(value: &Value) -> Vec<Signal> {
    let Some(event) = text(value, "event") else { return Vec::new() };
    match event {
        "PARTNER_ADDED" => vec![set(Aspect::Link, State::Open, Cause::Onboarded, None)],
        "ACCOUNT_RECONNECTED" => vec![set(Aspect::Link, State::Open, Cause::Reconnected, None)],
        "ACCOUNT_OFFBOARDED" => vec![set(Aspect::Link, State::Closed, Cause::Offboarded, None)],
        "PARTNER_REMOVED" | "PARTNER_APP_UNINSTALLED" => vec![removed(value)],
        "ACCOUNT_DELETED" => vec![set(Aspect::Link, State::Closed, Cause::AccountDeleted, None)],
        "DISABLED_UPDATE" => ban(value).into_iter().collect(),
        "ACCOUNT_RESTRICTION" => restrictions(value),
        _ => Vec::new(),
    }
}

fn removed(value: &Value) -> Signal {
    // Printed inside the value by one source and beside it by another: wherever it is, it is found.
    let info = find(value, "disconnection_info");
    let reason = info.and_then(|info| text(info, "reason"));
    let cause = match reason {
        Some("PRIMARY_INACTIVITY") => Cause::PrimaryInactivity,
        Some("COMPANION_INACTIVITY") => Cause::CompanionInactivity,
        Some("BUSINESS_DOWNGRADE") => Cause::BusinessDowngrade,
        Some("CHANGE_NUMBER") => Cause::NumberChanged,
        _ => Cause::Disconnected,
    };
    let by = info.and_then(|info| text(info, "initiated_by")).map(|by| format!("initiated by {by}"));
    let detail: Vec<&str> = [reason, by.as_deref()].into_iter().flatten().collect();
    let detail = (!detail.is_empty()).then(|| detail.join(", "));
    set(Aspect::Link, State::Closed, cause, detail.as_deref())
}

fn ban(value: &Value) -> Option<Signal> {
    let date = text(value, "waba_ban_date");
    Some(match text(value, "waba_ban_state")? {
        "DISABLE" => set(Aspect::Ban, State::Closed, Cause::AccountDisabled, date),
        "SCHEDULE_FOR_DISABLE" => set(Aspect::Ban, State::Degraded, Cause::AccountToBeDisabled, date),
        "REINSTATE" => set(Aspect::Ban, State::Open, Cause::Reconnected, date),
        _ => return None,
    })
}

fn restrictions(value: &Value) -> Vec<Signal> {
    const LASTING: i64 = 30 * DAY;
    let listed = find(value, "restriction_info").and_then(Value::as_array);
    let read = |restriction: &Value| {
        let expires = restriction.get("expiration").and_then(|at| match at {
            Value::String(at) => at.parse().ok(),
            at => at.as_i64(),
        });
        Signal::Set {
            aspect: Aspect::Restriction,
            state: State::Degraded,
            cause: Cause::AccountRestricted,
            until: expires.and_then(|seconds: i64| seconds.checked_mul(1_000_000)).filter(|at| *at > LASTING),
            detail: text(restriction, "restriction_type").map(short),
        }
    };
    // The one that lasts longest stands for all.
    let longest = |signal: &Signal| match signal {
        Signal::Set { until, .. } => until.unwrap_or(i64::MAX),
        _ => 0,
    };
    listed.into_iter().flatten().map(read).max_by_key(longest).into_iter().collect()
}

/// Reads what was answered when asked (`account.observed`).
pub(super) fn observed(document: &Value) -> Vec<Signal> {
    let object = document.get("object").and_then(Value::as_str).unwrap_or_default();
    let status = document.get("status").and_then(Value::as_i64);
    let answer = document.get("answer").unwrap_or(&Value::Null);
    let code = answer.get("error").and_then(|error| error.get("code")).and_then(Value::as_i64);
    let refused = matches!(status, Some(401 | 403)) || code == Some(TOKEN_ERROR);
    if refused {
        return vec![set(Aspect::Permission, State::Degraded, Cause::PermissionLost, Some(object))];
    }
    // Whoever answers with another error says nothing about the number.
    if status.is_some_and(|status| status != 200) || answer.get("error").is_some() || answer.is_null() {
        return Vec::new();
    }
    let expected = document.get("expected_callback").and_then(Value::as_str);
    let mut signals = vec![set(Aspect::Permission, State::Open, Cause::Reconnected, None)];
    match object {
        "phone_number" => signals.extend(phone_number(answer)),
        "subscribed_apps" => signals.extend(subscribed_apps(answer, expected)),
        "webhook_configuration" => signals.push(match expected {
            Some(expected) => {
                callback::judged(Aspect::NumberCallback, callback::diverted(answer, expected).as_deref())
            }
            None => Signal::Value {
                aspect: Aspect::NumberCallback,
                value: answer.get("webhook_configuration").map(Value::to_string),
                cause: Cause::CallbackChanged,
            },
        }),
        _ => signals.clear(),
    }
    signals
}

fn phone_number(answer: &Value) -> Vec<Signal> {
    let mut signals = Vec::new();
    if let Some(status) = answer.get("status").and_then(Value::as_str) {
        let state = match status {
            "BANNED" | "DELETED" | "DISCONNECTED" | "MIGRATED" | "OFFLINE" => State::Closed,
            "RATE_LIMITED" | "RESTRICTED" => State::Degraded,
            _ => State::Open,
        };
        signals.push(set(Aspect::Status, state, Cause::NumberNotConnected, Some(status)));
    }
    let on_app = answer.get("is_on_biz_app").and_then(Value::as_bool);
    let platform = answer.get("platform_type").and_then(Value::as_str);
    if on_app.is_some() || platform.is_some() {
        let (state, detail) = match (on_app, platform) {
            (_, Some(other)) if other != "CLOUD_API" => (State::Closed, Some(other)),
            // A number that never was on the app loses nothing by not being on it: only a change counts, which
            // the reader of the notices sees.
            (Some(false), _) => return with_app(signals, "false"),
            _ => return with_app(signals, "true"),
        };
        signals.push(set(Aspect::App, state, Cause::NumberNotConnected, detail));
    }
    signals
}

fn with_app(mut signals: Vec<Signal>, on_app: &str) -> Vec<Signal> {
    let value = Some(on_app.to_owned());
    signals.push(Signal::Value { aspect: Aspect::App, value, cause: Cause::NotOnBusinessApp });
    signals
}

fn subscribed_apps(answer: &Value, expected: Option<&str>) -> Vec<Signal> {
    let Some(apps) = answer.get("data").and_then(Value::as_array) else { return Vec::new() };
    let (aspect, cause) = (Aspect::Subscription, Cause::SubscriptionMissing);
    if apps.is_empty() {
        return vec![set(aspect, State::Closed, cause, None)];
    }
    if let Some(expected) = expected {
        let diverted = callback::apps_diverted(apps, expected);
        return vec![
            set(aspect, State::Open, cause, None),
            callback::judged(Aspect::Callback, diverted.as_deref()),
        ];
    }
    let mut overrides: Vec<&str> = apps.iter().filter_map(|app| text(app, "override_callback_uri")).collect();
    overrides.sort_unstable();
    let value = (!overrides.is_empty()).then(|| short(&overrides.join(" ")));
    vec![
        set(aspect, State::Open, cause, None),
        Signal::Value { aspect: Aspect::Callback, value, cause: Cause::CallbackChanged },
    ]
}

/// Reads what a device management reported (`device.reported`).
pub(super) fn device(document: &Value) -> Option<Signal> {
    let id = document.get("device_id").and_then(Value::as_str)?;
    let (state, cause) = match document.get("event").and_then(Value::as_str)? {
        "wiped" | "unenrolled" => (State::Degraded, Cause::DeviceWiped),
        "offline" => (State::Degraded, Cause::DeviceOffline),
        "enrolled" | "online" => (State::Open, Cause::Reconnected),
        _ => return None,
    };
    let detail = document.get("detail").and_then(Value::as_str);
    Some(set(Aspect::Device(short(id)), state, cause, detail))
}
