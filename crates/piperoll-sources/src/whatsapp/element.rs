//! What can be told of one element of an array: its kind, its own id, its person, its time.

use std::borrow::Cow;

use piperoll_format::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{is_object, repeats_a_key};
use super::scalar::Scalar;
use crate::item::Flag;

/// A person as an element names them. Either identity may be missing; neither is preferred here.
#[derive(Clone, Debug, Default)]
pub(super) struct Person<'a> {
    /// Phone number as written.
    pub(super) phone: Option<Cow<'a, str>>,
    /// Business-scoped user id.
    pub(super) user_id: Option<Cow<'a, str>>,
    /// Group id, for facts about a group as a whole.
    pub(super) group: Option<Cow<'a, str>>,
}

impl<'a> Person<'a> {
    pub(super) fn new(phone: Scalar<'a>, user_id: Scalar<'a>) -> Self {
        Self { phone: phone.take(), user_id: user_id.take(), group: None }
    }

    /// Returns this person, or the other one if nothing is known of this one.
    pub(super) fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self.phone.is_some() || self.user_id.is_some() { self } else { other() }
    }

    /// Returns every form under which this person may be found.
    pub(super) fn identities(&self) -> impl Iterator<Item = String> {
        let phone = self.phone.as_deref().and_then(subject_of_phone);
        phone.into_iter().chain(self.user_id.as_deref().map(|id| format!("bsuid:{id}")))
    }

    /// Returns the stored form: `wa:<digits>`, else `bsuid:<id>`, else `group:<id>`.
    pub(super) fn subject(&self) -> Option<String> {
        self.phone.as_deref().and_then(subject_of_phone).or_else(|| {
            let user = self.user_id.as_deref().map(|id| format!("bsuid:{id}"));
            user.or_else(|| self.group.as_deref().map(|id| format!("group:{id}")))
        })
    }
}

/// Returns the subject of a phone number as written; a user id in its place is recognised by its letters and dot.
fn subject_of_phone(text: &str) -> Option<String> {
    if text.contains('.') && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some(format!("bsuid:{text}"));
    }
    let mut subject = String::with_capacity(text.len() + 3);
    subject.push_str("wa:");
    subject.extend(text.chars().filter(char::is_ascii_digit));
    (subject.len() > 3).then_some(subject)
}

/// What `split` knows of an element before it is placed in a delivery.
pub(super) struct Facts<'a> {
    pub(super) kind: Kind,
    /// The sender's id without the business number.
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) person: Person<'a>,
    /// Seconds as written.
    pub(super) time: Option<Cow<'a, str>>,
    pub(super) flag: Option<Flag>,
}

impl Facts<'_> {
    /// Returns what is known of a value of which only the kind is told.
    pub(super) fn plain(kind: Kind) -> Self {
        Self { kind, id: None, person: Person::default(), time: None, flag: None }
    }

    /// Returns what is known of an element that cannot be read.
    pub(super) fn malformed(kind: Kind) -> Self {
        Self { flag: Some(Flag::Malformed), ..Self::plain(kind) }
    }
}

/// An object that has a key twice: which of the two is meant cannot be known, so nothing is told of the body.
pub(super) struct Ambiguous;

/// Reads the head of an element; `None` if it is odd but unambiguous.
///
/// # Errors
/// [`Ambiguous`] when a key is repeated.
pub(super) fn head<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<Option<T>, Ambiguous> {
    if !is_object(raw) {
        return Ok(None);
    }
    match serde_json::from_str(raw.get()) {
        Ok(head) => Ok(Some(head)),
        Err(_) if repeats_a_key(raw) => Err(Ambiguous),
        Err(_) => Ok(None),
    }
}

/// The members of a message that say which it is, whose and when.
#[derive(Clone, Deserialize)]
pub(super) struct MessageHead<'a> {
    #[serde(borrow, default)]
    pub(super) from: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) from_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) to: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) to_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) timestamp: Scalar<'a>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) system: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
}

/// The person of a system notice, which has no sender.
#[derive(Default, Deserialize)]
struct SystemHead<'a> {
    #[serde(borrow, default)]
    wa_id: Scalar<'a>,
    #[serde(borrow, default)]
    user_id: Scalar<'a>,
}

/// The recipient in the body of a request to send.
#[derive(Default, Deserialize)]
struct RequestHead<'a> {
    #[serde(borrow, default)]
    to: Scalar<'a>,
    #[serde(borrow, default)]
    recipient: Scalar<'a>,
}

/// Whose side an element of a message array was written on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The person sent it.
    Person,
    /// The business sent it.
    Business,
}

/// Reads an element of `messages[]` or `message_echoes[]`; `kind` is what it is when it is a plain message.
pub(super) fn message(raw: &RawValue, kind: Kind, side: Side) -> Result<Facts<'_>, Ambiguous> {
    Ok(head::<MessageHead<'_>>(raw)?
        .map_or_else(|| Facts::malformed(kind), |head| message_of(head, kind, side)))
}

/// Tells what the head of a message says.
pub(super) fn message_of(head: MessageHead<'_>, kind: Kind, side: Side) -> Facts<'_> {
    let flag = head.kind.get().is_none().then_some(Flag::Malformed);
    let kind = match (kind, head.kind.get()) {
        (Kind::WhatsappMessage, Some("edit")) => Kind::WhatsappEdit,
        (Kind::WhatsappMessage, Some("revoke")) => Kind::WhatsappRevoke,
        (Kind::WhatsappMessage, Some("reaction")) => Kind::WhatsappReaction,
        (Kind::WhatsappMessage, Some("system")) => Kind::WhatsappSystem,
        _ => kind,
    };
    let person = match side {
        Side::Person => {
            let notice = head.system;
            Person::new(head.from, head.from_user_id).or(|| {
                let head: SystemHead<'_> =
                    notice.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
                Person::new(head.wa_id, head.user_id)
            })
        }
        Side::Business => {
            let request = head.message;
            Person::new(head.to, head.to_user_id).or(|| {
                let head: RequestHead<'_> =
                    request.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
                Person::new(head.to, head.recipient)
            })
        }
    };
    // A standby echo has its content, and so its type, inside `message`.
    let flag = flag.filter(|_| head.message.is_none());
    Facts { kind, id: head.id.take(), person, time: head.timestamp.take(), flag }
}

#[derive(Deserialize)]
struct StatusHead<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
    #[serde(borrow, default)]
    recipient_id: Scalar<'a>,
    #[serde(borrow, default)]
    recipient_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    recipient_type: Scalar<'a>,
    #[serde(borrow, default)]
    recipient_participant_id: Scalar<'a>,
    #[serde(borrow, default)]
    recipient_participant_user_id: Scalar<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
}

/// Reads an element of `statuses[]`. A call's status has the type `call`.
pub(super) fn status(raw: &RawValue, kind: Kind) -> Result<Facts<'_>, Ambiguous> {
    let Some(head) = head::<StatusHead<'_>>(raw)? else { return Ok(Facts::malformed(kind)) };
    let kind = if kind == Kind::WhatsappStatus && head.kind.get() == Some("call") {
        Kind::WhatsappCall
    } else {
        kind
    };
    let flag = head.status.get().is_none().then_some(Flag::Malformed);
    let id = head.id.get().map(|id| {
        // A group's status comes once for each participant.
        let recipient = [
            &head.recipient_participant_id,
            &head.recipient_participant_user_id,
            &head.recipient_id,
            &head.recipient_user_id,
        ];
        let recipient = recipient.into_iter().find_map(Scalar::get);
        joined(&[Some(id), head.status.get(), recipient, head.timestamp.get()])
    });
    let person = if head.recipient_type.get() == Some("group") {
        let group = head.recipient_id.take();
        let participant = Person::new(head.recipient_participant_id, head.recipient_participant_user_id);
        participant.or(|| Person { group, ..Person::default() })
    } else {
        Person::new(head.recipient_id, head.recipient_user_id)
    };
    Ok(Facts { kind, id: id.map(Cow::Owned), person, time: head.timestamp.take(), flag })
}

/// Joins the parts of an id with `|`; an absent part is empty, so positions keep their meaning.
pub(super) fn joined(parts: &[Option<&str>]) -> String {
    let mut id = String::with_capacity(parts.iter().map(|part| part.map_or(1, |part| part.len() + 1)).sum());
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            id.push('|');
        }
        id.push_str(part.unwrap_or_default());
    }
    id
}
