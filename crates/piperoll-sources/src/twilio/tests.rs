//! Forms as Twilio documents them, with made-up people.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use super::*;
use crate::check::{check, project_whole};
use crate::message::{Direction, Reference, Relation};

pub(crate) const FIXTURES: [&str; 4] = [TEXT, MEDIA, STATUS, BUTTON];

const TEXT: &str = "SmsMessageSid=SM01&NumMedia=0&ProfileName=Ada+Brandt&MessageType=text&SmsSid=SM01&WaId=4915550000001\
    &SmsStatus=received&Body=Is+the+Gr%C3%BCne+parcel+on+its+way%3F&To=whatsapp%3A%2B15550100000&NumSegments=1\
    &MessageSid=SM01&AccountSid=AC0&From=whatsapp%3A%2B4915550000001&ExternalUserId=whatsapp%3ADE.1001\
    &OriginalRepliedMessageSid=SM00&ApiVersion=2010-04-01&NewIn2027=a+new+thing";
const MEDIA: &str = "MessageSid=MM02&SmsStatus=received&Body=receipt&NumMedia=1&MediaUrl0=https%3A%2F%2Fapi.twilio.com%2FME2\
    &MediaContentType0=application%2Fpdf&From=whatsapp%3ADE.1001&To=whatsapp%3A%2B15550100000";
const STATUS: &str = "ChannelPrefix=whatsapp&ApiVersion=2010-04-01&MessageStatus=undelivered&SmsSid=SM03&SmsStatus=undelivered\
    &ChannelToAddress=%2B4915550000001&To=whatsapp%3A%2B4915550000001&From=whatsapp%3A%2B15550100000&MessageSid=SM03\
    &AccountSid=AC0&ErrorCode=63016&ErrorMessage=outside+the+window";
const BUTTON: &str = "MessageSid=SM04&SmsStatus=received&Body=Stop&ButtonText=Stop&ButtonPayload=STOP-1\
    &From=whatsapp%3A%2B4915550000001&To=whatsapp%3A%2B15550100000&ReferralHeadline=Sale&ReferralSourceId=7";

const URL: &str = "https://archive.example/webhooks/twilio?tenant=1";
// printf '%s' 'https://archive.example/webhooks/twilio?tenant=1BodyGrüße & moreFromwhatsapp:+4915550000001MessageSidSM1' |
//     openssl dgst -sha1 -hmac 12345 -binary | base64
const SIGNATURE: &str = "l5Yiooiu3JdXR6V5Hrn/WK6fo/Y=";
const SIGNED: &[u8] = b"MessageSid=SM1&From=whatsapp%3A%2B4915550000001&Body=Gr%C3%BC%C3%9Fe+%26+more";

fn secrets() -> Vec<AppSecret> {
    vec![AppSecret::new("older"), AppSecret::named("t1".into(), "12345")]
}

#[test]
fn signature_covers_address_and_parameters() {
    let verified = Ok(Verified { key_id: "t1", signed_at: None });
    let check = |url: &str, body: &[u8]| verify(Some(SIGNATURE), url, body, &secrets()).is_ok();
    assert_eq!(verify(Some(SIGNATURE), URL, SIGNED, &secrets()), verified);
    assert!(check(&URL.replace("example/", "example:8443/"), SIGNED));
    assert!(!check(&URL.replace("tenant=1", "tenant=2"), SIGNED));
    assert!(!check(URL, &[SIGNED, b"&Extra=1"].concat()));
    assert!(!check(URL, b""));
    assert_eq!(verify(Some("AAAA"), URL, SIGNED, &secrets()), Err(SignatureError::Mismatch));
    assert!(matches!(verify(Some("%"), URL, SIGNED, &secrets()), Err(SignatureError::Malformed { .. })));
    assert!(matches!(verify(None, URL, SIGNED, &secrets()), Err(SignatureError::Missing { .. })));
}

#[test]
fn documented_example_is_verified() {
    // The example of Twilio's documentation on securing webhooks.
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let body =
        b"CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212";
    assert!(verify(Some("0/KCTR6DLpKmkAf8muzZqo1nDgQ="), url, body, &secrets()).is_ok());
}

#[test]
fn json_body_is_covered_by_its_digest() {
    // printf '%s' '{"a":1}' | sha256sum; then the address with it | openssl dgst -sha1 -hmac 12345 -binary | base64
    let url = "https://archive.example/t?bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    let header = Some("AbohOvAzl2biUP/eOhyQFjc1prs=");
    assert!(verify(header, url, br#"{"a":1}"#, &secrets()).is_ok());
    assert_eq!(verify(header, url, br#"{"a":2}"#, &secrets()), Err(SignatureError::ForeignBody));
    assert_eq!(verify(header, "https://x/?bodySHA256=1", b"", &secrets()), Err(SignatureError::ForeignBody));
}

#[test]
fn port_is_left_out() {
    for (url, expected) in [
        ("https://a.example:443/x?y=1:2", Some("https://a.example/x?y=1:2")),
        ("https://a.example?y=1", None),
        ("https://a.example:8443", Some("https://a.example")),
        ("https://[::1]/", None),
        ("nonsense", None),
    ] {
        assert_eq!(without_port(url).as_deref(), expected, "{url}");
    }
}

#[test]
fn forms_are_items() {
    for (body, expected) in [
        (TEXT, "whatsapp.message 15550100000/twilio:SM01 wa:4915550000001 time-missing"),
        (MEDIA, "whatsapp.message 15550100000/twilio:MM02 bsuid:DE.1001 time-missing"),
        (
            STATUS,
            "whatsapp.status 15550100000/twilio:SM03|undelivered|+4915550000001| wa:4915550000001 time-missing",
        ),
        (
            "MessageSid=SM5&From=%2B49155&To=%2B1555&Body=by+text",
            "whatsapp.other twilio:SM5 wa:49155 time-missing",
        ),
        ("MessageSid=SM5&MessageSid=SM6&From=whatsapp%3A%2B49155&To=whatsapp%3A%2B1", "unrecognised - -"),
        ("From=whatsapp%3A%2B49155&To=whatsapp%3A%2B1", "unrecognised - -"),
        ("MessageSid=SM5&To=whatsapp%3A%2B1", "unrecognised - -"),
        ("{\"MessageSid\":\"SM5\"}", "unrecognised - -"),
    ] {
        check(Sender::Twilio, body, &[expected]);
    }
}

#[test]
fn text_reads_as_from_meta() {
    let read = project_whole(Sender::Twilio, TEXT);
    assert_eq!((read.direction, read.message_type.as_str()), (Some(Direction::Inbound), "text"));
    assert_eq!(read.texts, ["Is the Grüne parcel on its way?", "a new thing"]);
    let from = read.from.unwrap();
    assert_eq!((from.phone.as_deref(), from.user_id.as_deref()), (Some("4915550000001"), Some("DE.1001")));
    assert_eq!(from.name.as_deref(), Some("Ada Brandt"));
    assert_eq!(read.conversation.as_deref(), Some("15550100000:4915550000001"));
    assert_eq!(
        read.references,
        [Reference { relation: Relation::RepliesTo, source_id: "twilio:SM00".into() }]
    );
}

#[test]
fn other_content_is_read() {
    let media = project_whole(Sender::Twilio, MEDIA);
    assert_eq!((media.message_type.as_str(), media.texts), ("document", vec!["receipt".to_owned()]));
    assert_eq!(media.attachments[0].media_id.as_deref(), Some("https://api.twilio.com/ME2"));
    let button = project_whole(Sender::Twilio, BUTTON);
    assert_eq!(
        (button.message_type.as_str(), button.texts),
        ("button", vec!["Stop".to_owned(), "Sale".into()])
    );
    let status = project_whole(Sender::Twilio, STATUS);
    assert_eq!((status.message_type.as_str(), status.error_codes), ("undelivered", vec![63_016]));
    assert_eq!(status.references[0].source_id, "twilio:SM03");
    let with = |more: &str| {
        let body = format!("MessageSid=SM5&From=whatsapp%3A%2B49155&To=whatsapp%3A%2B1&{more}");
        let read = project_whole(Sender::Twilio, &body);
        (read.message_type, read.texts)
    };
    let location = with("Latitude=1.5&Longitude=2&Address=1+Quay&Label=Depot");
    assert_eq!(location, ("location".into(), vec!["Depot".to_owned(), "1 Quay".into()]));
    let list = with("Body=Express&ListId=x&ListTitle=Express");
    assert_eq!(list, ("interactive".into(), vec!["Express".to_owned()]));
}
