//! One small body for each kind of webhook, as fixtures for tests.

use super::account::{account_updates, template_updates};
use super::envelope::{
    Progress, body, contact_sync, echoed, preference, received, single, state_sync, status, statuses,
};
use super::history::{Chunk, chunk, declined, media_follow_up};
use super::json::{Json, list};
use super::message::{
    Content, Extras, Side, button, button_reply, call_permission, contacts, document, edit, flow_reply,
    image, inbound, list_reply, location, message_id, order, reaction, referral, reply_to, revoke, sticker,
    text, video, voice,
};
use super::odd::rarities;
use super::people::{Customer, NUMBERS};
use super::phrase::Phrases;
use super::random::Random;
use super::{BASE_TIME, people};

/// A webhook body and the name of the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixture {
    /// `<field>-<what>.json`.
    pub name: String,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// Gives one body for each kind of webhook; always the same bytes.
#[must_use]
pub fn fixtures() -> Vec<Fixture> {
    let mut random = Random::new(7);
    let persons = people(60, Phrases::All, &mut random);
    let mut all = messages(&persons, &mut random);
    all.extend(batches(&persons, &mut random));
    all.extend(delivery_reports(&persons[1], &mut random));
    all.extend(echoes(&persons[2], &mut random));
    all.extend(sync_and_history(&persons, &mut random));
    let rare = rarities(&NUMBERS[2], &persons[4], BASE_TIME + 500, &mut random);
    let updates = template_updates(BASE_TIME + 600)
        .into_iter()
        .chain(account_updates(&NUMBERS[3], BASE_TIME + 700))
        .chain(rare);
    for (field, what, json) in updates {
        all.push(fixture(field, what, &json));
    }
    all
}

fn fixture(field: &str, what: &str, json: &Json) -> Fixture {
    Fixture { name: format!("{field}-{what}.json"), body: json.to_bytes() }
}

fn messages(persons: &[Customer], random: &mut Random) -> Vec<Fixture> {
    let (number, customer) = (&NUMBERS[3], &persons[3]);
    let target = message_id(Side::Business, customer.address(), random);
    let own = message_id(Side::Customer, customer.address(), random);
    let flow = r#"{"flow_token":"AB-1","day":"2026-11-20","guests":2}"#;
    let contents: Vec<(&str, Content)> = vec![
        ("text", text("Dzień dobry 👋, czy przesyłka AB-123456 już wyszła?\nProszę o 50% / \"pilne\"")),
        ("image", image(Some("Tak to wygląda"), random)),
        ("video", video(None, random)),
        ("audio-voice", voice(random)),
        ("document", document("umowa 2026.pdf", Some("Podpisana umowa"), random)),
        ("sticker", sticker(random)),
        ("location", location(true, random)),
        ("location-unnamed", location(false, random)),
        ("contacts", contacts(&persons[8])),
        ("interactive-button_reply", button_reply("yes", "Tak")),
        ("interactive-list_reply", list_reply("slot-3", "20 listopada", "godzina 9:30")),
        ("interactive-nfm_reply", flow_reply(flow)),
        ("interactive-call_permission_reply", call_permission(BASE_TIME + 604_800)),
        ("button", button("autumn_offer-stop", "Stop promotions")),
        ("order", order(Some("Proszę zapakować"), 4_990, random)),
        ("reaction", reaction(&target, Some("👍"))),
        ("reaction-removed", reaction(&target, None)),
        ("edit", edit(&own, &text("Czy przesyłka AB-123457 już wyszła?"))),
        ("revoke", revoke(&own)),
    ];
    let mut all = Vec::new();
    for ((what, content), at) in contents.iter().zip(BASE_TIME..) {
        let id = message_id(Side::Customer, customer.address(), random);
        all.push(fixture("messages", what, &received(number, customer, &id, at, content, Extras::default())));
    }
    let quoted = Extras { context: Some(reply_to(Some(number.display), &target)), referral: None };
    let advertised = Extras { context: None, referral: Some(referral(number, customer, random)) };
    let anonymous = &persons[41];
    for (what, person, extras) in [
        ("text-reply", customer, quoted),
        ("text-referral", customer, advertised),
        ("text-user_id_only", anonymous, Extras::default()),
    ] {
        let id = message_id(Side::Customer, person.address(), random);
        let json = received(number, person, &id, BASE_TIME + 60, &text("Dobrze, dziękuję"), extras);
        all.push(fixture("messages", what, &json));
    }
    all
}

/// Bodies with several people, fields and entries.
fn batches(persons: &[Customer], random: &mut Random) -> Vec<Fixture> {
    let number = &NUMBERS[0];
    let lines = ["Good morning", "Buenos días", "Bom dia", "Dzień dobry", "Selamat pagi", "नमस्ते"];
    let mut several = Vec::new();
    for ((customer, line), at) in persons.iter().zip(lines).zip(BASE_TIME..) {
        let id = message_id(Side::Customer, customer.address(), random);
        several.push(inbound(customer, &id, at, &text(line), Extras::default()));
    }
    let contacts: Vec<Json> = persons[..lines.len()].iter().map(Customer::contact).collect();
    let value = number.value().with("contacts", contacts).with("messages", several);
    let customer = &persons[0];
    let id = message_id(Side::Business, customer.address(), random);
    let sent = status(customer, &id, Progress::Sent, BASE_TIME + 90, "service", "crm:1");
    let reports = number.value().with("contacts", list![customer.contact()]).with("statuses", list![sent]);
    let stopped = preference(&NUMBERS[3], &persons[2], "stop", BASE_TIME + 91);
    let two_fields = body(
        number.account,
        None,
        vec![
            ("messages", reports),
            (
                "smb_app_state_sync",
                number.value().with("state_sync", list![contact_sync(customer, BASE_TIME, false)]),
            ),
        ],
    );
    vec![
        fixture("messages", "several_people", &single(number, "messages", value)),
        fixture("messages", "two_fields", &two_fields),
        fixture("messages", "two_entries", &two_fields.join_entries(stopped)),
    ]
}

fn delivery_reports(customer: &Customer, random: &mut Random) -> Vec<Fixture> {
    let number = &NUMBERS[1];
    let id = message_id(Side::Business, customer.address(), random);
    let entry =
        |progress, seconds| status(customer, &id, progress, BASE_TIME + seconds, "utility", "crm:AB-123456");
    let mut all = Vec::new();
    for (progress, seconds) in [
        (Progress::Sent, 0),
        (Progress::Delivered, 2),
        (Progress::Read, 40),
        (Progress::Played, 60),
        (Progress::Failed(131_050), 1),
    ] {
        let failed = matches!(progress, Progress::Failed(_));
        let json = statuses(number, customer, vec![entry(progress, seconds)], failed);
        all.push(fixture("messages", &format!("status-{}", progress.name()), &json));
    }
    let both = vec![entry(Progress::Sent, 0), entry(Progress::Delivered, 2)];
    all.push(fixture("messages", "status-several", &statuses(number, customer, both, false)));
    all
}

fn echoes(customer: &Customer, random: &mut Random) -> Vec<Fixture> {
    let number = &NUMBERS[3];
    let target = message_id(Side::Business, customer.address(), random);
    let contents = [
        ("text", text("O seu pedido já saiu do depósito.")),
        ("document", document("nota.pdf", None, random)),
        ("edit", edit(&target, &text("O seu pedido sai amanhã do depósito."))),
        ("revoke", revoke(&target)),
    ];
    let mut all = Vec::new();
    for ((what, content), at) in contents.iter().zip(BASE_TIME + 100..) {
        let id = message_id(Side::Business, customer.address(), random);
        let json = echoed(number, customer, &id, at, content, None);
        all.push(fixture("smb_message_echoes", what, &json));
    }
    all
}

fn sync_and_history(persons: &[Customer], random: &mut Random) -> Vec<Fixture> {
    let number = &NUMBERS[3];
    let added = persons[..3].iter().map(|person| contact_sync(person, BASE_TIME, false)).collect();
    let removed = vec![contact_sync(&persons[0], BASE_TIME + 5, true)];
    let first = Chunk { phase: 0, order: 1, progress: 55 };
    let mut all = vec![
        fixture("smb_app_state_sync", "add", &state_sync(number, added)),
        fixture("smb_app_state_sync", "remove", &state_sync(number, removed)),
        fixture("history", "threads", &chunk(number, persons, first, 20, BASE_TIME, random)),
        fixture("history", "declined", &declined(number)),
    ];
    let content = image(Some("Old photo"), random);
    all.push(fixture("history", "media", &media_follow_up(number, &persons[1], BASE_TIME, &content, random)));
    for choice in ["stop", "resume", "signup"] {
        let json = preference(number, &persons[5], choice, BASE_TIME + 200);
        all.push(fixture("user_preferences", choice, &json));
    }
    all
}
