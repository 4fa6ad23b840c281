//! Made-up WhatsApp traffic of a made-up firm: a bank, a clinic and a shop with several numbers and several
//! hundred customers who write in ten languages.
//!
//! The same seed gives the same bytes; time is a parameter. Bodies are written byte for byte as Meta sends
//! them, but not signed: whoever sends them signs them. Media do not exist behind their ids.

mod account;
mod consent;
mod dialogue;
mod envelope;
mod fixture;
mod history;
mod json;
mod message;
mod odd;
mod people;
mod phrase;
mod random;
#[cfg(test)]
mod tests;

use envelope::{contact_sync, preference, received, state_sync};
use history::Chunk;
use json::Json;
use message::{Extras, Side, message_id, referral, reply_to, text};
use people::{Customer, NUMBERS};
use phrase::Subject;

pub use fixture::{Fixture, fixtures};
pub use people::DEMO_NUMBER;
pub use phrase::{Language, Phrases};
pub(crate) use random::Random;

/// 2026-11-01T00:00:00Z, where the committed demo traffic starts (Unix seconds).
pub const BASE_TIME: i64 = 1_793_491_200;

const DAY: i64 = 86_400;

/// Where a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `POST /webhooks/whatsapp`, signed by the sender.
    Webhook,
    /// `POST /v1/events`, with a bearer token.
    Event,
}

/// One body to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The exact bytes.
    pub body: Vec<u8>,
    /// What it is, for counts and reports; for example `text` or `status-read`.
    pub label: &'static str,
    /// When it would arrive (Unix seconds).
    pub at: i64,
    /// Where it goes.
    pub target: Target,
}

/// How much traffic there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// First second of the traffic (Unix seconds).
    pub start: i64,
    /// Over how many days it is spread.
    pub days: i64,
    /// How many people write.
    pub customers: usize,
    /// How many conversations there are; each gives about six bodies.
    pub conversations: usize,
    /// How many messages the history of a number has when it is connected.
    pub history_messages: usize,
    /// Which sentences people use.
    pub phrases: Phrases,
}

impl Profile {
    /// Gives the profile of the committed demo traffic: 14 days from [`BASE_TIME`].
    #[must_use]
    pub fn demo() -> Self {
        Self {
            start: BASE_TIME,
            days: 14,
            customers: 420,
            conversations: 600,
            history_messages: 1_700,
            phrases: Phrases::All,
        }
    }
}

/// The generator.
#[derive(Debug)]
pub struct Traffic;

impl Traffic {
    /// Gives everything that happens to the firm, in order of time.
    #[expect(clippy::new_ret_no_self, reason = "traffic is its bodies; there is nothing else to hold")]
    pub fn new(seed: u64, profile: &Profile) -> impl Iterator<Item = Webhook> + use<> {
        let mut random = Random::new(seed);
        let customers = people(profile.customers, profile.phrases, &mut random);
        let mut out = Vec::new();
        conversations(profile, &customers, &mut random, &mut out);
        connection(profile, &customers, &mut random, &mut out);
        marketing(profile, &customers, &mut random, &mut out);
        administration(profile, &customers, &mut random, &mut out);
        out.sort_by_key(|webhook| webhook.at);
        out.into_iter()
    }

    /// Gives `n` bodies of one text message each, one second apart from `start` (Unix seconds), on
    /// average about 1,030 bytes long with about 96 bytes of text.
    ///
    /// They are for measurements, and their sentences are those that no compression dictionary was trained
    /// on ([`Phrases::HeldOut`]).
    pub fn message_bodies(seed: u64, start: i64, n: usize) -> impl Iterator<Item = Vec<u8>> + use<> {
        single_messages(Phrases::HeldOut, seed, start, n)
    }

    /// Gives bodies as [`Self::message_bodies`] does, to train a compression dictionary on.
    pub fn training_bodies(seed: u64, start: i64, n: usize) -> impl Iterator<Item = Vec<u8>> + use<> {
        single_messages(Phrases::Training, seed, start, n)
    }

    /// Gives `n` bodies of `messages_per_body` history messages each; the number was connected at
    /// `connected_at` (Unix seconds). For measurements, as [`Self::message_bodies`].
    pub fn history_bodies(
        seed: u64,
        connected_at: i64,
        messages_per_body: usize,
        n: usize,
    ) -> impl Iterator<Item = Vec<u8>> + use<> {
        let mut random = Random::new(seed);
        let customers = people(2000, Phrases::HeldOut, &mut random);
        (0..n).map(move |position| {
            let order = i64::try_from(position % 100).expect("100 fits into 64 bits");
            let chunk = Chunk { phase: order % 3, order: order / 3 + 1, progress: order };
            let number = random.pick(&NUMBERS[..4]);
            history::chunk(number, &customers, chunk, messages_per_body, connected_at, &mut random).to_bytes()
        })
    }

    /// Gives `n` consent events for `POST /v1/events`, one minute apart from `start` (Unix seconds); one
    /// in four takes back what the person before had given.
    pub fn consents(seed: u64, start: i64, n: usize) -> impl Iterator<Item = Vec<u8>> + use<> {
        let mut random = Random::new(seed);
        let mut customers = people(2000, Phrases::HeldOut, &mut random);
        customers.retain(|customer| customer.phone.is_some());
        (0..n).zip((start..).step_by(60)).map(move |(position, at)| {
            let given = position % 4 != 3;
            let person = &customers[(position - usize::from(!given)) % customers.len()];
            let number = consent::number_for(position - usize::from(!given));
            consent::consent(person, number, given, at, &mut random).to_bytes()
        })
    }

    /// Gives a `template.snapshot` event for `POST /v1/events` for each template of the firm, taken at
    /// `at` (Unix seconds).
    pub fn template_snapshots(at: i64) -> impl Iterator<Item = Vec<u8>> {
        account::TEMPLATES
            .iter()
            .map(move |template| template.snapshot("APPROVED", &consent::instant(at)).to_bytes())
    }
}

fn people(count: usize, phrases: Phrases, random: &mut Random) -> Vec<Customer> {
    (0..count)
        .map(|order| {
            let customer = Customer::new(order, phrases, random);
            if order % 50 == 41 { customer.without_phone(random) } else { customer }
        })
        .collect()
}

fn single_messages(
    phrases: Phrases,
    seed: u64,
    start: i64,
    n: usize,
) -> impl Iterator<Item = Vec<u8>> + use<> {
    let mut random = Random::new(seed);
    let customers = people(2000, phrases, &mut random);
    (start..).take(n).map(move |at| single_message(&customers, at, &mut random).to_bytes())
}

fn single_message(customers: &[Customer], at: i64, random: &mut Random) -> Json {
    let number = random.pick(&NUMBERS[..4]);
    let customer = random.pick(customers);
    let topic = random.pick(customer.bank().topics(number.unit));
    let subject = Subject::new(customer, topic, random);
    let lines = match random.below(100) {
        0..42 => &topic.opening,
        42..69 => &topic.follow_up,
        _ => &customer.bank().thanks,
    };
    let line = *random.pick(lines);
    let body = subject.fill(line, at, random);
    let id = message_id(Side::Customer, customer.address(), random);
    let extras = match random.below(100) {
        0..33 => Extras { referral: Some(referral(number, customer, random)), context: None },
        33..66 => {
            let quoted = message_id(Side::Business, customer.address(), random);
            Extras { context: Some(reply_to(Some(number.display), &quoted)), referral: None }
        }
        _ => Extras::default(),
    };
    received(number, customer, &id, at, &text(&body), extras)
}

fn conversations(profile: &Profile, customers: &[Customer], random: &mut Random, out: &mut Vec<Webhook>) {
    for position in 0..profile.conversations {
        // Every customer writes once before anybody writes again.
        let customer = match customers.get(position) {
            Some(customer) => customer,
            None => random.pick(customers),
        };
        let number = if random.chance(6) { &NUMBERS[4] } else { random.pick(&NUMBERS[..4]) };
        let at =
            profile.start + random.between(0, profile.days - 1) * DAY + random.between(7 * 3600, 20 * 3600);
        dialogue::play(number, customer, at, random, out);
    }
}

/// The shop is connected on the first day and shares contacts and history; the clinic declines.
fn connection(profile: &Profile, customers: &[Customer], random: &mut Random, out: &mut Vec<Webhook>) {
    let shop = &NUMBERS[3];
    let mut at = profile.start + 6 * 3600;
    let mut add = |label, body: Json, seconds| {
        at += seconds;
        out.push(Webhook { body: body.to_bytes(), label, at, target: Target::Webhook });
    };
    for part in customers.chunks(100) {
        let entries = part
            .iter()
            .filter(|customer| customer.phone.is_some())
            .map(|customer| contact_sync(customer, profile.start + 6 * 3600, false))
            .collect();
        add("state_sync", state_sync(shop, entries), 2);
    }
    let sizes = history_sizes(profile.history_messages);
    let last = sizes.len();
    let mut order_in_phase = [0; 3];
    for (position, (phase, messages)) in sizes.into_iter().enumerate() {
        let order = &mut order_in_phase[phase];
        *order += 1;
        let progress = i64::try_from((position + 1) * 100 / last).expect("at most 100");
        let phase = i64::try_from(phase).expect("at most 2");
        let chunk = Chunk { phase, order: *order, progress };
        add("history", history::chunk(shop, customers, chunk, messages, profile.start, random), 45);
    }
    for customer in customers.iter().step_by(50) {
        let content = message::image(None, random);
        add(
            "history-media",
            history::media_follow_up(shop, customer, profile.start - DAY, &content, random),
            7,
        );
    }
    add("history-declined", history::declined(&NUMBERS[2]), 60);
}

/// Splits a history into bodies: `(phase, messages)`, the largest with 1,000.
fn history_sizes(messages: usize) -> Vec<(usize, usize)> {
    let mut sizes = Vec::new();
    let mut left = messages;
    for (phase, size) in
        [(0, 60), (0, 40), (1, 1000), (1, 300)].into_iter().chain(std::iter::repeat((2, 200)))
    {
        if left == 0 {
            break;
        }
        let size = size.min(left);
        sizes.push((phase, size));
        left -= size;
    }
    sizes
}

/// Consent from outside, choices in the app, typed stop words and changed contacts.
fn marketing(profile: &Profile, customers: &[Customer], random: &mut Random, out: &mut Vec<Webhook>) {
    let span = profile.days * DAY;
    for (position, customer) in customers.iter().enumerate() {
        let number = consent::number_for(position);
        let given = profile.start + random.between(0, span / 2);
        let later = given + random.between(DAY, span / 2);
        let mut add = |label, at, target, body: Json| {
            out.push(Webhook { body: body.to_bytes(), label, at, target });
        };
        let reachable = customer.phone.is_some();
        if reachable && position % 3 == 0 {
            let body = consent::consent(customer, number, true, given, random);
            add("consent.given", given, Target::Event, body);
        }
        if reachable && position % 15 == 0 {
            let body = consent::consent(customer, number, false, later, random);
            add("consent.withdrawn", later, Target::Event, body);
        }
        let choice = match position % 24 {
            2 | 14 => "stop",
            8 => "resume",
            20 => "signup",
            _ => "",
        };
        if !choice.is_empty() {
            add("user_preferences", later, Target::Webhook, preference(number, customer, choice, later));
        }
        if position % 20 == 7 {
            let id = message_id(Side::Customer, customer.address(), random);
            let word = text(random.pick::<&str>(&customer.bank().stop));
            let body = received(number, customer, &id, later, &word, Extras::default());
            add("text-stop", later, Target::Webhook, body);
        }
        if reachable && position % 21 == 5 {
            let entry = contact_sync(customer, later, position % 2 == 0);
            add("state_sync", later, Target::Webhook, state_sync(&NUMBERS[3], vec![entry]));
        }
    }
}

/// Templates, accounts, and one of each rare webhook.
fn administration(profile: &Profile, customers: &[Customer], random: &mut Random, out: &mut Vec<Webhook>) {
    let mut add = |label, at, target, body: &Json| {
        out.push(Webhook { body: body.to_bytes(), label, at, target });
    };
    for (template, hour) in account::TEMPLATES.iter().zip(1..) {
        let at = profile.start + hour * 3600;
        add("template", at, Target::Webhook, &account::template_status(template, "APPROVED", at));
        let snapshot = template.snapshot("APPROVED", &consent::instant(at + 60));
        add("template.snapshot", at + 60, Target::Event, &snapshot);
    }
    // Each is made again for its own moment, so that the times inside the bodies are right.
    let kinds = rare_updates(customers, profile.start, random).len();
    let step = profile.days * DAY / i64::try_from(kinds + 1).expect("a few dozen");
    for (kind, at) in (0..kinds).zip((profile.start + step..).step_by(step.unsigned_abs() as usize)) {
        if let Some((field, _, body)) = rare_updates(customers, at, random).into_iter().nth(kind) {
            add(field, at, Target::Webhook, &body);
        }
    }
}

fn rare_updates(customers: &[Customer], at: i64, random: &mut Random) -> Vec<account::Update> {
    let mut updates = account::template_updates(at);
    updates.extend(account::account_updates(&NUMBERS[3], at));
    updates.extend(odd::rarities(&NUMBERS[2], &customers[0], at, random));
    updates
}
