//! What a reader sees in an item: a projection, made when indexing, showing or exporting.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::detail::{
    Choice, Forwarded, HistoryChunk, HistoryDetail, IdentityChange, Preference, Product, Reaction, Referral,
    SendDetail, StatusDetail, TemplateDetail,
};

/// A captured item as people read it. Everything in it is derived from the payload and may be derived again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender's identity of the fact (wamid, event id), as captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The content type: `text`, `image`, `template`, a status such as `delivered`, an event such as `APPROVED`.
    pub message_type: String,
    /// Whether it came from the customer or went to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Who produced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The person who sent it, or the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Party>,
    /// Who received it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub to: Vec<Party>,
    /// The business number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<BusinessNumber>,
    /// Groups the messages of one customer (or group) with one business number: `<phone_number_id>:<counterpart>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// When it happened according to the sender, microseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<i64>,
    /// Everything a person could read in it, one entry a text: body, caption, titles, names, addresses.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub texts: Vec<String>,
    /// Media and documents.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attachments: Vec<Attachment>,
    /// The template it used or is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateRef>,
    /// Other facts it points at.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub references: Vec<Reference>,
    /// The WhatsApp account (WABA) id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Codes of errors that the item reports.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub error_codes: Vec<i64>,
    /// What a delivery status reports beside its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<StatusDetail>>,
    /// A reaction, or that one was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaction: Option<Reaction>,
    /// Whether it was forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
    /// The advertisement that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referral: Option<Box<Referral>>,
    /// The product that it asks about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Box<Product>>,
    /// The button or row that the person chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Box<Choice>>,
    /// The answers of a flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Box<Value>>,
    /// What an old message says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryDetail>,
    /// Which pieces of the history it holds, if it is told here.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub history_chunks: Vec<HistoryChunk>,
    /// A choice about messages of a category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<Box<Preference>>,
    /// What changed about a template, or how it stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_detail: Option<Box<TemplateDetail>>,
    /// The person's identities before and after a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Box<IdentityChange>>,
    /// A request to send, or its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Box<SendDetail>>,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the customer to the business.
    Inbound,
    /// From the business to the customer.
    Outbound,
}

/// Who produced a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The customer.
    Customer,
    /// The Business app or a companion device.
    App,
    /// The Cloud API.
    Api,
    /// The AI agent or another sender that owned the conversation.
    Agent,
    /// The history synchronisation (weaker evidence: the phone supplied it).
    History,
    /// An export of another system (weaker evidence: somebody handed it in).
    Import,
    /// WhatsApp itself.
    Platform,
}

/// A person or number in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Digits of the phone number, no plus sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Business-scoped user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The user id that linked businesses share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_user_id: Option<String>,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A business number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusinessNumber {
    /// `phone_number_id`, or what another sender names the number by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Digits of `display_phone_number`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// A media object or document named by a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// `image`, `document`, `audio` …
    pub attachment_type: String,
    /// The media id to fetch it with; the address itself, where the sender is not Meta and gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    /// Claimed media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Claimed SHA-256, as written by the sender (base64 or hexadecimal).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// File name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// A template named by an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRef {
    /// Template name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Language code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Template id, digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A pointer from one item to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// What the pointer means.
    pub relation: Relation,
    /// The source id of the item pointed at.
    pub source_id: String,
}

/// What a reference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Answers it.
    RepliesTo,
    /// Replaces its content.
    Edits,
    /// Withdraws it.
    Revokes,
    /// Reacts to it.
    ReactsTo,
    /// Reports its delivery.
    StatusOf,
}
