//! AWS End User Messaging Social: Meta's entry as text inside Amazon SNS's message, itself text inside a notice.
//!
//! Formats: docs.aws.amazon.com, "Parsing message formats" and "Verifying the signatures of Amazon SNS messages" of
//! Amazon SNS, "WhatsApp event destinations" of AWS End User Messaging Social. What is inside is escaped twice, so
//! no bytes of the body are one fact alone: a delivery is one item, also where its entry holds several facts.
//! Certificates are neither fetched nor read here, and RSA is left to the caller.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use piperoll_format::Kind;
use serde_json::Value;

use crate::document::{self, object, string, text};
use crate::item::{Flag, Item, Split};
use crate::message::Message;
use crate::project::Captured;
use crate::sender::{Sender, no_slice, project_item};
use crate::whatsapp::{self, Reading, Translation};

/// What a notice of Amazon SNS is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It carries a message.
    Notification,
    /// A subscription waits for its address to be opened.
    SubscriptionConfirmation,
    /// A subscription has ended; the address would renew it.
    UnsubscribeConfirmation,
}

impl Notice {
    const ALL: [Self; 3] =
        [Self::Notification, Self::SubscriptionConfirmation, Self::UnsubscribeConfirmation];

    /// Returns the text form, as in the member `Type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// A notice of Amazon SNS. None of it is to be trusted before [`verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What it is for.
    pub notice: Notice,
    /// The message, or a sentence about the subscription.
    pub message: String,
    /// SNS's id of it, the same in every attempt.
    pub message_id: String,
    /// The topic; compare it with the configured one.
    pub topic_arn: String,
    /// When it was published, RFC 3339.
    pub timestamp: String,
    /// A subject line, if the publisher gave one.
    pub subject: Option<String>,
    /// The token of a subscription.
    pub token: Option<String>,
    /// The address that confirms a subscription. It must pass [`certificate_host_is_allowed`] too before it is opened.
    pub subscribe_url: Option<String>,
    /// `1` or `2`.
    pub signature_version: String,
    /// The signature, base64.
    pub signature: String,
    /// Where the certificate is.
    pub signing_cert_url: String,
}

/// Which digest a signature was made with, always with RSA and PKCS #1 version 1.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureDigest {
    /// SHA-1, of signature version 1.
    Sha1,
    /// SHA-256, of signature version 2.
    Sha256,
}

/// What a notice claims, for the caller who has the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<'e> {
    /// The text that was signed.
    pub text: String,
    /// The signature's bytes.
    pub signature: Vec<u8>,
    /// The digest.
    pub digest: SignatureDigest,
    /// Where the certificate is, on an allowed host.
    pub certificate_url: &'e str,
}

/// Why a notice was not accepted as Amazon's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// The body is no notice.
    #[error("notice is malformed: expected {expected}")]
    Malformed {
        /// What was looked for.
        expected: &'static str,
    },
    /// The certificate is not on a host of Amazon SNS.
    #[error("certificate: expected an address on `https://sns.<region>.amazonaws.com/`, found another host")]
    ForeignCertificate,
    /// The signature is of a version that is not known.
    #[error("signature version: expected `1` or `2`, found `{found}`")]
    UnknownVersion {
        /// The version, cut to 40 characters.
        found: String,
    },
    /// The certificate's key did not make the signature.
    #[error("signature matches the certificate of no known topic")]
    Mismatch,
}

/// Reads a notice.
///
/// # Errors
/// [`NoticeError::Malformed`] names the first member that is missing.
pub fn parse(body: &[u8]) -> Result<Envelope, NoticeError> {
    let malformed = |expected| NoticeError::Malformed { expected };
    let notice = document::read(body).ok_or(malformed("a JSON object with each key once"))?;
    let member = |key| notice.get(key).and_then(Value::as_str).map(str::to_owned).ok_or(malformed(key));
    let name = member("Type")?;
    let kind = Notice::ALL.into_iter().find(|kind| kind.as_str() == name);
    Ok(Envelope {
        notice: kind.ok_or(malformed("a `Type` of notification or subscription"))?,
        message: member("Message")?,
        message_id: member("MessageId")?,
        topic_arn: member("TopicArn")?,
        timestamp: member("Timestamp")?,
        subject: string(&notice, "Subject"),
        token: string(&notice, "Token"),
        subscribe_url: string(&notice, "SubscribeURL"),
        signature_version: member("SignatureVersion")?,
        signature: member("Signature")?,
        signing_cert_url: member("SigningCertURL")?,
    })
}

/// Returns the text that a notice's signature is over, the same in versions 1 and 2: names and values of some
/// members in the order of their names, each followed by a line feed. Members that are absent are left out.
#[must_use]
pub fn canonical_string(envelope: &Envelope) -> String {
    let is_notification = envelope.notice == Notice::Notification;
    let of_subscription = |member: &'static str, value: &'_ Option<String>| {
        value.clone().filter(|_| !is_notification).map(|value| (member, value))
    };
    let members = [
        Some(("Message", envelope.message.clone())),
        Some(("MessageId", envelope.message_id.clone())),
        envelope.subject.clone().filter(|_| is_notification).map(|subject| ("Subject", subject)),
        of_subscription("SubscribeURL", &envelope.subscribe_url),
        Some(("Timestamp", envelope.timestamp.clone())),
        of_subscription("Token", &envelope.token),
        Some(("TopicArn", envelope.topic_arn.clone())),
        Some(("Type", envelope.notice.as_str().to_owned())),
    ];
    members.into_iter().flatten().map(|(member, value)| [member, "\n", &value, "\n"].concat()).collect()
}

/// Tells whether an address is on a host of Amazon SNS: `https://sns.<region>.amazonaws.com/`, without user, port
/// or anything else in the host. Only from there may a certificate be fetched or a subscription be confirmed, and
/// redirects must not be followed.
#[must_use]
pub fn certificate_host_is_allowed(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://sns.") else { return false };
    let Some((region, path)) = rest.split_once(".amazonaws.com") else { return false };
    let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !region.is_empty() && region.bytes().all(is_label) && path.starts_with('/')
}

/// Checks a notice: where its certificate is, the version of its signature, and, by `check`, the signature itself.
/// `check` gets the certificate's address and must verify RSA PKCS #1 version 1.5 with its key, and that the
/// certificate is valid and Amazon's.
///
/// # Errors
/// See [`NoticeError`].
pub fn verify(envelope: &Envelope, check: impl FnOnce(&Claim<'_>) -> bool) -> Result<(), NoticeError> {
    if !certificate_host_is_allowed(&envelope.signing_cert_url) {
        return Err(NoticeError::ForeignCertificate);
    }
    let digest = match envelope.signature_version.as_str() {
        "1" => SignatureDigest::Sha1,
        "2" => SignatureDigest::Sha256,
        other => return Err(NoticeError::UnknownVersion { found: other.chars().take(40).collect() }),
    };
    let signature = STANDARD.decode(&envelope.signature);
    let signature = signature.map_err(|_| NoticeError::Malformed { expected: "a `Signature` in base64" })?;
    let text = canonical_string(envelope);
    let claim = Claim { text, signature, digest, certificate_url: &envelope.signing_cert_url };
    if check(&claim) { Ok(()) } else { Err(NoticeError::Mismatch) }
}

/// Finds the item of a delivery. Where its entry holds one fact, the item is of that fact's kind.
#[must_use]
pub fn split(body: &[u8]) -> Split {
    let Some(Delivered { id, entry }) = unwrap(body) else { return Reading::split(read(body), body) };
    let mut facts = whatsapp::split(entry.as_bytes()).items;
    let first = facts.remove(0);
    let whole = std::iter::once(0..body.len()).collect();
    if facts.is_empty() && first.kind != Kind::Unrecognised {
        return Split { items: vec![Item { ranges: whole, ..first }] };
    }
    let number = first.number.filter(|number| facts.iter().all(|fact| fact.number.as_ref() == Some(number)));
    let same = |subject: &String| facts.iter().all(|fact| fact.subject.as_ref() == Some(subject));
    let subject = first.subject.filter(same);
    let item = Item {
        kind: Kind::WhatsappOther,
        source_id: id,
        flags: if subject.is_none() { vec![Flag::SubjectMissing] } else { Vec::new() },
        subject,
        number,
        occurred_at: first.occurred_at,
        ranges: whole,
    };
    Split { items: vec![item] }
}

/// Reads a delivery: its one fact as from Meta, or several as one message with the texts of all.
pub(crate) fn project(kind: Kind, captured: &Captured<'_>) -> Message {
    let body = captured.parts.first().copied().unwrap_or_default();
    let Some(Delivered { id, entry }) = unwrap(body) else {
        return project_item(kind, captured, read, no_slice);
    };
    let entry = entry.as_bytes();
    let facts = whatsapp::split(entry).items;
    if let [fact] = facts.as_slice()
        && fact.kind != Kind::Unrecognised
    {
        return whatsapp::project(kind, &Captured { whole: true, parts: &[entry], ..*captured });
    }
    let mut all = Message { source_id: id, message_type: "several".to_owned(), ..Message::default() };
    for fact in facts {
        let parts: Vec<_> = fact.ranges.iter().filter_map(|range| entry.get(range.clone())).collect();
        let (number, subject) = (fact.number.as_deref(), fact.subject.as_deref());
        let slices = Captured { whole: false, parts: &parts, number, subject, source: Sender::Meta.as_str() };
        let mut one = crate::project(fact.kind, &slices);
        let parties = one.from.iter().chain(&one.to).filter_map(|party| party.name.clone());
        all.texts.extend(parties);
        all.texts.append(&mut one.texts);
        all.attachments.append(&mut one.attachments);
        all.references.append(&mut one.references);
        all.error_codes.append(&mut one.error_codes);
        all.occurred_at = all.occurred_at.or(one.occurred_at);
        all.number = all.number.or(one.number);
    }
    all
}

/// A body of Meta's as it came through AWS.
struct Delivered {
    id: Option<String>,
    /// With the object around the entry, which AWS leaves out.
    entry: String,
}

/// Takes Meta's entry out of a notice, or out of the message alone where the topic delivers it raw.
fn unwrap(body: &[u8]) -> Option<Delivered> {
    let (message, id) = match parse(body) {
        Ok(envelope) if envelope.notice == Notice::Notification => {
            (document::read(envelope.message.as_bytes())?, Some(envelope.message_id))
        }
        Ok(_) => return None,
        Err(_) => (document::read(body)?, None),
    };
    let entry = text(&message, "whatsAppWebhookEntry")?;
    let entry = [r#"{"object":"whatsapp_business_account","entry":["#, entry, "]}"].concat();
    let id = id.or_else(|| string(&message, "messageId")).map(|id| Sender::Aws.id(&id));
    Some(Delivered { id, entry })
}

/// Reads a notice about the subscription, or one that carries something else than WhatsApp.
fn read(body: &[u8]) -> Option<Reading<'_>> {
    let envelope = parse(body).ok()?;
    let element = object([
        ("id", Some(Value::from(Sender::Aws.id(&envelope.message_id)))),
        ("event", Some(Value::from(envelope.notice.as_str()))),
        ("timestamp", Some(Value::from(envelope.timestamp))),
        ("message", Some(Value::from(envelope.message))),
    ]);
    Some(Reading::whole(body, Translation::new(Kind::WhatsappOther, element)))
}

#[cfg(test)]
pub(crate) mod tests;
