//! What something is decided by: choices, reactions, identities, preferences, templates, positions in the history.

use serde_json::Value;

use super::person::digits;
use crate::detail::{
    Choice, Forwarded, HistoryChunk, IdentityChange, Preference, Product, Reaction, Referral, StatusDetail,
    TemplateDetail,
};
use crate::document::{id, string};
use crate::message::Message;

/// The largest answers of a flow that are kept apart from the texts, in bytes.
const ANSWERS_BYTES_MAX: usize = 16 * 1024;

/// Reads what a context says beside the message it answers.
pub(super) fn read_context(context: &Value, message: &mut Message) {
    let is_set = |key: &str| match context.get(key) {
        Some(Value::Bool(set)) => *set,
        Some(Value::String(set)) => set == "true",
        _ => false,
    };
    message.forwarded = if is_set("frequently_forwarded") {
        Some(Forwarded::Frequently)
    } else {
        is_set("forwarded").then_some(Forwarded::Forwarded)
    };
    if let Some(product) = context.get("referred_product") {
        let catalog_id = id(product, "catalog_id");
        let retailer_id = id(product, "product_retailer_id");
        message.product = Some(Box::new(Product { catalog_id, retailer_id }));
    }
}

/// Reads the advertisement that a message came from.
pub(super) fn read_referral(referral: &Value, message: &mut Message) {
    message.referral = Some(Box::new(Referral {
        source_url: string(referral, "source_url"),
        source_id: id(referral, "source_id"),
        source_type: string(referral, "source_type"),
        headline: string(referral, "headline"),
        body: string(referral, "body"),
        click_id: string(referral, "ctwa_clid"),
    }));
}

/// Reads a reaction; without an emoji it is taken back.
pub(super) fn read_reaction(reaction: &Value, message: &mut Message) {
    message.reaction = Some(Reaction { emoji: string(reaction, "emoji") });
}

/// Reads a button of a template.
pub(super) fn read_button(button: &Value, message: &mut Message) {
    message.choice = Some(Box::new(Choice {
        choice_type: "button".to_owned(),
        payload: id(button, "payload"),
        text: string(button, "text"),
    }));
}

/// Reads a chosen button or row, or the answers of a flow.
pub(super) fn read_reply(kind: &str, reply: &Value, message: &mut Message) {
    match kind {
        "button_reply" | "list_reply" => {
            message.choice = Some(Box::new(Choice {
                choice_type: kind.to_owned(),
                payload: id(reply, "id"),
                text: string(reply, "title"),
            }));
        }
        "nfm_reply" => {
            let answers = match reply.get("response_json") {
                Some(Value::String(text)) if text.len() <= ANSWERS_BYTES_MAX => {
                    serde_json::from_str(text).ok()
                }
                Some(answers @ Value::Object(_)) => Some(answers.clone()),
                _ => None,
            };
            message.answers = answers.filter(Value::is_object).map(Box::new);
        }
        _ => {}
    }
}

/// Reads a system notice about a changed number or user id.
pub(super) fn read_system(system: &Value, sender: Option<&str>, message: &mut Message) {
    let change = string(system, "type").unwrap_or_default();
    let is_number = change == "user_changed_number" || system.get("new_wa_id").is_some();
    if !is_number && change != "user_changed_user_id" {
        return;
    }
    let phone = string(system, "wa_id").or_else(|| string(system, "new_wa_id"));
    message.identity = Some(Box::new(IdentityChange {
        previous_phone: sender.filter(|_| is_number).map(digits),
        phone: phone.as_deref().map(digits),
        previous_user_id: string(system, "previous_user_id"),
        user_id: string(system, "user_id"),
        previous_parent_user_id: string(system, "previous_parent_user_id"),
        parent_user_id: string(system, "parent_user_id"),
    }));
}

/// Reads an element of `user_id_update[]`.
pub(super) fn read_identity(value: &Value, message: &mut Message) {
    let side = |key: &str, side: &str| value.get(key).and_then(|change| string(change, side));
    message.identity = Some(Box::new(IdentityChange {
        previous_phone: None,
        phone: string(value, "wa_id").as_deref().map(digits),
        previous_user_id: side("user_id", "previous"),
        user_id: side("user_id", "current"),
        previous_parent_user_id: side("parent_user_id", "previous"),
        parent_user_id: side("parent_user_id", "current"),
    }));
}

/// Reads an element of `user_preferences[]`.
pub(super) fn read_preference(value: &Value, message: &mut Message) {
    message.preference = string(value, "value").map(|choice| {
        Box::new(Preference {
            value: choice,
            category: string(value, "category"),
            detail: string(value, "detail"),
            signup_id: id(value, "signup_id"),
        })
    });
}

/// Reads a change of a template.
pub(super) fn read_template_change(value: &Value, message: &mut Message) {
    let title = value.get("other_info").and_then(|info| string(info, "title"));
    let rejection = value.get("rejection_info").and_then(|info| string(info, "reason"));
    let reason = string(value, "reason").filter(|reason| reason != "NONE");
    // An announcement calls the current category new; an effect names the one before as well.
    let category = string(value, "new_category").or_else(|| string(value, "message_template_category"));
    message.template_detail = Some(Box::new(TemplateDetail {
        status: string(value, "event"),
        category,
        previous_category: string(value, "previous_category"),
        correct_category: string(value, "correct_category"),
        quality: string(value, "new_quality_score"),
        reason: reason.or(rejection).or(title),
        components_changed: value.get("message_template_element").is_some(),
        components: None,
    }));
}

/// Reads a template as it is defined; a template as it is sent has parameters instead of texts.
pub(crate) fn read_definition(template: &Value, message: &mut Message) {
    let components = template.get("components").filter(|components| {
        let mut parts = components.as_array().into_iter().flatten();
        parts.any(|part| ["text", "buttons", "format", "cards"].iter().any(|key| part.get(*key).is_some()))
    });
    if components.is_some() || template.get("status").is_some() {
        message.template_detail = Some(Box::new(TemplateDetail {
            status: string(template, "status"),
            category: string(template, "category"),
            previous_category: string(template, "previous_category"),
            correct_category: string(template, "correct_category"),
            components: components.cloned(),
            ..TemplateDetail::default()
        }));
    }
}

/// Reads what a status reports beside its name.
pub(super) fn status(value: &Value) -> Option<Box<StatusDetail>> {
    let pricing = value.get("pricing");
    let of_pricing = |key: &str| pricing.and_then(|pricing| string(pricing, key));
    let origin = value.get("conversation").and_then(|conversation| conversation.get("origin"));
    let detail = StatusDetail {
        billable: pricing.and_then(|pricing| pricing.get("billable")?.as_bool()),
        pricing_model: of_pricing("pricing_model"),
        pricing_type: of_pricing("type"),
        category: of_pricing("category"),
        conversation_origin: origin.and_then(|origin| string(origin, "type")),
        callback_data: string(value, "biz_opaque_callback_data"),
        participant: string(value, "recipient_participant_id")
            .or_else(|| string(value, "recipient_participant_user_id")),
    };
    (detail != StatusDetail::default()).then(|| Box::new(detail))
}

/// Finds the positions of history in a body, or in what is left of one when its messages were cut out.
pub(crate) fn history_chunks(text: &str) -> Vec<HistoryChunk> {
    const CHUNKS_MAX: usize = 1_000;
    let places = text.match_indices("\"chunk_order\"").take(CHUNKS_MAX);
    let read = |(at, _): (usize, &str)| {
        let start = text[..at].rfind('{')?;
        let end = at + text[at..].find('}')?;
        let object: Value = serde_json::from_str(&text[start..=end]).ok()?;
        let number = |key: &str| match object.get(key)? {
            Value::String(digits) => digits.parse().ok(),
            number => number.as_i64(),
        };
        Some(HistoryChunk {
            phase: number("phase")?,
            chunk_order: number("chunk_order")?,
            progress: number("progress").unwrap_or_default(),
        })
    };
    places.filter_map(read).collect()
}

#[cfg(test)]
mod tests;
