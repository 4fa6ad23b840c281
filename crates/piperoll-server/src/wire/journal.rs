//! Requests to send, handed in by whoever sent them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::entry::ReceiptView;

/// The endpoints that send messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Endpoint {
    /// Any message.
    Messages,
    /// Marketing messages.
    MarketingMessages,
}

impl Endpoint {
    /// Reads the last segment of the endpoint's path.
    pub(crate) fn read(segment: &str) -> Option<Self> {
        match segment {
            "messages" => Some(Self::Messages),
            "marketing_messages" => Some(Self::MarketingMessages),
            _ => None,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::MarketingMessages => "marketing_messages",
        }
    }
}

/// A request that was or will be sent to the Cloud API, with its answer if there is one already.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JournalBody {
    /// The sender's own id of the request, best the one in `biz_opaque_callback_data`; a digest of this body when
    /// absent. Sending it again changes nothing; sending it again with the answer adds the answer.
    pub(crate) journal_id: Option<String>,
    /// Where it was sent.
    pub(crate) endpoint: Endpoint,
    /// The business number's `phone_number_id`.
    pub(crate) number: String,
    /// The exact body of the request.
    #[schema(value_type = Object)]
    pub(crate) request: Box<RawValue>,
    /// The HTTP status of the answer.
    pub(crate) status: Option<u16>,
    /// The exact body of the answer.
    #[schema(value_type = Option<Object>)]
    pub(crate) response: Option<Box<RawValue>>,
    /// When it was sent (RFC 3339, with an offset).
    pub(crate) sent_at: String,
}

/// Says that a request and its answer are committed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JournalView {
    /// Ties request and answer together.
    pub(crate) journal_id: String,
    /// The event of the request.
    pub(crate) requested: ReceiptView,
    /// The event of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answered: Option<ReceiptView>,
}
