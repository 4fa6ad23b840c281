//! Tests of the settings: where they come from, what is refused and what is shown.

use std::path::PathBuf;

use chrono_tz::Tz;
use piperoll_server::{Act, ConsentRules, WordRule};
use serde_json::Value;

use crate::config::{ConfigFile, Environment, Flags, KEYS, Origin, Secret, Settings, show_json, show_toml};
use crate::error::{Exit, exit_of, one_line};

/// A value for every documented key.
const FULL: &str = r#"
listen = "127.0.0.1:1"
time_zone = "Asia/Jakarta"

[whatsapp]
app_secrets = ["file-secret", "older-secret"]
verify_token = "file-token"

[limits]
waiting_events_max = 1
waiting_bytes_max = 2
commit_events_max = 3
commit_bytes_max = 4
commit_wait_us = 0

[senders.dialog360]
secrets = ["file-sender-secret"]
secret_header = "x-secret"

[senders.ycloud]
secrets = ["file-sender-secret"]

[senders.twilio]
secrets = ["file-sender-secret"]
url = "https://archive.example/webhooks/twilio"

[senders.aws]
topic_arns = ["arn:aws:sns:eu-west-1:1:t"]
allow_sha1 = false

[senders.gupshup]
secrets = ["file-sender-secret"]
secret_header = "x-secret"
allow_unsigned = true

[senders.infobip]
secrets = ["file-sender-secret"]
secret_header = "authorization"
allow_unsigned = true

[senders.bird]
secrets = ["file-sender-secret"]
url = "https://archive.example/webhooks/bird"

[senders.vonage]
secrets = ["file-sender-secret"]

[proxy]
upstream = "https://graph.facebook.com"
on_archive_failure = "refuse"
timeout_s = 5

[store]
url = "s3://bucket/prefix"
endpoint = "http://127.0.0.1:8333"
region = "eu-central-1"
mode = "governance"
profile = "archive"

[store.records_manager]
profile = "records"

[replica]
url = "s3://second/prefix"
endpoint = "http://127.0.0.1:8334"
region = "eu-west-1"
mode = "compliance"
profile = "second"
behind_after_seconds = 60
compare_locks_hours = 12

[replica.records_manager]
profile = "second-records"

[scrub]
over_days = 14

[graph]
base_url = "http://127.0.0.1:9"
version = "v24.0"
token = "file-graph-token"
numbers = ["106540352242922:102290129340398"]
media_hosts = ["lookaside.fbsbx.com"]
poll_every_seconds = 60
expected_callback = "https://archive.example/webhooks/whatsapp"
message_history = true
message_counts = false

[snapshot]
enabled = true
every_hours = 12
every_events = 500000

[coverage]
heartbeat_minutes = 5
findings_hour = 6
canaries = ["106540352242922 15550100001 60"]

[consent]
languages = { de = "decide", es = "ask" }
deciding_words = ["baja"]
words_decide_every_purpose = true
buttons = "ask"
default_purpose = "marketing"

[[consent.flows]]
key = "newsletter"
value = "true"
means = "given"

[[consent.flows]]
key = "reminders"
value = "no"
means = "withdrawn"
purpose = "utility"

[media]
bytes_max = 1000
life_hours = 1
concurrency = 2
"#;

/// A records manager with a key instead of a profile.
const KEYED: &str = r#"
[store]
url = "s3://bucket"

[store.records_manager]
access_key_id = "file-key"
secret_access_key = "file-records-secret"
session_token = "file-session"

[replica]
url = "s3://second"

[replica.records_manager]
access_key_id = "file-key"
secret_access_key = "file-records-secret"
session_token = "file-session"
"#;

/// Keys that exclude those of [`FULL`].
const IN_KEYED: [&str; 6] = [
    "store.records_manager.access_key_id",
    "store.records_manager.secret_access_key",
    "store.records_manager.session_token",
    "replica.records_manager.access_key_id",
    "replica.records_manager.secret_access_key",
    "replica.records_manager.session_token",
];

fn merge(file: &str, flags: Flags, variables: &[(&str, &str)]) -> anyhow::Result<Settings> {
    Settings::merge(ConfigFile::parse("piperoll.toml", file)?, flags, &Environment::of(variables))
}

#[test]
fn every_documented_key_is_read_from_the_file() {
    let settings = merge(FULL, Flags::default(), &[]).unwrap();
    for (key, origin) in KEYS.iter().zip(&settings.origins) {
        let expected = if IN_KEYED.contains(&key.path) { Origin::Default } else { Origin::File };
        assert_eq!(*origin, expected, "{}", key.path);
    }
    let keyed = merge(KEYED, Flags::default(), &[]).unwrap();
    for (key, origin) in KEYS.iter().zip(&keyed.origins).filter(|(key, _)| IN_KEYED.contains(&key.path)) {
        assert_eq!(*origin, Origin::File, "{}", key.path);
    }
    assert!(keyed.store.records_manager().is_some() && keyed.store.is_s3());
    assert_eq!(settings.store.endpoint.as_deref(), Some("http://127.0.0.1:8333"));
    assert_eq!(settings.listen.port(), 1);
    assert_eq!(settings.time_zone, Tz::Asia__Jakarta);
    assert_eq!(settings.whatsapp.app_secrets[1].expose(), "older-secret");
    assert_eq!(settings.limits.commit_bytes_max, Some(4));
    let defaults = merge("", Flags::default(), &[]).unwrap();
    assert_eq!(defaults.origins, vec![Origin::Default; KEYS.len()]);
    assert_eq!(defaults.listen.to_string(), "127.0.0.1:8722");
}

#[test]
fn every_documented_variable_stands_above_the_file_and_flags_above_both() {
    let variables: Vec<(&str, &str)> = KEYS
        .iter()
        .filter(|key| !IN_KEYED.contains(&key.path))
        .map(|key| match key.path {
            "store.url" => (key.variable, "s3://other"),
            "replica.url" => (key.variable, "s3://third"),
            "store.mode" | "replica.mode" => (key.variable, "compliance"),
            "proxy.on_archive_failure" => (key.variable, "forward"),
            path if path.contains(".allow_") => (key.variable, "true"),
            "coverage.canaries" => (key.variable, "100 15550100001 60, 200 +15550100001 15"),
            "consent.languages" => (key.variable, "pt=decide, fr = ask"),
            "consent.words_decide_every_purpose" => (key.variable, "true"),
            "consent.buttons" => (key.variable, "decide"),
            "graph.message_history" | "graph.message_counts" => (key.variable, "true"),
            "snapshot.enabled" => (key.variable, "true"),
            "snapshot.every_events" => (key.variable, "7000"),
            "graph.expected_callback" => (key.variable, "https://other.example/hook"),
            "consent.flows" => (key.variable, r#"[{"key": "x", "value": "1", "means": "refused"}]"#),
            "listen" => (key.variable, "127.0.0.1:2"),
            "time_zone" => (key.variable, "Europe/Warsaw"),
            "whatsapp.app_secrets" => (key.variable, "new, old"),
            _ => (key.variable, "7"),
        })
        .collect();
    let settings = merge(FULL, Flags::default(), &variables).unwrap();
    for (key, origin) in KEYS.iter().zip(&settings.origins) {
        let expected = if IN_KEYED.contains(&key.path) { Origin::Default } else { Origin::Environment };
        assert_eq!(*origin, expected, "{}", key.path);
    }
    assert_eq!(settings.store.url.as_deref(), Some("s3://other"));
    assert_eq!((settings.listen.port(), settings.time_zone), (2, Tz::Europe__Warsaw));
    let secrets: Vec<&str> = settings.whatsapp.app_secrets.iter().map(Secret::expose).collect();
    assert_eq!(secrets, ["new", "old"]);
    assert_eq!(settings.whatsapp.verify_token.unwrap().expose(), "7");
    assert_eq!(settings.limits.commit_wait_us, Some(7));
    let listen = Some("127.0.0.1:3".parse().unwrap());
    let flags = Flags { listen, time_zone: Some(Tz::UTC), ..Flags::default() };
    let settings = merge(FULL, flags, &variables).unwrap();
    assert_eq!((settings.listen.port(), settings.time_zone), (3, Tz::UTC));
    assert_eq!(settings.origins[..2], [Origin::Flag, Origin::Flag]);
    // An empty variable is as if it were not there.
    let settings = merge(FULL, Flags::default(), &[("PIPEROLL_LISTEN", " ")]).unwrap();
    assert_eq!(settings.origins[0], Origin::File);
}

#[track_caller]
fn check_refused(file: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let error = merge(file, Flags::default(), variables).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Usage, "{file}");
    let text = format!("{} {:?}", one_line(&error), error.downcast_ref::<crate::error::Failure>());
    for part in expected {
        assert!(text.contains(part), "expected `{part}` in: {text}");
    }
}

#[test]
fn misspelt_keys_and_wrong_values_are_refused_by_name() {
    check_refused("lisen = \"127.0.0.1:1\"", &[], &["unknown key `lisen`", "did you mean `listen`?"]);
    check_refused("[whatsap]\napp_secrets = []", &[], &["unknown key `whatsap`", "`whatsapp`?"]);
    check_refused(
        "[whatsapp]\napp_secret = [\"x\"]",
        &[],
        &["`whatsapp.app_secret`", "`whatsapp.app_secrets`?"],
    );
    check_refused(
        "[limits]\ncommit_wait_ms = 1",
        &[],
        &["`limits.commit_wait_ms`", "`limits.commit_wait_us`?"],
    );
    check_refused("[senders.twilio]\nsecrets = [\"x\"]", &[], &["`senders.twilio`: expected `url`"]);
    check_refused("[senders.gupshup]\nsecrets = [\"x\"]", &[], &["`senders.gupshup`", "signs nothing"]);
    let unsigned = "[senders.infobip]\nsecrets = [\"x\"]\nsecret_header = \"x\"";
    check_refused(unsigned, &[], &["`allow_unsigned = true`"]);
    check_refused("[senders.aws]\nallow_sha1 = true", &[], &["`senders.aws`: expected `topic_arns`"]);
    check_refused("[senders.vonage]\nurl = \"x\"", &[], &["unknown key `senders.vonage.url`"]);
    check_refused("[proxy]\ntimeout_s = 0", &[], &["`proxy.timeout_s`: expected 1 to 600, found 0"]);
    check_refused("[proxy]\non_archive_failure = \"open\"", &[], &["piperoll.toml", "`refuse`"]);
    check_refused("colour = 1", &[], &["unknown key `colour`", "config.schema.json"]);
    check_refused("listen = 8722", &[], &["piperoll.toml", "line 1"]);
    check_refused("time_zone = \"Warsaw\"", &[], &["expected an IANA time zone", "Warsaw"]);
    check_refused("limits = 1", &[], &["piperoll.toml"]);
    check_refused("[limits]\nwaiting_events_max = 0", &[], &["`limits.waiting_events_max`", "found 0"]);
    check_refused("[coverage]\nheartbeat_minutes = 0", &[], &["`coverage.heartbeat_minutes`", "found 0"]);
    check_refused("[coverage]\ncanaries = [\"100 15550100001\"]", &[], &["`coverage.canaries`", "<minutes>"]);
    check_refused("[consent]\nlanguages = { xx = \"ask\" }", &[], &["`consent.languages`", "`xx`"]);
    check_refused("[consent]\nbuttons = \"maybe\"", &[], &["piperoll.toml", "`decide`"]);
    check_refused("[consent]\ndefault_purpose = \" \"", &[], &["`consent`", "`marketing`"]);
    check_refused("[consent]\ndeciding_words = [\"!\"]", &[], &["`consent.deciding_words`", "`!`"]);
    check_refused("[[consent.flows]]\nkey = \"x\"", &[], &["missing field `value`"]);
    check_refused("", &[("PIPEROLL_CONSENT_LANGUAGES", "de")], &["`consent.languages`", "`de=decide`"]);
    check_refused("", &[("PIPEROLL_CONSENT_FLOWS", "x")], &["`consent.flows`", "JSON array"]);
    check_refused("[whatsapp]\nverify_token = \"\"", &[], &["expected a secret"]);
    check_refused("[store]\nurl = \"ftp://x\"", &[], &["`store.url`", "`ftp://x`"]);
    check_refused("[store]\nurl = \"s3://b\"\nmode = \"strict\"", &[], &["piperoll.toml", "compliance"]);
    check_refused("[store]\nregion = \"eu-central-1\"", &[], &["`store.region`", "s3://bucket/prefix"]);
    check_refused("[store.records_manager]\nprofil = \"x\"", &[], &["`store.records_manager.profile`?"]);
    check_refused(
        "[store]\nurl = \"s3://b\"\n[store.records_manager]\naccess_key_id = \"x\"",
        &[],
        &["`store.records_manager`", "`secret_access_key`"],
    );
    check_refused("[replica]\nregion = \"eu-central-1\"", &[], &["`replica.region`", "s3://bucket/prefix"]);
    check_refused("[replica]\nbehind_after_seconds = 0", &[], &["`replica.behind_after_seconds`", "found 0"]);
    check_refused("", &[("PIPEROLL_STORE_MODE", "x")], &["`PIPEROLL_STORE_MODE`", "compliance"]);
    check_refused("", &[("PIPEROLL_LISTEN", "8722")], &["`PIPEROLL_LISTEN`", "`8722`"]);
    check_refused("", &[("PIPEROLL_LIMITS_COMMIT_WAIT_US", "-1")], &["`PIPEROLL_LIMITS_COMMIT_WAIT_US`"]);
}

#[test]
fn consent_is_read_as_configured() {
    let rules = merge(FULL, Flags::default(), &[]).unwrap().consent.rules();
    assert_eq!(rules.languages["de"], WordRule::Decide);
    assert_eq!(rules.languages["es"], WordRule::Ask);
    assert_eq!(
        (rules.deciding_words, rules.default_purpose),
        (vec!["baja".to_owned()], Some("marketing".to_owned()))
    );
    assert!(rules.words_decide_every_purpose && rules.buttons_ask);
    let flows: Vec<_> =
        rules.flow.iter().map(|flow| (flow.key.as_str(), flow.means, flow.purpose.as_deref())).collect();
    assert_eq!(flows, [("newsletter", Act::Given, None), ("reminders", Act::Withdrawn, Some("utility"))]);
    assert_eq!(merge("", Flags::default(), &[]).unwrap().consent.rules(), ConsentRules::default());
}

#[test]
fn misspelt_variables_are_noticed_and_foreign_ones_are_not() {
    let environment = Environment::of(&[
        ("PIPEROLL_WHATSAPP_APP_SECERT", "x"),
        ("PIPEROLL_LISTEN", "127.0.0.1:1"),
        ("PIPEROLL_DIR", "d"),
        ("PIPEROLL_TOKEN", "t"),
        ("PIPEROLL_PASSPHRASE", "p"),
    ]);
    let found = environment.misspelt();
    assert_eq!(found, [("PIPEROLL_WHATSAPP_APP_SECERT".to_owned(), "PIPEROLL_WHATSAPP_APP_SECRET")]);
}

#[test]
fn secrets_are_never_shown() {
    let settings =
        merge(FULL, Flags::default(), &[("PIPEROLL_WHATSAPP_VERIFY_TOKEN", "variable-token")]).unwrap();
    let keyed = merge(KEYED, Flags::default(), &[]).unwrap();
    let shown = [&settings, &keyed]
        .map(|settings| [show_toml(settings), show_json(settings).to_string(), format!("{settings:?}")]);
    for text in shown.iter().flatten() {
        for secret in [
            "file-secret",
            "older-secret",
            "file-token",
            "file-sender-secret",
            "file-graph-token",
            "variable-token",
            "file-records-secret",
            "file-session",
        ] {
            assert!(!text.contains(secret), "`{secret}` in {text}");
        }
    }
    let toml = show_toml(&settings);
    assert!(toml.contains("********") && toml.contains("# environment"), "{toml}");
    assert!(ConfigFile::parse("shown", &toml).is_ok(), "what is shown has the form of the file: {toml}");
}

/// The committed schema is what the types say; programs that edit the file rely on it.
#[test]
fn committed_schema_is_the_derived_one() {
    let derived = serde_json::to_value(schemars::schema_for!(ConfigFile)).unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas/config.schema.json");
    if std::env::var_os("PIPEROLL_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&derived).unwrap() + "\n").unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(committed, derived, "PIPEROLL_UPDATE_GOLDEN=1 writes the schema");
    let validator = jsonschema::validator_for(&committed).unwrap();
    let is_valid = |text: &str| validator.is_valid(&toml::from_str::<Value>(text).unwrap());
    assert!(is_valid(FULL) && is_valid(KEYED) && is_valid(""));
    for broken in
        ["lisen = \"a\"", "listen = 1", "[whatsapp]\napp_secret = []", "[limits]\ncommit_events_max = 0"]
    {
        assert!(!is_valid(broken), "{broken}");
    }
}
