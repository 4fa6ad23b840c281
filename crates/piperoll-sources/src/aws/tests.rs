//! Notices as Amazon SNS documents them, around entries of Meta.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use serde_json::json;

use super::*;
use crate::check::{check, project_whole};

pub(crate) const FIXTURES: [&str; 3] = [NOTIFICATION, SUBSCRIPTION, RAW];

const NOTIFICATION: &str = include_str!("fixtures/notification.json");
const SUBSCRIPTION: &str = include_str!("fixtures/subscription.json");
const RAW: &str = include_str!("fixtures/raw.json");

/// Wraps an entry as AWS does.
fn wrapped(entry: &Value) -> String {
    let message = json!({"whatsAppWebhookEntry": entry.to_string(), "messageId": "a-1"});
    let mut notice: Value = serde_json::from_str(NOTIFICATION).unwrap();
    notice["Message"] = Value::from(message.to_string());
    notice.to_string()
}

#[test]
fn canonical_text_of_a_notification() {
    let mut envelope = parse(NOTIFICATION.as_bytes()).unwrap();
    envelope.message = "{\"a\":\n1}".to_owned();
    let arn = "arn:aws:sns:eu-west-1:123456789012:whatsapp";
    let time = "2026-11-21T10:00:00.123Z";
    let expected = format!(
        "Message\n{{\"a\":\n1}}\nMessageId\nn-1\nTimestamp\n{time}\nTopicArn\n{arn}\nType\nNotification\n"
    );
    assert_eq!(canonical_string(&envelope), expected);
    envelope.subject = Some("S".to_owned());
    envelope.token = Some("not signed here".to_owned());
    assert_eq!(canonical_string(&envelope), expected.replace("Timestamp\n", "Subject\nS\nTimestamp\n"));
}

#[test]
fn canonical_text_of_a_subscription() {
    let mut envelope = parse(SUBSCRIPTION.as_bytes()).unwrap();
    let expected = "Message\nYou have chosen to subscribe\nMessageId\ns-1\n\
        SubscribeURL\nhttps://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t-1\n\
        Timestamp\n2026-11-21T09:00:00.000Z\nToken\nt-1\n\
        TopicArn\narn:aws:sns:eu-west-1:123456789012:whatsapp\nType\nSubscriptionConfirmation\n";
    assert_eq!(canonical_string(&envelope), expected);
    envelope.notice = Notice::UnsubscribeConfirmation;
    let expected = expected.replace("SubscriptionConfirmation", "UnsubscribeConfirmation");
    assert_eq!(canonical_string(&envelope), expected);
}

#[test]
fn certificates_come_from_amazon_only() {
    for url in [
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.us-gov-west-1.amazonaws.com/x",
        "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
    ] {
        assert!(certificate_host_is_allowed(url), "{url}");
    }
    for url in [
        "",
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "HTTPS://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com",
        "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
        "https://sns.eu-west-1.amazonaws.com:443/a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://sns.evil.example/.amazonaws.com/a.pem",
        "https://sns.evil.example#.amazonaws.com/a.pem",
        "https://sns.evil.example?.amazonaws.com/a.pem",
        "https://sns.user@evil.amazonaws.com/a.pem",
        "https://sns.a.b.amazonaws.com/a.pem",
        "https://sns..amazonaws.com/a.pem",
        "https://sns.amazonaws.com/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com\\@evil.example/",
        " https://sns.eu-west-1.amazonaws.com/a.pem",
    ] {
        assert!(!certificate_host_is_allowed(url), "{url}");
    }
}

#[test]
fn signature_is_left_to_the_caller_once_all_else_is_right() {
    let envelope = parse(NOTIFICATION.as_bytes()).unwrap();
    let mut seen = None;
    let verified = verify(&envelope, |claim| {
        seen = Some((claim.digest, claim.signature.clone(), claim.text == canonical_string(&envelope)));
        true
    });
    assert_eq!((verified, seen), (Ok(()), Some((SignatureDigest::Sha256, b"signature".to_vec(), true))));
    assert_eq!(verify(&envelope, |_| false), Err(NoticeError::Mismatch));
    let old = Envelope { signature_version: "1".into(), ..envelope.clone() };
    assert_eq!(verify(&old, |claim| claim.digest == SignatureDigest::Sha1), Ok(()));
    let never = |_: &Claim<'_>| unreachable!("refused before the signature is looked at");
    let with = |change: fn(&mut Envelope)| {
        let mut envelope = envelope.clone();
        change(&mut envelope);
        verify(&envelope, never).unwrap_err()
    };
    let foreign = with(|envelope| envelope.signing_cert_url = "https://evil.example/a.pem".into());
    assert_eq!(foreign, NoticeError::ForeignCertificate);
    assert_eq!(
        with(|envelope| envelope.signature_version = "3".into()),
        NoticeError::UnknownVersion { found: "3".into() }
    );
    assert!(matches!(with(|envelope| envelope.signature = "%".into()), NoticeError::Malformed { .. }));
}

#[test]
fn odd_notices_are_refused() {
    let refused = |body: &str| parse(body.as_bytes()).unwrap_err();
    assert_eq!(refused("{}"), NoticeError::Malformed { expected: "Type" });
    assert_eq!(
        refused(r#"{"Type":"Other"}"#).to_string(),
        "notice is malformed: expected a `Type` of notification or subscription"
    );
    let twice = NOTIFICATION.replacen("\"MessageId\"", "\"MessageId\": \"x\", \"MessageId\"", 1);
    assert!(matches!(refused(&twice), NoticeError::Malformed { .. }));
    assert_eq!(
        refused(&NOTIFICATION.replace("\"Signature\"", "\"Signed\"")),
        NoticeError::Malformed { expected: "Signature" }
    );
}

#[test]
fn deliveries_are_one_item() {
    check(Sender::Aws, NOTIFICATION, &["whatsapp.message 9001/wamid.A1 wa:4915550000001"]);
    check(
        Sender::Aws,
        RAW,
        &["whatsapp.status 9001/wamid.D4|delivered|33655500004|1790000014 wa:33655500004"],
    );
    check(Sender::Aws, SUBSCRIPTION, &["whatsapp.other aws:s-1 -"]);
    let ended = SUBSCRIPTION.replace("SubscriptionConfirmation", "UnsubscribeConfirmation");
    check(Sender::Aws, &ended, &["whatsapp.other aws:s-1 -"]);
    check(Sender::Aws, &wrapped(&json!("no entry")), &["whatsapp.other aws:n-1 - subject-missing"]);
    let message = |from: &str| json!({"from": from, "id": (format!("wamid.{from}")), "timestamp": "1790000000", "type": "text", "text": {"body": (format!("from {from}"))}});
    let entry = |messages: [Value; 2]| {
        json!({"id": "700100", "changes": [{"field": "messages",
        "value": {"metadata": {"phone_number_id": "9001"}, "contacts": [{"wa_id": "491", "profile": {"name": "Ada"}}], "messages": messages}}]})
    };
    let one_person = wrapped(&entry([message("491"), message("491")]));
    check(Sender::Aws, &one_person, &["whatsapp.other aws:n-1 wa:491"]);
    let two_people = wrapped(&entry([message("491"), message("492")]));
    check(Sender::Aws, &two_people, &["whatsapp.other aws:n-1 - subject-missing"]);
    let read = project_whole(Sender::Aws, &two_people);
    assert_eq!((read.message_type.as_str(), read.source_id.as_deref()), ("several", Some("aws:n-1")));
    assert_eq!(read.texts, ["Ada", "from 491", "from 492"]);
    for body in ["", "{}", r#"{"whatsAppWebhookEntry":7}"#, "[1]"] {
        check(Sender::Aws, body, &["unrecognised - -"]);
    }
}

#[test]
fn message_reads_as_from_meta() {
    let meta = include_str!("../whatsapp/fixtures/text.json");
    let entry = serde_json::from_str::<Value>(meta).unwrap()["entry"][0].clone();
    assert_eq!(project_whole(Sender::Aws, &wrapped(&entry)), project_whole(Sender::Meta, meta));
    let notice = project_whole(Sender::Aws, SUBSCRIPTION);
    assert_eq!(notice.message_type, "SubscriptionConfirmation");
    assert!(notice.texts.contains(&"You have chosen to subscribe".to_owned()));
}

#[test]
fn corpus_is_read() {
    let Some(shared) = std::env::var_os("PIPEROLL_SHARED") else { return };
    let folder = std::path::Path::new(&shared).join("corpus/bsp");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let message = read("001-aws-sns_message_body.json");
    let items = split(message.as_bytes()).items;
    assert_eq!((items[0].kind, items[0].subject.as_deref()), (Kind::WhatsappMessage, Some("wa:14157470265")));
    let message = project_whole(Sender::Aws, &message);
    assert_eq!((message.texts, message.from.unwrap().name), (vec!["BB".to_owned()], Some("Kike".to_owned())));
    let entry: Value = serde_json::from_str(&read("002-aws-whatsAppWebhookEntry_decoded.json")).unwrap();
    assert_eq!(project_whole(Sender::Aws, &wrapped(&entry)).texts, ["HHH"]);
}
