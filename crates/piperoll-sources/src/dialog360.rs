//! 360dialog: a number's webhook passes Meta's body through; the partner webhook tells of channels and accounts.
//!
//! Bodies: docs.360dialog.com, "Webhook events". Signatures exist only where the platform has set a secret.

use piperoll_format::Kind;
use serde_json::Value;

use crate::document::{self, text};
use crate::item::Split;
use crate::sender::Sender;
use crate::signature::{AppSecret, HmacSha256, SignatureError, Verified, digest_from_hex, find_secret};
use crate::whatsapp::{self, Reading, Translation};

/// The header that carries the signature of a delivery.
pub const SIGNATURE_HEADER: &str = "x-360dialog-signature";

const SCHEME: &str = "sha256=";

/// Checks the signature of `body`: HMAC-SHA256 with the platform secret, in hexadecimal.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify<'s>(
    header: Option<&str>,
    body: &[u8],
    secrets: &'s [AppSecret],
) -> Result<Verified<'s>, SignatureError> {
    let header = header.ok_or(SignatureError::Missing { header: SIGNATURE_HEADER })?.trim();
    let digits = header.strip_prefix(SCHEME).unwrap_or(header);
    let expected = "64 hexadecimal digits";
    let claimed =
        digest_from_hex(digits).ok_or(SignatureError::Malformed { header: SIGNATURE_HEADER, expected })?;
    let key_id = find_secret::<HmacSha256>(secrets, &[body], &claimed)?;
    Ok(Verified { key_id, signed_at: None })
}

/// Finds the items of a delivery: Meta's as Meta's, a partner event as one.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    match read(body) {
        None => whatsapp::split(body),
        event => Reading::split(event, body),
    }
}

/// Reads a partner event; Meta's bodies have no `event`.
pub(crate) fn read(body: &[u8]) -> Option<Reading<'_>> {
    let event = document::read(body)?;
    let name = text(&event, "event")?;
    let data = event.get("data")?;
    let element = document::object([
        ("id", document::id(&event, "id").map(|id| Value::from(Sender::Dialog360.id(&id)))),
        ("event", Some(Value::from(name))),
        ("data", Some(data.clone())),
    ]);
    Some(Reading::whole(body, Translation::new(kind_of(name), element)))
}

fn kind_of(event: &str) -> Kind {
    const ACCOUNT: [&str; 6] = ["account", "channel", "client", "partner", "phone", "waba"];
    if event.contains("template") {
        return Kind::WhatsappTemplate;
    }
    if ACCOUNT.iter().any(|word| event.starts_with(word)) {
        return Kind::WhatsappAccount;
    }
    whatsapp::kind_of_event(event)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::check::{check, project_whole};

    pub(crate) const FIXTURES: [&str; 2] = [
        r#"{"id":"ev-1","event":"channel_created","data":{"channel":{"phone":"15550100000","name":"Acme Support"}}}"#,
        include_str!("whatsapp/fixtures/batch.json"),
    ];

    // printf '%s' 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe
    const HEX: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn signature_is_checked_with_and_without_scheme() {
        let secrets = [AppSecret::named("jefe".into(), "Jefe")];
        let check = |header: Option<&str>, body: &str| verify(header, body.as_bytes(), &secrets);
        let body = "what do ya want for nothing?";
        let verified = Ok(Verified { key_id: "jefe", signed_at: None });
        assert_eq!(check(Some(HEX), body), verified);
        assert_eq!(check(Some(&format!("sha256={HEX}")), body), verified);
        assert_eq!(check(Some(HEX), "other"), Err(SignatureError::Mismatch));
        assert_eq!(check(None, body), Err(SignatureError::Missing { header: SIGNATURE_HEADER }));
        assert!(matches!(check(Some("00"), body), Err(SignatureError::Malformed { .. })));
    }

    #[test]
    fn partner_event_is_one_item() {
        let event = |name: &str| format!(r#"{{"id":"ev-1","event":"{name}","data":{{"note":"hello"}}}}"#);
        for (name, kind) in [
            ("channel_created", "whatsapp.account"),
            ("waba_template_status_changed", "whatsapp.template"),
            ("history", "whatsapp.other"),
            ("flows", "whatsapp.flow"),
            ("a_new_one", "whatsapp.other"),
        ] {
            check(Sender::Dialog360, &event(name), &[&format!("{kind} 360dialog:ev-1 - time-missing")]);
        }
        let message = project_whole(Sender::Dialog360, &event("channel_created"));
        assert_eq!(message.message_type, "channel_created");
        assert!(message.texts.contains(&"hello".to_owned()));
        assert_eq!(message.source_id.as_deref(), Some("360dialog:ev-1"));
    }

    #[test]
    fn meta_body_is_read_as_from_meta() {
        let body = FIXTURES[1].as_bytes();
        assert_eq!(split(body), whatsapp::split(body));
        let text = include_str!("whatsapp/fixtures/text.json");
        assert_eq!(project_whole(Sender::Dialog360, text), project_whole(Sender::Meta, text));
        check(Sender::Dialog360, "{\"id\":\"1\"}", &["unrecognised - -"]);
    }
}
