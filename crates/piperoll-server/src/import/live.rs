//! What was captured live around the time of an import.

use std::collections::HashMap;

use piperoll_export::message_of;
use piperoll_format::{Kind, Seq};
use piperoll_index::Query;
use piperoll_sources::import::{Import, ImportItem};
use piperoll_sources::{Direction, Message, Party};

use crate::archive::Archive;
use crate::error::ApiError;

/// What is compared; what was imported is known by its own identity.
const KINDS: &str =
    "(kind:whatsapp.message OR kind:whatsapp.echo OR kind:whatsapp.history OR kind:send.requested)";
/// Live messages that are looked at most in one import; beyond them none is marked.
const MESSAGES_MAX: usize = 500_000;
/// Messages read at a time.
const PAGE: usize = 500;
/// Events with one id that are looked at.
const SAME_ID_MAX: usize = 20;
/// Microseconds in a minute, the precision of an exported chat.
const MINUTE: i64 = 60_000_000;

/// Whether an item was captured live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    None,
    /// With the same id and words: it need not be stored again.
    Known,
    /// With the same id and other words.
    Differs(u64),
    /// With the same person, minute and words.
    Probable(u64),
}

/// Live messages by minute and words.
#[derive(Debug, Default)]
pub(super) struct Live(HashMap<(i64, String), Vec<Seen>>);

#[derive(Debug)]
struct Seen {
    seq: u64,
    direction: Option<Direction>,
    person: Option<Party>,
}

impl Live {
    /// Reads the messages of the number between the first and the last item that has no id.
    pub(super) async fn around(archive: &Archive, import: &Import) -> Result<Self, ApiError> {
        let without_id = import.items.iter().filter(|item| wamid(item).is_none());
        let times: Vec<i64> = without_id.filter_map(|item| item.message.occurred_at).collect();
        let mut live = Self::default();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(live) };
        let (Some(after), Some(before)) = (moment(first - MINUTE), moment(last + MINUTE)) else {
            return Ok(live);
        };
        let text = format!("{KINDS} number:{} after:{after} before:{before}", import.context.number);
        let query = Query::parse(&text, archive.time_zone)?;
        let (mut below, mut count) = (None, 0);
        while count < MESSAGES_MAX {
            let (hits, _) = archive.find_up_to(query.clone(), PAGE, below).await?;
            let seqs: Vec<Seq> = hits.hits.iter().map(|hit| Seq(hit.seq)).collect();
            for (seq, _, message) in read(archive, &seqs).await? {
                live.note(seq, &message);
            }
            count += seqs.len();
            match seqs.last() {
                Some(last) if seqs.len() == PAGE => below = Some(last.0),
                _ => break,
            }
        }
        Ok(live)
    }

    fn note(&mut self, seq: u64, message: &Message) {
        let (Some(at), Some(words)) = (message.occurred_at, message.texts.first()) else { return };
        let person = counterpart(message).cloned();
        let seen = Seen { seq, direction: message.direction, person };
        self.0.entry((at.div_euclid(MINUTE), words.trim().to_owned())).or_default().push(seen);
    }

    /// Tells whether an item was captured live.
    pub(super) async fn find(&self, archive: &Archive, item: &ImportItem) -> Result<Sighting, ApiError> {
        if let Some(id) = wamid(item) {
            return by_id(archive, item, id).await;
        }
        let message = &item.message;
        let (Some(at), Some(words)) = (message.occurred_at, message.texts.first()) else {
            return Ok(Sighting::None);
        };
        let found = self.0.get(&(at.div_euclid(MINUTE), words.trim().to_owned()));
        let person = counterpart(message);
        let same = found.into_iter().flatten().find(|seen| {
            let ways = [seen.direction, message.direction];
            let is_same_way = ways.contains(&None) || seen.direction == message.direction;
            is_same_way && may_be_same(seen.person.as_ref(), person)
        });
        Ok(same.map_or(Sighting::None, |seen| Sighting::Probable(seen.seq)))
    }
}

/// Looks for a live message with the id.
async fn by_id(archive: &Archive, item: &ImportItem, id: &str) -> Result<Sighting, ApiError> {
    let query = Query::parse(&format!("{KINDS} id:\"{id}\""), archive.time_zone)?;
    let (hits, _) = archive.find_up_to(query, SAME_ID_MAX, None).await?;
    let seqs: Vec<Seq> = hits.hits.iter().map(|hit| Seq(hit.seq)).collect();
    let found = read(archive, &seqs).await?;
    let number = item.message.number.as_ref().and_then(|number| number.id.as_deref());
    let same: Vec<_> = found
        .iter()
        .filter(|(_, kind, message)| {
            let live = message.number.as_ref().and_then(|number| number.id.as_deref());
            *kind != Kind::ImportMessage && (live.is_none() || live == number)
        })
        .collect();
    if same.iter().any(|(_, _, message)| message.texts == item.message.texts) {
        return Ok(Sighting::Known);
    }
    Ok(same.first().map_or(Sighting::None, |(seq, _, _)| Sighting::Differs(*seq)))
}

/// Reads events as messages; those whose payload is gone are left out.
async fn read(archive: &Archive, seqs: &[Seq]) -> Result<Vec<(u64, Kind, Message)>, ApiError> {
    let mut messages = Vec::with_capacity(seqs.len());
    for read in archive.reader.payload_many(seqs).await {
        let read = read?;
        if let Ok(opened) = read.payload {
            let kind = read.event.core.kind;
            let mut message = message_of(kind, &opened.payload);
            message.occurred_at = message.occurred_at.or(opened.payload.facts.occurred_at);
            messages.push((read.event.core.seq.0, kind, message));
        }
    }
    Ok(messages)
}

/// WhatsApp's own id, the only one that live messages share.
fn wamid(item: &ImportItem) -> Option<&str> {
    item.message.source_id.as_deref().filter(|id| id.starts_with("wamid.") && !id.contains(['"', '\\']))
}

fn counterpart(message: &Message) -> Option<&Party> {
    match message.direction {
        Some(Direction::Outbound) => message.to.first(),
        _ => message.from.as_ref(),
    }
}

/// Tells whether two parties can be one person: by number where both have one, else by name; an export does not always
/// say to whom the business wrote.
fn may_be_same(live: Option<&Party>, imported: Option<&Party>) -> bool {
    let (Some(live), Some(imported)) = (live, imported) else { return true };
    match (&live.phone, &imported.phone, &live.name, &imported.name) {
        (Some(live), Some(imported), ..) => live == imported,
        (_, _, Some(live), Some(imported)) => live.to_lowercase() == imported.to_lowercase(),
        _ => false,
    }
}

/// Writes a time for a query.
fn moment(micros: i64) -> Option<String> {
    let time = chrono::DateTime::from_timestamp_micros(micros)?;
    Some(time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}
