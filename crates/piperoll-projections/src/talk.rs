//! Conversations: what belongs to one, and what happened to each message.

use piperoll_format::Kind;
use piperoll_sources::{Direction, Message, Origin, Relation, TemplateRef};
use serde::{Deserialize, Serialize};

use crate::alias::first_alias;
use crate::fact::{Facts, Observed, Table};

/// What an event is in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A message of its own.
    Message,
    /// Another version of a message.
    Edit,
    /// The withdrawal of a message.
    Revoke,
    /// A reaction to a message, or its removal.
    Reaction,
    /// A request to send through the API; its answer names the message.
    Send,
    /// Something that happened around the messages: a call, a notice, a handover, a preference.
    Notice,
}

/// A fact of [`Table::Conversation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub role: Role,
    /// The message's id, or the one that an edit, a withdrawal or a reaction is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// Which way it went.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub direction: Option<Direction>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<Origin>,
    /// What ties a request to its answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub journal_id: Option<String>,
}

/// A fact of [`Table::Item`]: what one event says about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// It is the message itself.
    Message {
        /// Who made it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        origin: Option<Origin>,
        /// Which way it went.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        direction: Option<Direction>,
        /// The business number's id.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        number: Option<String>,
        /// The person, by the first alias.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        person: Option<String>,
        /// Its content type.
        message_type: String,
        /// How many attachments it has.
        #[serde(skip_serializing_if = "is_zero", default)]
        attachments: u32,
        /// The template that it was made from.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        template: Option<TemplateRef>,
    },
    /// A later version of it.
    Edit,
    /// Its withdrawal.
    Revoke,
    /// A reaction.
    Reaction {
        /// Whose; the business where it is absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        person: Option<String>,
        /// The emoji; absent when it was taken back.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        emoji: Option<String>,
    },
    /// Its delivery.
    Status {
        /// `sent`, `delivered`, `read`, `played`, `failed` …
        status: String,
        /// The business number's id.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        number: Option<String>,
        /// To whom, by the first alias.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        person: Option<String>,
        /// Codes of errors.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        errors: Vec<i64>,
        /// The category it was charged as.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        category: Option<String>,
    },
    /// The platform gave it its id in answer to a request.
    Answered {
        /// What ties the request to its answer.
        journal_id: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Adds what an event says about a conversation and its messages.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    let (message, at) = (observed.message, observed.at());
    if observed.kind == Kind::SendAnswered {
        let Some(send) = &message.send else { return };
        for wamid in &send.wamids {
            let about = About::Answered { journal_id: send.journal_id.clone() };
            facts.put(Table::Item, wamid, at, &about);
        }
        return;
    }
    if observed.kind.as_str().starts_with("consent.") {
        return;
    }
    let target = target(message);
    if let Some((relation, id)) = target {
        facts.put(Table::Item, id, at, &about_target(relation, message));
    }
    let role = role(observed.kind, target.map(|(relation, _)| relation));
    let Some(role) = role else { return };
    let own = message.source_id.as_deref();
    if role == Role::Message
        && let Some(id) = own
    {
        facts.put(Table::Item, id, at, &about_itself(message));
    }
    if let Some(conversation) = &message.conversation {
        let entry = Entry {
            role,
            id: target.map(|(_, id)| id).or(own).map(str::to_owned),
            direction: message.direction,
            origin: message.origin,
            journal_id: message.send.as_ref().map(|send| send.journal_id.clone()),
        };
        facts.put(Table::Conversation, conversation, at, &entry);
    }
}

/// Returns the message that an item changes, if it does.
fn target(message: &Message) -> Option<(Relation, &str)> {
    let changes = |relation| {
        matches!(relation, Relation::Edits | Relation::Revokes | Relation::ReactsTo | Relation::StatusOf)
    };
    let found = message.references.iter().find(|reference| changes(reference.relation))?;
    Some((found.relation, &found.source_id))
}

fn about_target(relation: Relation, message: &Message) -> About {
    match relation {
        Relation::Edits | Relation::RepliesTo => About::Edit,
        Relation::Revokes => About::Revoke,
        Relation::ReactsTo => About::Reaction {
            person: first_alias(message).filter(|_| message.direction != Some(Direction::Outbound)),
            emoji: message.reaction.as_ref().and_then(|reaction| reaction.emoji.clone()),
        },
        Relation::StatusOf => About::Status {
            status: message.message_type.clone(),
            number: number_of(message),
            person: first_alias(message),
            errors: message.error_codes.clone(),
            category: message.status.as_ref().and_then(|status| status.category.clone()),
        },
    }
}

fn about_itself(message: &Message) -> About {
    About::Message {
        origin: message.origin,
        direction: message.direction,
        number: number_of(message),
        person: first_alias(message),
        message_type: message.message_type.clone(),
        attachments: u32::try_from(message.attachments.len()).unwrap_or(u32::MAX),
        template: message.template.clone(),
    }
}

pub(crate) fn number_of(message: &Message) -> Option<String> {
    message.number.as_ref()?.id.clone()
}

/// Returns what an event is in its conversation; nothing for what is shown with its message only.
fn role(kind: Kind, changes: Option<Relation>) -> Option<Role> {
    match changes {
        Some(Relation::Edits) => return Some(Role::Edit),
        Some(Relation::Revokes) => return Some(Role::Revoke),
        Some(Relation::ReactsTo) if kind != Kind::SendRequested => return Some(Role::Reaction),
        Some(Relation::StatusOf) => return None,
        _ => {}
    }
    match kind {
        Kind::WhatsappMessage
        | Kind::WhatsappEcho
        | Kind::WhatsappHistory
        | Kind::WhatsappStandby
        | Kind::WhatsappEdit
        | Kind::WhatsappRevoke
        | Kind::WhatsappReaction
        | Kind::ImportMessage => Some(Role::Message),
        Kind::SendRequested => Some(Role::Send),
        Kind::WhatsappSystem
        | Kind::WhatsappCall
        | Kind::WhatsappHandover
        | Kind::WhatsappPreference
        | Kind::WhatsappIdentity
        | Kind::WhatsappGroup => Some(Role::Notice),
        _ => None,
    }
}
