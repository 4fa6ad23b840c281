//! Whole webhook bodies around message objects, statuses and contact entries.

use super::json::{Json, list, map};
use super::message::{Content, Extras, echo, inbound};
use super::people::{Customer, Number};

/// Wraps changes of one account: `(field, value)`.
pub(crate) fn body(account: &str, time: Option<i64>, changes: Vec<(&str, Json)>) -> Json {
    let changes: Vec<Json> =
        changes.into_iter().map(|(field, value)| map! {"value": value, "field": field}).collect();
    map! {
        "object": "whatsapp_business_account",
        "entry": list![map! {"id": account, "time": time, "changes": changes}],
    }
}

/// Wraps one value of a number.
pub(crate) fn single(number: &Number, field: &str, value: Json) -> Json {
    body(number.account, None, vec![(field, value)])
}

/// Writes the body of one message by a customer.
pub(crate) fn received(
    number: &Number,
    customer: &Customer,
    id: &str,
    at: i64,
    content: &Content,
    extras: Extras,
) -> Json {
    let message = inbound(customer, id, at, content, extras);
    let value = number.value().with("contacts", list![customer.contact()]).with("messages", list![message]);
    single(number, "messages", value)
}

/// Writes the body of one message that somebody sent from the business app.
pub(crate) fn echoed(
    number: &Number,
    customer: &Customer,
    id: &str,
    at: i64,
    content: &Content,
    context: Option<Json>,
) -> Json {
    let message = echo(number, customer, id, at, content, context);
    let value =
        number.value().with("contacts", list![customer.contact()]).with("message_echoes", list![message]);
    single(number, "smb_message_echoes", value)
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Sent,
    Delivered,
    Read,
    Played,
    /// With Meta's error code.
    Failed(i64),
}

impl Progress {
    /// Gives the name that Meta uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed(_) => "failed",
        }
    }
}

/// Writes an entry of `statuses[]`.
pub(crate) fn status(
    customer: &Customer,
    id: &str,
    progress: Progress,
    at: i64,
    category: &str,
    opaque: &str,
) -> Json {
    let priced = matches!(progress, Progress::Sent | Progress::Delivered);
    let free = category == "service";
    let pricing = map! {
        "billable": !free,
        "pricing_model": "PMP",
        "category": category,
        "type": if free { "free_customer_service" } else { "regular" },
    };
    let errors = match progress {
        Progress::Failed(code) => Some(list![failure(code)]),
        _ => None,
    };
    map! {
        "id": id,
        "status": progress.name(),
        "timestamp": at.to_string(),
        "recipient_id": customer.phone.as_ref(),
        "recipient_user_id": &customer.user_id,
        "parent_recipient_user_id": customer.parent_user_id.as_ref(),
        "biz_opaque_callback_data": opaque,
        "pricing": priced.then_some(pricing),
        "errors": errors,
    }
}

/// Writes the error object for a code of Meta.
pub(crate) fn failure(code: i64) -> Json {
    let (title, details) = match code {
        131_026 => ("Message undeliverable", "The receiver cannot get this message."),
        131_047 => ("Re-engagement message", "More than 24 hours have passed since the last reply."),
        131_049 => ("Meta chose not to deliver", "Kept back to maintain healthy engagement."),
        131_050 => {
            ("User has stopped marketing messages", "The receiver chose to get no marketing messages.")
        }
        131_051 => ("Message type unknown", "Message type is currently not supported."),
        131_052 => ("Media download error", "The media file could not be downloaded."),
        131_060 => ("This message is unavailable", "The message came from an unsupported companion device."),
        2_593_109 => ("History sync is off", "The business turned off sharing of its chat history."),
        _ => ("Rate limit hit", "Too many messages were sent from this number in a short time."),
    };
    map! {
        "code": code,
        "title": title,
        "message": title,
        "error_data": map! {"details": details},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }
}

/// Writes the body of statuses about messages to one customer.
pub(crate) fn statuses(number: &Number, customer: &Customer, entries: Vec<Json>, failed: bool) -> Json {
    let contacts = (!failed).then(|| list![customer.contact()]);
    single(number, "messages", number.value().with("contacts", contacts).with("statuses", entries))
}

/// Writes an entry of `state_sync[]`: a contact was added or changed, or removed.
pub(crate) fn contact_sync(customer: &Customer, at: i64, removed: bool) -> Json {
    let contact = map! {
        "full_name": (!removed).then_some(&customer.name),
        "first_name": (!removed).then_some(customer.first),
        "phone_number": customer.phone.as_ref(),
        "user_id": &customer.user_id,
        "username": customer.username.as_ref(),
    };
    map! {
        "type": "contact",
        "contact": contact,
        "action": if removed { "remove" } else { "add" },
        "metadata": map! {"timestamp": at.to_string()},
    }
}

/// Writes the body of contact changes.
pub(crate) fn state_sync(number: &Number, entries: Vec<Json>) -> Json {
    single(number, "smb_app_state_sync", number.value().with("state_sync", entries))
}

/// Writes the body of a customer's choice on marketing messages: `stop`, `resume` or `signup`.
pub(crate) fn preference(number: &Number, customer: &Customer, choice: &str, at: i64) -> Json {
    let detail = match choice {
        "stop" => "User requested to stop marketing messages",
        "resume" => "User requested to resume marketing messages",
        _ => "User signed up for marketing messages",
    };
    let entry = map! {
        "wa_id": customer.phone.as_ref(),
        "user_id": &customer.user_id,
        "detail": detail,
        "category": "marketing_messages",
        "value": choice,
        "signup_id": (choice == "signup").then_some("autumn-newsletter"),
        "timestamp": at,
    };
    let value =
        number.value().with("contacts", list![customer.contact()]).with("user_preferences", list![entry]);
    single(number, "user_preferences", value)
}
