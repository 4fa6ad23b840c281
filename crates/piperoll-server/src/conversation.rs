//! Conversations: folded from the projections, their texts read again from the store and proven.

use std::collections::HashMap;

use chrono_tz::Tz;
use piperoll_format::{Kind, Seq};
use piperoll_projections::{About, Cursor, ProjectionError, Projections, Role, Thread, Turn, alias_of};
use piperoll_sources::{Message, Origin, Relation};

use crate::access::Access;
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::evidence::text_of;
use crate::moment::shown;
use crate::people::Proven;
use crate::tokens::Caller;
use crate::wire::{
    ConversationView, EditView, EventView, ItemProofView, PlaceView, ReactionView, StatusView, TurnView,
};

/// Most turns on one page, and the number when none is given.
const PAGE_MAX: usize = 200;

/// Which part of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationPage {
    /// How many messages at most; 200 when not given, and at most.
    pub limit: Option<usize>,
    /// `next_before` of the page before.
    pub before: Option<String>,
    /// The time zone of local times.
    pub time_zone: Option<Tz>,
    /// Whether statuses, reactions, withdrawals and answers are read again and proven as well.
    pub with_proofs: bool,
}

/// What the projections say of a page.
struct Found {
    conversations: Vec<String>,
    shared: bool,
    thread: Thread,
    /// Event of a send → event of the version of its template.
    versions: HashMap<u64, u64>,
}

impl Archive {
    /// Shows a conversation, oldest first, with the conversations of the person's other aliases.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when it has no events; those of reading and of a commit.
    pub async fn conversation(
        &self,
        caller: &Caller,
        id: &str,
        page: &ConversationPage,
    ) -> Result<ConversationView, ApiError> {
        let limit = page.limit.unwrap_or(PAGE_MAX);
        if !(1..=PAGE_MAX).contains(&limit) {
            let message = format!("field `limit`: expected 1 to {PAGE_MAX}, found `{limit}`");
            return Err(ApiError::new(ErrorCode::Invalid, message));
        }
        let before = page.before.as_deref().map(read_cursor).transpose()?;
        let zone = page.time_zone.unwrap_or(self.time_zone);
        let complete_to = self.progress().borrow().projected;
        let asked = id.to_owned();
        let found = self.ask(move |projections| find(projections, &asked, before, limit)).await?;
        let turns = &found.thread.turns;
        let items = items_of(turns);
        let mut seqs = seqs_of(&found);
        let mut named_only = items.len() as u64;
        if page.with_proofs {
            seqs.extend(items.iter().map(|(seq, _)| *seq));
            named_only = 0;
        }
        let proven = self.prove_all(seqs).await?;
        let proofs: Vec<ItemProofView> = if page.with_proofs {
            items.iter().filter_map(|(seq, said)| item_proof(*seq, said, &proven)).collect()
        } else {
            Vec::new()
        };
        let shown_turns = self.turns(&found, &proven, zone).await?;
        let access = Access {
            action: "conversation",
            target: Some(id),
            hits: u64::try_from(turns.len()).ok(),
            shown: turns.iter().map(|turn| turn.seq).collect(),
            ..Access::default()
        };
        let recorded = self.record_access(Kind::AccessView, caller, &access).await?;
        if turns.is_empty() && before.is_none() {
            return Err(ApiError::new(ErrorCode::NotFound, format!("there is no conversation `{id}`")));
        }
        Ok(ConversationView {
            conversation: id.to_owned(),
            conversations: found.conversations,
            shared: found.shared,
            time_zone: zone.to_string(),
            complete_to,
            turns: shown_turns,
            proofs,
            named_only,
            next_before: found.thread.next.map(|cursor| format!("{}-{}", cursor.at, cursor.seq)),
            recorded_as: recorded.0,
        })
    }

    async fn turns(&self, found: &Found, proven: &Proven, zone: Tz) -> Result<Vec<TurnView>, ApiError> {
        let mut views = Vec::with_capacity(found.thread.turns.len());
        let mut replies = Vec::new();
        for turn in &found.thread.turns {
            // What was committed after the checkpoint is on the next look.
            let Some(mut event) = proven.view(turn.seq) else { continue };
            let attachments = event.message.as_ref().map_or(0, |message| message.attachments.len());
            event.attachments = self.attachment_views(Seq(turn.seq), attachments).await?;
            let version = found.versions.get(&turn.seq).copied();
            replies.push((reply_of(&event), turn.conversation.clone()));
            views.push(turn_view(turn, event, version, proven, zone));
        }
        let targets = self.ask(move |projections| targets(projections, &replies)).await?;
        for (view, target) in views.iter_mut().zip(targets) {
            view.replies_to = target;
        }
        Ok(views)
    }
}

/// Returns the events whose content a page shows.
fn seqs_of(found: &Found) -> Vec<u64> {
    let turns = &found.thread.turns;
    let edits = turns.iter().flat_map(|turn| turn.edits.iter().map(|(_, seq)| *seq));
    turns.iter().map(|turn| turn.seq).chain(edits).chain(found.versions.values().copied()).collect()
}

/// What a page says of an event that it only names.
enum Said<'a> {
    Status(&'a str),
    Reaction(Option<&'a str>),
    Withdrawal,
    Answer,
}

/// Lists the statuses, reactions, withdrawals and answers of a page.
fn items_of(turns: &[Turn]) -> Vec<(u64, Said<'_>)> {
    let mut items = Vec::new();
    for turn in turns {
        items.extend(turn.statuses.iter().map(|fact| (fact.seq, Said::Status(&fact.value.status))));
        let reactions = turn.reactions.iter();
        items.extend(reactions.map(|fact| (fact.seq, Said::Reaction(fact.value.emoji.as_deref()))));
        items.extend(turn.revokes.iter().map(|(_, seq)| (*seq, Said::Withdrawal)));
        items.extend(turn.answer.iter().map(|(_, seq)| (*seq, Said::Answer)));
    }
    items
}

/// Compares an event, read again and proven, with what the page says of it. Nothing for one that is newer than the
/// checkpoint.
fn item_proof(seq: u64, said: &Said<'_>, proven: &Proven) -> Option<ItemProofView> {
    let view = proven.view(seq)?;
    let agrees = view.message.as_ref().map(|message| {
        let relates = |to: Relation| message.references.iter().any(|reference| reference.relation == to);
        match said {
            Said::Status(status) => relates(Relation::StatusOf) && message.message_type == *status,
            Said::Reaction(emoji) => {
                let found = message.reaction.as_ref().and_then(|reaction| reaction.emoji.as_deref());
                relates(Relation::ReactsTo) && found == *emoji
            }
            Said::Withdrawal => relates(Relation::Revokes),
            Said::Answer => view.kind == Kind::SendAnswered.as_str(),
        }
    });
    Some(ItemProofView { seq, kind: view.kind, state: view.state, agrees, proof: view.proof })
}

/// Reads `<time>-<seq>`.
fn read_cursor(text: &str) -> Result<Cursor, ApiError> {
    let read = || {
        let (at, seq) = text.rsplit_once('-')?;
        Some(Cursor { at: at.parse().ok()?, seq: seq.parse().ok()? })
    };
    read().ok_or_else(|| {
        let found: String = text.chars().take(40).collect();
        let message = format!("field `before`: expected `next_before` of the page before, found `{found}`");
        ApiError::new(ErrorCode::Invalid, message)
    })
}

fn find(
    projections: &Projections,
    id: &str,
    before: Option<Cursor>,
    limit: usize,
) -> Result<Found, ProjectionError> {
    let (number, counterpart) = id.split_once(':').unwrap_or((id, ""));
    let mut conversations = vec![id.to_owned()];
    let mut shared = false;
    if let Some(alias) = alias_of(counterpart) {
        let person = projections.person(&alias, None)?;
        shared = person.shared;
        conversations.extend(person.conversations(number));
        conversations.sort();
        conversations.dedup();
    }
    let thread = projections.thread(&conversations, before, limit)?;
    let mut versions = HashMap::new();
    for turn in thread.turns.iter().filter(|turn| turn.template.is_some()) {
        let template = turn.template.as_ref();
        let (name, language) =
            template.map_or((None, None), |of| (of.name.as_deref(), of.language.as_deref()));
        if let Some(name) = name
            && let Some(state) = projections.template_at(name, language, turn.at)?
            && let Some(version) = state.version
        {
            let _ = versions.insert(turn.seq, version.seq);
        }
    }
    Ok(Found { conversations, shared, thread, versions })
}

/// Returns the id of the message that an event answers.
fn reply_of(event: &EventView) -> Option<String> {
    let references = &event.message.as_ref()?.references;
    let reply = references.iter().find(|reference| reference.relation == Relation::RepliesTo)?;
    Some(reply.source_id.clone())
}

/// Finds the events of messages by their ids.
fn targets(
    projections: &Projections,
    replies: &[(Option<String>, String)],
) -> Result<Vec<Option<u64>>, ProjectionError> {
    let find = |(id, conversation): &(Option<String>, String)| {
        let Some(id) = id else { return Ok(None) };
        let number = conversation.split(':').next().unwrap_or_default();
        let about = projections.about(id, number)?;
        let message =
            about.iter().find(|fact| matches!(fact.value, About::Message { .. } | About::Answered { .. }));
        Ok(message.map(|fact| fact.seq))
    };
    replies.iter().map(find).collect()
}

fn turn_view(turn: &Turn, event: EventView, version: Option<u64>, proven: &Proven, zone: Tz) -> TurnView {
    let place = |(at, seq): &(i64, u64)| PlaceView { at: shown(*at, zone), seq: *seq };
    let edit = |(at, seq): &(i64, u64)| EditView {
        at: shown(*at, zone),
        seq: *seq,
        text: proven
            .view(*seq)
            .and_then(|event| event.message)
            .map(|message| text(&message))
            .unwrap_or_default(),
    };
    let edits: Vec<EditView> = turn.edits.iter().map(edit).collect();
    let sent = (turn.role == Role::Send).then(|| text_of(turn.seq, version, proven)).flatten();
    let written = || event.message.as_ref().map(text).unwrap_or_default();
    let newest = edits.last().map(|edit| edit.text.clone()).or(sent).unwrap_or_else(written);
    let reactions = turn.reactions.iter().map(|fact| ReactionView {
        at: shown(fact.at, zone),
        seq: fact.seq,
        person: fact.value.person.clone(),
        emoji: fact.value.emoji.clone(),
    });
    let statuses = turn.statuses.iter().map(|fact| StatusView {
        status: fact.value.status.clone(),
        at: shown(fact.at, zone),
        seq: fact.seq,
        errors: fact.value.errors.clone(),
        person: fact.value.person.clone(),
    });
    TurnView {
        at: shown(turn.at, zone),
        role: role(turn.role).to_owned(),
        direction: turn.direction,
        origin: turn.origin.or_else(|| (turn.role == Role::Send).then_some(Origin::Api)),
        text: newest,
        edits,
        withdrawn: turn.revokes.iter().map(place).collect(),
        reactions: reactions.collect(),
        status: turn.best_status().map(str::to_owned),
        statuses: statuses.collect(),
        replies_to: None,
        answer: turn.answer.as_ref().map(place),
        template_version: version,
        duplicates: turn.duplicates.clone(),
        event,
    }
}

fn text(message: &Message) -> String {
    message.texts.join("\n")
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Message => "message",
        Role::Edit => "edit",
        Role::Revoke => "revoke",
        Role::Reaction => "reaction",
        Role::Send => "send",
        Role::Notice => "notice",
    }
}
