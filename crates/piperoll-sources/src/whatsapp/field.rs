//! What the name of a webhook field says about its kind. Names come and go; an unknown one is archived all the same.

use piperoll_format::Kind;

/// Returns the kind of a change that has no known array of items, by the name of its field.
pub(super) fn kind_of(field: &str) -> Kind {
    match field {
        "messages" => Kind::WhatsappMessage,
        "smb_message_echoes" | "message_echoes" => Kind::WhatsappEcho,
        "smb_app_state_sync" => Kind::WhatsappContact,
        "history" => Kind::WhatsappHistory,
        "standby" => Kind::WhatsappStandby,
        "messaging_handovers" => Kind::WhatsappHandover,
        "calls" => Kind::WhatsappCall,
        "user_preferences" => Kind::WhatsappPreference,
        "user_id_update" => Kind::WhatsappIdentity,
        "flows" => Kind::WhatsappFlow,
        "payment_configuration_update" => Kind::WhatsappPayment,
        "account_update"
        | "account_alerts"
        | "account_review_update"
        | "account_settings_update"
        | "business_capability_update"
        | "business_status_update"
        | "business_username_update"
        | "business_username_updates"
        | "phone_number_name_update"
        | "phone_number_quality_update"
        | "phone_number_username_update"
        | "partner_solutions"
        | "security" => Kind::WhatsappAccount,
        _ if field.starts_with("message_template_") || field.starts_with("template_") => {
            Kind::WhatsappTemplate
        }
        _ if field.starts_with("group_") => Kind::WhatsappGroup,
        _ => Kind::WhatsappOther,
    }
}

/// Returns the kind of an event that is named like a field but does not come in the arrays of one.
pub(crate) fn kind_of_event(name: &str) -> Kind {
    let kind = kind_of(name);
    if comes_in_arrays(kind) { Kind::WhatsappOther } else { kind }
}

/// Tells whether the items of this field come in arrays, so that a value without any is not of the field's kind.
fn comes_in_arrays(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::WhatsappMessage
            | Kind::WhatsappEcho
            | Kind::WhatsappContact
            | Kind::WhatsappHistory
            | Kind::WhatsappStandby
            | Kind::WhatsappCall
            | Kind::WhatsappPreference
            | Kind::WhatsappIdentity
            | Kind::WhatsappGroup
    )
}
