//! Webhooks about templates, accounts and numbers, and the template snapshots that the firm hands in.

use super::envelope::body;
use super::json::{Json, list, map};
use super::people::{NUMBERS, Number};

/// A webhook named by its field and by what it says.
pub(crate) type Update = (&'static str, &'static str, Json);

/// A message template of the firm.
pub(crate) struct Template {
    pub(crate) id: i64,
    pub(crate) name: &'static str,
    pub(crate) language: &'static str,
    pub(crate) category: &'static str,
    pub(crate) body: &'static str,
    pub(crate) buttons: [&'static str; 2],
    number: usize,
}

/// The templates that the firm uses.
pub(crate) const TEMPLATES: [Template; 6] = [
    Template {
        id: 300_000_000_000_001,
        name: "card_dispatched",
        language: "en",
        category: "UTILITY",
        body: "Hello {{1}}, your new card left our office on {{2}}. Reference: {{3}}.",
        buttons: ["Track it", "Talk to us"],
        number: 0,
    },
    Template {
        id: 300_000_000_000_002,
        name: "loan_review",
        language: "pl",
        category: "UTILITY",
        body: "Dzień dobry, zapraszamy {{1}} na przegląd kredytu {{2}}.",
        buttons: ["Potwierdzam", "Inny termin"],
        number: 1,
    },
    Template {
        id: 300_000_000_000_003,
        name: "appointment_reminder",
        language: "pt_BR",
        category: "UTILITY",
        body: "Olá {{1}}, lembramos da sua consulta em {{2}} às {{3}}.",
        buttons: ["Confirmar", "Remarcar"],
        number: 2,
    },
    Template {
        id: 300_000_000_000_004,
        name: "order_on_its_way",
        language: "es",
        category: "UTILITY",
        body: "Hola {{1}}, tu pedido {{2}} ya va en camino y llega el {{3}}.",
        buttons: ["Ver envío", "Cambiar día"],
        number: 3,
    },
    Template {
        id: 300_000_000_000_005,
        name: "autumn_offer",
        language: "id",
        category: "MARKETING",
        body: "Halo {{1}}, nikmati diskon 20% untuk {{2}} sampai {{3}}.",
        buttons: ["Lihat promo", "Berhenti"],
        number: 4,
    },
    Template {
        id: 300_000_000_000_006,
        name: "winter_preview",
        language: "ja",
        category: "MARKETING",
        body: "{{1}}様、冬の新商品を{{2}}から先行販売いたします。",
        buttons: ["見てみる", "配信停止"],
        number: 4,
    },
];

impl Template {
    fn value(&self) -> Json {
        map! {
            "message_template_id": self.id,
            "message_template_name": self.name,
            "message_template_language": self.language,
        }
    }

    fn number(&self) -> &'static Number {
        &NUMBERS[self.number]
    }

    /// Writes the components as the Graph API gives them.
    pub(crate) fn components(&self) -> Json {
        let buttons: Vec<Json> =
            self.buttons.iter().map(|label| map! {"type": "QUICK_REPLY", "text": *label}).collect();
        list![
            map! {"type": "BODY", "text": self.body},
            map! {"type": "FOOTER", "text": self.number().name},
            map! {"type": "BUTTONS", "buttons": buttons},
        ]
    }

    /// Writes the body of a `template.snapshot` event for `POST /v1/events`.
    pub(crate) fn snapshot(&self, status: &str, occurred_at: &str) -> Json {
        let template = map! {
            "name": self.name,
            "language": self.language,
            "id": self.id.to_string(),
            "category": self.category,
            "status": status,
            "components": self.components(),
        };
        map! {
            "kind": "template.snapshot",
            "number": self.number().id,
            "occurred_at": occurred_at,
            "source_id": format!("template-{}-{}-{occurred_at}", self.id, status.to_lowercase()),
            "template": template,
        }
    }
}

/// Writes a status change of a template; `reason` is absent for most events.
pub(crate) fn template_status(template: &Template, event: &str, at: i64) -> Json {
    let reason = if event == "REJECTED" { "INVALID_FORMAT" } else { "NONE" };
    let pause = (event == "PAUSED").then(|| {
        map! {"title": "FIRST_PAUSE", "description": "Paused for 3 hours because customers gave negative feedback."}
    });
    let disabled = (event == "DISABLED").then(|| map! {"disable_date": at});
    let rejection = (event == "REJECTED").then(|| {
        map! {"reason": "A variable stands at the end.", "recommendation": "Add words after the last variable."}
    });
    let value = map! {"event": event}
        .with("message_template_id", template.id)
        .with("message_template_name", template.name)
        .with("message_template_language", template.language)
        .with("message_template_category", template.category)
        .with("reason", reason)
        .with("other_info", pause)
        .with("disable_info", disabled)
        .with("rejection_info", rejection);
    body(template.number().account, Some(at), vec![("message_template_status_update", value)])
}

/// Lists every kind of webhook about templates.
pub(crate) fn template_updates(at: i64) -> Vec<Update> {
    let offer = &TEMPLATES[4];
    let account = offer.number().account;
    let wrap = |field, value| body(account, Some(at), vec![(field, value)]);
    let status = |event| ("message_template_status_update", event, template_status(offer, event, at));
    let quality = offer.value().with("previous_quality_score", "GREEN").with("new_quality_score", "YELLOW");
    let components = offer
        .value()
        .with("message_template_element", "Halo {{1}}, diskon 25% untuk {{2}} diperpanjang sampai {{3}}.")
        .with("message_template_footer", "Balas BERHENTI untuk berhenti berlangganan")
        .with(
            "message_template_buttons",
            list![map! {"message_template_button_type": "QUICK_REPLY", "message_template_button_text": "Lihat promo"}],
        );
    let announced = TEMPLATES[3]
        .value()
        .with("new_category", "UTILITY")
        .with("correct_category", "MARKETING")
        .with("category_update_timestamp", at + 86_400);
    let changed = TEMPLATES[3].value().with("previous_category", "UTILITY").with("new_category", "MARKETING");
    let detected = TEMPLATES[3].value().with("category", "UTILITY").with("correct_category", "MARKETING");
    let mut updates: Vec<Update> = [
        "PENDING",
        "APPROVED",
        "REJECTED",
        "FLAGGED",
        "PAUSED",
        "DISABLED",
        "REINSTATED",
        "PENDING_DELETION",
    ]
    .into_iter()
    .map(status)
    .collect();
    updates.extend([
        ("message_template_quality_update", "YELLOW", wrap("message_template_quality_update", quality)),
        (
            "message_template_components_update",
            "body",
            wrap("message_template_components_update", components),
        ),
        ("template_category_update", "announced", wrap("template_category_update", announced)),
        ("template_category_update", "changed", wrap("template_category_update", changed)),
        (
            "template_correct_category_detection",
            "detected",
            wrap("template_correct_category_detection", detected),
        ),
    ]);
    updates
}

/// Lists webhooks about the account and its numbers.
pub(crate) fn account_updates(number: &Number, at: i64) -> Vec<Update> {
    let mut updates = ownership_updates(number, at);
    for (field, what, value) in number_values(number, at) {
        updates.push((field, what, body(number.account, Some(at), vec![(field, value)])));
    }
    updates
}

fn ownership_updates(number: &Number, at: i64) -> Vec<Update> {
    let partner = || {
        map! {
            "waba_id": number.account,
            "owner_business_id": "400000000000001",
            "partner_app_id": "500000000000001",
        }
    };
    let event = |what: &str| map! {"event": what};
    let event_of_number = |what: &str| map! {"phone_number": number.display, "event": what};
    let lost = map! {"reason": "PRIMARY_INACTIVITY", "initiated_by": "SYSTEM"};
    let restriction =
        map! {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": at + 259_200};
    let ban = map! {"waba_ban_state": "SCHEDULE_FOR_DISABLE", "waba_ban_date": "December 5, 2026"};
    [
        ("PARTNER_ADDED", event("PARTNER_ADDED").with("waba_info", partner())),
        (
            "PARTNER_REMOVED",
            event_of_number("PARTNER_REMOVED").with("waba_info", partner()).with("disconnection_info", lost),
        ),
        ("ACCOUNT_OFFBOARDED", event_of_number("ACCOUNT_OFFBOARDED")),
        ("ACCOUNT_RECONNECTED", event_of_number("ACCOUNT_RECONNECTED")),
        ("VERIFIED_ACCOUNT", event_of_number("VERIFIED_ACCOUNT")),
        ("ACCOUNT_RESTRICTION", event("ACCOUNT_RESTRICTION").with("restriction_info", list![restriction])),
        ("DISABLED_UPDATE", event("DISABLED_UPDATE").with("ban_info", ban)),
    ]
    .into_iter()
    .map(|(what, value)| {
        ("account_update", what, body(number.account, Some(at), vec![("account_update", value)]))
    })
    .collect()
}

fn number_values(number: &Number, at: i64) -> Vec<Update> {
    let of_number = || map! {"display_phone_number": number.display};
    let alert = map! {
        "alert_severity": "WARNING",
        "alert_status": "ACTIVE",
        "alert_type": "INCREASED_CAPABILITIES_ELIGIBILITY_DEFERRED",
        "alert_description": "The messaging limit was not raised because more information is needed.",
    };
    let alert = map! {"entity_type": "BUSINESS", "entity_id": "400000000000001", "alert_info": alert};
    let name = of_number()
        .with("decision", "APPROVED")
        .with("requested_verified_name", number.name)
        .with("rejection_reason", Json::Null);
    let quality =
        of_number().with("event", "UPGRADE").with("old_limit", "TIER_1K").with("current_limit", "TIER_10K");
    let capability =
        map! {"max_daily_conversations_per_business": "TIER_10K", "max_phone_numbers_per_waba": 25};
    let flow = map! {
        "event": "FLOW_STATUS_CHANGE",
        "message": "Flow Booking went from DRAFT to PUBLISHED",
        "flow_id": "700000000000001",
        "old_status": "DRAFT",
        "new_status": "PUBLISHED",
    };
    let payment = map! {
        "configuration_name": "store-cards",
        "provider_name": "example",
        "provider_mid": "acc_01",
        "status": "Active",
        "created_timestamp": at,
        "updated_timestamp": at,
    };
    vec![
        ("account_alerts", "warning", alert),
        ("account_review_update", "approved", map! {"decision": "APPROVED"}),
        ("phone_number_name_update", "approved", name),
        ("phone_number_quality_update", "upgrade", quality),
        ("business_capability_update", "limits", capability),
        (
            "business_username_updates",
            "approved",
            of_number().with("username", "harbourline").with("status", "approved"),
        ),
        (
            "security",
            "PIN_CHANGED",
            of_number().with("event", "PIN_CHANGED").with("requester", "600000000000001"),
        ),
        ("flows", "published", flow),
        ("payment_configuration_update", "active", payment),
    ]
}
