//! The layers around WhatsApp's items: body, entry, change, value, and the threads of a history.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::object;
use super::scalar::Scalar;

/// An array whose elements are left as they are.
pub(super) type Elements<'a> = Vec<&'a RawValue>;

object! {
    /// A whole body; `V` is how the value of each change is read.
    Envelope<V> {
        object = "object": Scalar<'de>,
        entry = "entry": Vec<Entry<'de, V>>,
    } impersonal []
}

object! {
    /// One account's part of a body.
    Entry<V> {
        /// The WhatsApp account (WABA) id.
        id = "id": Scalar<'de>,
        /// When the notification was sent, seconds.
        time = "time": Scalar<'de>,
        changes = "changes": Vec<Change<'de, V>>,
        /// Printed here instead of in the change by one page of the documentation.
        field = "field": Scalar<'de>,
    } impersonal ["object"]
}

object! {
    /// One notification.
    Change<V> {
        field = "field": Scalar<'de>,
        value = "value": V,
    } impersonal []
}

/// The content of a change as it is cut.
pub(super) type Value<'a> = ValueOf<'a, Metadata<'a>>;

object! {
    /// The content of a change, with every array that holds items; `M` is how its business number is read.
    ValueOf<M> {
        metadata = "metadata": M,
        contacts = "contacts": Elements<'de>,
        messages = "messages": Elements<'de>,
        statuses = "statuses": Elements<'de>,
        message_echoes = "message_echoes": Elements<'de>,
        history = "history": Elements<'de>,
        state_sync = "state_sync": Elements<'de>,
        user_preferences = "user_preferences": Elements<'de>,
        user_id_update = "user_id_update": Elements<'de>,
        calls = "calls": Elements<'de>,
        groups = "groups": Elements<'de>,
        errors = "errors": Elements<'de>,
        standby = "standby": Standby<'de>,
    } impersonal ["messaging_product"]
}

object! {
    /// What happened in a conversation that another sender owns.
    Standby {
        contacts = "contacts": Elements<'de>,
        messages = "messages": Elements<'de>,
        statuses = "statuses": Elements<'de>,
        message_echoes = "message_echoes": Elements<'de>,
    } impersonal []
}

object! {
    /// The business number of a change.
    Metadata {
        phone_number_id = "phone_number_id": Scalar<'de>,
    } impersonal ["display_phone_number"]
}

object! {
    /// The business number of a change, with the phone number that is shown.
    NamedMetadata {
        phone_number_id = "phone_number_id": Scalar<'de>,
        display_phone_number = "display_phone_number": Scalar<'de>,
    } impersonal []
}

object! {
    /// A chunk of history.
    Chunk {
        threads = "threads": Elements<'de>,
        errors = "errors": &'de RawValue,
    } impersonal ["metadata"]
}

object! {
    /// The conversation with one person in a chunk of history.
    Thread {
        /// The person's phone number.
        id = "id": &'de RawValue,
        context = "context": &'de RawValue,
        messages = "messages": Elements<'de>,
    } impersonal []
}

/// Who an entry of `contacts[]`, or the context of a thread, is about.
#[derive(Default, Deserialize)]
pub(super) struct ContactHead<'a> {
    #[serde(borrow, default)]
    pub(super) wa_id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) user_id: Scalar<'a>,
}
