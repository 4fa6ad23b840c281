//! Events handed in through the API, equal to `schemas/event.schema.json`.

use piperoll_engine::Receipt;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::hex;

/// Reads a member that may be absent but not `null`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A fact that another channel hands in: consent, a template as it stood, the state of a phone, or who has a number.
/// `schemas/event.schema.json` says more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventBody {
    /// What it is.
    pub(crate) kind: EntryKind,
    /// The sender's own identity of the fact; sending it again changes nothing.
    pub(crate) source_id: String,
    /// When it happened (RFC 3339, with an offset); a report on a device says it in `at` instead, an assignment in
    /// `from`.
    #[serde(default, deserialize_with = "given")]
    pub(crate) occurred_at: Option<String>,
    /// The business number's `phone_number_id`.
    #[serde(default, deserialize_with = "given")]
    pub(crate) number: Option<String>,
    /// The person; every consent needs one.
    #[serde(default, deserialize_with = "given")]
    pub(crate) person: Option<PersonBody>,
    /// Where the person said it.
    #[serde(default, deserialize_with = "given")]
    pub(crate) channel: Option<Channel>,
    /// What the consent is for.
    #[serde(default, deserialize_with = "given")]
    pub(crate) purpose: Option<String>,
    /// The words that the person was shown or told.
    #[serde(default, deserialize_with = "given")]
    pub(crate) statement: Option<String>,
    /// The version of these words.
    #[serde(default, deserialize_with = "given")]
    pub(crate) statement_version: Option<String>,
    /// The language of these words, as a BCP 47 tag.
    #[serde(default, deserialize_with = "given")]
    pub(crate) language: Option<String>,
    /// What shows that it happened.
    #[serde(default, deserialize_with = "given")]
    pub(crate) evidence: Option<String>,
    /// When the agreement ends by its own terms (RFC 3339, with an offset); never when absent.
    #[serde(default, deserialize_with = "given")]
    pub(crate) expires_at: Option<String>,
    /// Who took the statement.
    #[serde(default, deserialize_with = "given")]
    pub(crate) collector: Option<String>,
    /// The template; a snapshot needs one.
    #[serde(default, deserialize_with = "given")]
    pub(crate) template: Option<TemplateBody>,
    /// The device's id in the management system; every report on a device needs one.
    #[serde(default, deserialize_with = "given")]
    pub(crate) device_id: Option<String>,
    /// What became of the device.
    #[serde(default, deserialize_with = "given")]
    pub(crate) event: Option<DeviceEvent>,
    /// When it became so (RFC 3339, with an offset).
    #[serde(default, deserialize_with = "given")]
    pub(crate) at: Option<String>,
    /// The management system that reports it.
    #[serde(default, deserialize_with = "given")]
    pub(crate) source: Option<String>,
    /// What else the management system says.
    #[serde(default, deserialize_with = "given")]
    pub(crate) detail: Option<String>,
    /// Who has the number; every assignment needs one.
    #[serde(default, deserialize_with = "given")]
    pub(crate) employee: Option<EmployeeBody>,
    /// Since when the employee has it (RFC 3339, with an offset).
    #[serde(default, deserialize_with = "given")]
    pub(crate) from: Option<String>,
    /// Until when; absent while it lasts.
    #[serde(default, deserialize_with = "given")]
    pub(crate) until: Option<String>,
    /// Anything that a later reader should know.
    #[serde(default, deserialize_with = "given")]
    pub(crate) note: Option<String>,
}

/// What became of a managed device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeviceEvent {
    /// It is managed from now on.
    Enrolled,
    /// Its content was deleted.
    Wiped,
    /// It cannot be reached.
    Offline,
    /// It can be reached again.
    Online,
    /// It is no longer managed.
    Unenrolled,
}

/// An employee, by the id that the business gives.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmployeeBody {
    /// The id.
    pub(crate) id: String,
    /// The name.
    #[serde(default, deserialize_with = "given")]
    pub(crate) name: Option<String>,
}

/// Where a person said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Channel {
    WebForm,
    Paper,
    Ivr,
    Crm,
    Sms,
    Email,
    InPerson,
    Whatsapp,
    Other,
}

/// The kinds that may be handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) enum EntryKind {
    /// A person agreed to receive messages.
    #[serde(rename = "consent.given")]
    ConsentGiven,
    /// A person withdrew an agreement.
    #[serde(rename = "consent.withdrawn")]
    ConsentWithdrawn,
    /// A person declined when asked.
    #[serde(rename = "consent.refused")]
    ConsentRefused,
    /// An agreement ended by its own terms.
    #[serde(rename = "consent.expired")]
    ConsentExpired,
    /// The full definition of a template as it stood at a time.
    #[serde(rename = "template.snapshot")]
    TemplateSnapshot,
    /// A management system reported what became of a phone.
    #[serde(rename = "device.reported")]
    DeviceReported,
    /// A business number was given to an employee from a date, or until one.
    #[serde(rename = "assignment.recorded")]
    AssignmentRecorded,
}

/// A person, by phone number or business-scoped user id.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonBody {
    /// The phone number in E.164, with or without a plus sign.
    #[serde(default, deserialize_with = "given")]
    pub(crate) phone: Option<String>,
    /// The business-scoped user id.
    #[serde(default, deserialize_with = "given")]
    pub(crate) user_id: Option<String>,
    /// The name as the person gave it.
    #[serde(default, deserialize_with = "given")]
    pub(crate) name: Option<String>,
}

/// A template as the platform describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateBody {
    /// Its name.
    pub(crate) name: String,
    /// Its language code.
    pub(crate) language: String,
    /// The platform's id of it.
    #[serde(default, deserialize_with = "given")]
    pub(crate) id: Option<String>,
    /// Its category.
    #[serde(default, deserialize_with = "given")]
    pub(crate) category: Option<String>,
    /// Its status.
    #[serde(default, deserialize_with = "given")]
    pub(crate) status: Option<String>,
    /// Header, body, footer, buttons and whatever else the platform lists.
    pub(crate) components: Vec<ComponentBody>,
}

/// A component of a template; its other members are kept unread.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ComponentBody {
    /// `HEADER`, `BODY`, …
    pub(crate) r#type: String,
}

/// Says that an event is committed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReceiptView {
    /// The ledger's id, hexadecimal.
    pub(crate) ledger: String,
    /// The event's position.
    pub(crate) seq: u64,
    /// The event's leaf hash (SHA-256, RFC 6962), hexadecimal.
    pub(crate) event_hash: String,
    /// Whether it had been committed before; then this is the first receipt again.
    pub(crate) repeated: bool,
}

impl From<Receipt> for ReceiptView {
    fn from(receipt: Receipt) -> Self {
        Self {
            ledger: receipt.ledger.to_string(),
            seq: receipt.seq.0,
            event_hash: hex(&receipt.event_hash.0),
            repeated: receipt.repeated,
        }
    }
}
