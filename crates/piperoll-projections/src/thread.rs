//! A conversation folded: one entry for each message, with everything that happened to it.

use std::collections::HashSet;

use piperoll_sources::{Direction, Origin, TemplateRef};

use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Table};
use crate::send::SendFact;
use crate::talk::{About, Entry, Role};

/// Facts that are read about one message.
const FACTS_MAX: usize = 1_000;
/// Rows that are read at once.
const ROWS: usize = 256;

/// A message, or something that happened around messages, with what happened to it. Everything is named by event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it happened, microseconds since the epoch.
    pub at: i64,
    /// The event that is shown.
    pub seq: u64,
    /// What it is.
    pub role: Role,
    /// The conversation it stands in, `<number>:<counterpart>`.
    pub conversation: String,
    /// The message's id.
    pub id: Option<String>,
    /// Which way it went.
    pub direction: Option<Direction>,
    /// Who made it.
    pub origin: Option<Origin>,
    /// Other events that hold the same message, such as its copy in the history.
    pub duplicates: Vec<u64>,
    /// Later versions: time and event.
    pub edits: Vec<(i64, u64)>,
    /// Its withdrawals: time and event.
    pub revokes: Vec<(i64, u64)>,
    /// Reactions and their removals, oldest first.
    pub reactions: Vec<Fact<Reacted>>,
    /// Statuses, oldest first.
    pub statuses: Vec<Fact<Reported>>,
    /// The answer to a request to send: time and event.
    pub answer: Option<(i64, u64)>,
    /// The ids that the answer gave.
    pub wamids: Vec<String>,
    /// The template that a send was made from.
    pub template: Option<TemplateRef>,
}

/// A reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reacted {
    /// Whose; the business where it is absent.
    pub person: Option<String>,
    /// The emoji; absent when it was taken back.
    pub emoji: Option<String>,
}

/// A delivery status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// `sent`, `delivered`, `read`, `played`, `failed` …
    pub status: String,
    /// To whom, by the first alias.
    pub person: Option<String>,
    /// Codes of errors.
    pub errors: Vec<i64>,
    /// The category it was charged as.
    pub category: Option<String>,
}

/// A place in a conversation: turns are older than it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Time of the oldest turn of the page before.
    pub at: i64,
    /// Its event.
    pub seq: u64,
}

/// A page of a conversation, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The turns.
    pub turns: Vec<Turn>,
    /// Where the page of older turns begins; absent on the last one.
    pub next: Option<Cursor>,
}

impl Projections {
    /// Returns the newest `limit` turns before a cursor of several conversations taken as one.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn thread(
        &self,
        conversations: &[String],
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Thread, ProjectionError> {
        let mut thread = Thread::default();
        let mut before = before;
        loop {
            let rows = self.rows(conversations, before)?;
            let is_last = rows.len() < ROWS;
            let mut shown = HashSet::new();
            for (conversation, fact) in rows {
                if thread.turns.len() == limit {
                    thread.next = thread.turns.last().map(|turn| Cursor { at: turn.at, seq: turn.seq });
                    thread.turns.reverse();
                    return Ok(thread);
                }
                before = Some(Cursor { at: fact.at, seq: fact.seq });
                if shown.insert(fact.seq)
                    && let Some(turn) = self.turn(conversation, fact)?
                {
                    thread.turns.push(turn);
                }
            }
            if is_last {
                thread.turns.reverse();
                return Ok(thread);
            }
        }
    }

    /// Returns the newest rows before a cursor, newest first.
    fn rows<'c>(
        &self,
        conversations: &'c [String],
        before: Option<Cursor>,
    ) -> Result<Vec<(&'c str, Fact<Entry>)>, ProjectionError> {
        let mut rows = Vec::new();
        let end = before.map_or(i64::MAX, |cursor| cursor.at);
        for conversation in conversations {
            let mut limit = ROWS;
            loop {
                let facts = self.newest::<Entry>(Table::Conversation, conversation, i64::MIN..=end, limit)?;
                let read = facts.len();
                let is_before = |fact: &Fact<Entry>| {
                    before.is_none_or(|cursor| (fact.at, fact.seq) < (cursor.at, cursor.seq))
                };
                let found: Vec<_> = facts.into_iter().filter(is_before).collect();
                // Many rows at the very time of the cursor may hide what is older.
                if found.len() < ROWS && read == limit {
                    limit *= 2;
                    continue;
                }
                rows.extend(found.into_iter().take(ROWS).map(|fact| (conversation.as_str(), fact)));
                break;
            }
        }
        rows.sort_by_key(|(_, fact)| std::cmp::Reverse((fact.at, fact.seq)));
        rows.truncate(ROWS);
        Ok(rows)
    }

    /// Folds one row; nothing if it is shown with another one.
    fn turn(&self, conversation: &str, row: Fact<Entry>) -> Result<Option<Turn>, ProjectionError> {
        let Fact { at, seq, value: entry } = row;
        let mut turn = Turn {
            at,
            seq,
            role: entry.role,
            conversation: conversation.to_owned(),
            id: entry.id,
            direction: entry.direction,
            origin: entry.origin,
            duplicates: Vec::new(),
            edits: Vec::new(),
            revokes: Vec::new(),
            reactions: Vec::new(),
            statuses: Vec::new(),
            answer: None,
            wamids: Vec::new(),
            template: None,
        };
        if let Some(journal_id) = entry.journal_id.filter(|_| entry.role == Role::Send) {
            self.fold_send(&journal_id, &mut turn)?;
            return Ok(Some(turn));
        }
        let Some(id) = turn.id.clone() else { return Ok(Some(turn)) };
        let number = conversation.split(':').next().unwrap_or_default();
        let about = self.about(&id, number)?;
        match turn.role {
            // The target is shown with it, if there is one.
            Role::Edit | Role::Revoke | Role::Reaction => {
                let is_shown = about
                    .iter()
                    .any(|fact| matches!(fact.value, About::Message { .. } | About::Answered { .. }));
                Ok((!is_shown).then_some(turn))
            }
            Role::Message => {
                // What the archive saw asked for is shown as that, with its other copies.
                if about.iter().any(|fact| matches!(fact.value, About::Answered { .. })) {
                    return Ok(None);
                }
                let main = main_copy(&about);
                if main.is_some_and(|main| main != seq) {
                    return Ok(None);
                }
                turn.fold(about);
                Ok(Some(turn))
            }
            Role::Notice | Role::Send => Ok(Some(turn)),
        }
    }

    /// Adds the answer and the statuses of a request to send.
    fn fold_send(&self, journal_id: &str, turn: &mut Turn) -> Result<(), ProjectionError> {
        let facts = self.facts::<SendFact>(Table::Send, journal_id, i64::MIN..=i64::MAX, FACTS_MAX)?;
        for fact in facts {
            match fact.value {
                SendFact::Answered { wamids, .. } => {
                    turn.answer = Some((fact.at, fact.seq));
                    turn.wamids.extend(wamids);
                }
                SendFact::Requested { template, .. } => turn.template = template,
                SendFact::OnDay { .. } => {}
            }
        }
        turn.id = turn.wamids.first().cloned();
        let number = turn.conversation.split(':').next().unwrap_or_default().to_owned();
        for wamid in turn.wamids.clone() {
            let about = self.about(&wamid, &number)?;
            turn.fold(about);
        }
        Ok(())
    }

    /// Returns everything that was said about a message; ids can collide across business numbers.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn about(&self, id: &str, number: &str) -> Result<Vec<Fact<About>>, ProjectionError> {
        let mut facts = self.facts::<About>(Table::Item, id, i64::MIN..=i64::MAX, FACTS_MAX)?;
        facts.retain(|fact| match &fact.value {
            About::Message { number: of, .. } | About::Status { number: of, .. } => {
                number.is_empty() || of.as_deref().is_none_or(|of| of == number)
            }
            _ => true,
        });
        Ok(facts)
    }
}

/// Returns the copy of a message that is shown: a live one before one from the history or an import.
fn main_copy(about: &[Fact<About>]) -> Option<u64> {
    let copies = about.iter().filter_map(|fact| match &fact.value {
        About::Message { origin, .. } => {
            Some((matches!(origin, Some(Origin::History | Origin::Import)), fact.seq))
        }
        _ => None,
    });
    copies.min().map(|(_, seq)| seq)
}

impl Turn {
    fn fold(&mut self, about: Vec<Fact<About>>) {
        for Fact { at, seq, value } in about {
            match value {
                About::Message { .. } if seq != self.seq => self.duplicates.push(seq),
                About::Message { .. } | About::Answered { .. } => {}
                About::Edit => self.edits.push((at, seq)),
                About::Revoke => self.revokes.push((at, seq)),
                About::Reaction { person, emoji } => {
                    self.reactions.push(Fact { at, seq, value: Reacted { person, emoji } });
                }
                About::Status { status, person, errors, category, .. } => {
                    self.statuses.push(Fact {
                        at,
                        seq,
                        value: Reported { status, person, errors, category },
                    });
                }
            }
        }
    }

    /// Returns the status that says most: failed, else the furthest.
    #[must_use]
    pub fn best_status(&self) -> Option<&str> {
        const ORDER: [&str; 8] =
            ["pending", "held", "accepted", "sent", "warning", "delivered", "read", "played"];
        let rank = |status: &str| match status {
            "failed" | "deleted" => ORDER.len(),
            _ => ORDER.iter().position(|known| *known == status).unwrap_or(0),
        };
        let statuses = self.statuses.iter().map(|fact| fact.value.status.as_str());
        statuses.max_by_key(|status| rank(status))
    }
}
