//! Whether webhooks go where the archive expects them.

use serde_json::Value;

use super::account::{set, short, text};
use super::signal::{Aspect, Signal};
use super::{Cause, State};

/// Levels of `webhook_configuration`, the strongest first: a number's override wins over its account's, and that over
/// the app's own address.
const LEVELS: [&str; 3] = ["phone_number", "whatsapp_business_account", "application"];

/// Makes a notice of where webhooks go instead; open where they go to the archive.
pub(super) fn judged(aspect: Aspect, diverted_to: Option<&str>) -> Signal {
    let state = if diverted_to.is_some() { State::Degraded } else { State::Open };
    set(aspect, state, Cause::CallbackForeign, diverted_to)
}

/// Returns the address that a number's webhooks go to, if the answer names one and it is another than expected.
pub(super) fn diverted(answer: &Value, expected: &str) -> Option<String> {
    let configuration = answer.get("webhook_configuration")?;
    let found = LEVELS.iter().find_map(|level| configuration.get(level)?.as_str())?;
    (!same(found, expected)).then(|| shown(found))
}

/// Returns where the apps of an account divert its webhooks, if none of them can be the archive's.
///
/// An app without an override uses its own address, which this answer does not tell; the numbers' own configuration
/// does. An account may have other apps with other addresses beside the archive's.
pub(super) fn apps_diverted(apps: &[Value], expected: &str) -> Option<String> {
    let overrides: Option<Vec<&str>> = apps.iter().map(|app| text(app, "override_callback_uri")).collect();
    let mut foreign = overrides?;
    if foreign.iter().any(|found| same(found, expected)) {
        return None;
    }
    foreign.sort_unstable();
    let shown: Vec<String> = foreign.iter().map(|found| shown(found)).collect();
    Some(short(&shown.join(", ")))
}

/// Whether two addresses are the same: scheme and host in any case, with or without a slash at the end.
fn same(found: &str, expected: &str) -> bool {
    let parts = |address: &str| {
        let address = address.trim().trim_end_matches('/');
        let host_at = address.find("://").map_or(0, |at| at + 3);
        let path_at = address[host_at..].find(['/', '?']).map_or(address.len(), |at| host_at + at);
        (address[..path_at].to_ascii_lowercase(), address[path_at..].to_owned())
    };
    parts(found) == parts(expected)
}

/// An address without its query, in which senders put secrets.
fn shown(address: &str) -> String {
    short(address.split(['?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "`json!` unwraps")]

    use serde_json::json;

    use super::*;

    const OURS: &str = "https://archive.example/webhooks/whatsapp";

    #[test]
    fn the_strongest_level_counts() {
        let cases = [
            (json!({"application": OURS}), None),
            (json!({"application": "HTTPS://Archive.example/webhooks/whatsapp/"}), None),
            (
                json!({"application": "https://archive.example/Webhooks/whatsapp"}),
                Some("https://archive.example/Webhooks/whatsapp"),
            ),
            (
                json!({"application": OURS, "phone_number": "https://crm.example/in?key=1"}),
                Some("https://crm.example/in"),
            ),
            (json!({"application": "https://crm.example", "phone_number": OURS}), None),
            (
                json!({"application": OURS, "whatsapp_business_account": "https://crm.example"}),
                Some("https://crm.example"),
            ),
            (json!({"phone_number": 7}), None),
            (json!([]), None),
        ];
        for (configuration, expected) in cases {
            let answer = json!({"webhook_configuration": configuration});
            assert_eq!(diverted(&answer, OURS).as_deref(), expected, "{answer}");
        }
        assert_eq!(diverted(&json!({}), OURS), None);
    }

    #[test]
    fn an_app_that_may_be_the_archives_is_no_alarm() {
        let app = |to: Option<&str>| match to {
            Some(to) => json!({"whatsapp_business_api_data": {"id": "7"}, "override_callback_uri": to}),
            None => json!({"whatsapp_business_api_data": {"id": "8"}}),
        };
        let judge = |apps: &[Option<&str>]| {
            let apps: Vec<Value> = apps.iter().map(|to| app(*to)).collect();
            apps_diverted(&apps, OURS)
        };
        assert_eq!(judge(&[None]), None);
        assert_eq!(judge(&[Some(OURS), Some("https://crm.example")]), None);
        assert_eq!(judge(&[None, Some("https://crm.example")]), None);
        assert_eq!(judge(&[Some("https://crm.example/a?b")]).as_deref(), Some("https://crm.example/a"));
        let two = judge(&[Some("https://b.example"), Some("https://a.example")]);
        assert_eq!(two.as_deref(), Some("https://a.example, https://b.example"));
    }
}
