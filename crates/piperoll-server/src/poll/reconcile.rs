//! What the platform says it did, beside what was captured: how many messages of each day it listed or counted.
//!
//! Only counts and digests of ids are committed: an id of WhatsApp has a phone number in it.

use std::collections::BTreeSet;

use piperoll_graph::{GraphError, ListedMessage};
use piperoll_projections::{day, utc};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::event::About;
use super::{PollError, PolledNumber, Polling};
use crate::wire::hex;

/// Microseconds in a second and a day.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3_600 * SECOND;

/// Days that are looked at again each time: what comes late is not missing.
const DAYS: i64 = 3;

/// How often, in microseconds.
const EVERY: i64 = 6 * 3_600 * SECOND;

/// Pages of the history that are read at most, a hundred messages each.
const PAGES_MAX: usize = 200;

/// Missing messages whose digests are listed.
const LISTED_MAX: usize = 100;

/// States of a webhook that was not taken.
const FAILED: [&str; 3] = ["FAILED", "ERROR", "EXPIRED"];

/// What the history of one day came to.
#[derive(Serialize)]
struct HistoryDay {
    from: String,
    to: String,
    /// Messages that the platform lists.
    listed: u64,
    /// Messages of those whose content is not here.
    missing: u64,
    /// SHA-256 of the ids of the first of them, hexadecimal.
    missing_sha256: Vec<String>,
    /// Webhooks that were not taken.
    failed_webhooks: u64,
    /// Addresses that webhooks were sent to.
    addresses: Vec<String>,
    /// Whether the list was read to its end.
    complete: bool,
}

#[derive(Serialize)]
struct CountedDay {
    from: String,
    to: String,
    sent: u64,
    delivered: u64,
}

impl Polling {
    /// Compares what the platform lists and counts with what was captured, if that is configured and due.
    pub(super) async fn reconcile(&mut self, number: &PolledNumber) -> Result<(), PollError> {
        let settings = &self.parts.settings;
        let (with_history, with_counts) = (settings.message_history, settings.message_counts);
        let now = i64::try_from((self.parts.now)().0).unwrap_or(i64::MAX);
        let last = self.reconciled.get(&number.id).copied();
        if !(with_history || with_counts) || last.is_some_and(|last| (last..last + EVERY).contains(&now)) {
            return Ok(());
        }
        let today = now.div_euclid(DAY) * DAY;
        if with_history {
            self.message_history(&number.id, today).await?;
        }
        if let Some(account) = number.account.as_ref().filter(|_| with_counts) {
            self.message_counts(&number.id, account, today).await?;
        }
        let _last = self.reconciled.insert(number.id.clone(), now);
        Ok(())
    }

    async fn message_history(&mut self, number: &str, today: i64) -> Result<(), PollError> {
        let oldest = (today - DAYS * DAY) / SECOND;
        let (mut listed, mut after, mut is_complete) = (Vec::new(), None, false);
        for _ in 0..PAGES_MAX {
            let page = match self.parts.graph.message_history(number, after.as_deref()).await {
                Ok(page) => page,
                Err(error) => return self.refused(("message_history", number, number), error).await,
            };
            // The newest come first: a page of older ones is the last of interest.
            let is_older = !page.0.is_empty() && page.0.iter().all(|message| message.at < oldest);
            listed.extend(page.0);
            after = page.1;
            if is_older || after.is_none() {
                is_complete = true;
                break;
            }
        }
        for start in (1..=DAYS).map(|back| today - back * DAY) {
            let of_day = |message: &&ListedMessage| (start..start + DAY).contains(&(message.at * SECOND));
            let of_day: Vec<ListedMessage> = listed.iter().filter(of_day).cloned().collect();
            if of_day.is_empty() && is_complete {
                continue;
            }
            let found = self.compare(of_day, start, is_complete).await?;
            self.day_observed(("message_history", number), start, &found).await?;
        }
        Ok(())
    }

    /// Looks up which of the listed messages are here.
    async fn compare(
        &self,
        listed: Vec<ListedMessage>,
        start: i64,
        complete: bool,
    ) -> Result<HistoryDay, PollError> {
        let ids: BTreeSet<String> = listed.iter().map(|message| message.id.clone()).collect();
        let count = ids.len() as u64;
        let missing = self.parts.known.read(move |projections| {
            let mut missing = Vec::new();
            for id in ids {
                if !projections.has_content(&id)? {
                    missing.push(id);
                }
            }
            Ok(missing)
        });
        let missing = missing.await?;
        let tries = || listed.iter().flat_map(|message| &message.tries);
        let is_failed = |state: &str| FAILED.iter().any(|failed| failed.eq_ignore_ascii_case(state));
        let addresses: BTreeSet<&String> = tries().filter_map(|one| one.uri.as_ref()).collect();
        Ok(HistoryDay {
            from: utc(start),
            to: utc(start + DAY),
            listed: count,
            missing: missing.len() as u64,
            missing_sha256: missing.iter().take(LISTED_MAX).map(|id| hex(&Sha256::digest(id))).collect(),
            failed_webhooks: tries().filter(|one| is_failed(&one.state)).count() as u64,
            addresses: addresses.into_iter().take(20).cloned().collect(),
            complete,
        })
    }

    async fn message_counts(&mut self, number: &str, account: &str, today: i64) -> Result<(), PollError> {
        let Some(phone) = self.phones.get(number).cloned() else { return Ok(()) };
        let span = ((today - DAYS * DAY) / SECOND, today / SECOND);
        let counts = match self.parts.graph.message_counts(account, &phone, span).await {
            Ok(counts) => counts,
            Err(error) => return self.refused(("message_counts", number, number), error).await,
        };
        // A day that is not over is counted again when it is.
        for count in counts.iter().filter(|count| count.end <= span.1) {
            let (from, to) = (count.start.saturating_mul(SECOND), count.end.saturating_mul(SECOND));
            let found =
                CountedDay { from: utc(from), to: utc(to), sent: count.sent, delivered: count.delivered };
            self.day_observed(("message_counts", number), from, &found).await?;
        }
        Ok(())
    }

    /// Commits what was found about a day, if it is new.
    async fn day_observed(
        &mut self,
        (object, number): (&str, &str),
        start: i64,
        found: &impl Serialize,
    ) -> Result<(), PollError> {
        let id = format!("{number}:{}", day(start));
        let found = serde_json::to_value(found).expect("texts and numbers are always JSON");
        self.observe(About { object, id: &id, number: Some(number), ..About::default() }, Ok(found)).await
    }

    /// Commits a refusal once: not every account has these answers.
    async fn refused(
        &mut self,
        (object, id, number): (&str, &str, &str),
        error: GraphError,
    ) -> Result<(), PollError> {
        let about = About { object, id, number: Some(number), ..About::default() };
        self.observe(about, Err::<Value, _>(error)).await
    }
}
