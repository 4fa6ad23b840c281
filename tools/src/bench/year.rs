//! A year of fifty numbers with everything that WhatsApp sends and firms hand in: another archive to make projections of.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::archive::Archive;
use super::figure::{Figure, Results, Target};
use super::grown::{Grown, per_second};
use super::load::{Load, Outcome, drive};
use super::probe::flush;
use super::state;
use super::supply::Supply;
use crate::repository::say;
use crate::traffic::{BASE_TIME, Phrases, Profile, Target as Where, Traffic};

/// Firms with five numbers each.
const FIRMS: usize = 10;
const DAYS: i64 = 365;
/// People who write to a firm.
const CUSTOMERS: usize = 2_000;
/// Messages of the history of a number.
const HISTORY: usize = 2_000;
/// Messages of a conversation, at least: the others of its bodies are statuses.
const MESSAGES_EACH: usize = 3;
const CONNECTIONS: usize = 64;

/// What the report says about the archive.
pub(super) const NOTE: &str = "The archive is a year of 50 numbers: conversations with replies, media, reactions, edits, \
    revokes, app echoes and statuses, histories and contacts at connection, consents, templates, account events and one \
    of each rare webhook, sent in the order of time of each of ten firms.";

static FILL: Figure =
    Figure::new("year-fill", "filling with a year of 50 numbers, 64 connections", "requests/s", Target::None)
        .detail();
static MEMORY: Figure =
    Figure::new("year-memory", "resident memory while filling, peak", "MB", Target::AtMost(500.0));
static ANONYMOUS: Figure =
    Figure::new("year-anonymous", "of it not mapped files, at the end", "MB", Target::None);

/// Fills a new archive in `dir` with at least so many messages and everything that goes with them.
///
/// # Errors
///
/// Fails when the server does, or when it refuses something.
pub(super) fn fill(program: &Path, dir: &Path, messages: u64, results: &mut Results) -> Result<Grown> {
    say(&format!("filling an archive with a year of 50 numbers and {messages} messages"));
    let archive = Archive::create(program, dir)?;
    let server = archive.serve()?;
    let load =
        Load { connections: CONNECTIONS, warm_up: Duration::ZERO, measured: Duration::from_secs(3600) };
    let before = flush(dir)?;
    let (mut sent, mut requests, mut elapsed) = (0, 0, Duration::ZERO);
    let mut count = |outcome: &Outcome| {
        ensure!(outcome.refused == 0, "expected 200 for everything, found {}", outcome.refusal);
        requests += outcome.stored;
        elapsed += outcome.elapsed;
        Ok(())
    };
    for firm in 0..FIRMS {
        let (webhooks, events) = year(firm, usize::try_from(messages)?.div_ceil(FIRMS));
        sent += webhooks.iter().filter(|body| is_message(body)).count() as u64;
        let signed = Supply::sign(webhooks.into_iter(), 1);
        let handed_in = Supply::events(events.into_iter(), &archive.token);
        let long = state::share(firm as u64, FIRMS as u64)?;
        for supply in [signed, handed_in, long] {
            count(&drive(&server.address, load, &Arc::new(supply), &mut 0)?)?;
        }
    }
    results.add(&FILL, per_second(requests, elapsed), Some([before, flush(dir)?]));
    let memory = server.memory()?;
    results.add(&MEMORY, memory.peak, None);
    results.add(&ANONYMOUS, memory.anonymous, None);
    server.stop()?;
    ensure!(sent >= messages, "expected at least {messages} messages, found {sent}");
    say(&format!("  {requests} requests, of which {sent} are single messages"));
    Ok(Grown { archive, messages: sent, parts: 0 })
}

/// Gives what happens to a firm in a year: webhooks, and what it hands in itself.
fn year(firm: usize, messages: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let profile = Profile {
        start: BASE_TIME - DAYS * 86_400,
        days: DAYS,
        customers: CUSTOMERS,
        conversations: messages.div_ceil(MESSAGES_EACH),
        history_messages: HISTORY,
        phrases: Phrases::HeldOut,
    };
    let (mut webhooks, mut events) = (Vec::new(), Vec::new());
    for webhook in Traffic::new(70_000 + firm as u64, &profile) {
        let body = of_firm(firm, &webhook.body);
        match webhook.target {
            Where::Webhook => webhooks.push(body),
            Where::Event => events.push(body),
        }
    }
    (webhooks, events)
}

/// Gives numbers and accounts of the traffic the ids of another firm, which are as long.
fn of_firm(firm: usize, body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let text = text.replace("10000000000000", &format!("10000000000{firm:02}0"));
    let text = text.replace("20000000000000", &format!("20000000000{firm:02}0"));
    text.replace("1212555010", &format!("1{}555010", 212 + firm)).into_bytes()
}

fn is_message(body: &[u8]) -> bool {
    let has = |name: &[u8]| body.windows(name.len()).any(|window| window == name);
    has(br#""messages":[{"#) || has(br#""message_echoes":[{"#)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FIRMS, is_message, year};

    #[test]
    fn year_has_fifty_numbers_all_kinds_and_enough_messages() {
        let mut numbers = BTreeSet::new();
        for firm in 0..FIRMS {
            let (webhooks, events) = year(firm, 3_000);
            let texts: Vec<String> =
                webhooks.iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect();
            for text in &texts {
                let ids = text.split("\"phone_number_id\":\"").skip(1);
                numbers.extend(ids.map(|rest| rest[..15].to_owned()));
            }
            let messages = webhooks.iter().filter(|body| is_message(body)).count();
            assert!(messages >= 3_000, "found {messages}");
            for kind in ["statuses", "message_echoes", "history", "state_sync", "edit", "revoke", "reaction"]
            {
                assert!(texts.iter().any(|text| text.contains(&format!("\"{kind}\""))), "no {kind}");
            }
            assert!(events.len() > 500, "found {}", events.len());
        }
        assert_eq!(numbers.len(), 5 * FIRMS, "{numbers:?}");
    }
}
