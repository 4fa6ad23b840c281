//! Messages and states as Vonage documents them, with made-up people.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use super::*;
use crate::check::{check, project_whole};
use crate::message::{Direction, Reference, Relation};

pub(crate) const FIXTURES: [&str; 3] = [TEXT, STATUS, REACTION];

const TEXT: &str = r#"{"to":"15550100000","from":"4915550000001","channel":"whatsapp","message_uuid":"u-1",
    "timestamp":"2026-11-21T10:00:00.250Z","message_type":"text","text":"Is it on its way?",
    "context_status":"available","context":{"message_uuid":"u-0","message_from":"15550100000"},
    "profile":{"name":"Ada Brandt","username":"ada.b"}}"#;
const STATUS: &str = r#"{"message_uuid":"u-2","to":"4915550000001","from":"15550100000","channel":"whatsapp",
    "timestamp":"2026-11-21T10:01:00Z","status":"rejected","error":{"type":"https://developer.vonage.com/api-errors/messages#1340",
    "title":"1340","detail":"sent outside the window","instance":"x"},"usage":{"currency":"EUR","price":"0.03"},
    "whatsapp":{"recipient":{"user_id":"DE.1001"},"waba_id":"700100"}}"#;
const REACTION: &str = r#"{"to":"15550100000","from":"4915550000001","channel":"whatsapp","message_uuid":"u-3",
    "timestamp":"2026-11-21T10:02:00Z","message_type":"reaction","reaction":{"action":"react","emoji":"❤"},
    "context":{"message_uuid":"u-0"}}"#;

const BODY: &[u8] = br#"{"a":1}"#;
// b() { base64 -w0 | tr '+/' '-_' | tr -d '='; }
// H=$(printf '%s' '{"typ":"JWT","alg":"HS256"}' | b)
// P=$(printf '{"iat":1790000000,"payload_hash":"%s"}' $(printf '{"a":1}' | sha256sum | cut -d' ' -f1) | b)
// printf '%s' "$H.$P.$(printf '%s' "$H.$P" | openssl dgst -sha256 -hmac signature-secret -binary | b)"
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpYXQiOjE3OTAwMDAwMDAsInBheWxvYWRfaGFzaCI6IjAxNWFiZDdmNWNjNTdhMmRkOTRiNzU5MGYwNGFkODA4NDI3MzkwNWVlMzNlYzVjZWJlYWU2MjI3NmE5N2Y4NjIifQ._vhpqS26sljOvOLvdSRYSa8zKhFm2FaH81CpSkcrY_0";
/// The same with the algorithm `none` and no signature.
const UNSIGNED: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJpYXQiOjE3OTAwMDAwMDAsInBheWxvYWRfaGFzaCI6IjAxNWFiZDdmNWNjNTdhMmRkOTRiNzU5MGYwNGFkODA4NDI3MzkwNWVlMzNlYzVjZWJlYWU2MjI3NmE5N2Y4NjIifQ.";
/// Without the digest of the body, correctly signed.
const BODILESS: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpYXQiOjE3OTAwMDAwMDB9.B2V8RXcv7oRlFWO6BQ1826AUlnAslEejlyuTP82k1N4";

fn check_token(token: &str, body: &[u8]) -> Result<Option<i64>, SignatureError> {
    let secrets = [AppSecret::new("older"), AppSecret::named("v1".into(), "signature-secret")];
    let verified = verify(Some(&format!("Bearer {token}")), body, &secrets)?;
    assert_eq!(verified.key_id, "v1");
    Ok(verified.signed_at)
}

#[test]
fn token_covers_the_body() {
    assert_eq!(check_token(TOKEN, BODY), Ok(Some(1_790_000_000)));
    assert_eq!(check_token(TOKEN, b"{}"), Err(SignatureError::ForeignBody));
    assert_eq!(check_token(BODILESS, BODY), Err(SignatureError::ForeignBody));
    let (signed, signature) = TOKEN.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    assert_eq!(
        check_token(&format!("{signed}.{other}{}", &signature[1..]), BODY),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(check_token(&format!("{signed}."), BODY), Err(SignatureError::Mismatch));
    for bad in
        [UNSIGNED, "", "a.b", "a.b.c", &TOKEN.replace('.', "_"), &format!("{TOKEN}.x"), &format!("{TOKEN}==")]
    {
        assert!(matches!(check_token(bad, BODY), Err(SignatureError::Malformed { .. })), "{bad}");
    }
    let basic = verify(Some(&format!("Basic  {TOKEN}")), BODY, &[]);
    assert!(matches!(basic, Err(SignatureError::Malformed { .. })));
    assert!(matches!(verify(None, BODY, &[]), Err(SignatureError::Missing { .. })));
    assert_eq!(verify(Some(&format!("bearer {TOKEN}")), BODY, &[]), Err(SignatureError::Mismatch));
}

#[test]
fn requests_are_items() {
    for (body, expected) in [
        (TEXT, "whatsapp.message 15550100000/vonage:u-1 wa:4915550000001"),
        (
            STATUS,
            "whatsapp.status 15550100000/vonage:u-2|rejected|4915550000001|2026-11-21T10:01:00Z wa:4915550000001",
        ),
        (REACTION, "whatsapp.reaction 15550100000/vonage:u-3 wa:4915550000001"),
        (
            r#"{"message_uuid":"u-4","channel":"sms","from":"49155","message_type":"text","text":"x","timestamp":"1"}"#,
            "whatsapp.other vonage:u-4 wa:49155",
        ),
        (r#"{"channel":"whatsapp","message_type":"text"}"#, "unrecognised - -"),
        (r#"{"message_uuid":"1","message_uuid":"2"}"#, "unrecognised - -"),
    ] {
        check(Sender::Vonage, body, &[expected]);
    }
    assert_eq!(split(TEXT.as_bytes()).items[0].occurred_at, Some(1_795_255_200_250_000));
}

#[test]
fn messages_read_as_from_meta() {
    let read = project_whole(Sender::Vonage, TEXT);
    assert_eq!(
        (read.direction, read.texts),
        (Some(Direction::Inbound), vec!["Is it on its way?".to_owned()])
    );
    let from = read.from.unwrap();
    assert_eq!((from.name.as_deref(), from.username.as_deref()), (Some("Ada Brandt"), Some("ada.b")));
    assert_eq!(read.conversation.as_deref(), Some("15550100000:4915550000001"));
    let reference = |relation| [Reference { relation, source_id: "vonage:u-0".into() }];
    assert_eq!(read.references, reference(Relation::RepliesTo));
    let reaction = project_whole(Sender::Vonage, REACTION);
    assert_eq!(
        (reaction.references, reaction.texts),
        (reference(Relation::ReactsTo).into(), vec!["❤".to_owned()])
    );
    let removal = REACTION.replace("\"react\"", "\"unreact\"");
    assert!(project_whole(Sender::Vonage, &removal).texts.is_empty());
}

#[test]
fn every_content_type_gives_its_texts() {
    let with = |kind: &str, content: &str| {
        let body =
            format!(r#"{{"message_uuid":"u","from":"491","to":"155","message_type":"{kind}",{content}}}"#);
        let read = project_whole(Sender::Vonage, &body);
        (read.message_type, read.texts, read.attachments)
    };
    let file = with("file", r#""file":{"url":"https://f/1","name":"a.pdf","caption":"here"}"#);
    assert_eq!((file.0.as_str(), file.1), ("document", vec!["here".to_owned()]));
    assert_eq!(file.2[0].media_id.as_deref(), Some("https://f/1"));
    for (kind, content, text) in [
        ("reply", r#""reply":{"id":"x","title":"Express"}"#, "Express"),
        ("button", r#""button":{"payload":"STOP-1","text":"Stop"}"#, "Stop"),
        ("location", r#""location":{"lat":1.5,"long":2,"name":"Depot"}"#, "Depot"),
        ("contact", r#""contact":{"contacts":[{"name":{"formatted_name":"Li Wei"}}]}"#, "Li Wei"),
        ("poll_of_2027", r#""poll_of_2027":{"question":"Why?"}"#, "Why?"),
    ] {
        assert_eq!(with(kind, content).1, [text], "{kind}");
    }
}

#[test]
fn states_are_read() {
    let read = project_whole(Sender::Vonage, STATUS);
    assert_eq!((read.message_type.as_str(), read.error_codes), ("rejected", vec![1340]));
    assert_eq!(
        (read.texts, read.account.as_deref()),
        (vec!["sent outside the window".to_owned()], Some("700100"))
    );
    let untitled = STATUS.replace("\"1340\"", "\"Rejected\"");
    assert_eq!(project_whole(Sender::Vonage, &untitled).error_codes, [1340]);
}
