//! History that the business app shares when a number is connected: three phases, chunks of up to 1,000
//! messages in several threads, and the media that follow.

use super::envelope::single;
use super::json::{Json, list, map};
use super::message::{Content, Side, message_id, text};
use super::people::{Customer, Number};
use super::phrase::Subject;
use super::random::Random;

const DAY: i64 = 86_400;

/// Where a chunk stands in the history of a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    /// 0 is the last day, 1 the last 90 days, 2 the last 180 days.
    pub(crate) phase: i64,
    pub(crate) order: i64,
    pub(crate) progress: i64,
}

/// Writes a body with exactly `messages` messages; thread lengths vary from 5 to 60.
pub(crate) fn chunk(
    number: &Number,
    customers: &[Customer],
    chunk: Chunk,
    messages: usize,
    connected_at: i64,
    random: &mut Random,
) -> Json {
    let start = match chunk.phase {
        0 => connected_at - DAY,
        1 => connected_at - 90 * DAY,
        _ => connected_at - 180 * DAY,
    } + (chunk.order - 1) * 3 * DAY / 4;
    let first = usize::try_from(random.below(1 << 20)).expect("20 bits fit into usize");
    let mut threads = Vec::new();
    let mut left = messages;
    while left > 0 {
        let wanted = usize::try_from(random.between(5, 60)).expect("5 to 60 fits into usize");
        let customer = &customers[(first + threads.len()) % customers.len()];
        let count = wanted.min(left);
        threads.push(thread(number, customer, count, start, random));
        left -= count;
    }
    let metadata = map! {"phase": chunk.phase, "chunk_order": chunk.order, "progress": chunk.progress};
    let history = list![map! {"metadata": metadata, "threads": threads}];
    single(number, "history", number.value().with("history", history))
}

fn thread(number: &Number, customer: &Customer, count: usize, start: i64, random: &mut Random) -> Json {
    let bank = customer.bank();
    let mut at = start + random.between(0, DAY / 3);
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        let topic = random.pick(bank.topics(number.unit));
        let subject = Subject::new(customer, topic, random);
        let turns = [
            (Side::Customer, &topic.opening),
            (Side::Business, &topic.answer),
            (Side::Customer, &topic.follow_up),
            (Side::Business, &topic.closing),
            (Side::Customer, &bank.thanks),
        ];
        for (side, lines) in turns {
            at += random.between(20, 900);
            let line = *random.pick(lines);
            let content = text(&subject.fill(line, at, random));
            messages.push(message(number, customer, side, at, &content, random));
        }
        if random.chance(15) {
            let placeholder = Content { kind: "media_placeholder", object: Json::Absent };
            messages.push(message(number, customer, Side::Customer, at + 9, &placeholder, random));
        }
    }
    messages.truncate(count);
    let person = map! {
        "wa_id": customer.phone.as_ref(),
        "user_id": &customer.user_id,
        "username": customer.username.as_ref(),
    };
    map! {"id": customer.address(), "context": person, "messages": messages}
}

fn message(
    number: &Number,
    customer: &Customer,
    side: Side,
    at: i64,
    content: &Content,
    random: &mut Random,
) -> Json {
    let id = message_id(side, customer.address(), random);
    let (from, to, status) = match side {
        Side::Customer => (customer.address(), None, "READ"),
        Side::Business => (number.display, Some(customer.address()), *random.pick(&["DELIVERED", "READ"])),
    };
    map! {"from": from, "to": to, "id": id, "timestamp": at.to_string(), "type": content.kind}
        .with(content.kind, content.object.clone())
        .with("history_context", map! {"status": status, "from_me": side == Side::Business})
}

/// Writes the body that brings the media of an earlier placeholder.
pub(crate) fn media_follow_up(
    number: &Number,
    customer: &Customer,
    at: i64,
    content: &Content,
    random: &mut Random,
) -> Json {
    let id = message_id(Side::Customer, customer.address(), random);
    let message =
        map! {"from": customer.address(), "id": id, "timestamp": at.to_string(), "type": content.kind}
            .with(content.kind, content.object.clone());
    let value = number.value().with("contacts", list![customer.contact()]).with("messages", list![message]);
    single(number, "history", value)
}

/// Writes the body that says that the business does not share its history.
pub(crate) fn declined(number: &Number) -> Json {
    let refusal = map! {"errors": list![super::envelope::failure(2_593_109)]};
    single(number, "history", number.value().with("history", list![refusal]))
}
