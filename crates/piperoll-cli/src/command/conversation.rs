//! `piperoll conversation`: what was said between one customer and one number.

use comfy_table::{Attribute, Cell, Color};
use piperoll_server::{AttachmentState, ConversationView, PayloadState, TurnView};
use piperoll_sources::{Direction, Origin};

use crate::args::{ConversationArgs, Global};
use crate::client::{Client, encode, query};
use crate::error::Exit;
use crate::output::{DIM, GREEN, Output, YELLOW};
use crate::text::{counted, safe};
use crate::view::{name_of, zone};

pub(crate) async fn run(global: &Global, args: &ConversationArgs, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let parameters = [
        ("limit", Some(args.limit.to_string())),
        ("before", args.before.clone()),
        ("tz", zone(global)),
        ("proofs", args.prove.then(|| "all".to_owned())),
    ];
    let path = query(&format!("/v1/conversations/{}", encode(&args.id)), &parameters);
    let found = client.get(&path).await;
    client.close().await;
    print(&found?, output)?;
    Ok(Exit::Success)
}

/// Prints a page of a conversation.
pub(crate) fn print(found: &ConversationView, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(found);
    }
    let rows = found.turns.iter().map(|turn| row(turn, output)).collect();
    output.table(&["event", "time", "person", "text"], rows, &[0])?;
    output.line(format_args!(
        "\n{DIM}{} shown; complete to event {}; recorded as event {}{DIM:#}",
        counted(found.turns.len() as u64, "message", "messages"),
        found.complete_to,
        found.recorded_as
    ))?;
    print_proofs(found, output)?;
    if found.conversations.len() > 1 {
        let other = found.conversations.iter().filter(|id| **id != found.conversation);
        let other: Vec<String> = other.map(|id| safe(id)).collect();
        output.note(format_args!("{DIM}with what is known of the person as {}{DIM:#}", other.join(", ")));
    }
    if found.shared {
        output.note(format_args!("{YELLOW}more than one person had this number{YELLOW:#}"));
    }
    if let Some(before) = &found.next_before {
        output.note(format_args!("{DIM}older ones with --before {before}{DIM:#}"));
    }
    Ok(())
}

/// Says what was proven beside the messages, and names what does not say what the page says.
fn print_proofs(found: &ConversationView, output: &Output) -> anyhow::Result<()> {
    const WHAT: (&str, &str) =
        ("status, reaction, withdrawal or answer", "statuses, reactions, withdrawals and answers");
    if found.named_only > 0 {
        let named = counted(found.named_only, WHAT.0, WHAT.1);
        output
            .note(format_args!("{DIM}{named} named by event; --prove reads each again and proves it{DIM:#}"));
    }
    if found.proofs.is_empty() {
        return Ok(());
    }
    let proven = counted(found.proofs.len() as u64, WHAT.0, WHAT.1);
    output.line(format_args!("{GREEN}✓{GREEN:#} {DIM}{proven} read again and proven{DIM:#}"))?;
    for item in &found.proofs {
        let problem = match (item.agrees, item.state) {
            (Some(true), _) => continue,
            (Some(false), _) => "does not say what is shown here: rebuild the index",
            (None, PayloadState::Destroyed) => "its content was disposed of or erased",
            (None, _) => "its content cannot be read: run `piperoll verify`",
        };
        output.line(format_args!("  {YELLOW}event {}: {problem}{YELLOW:#}", item.seq))?;
    }
    Ok(())
}

fn row(turn: &TurnView, output: &Output) -> Vec<Cell> {
    let time = chrono::DateTime::parse_from_rfc3339(&turn.at.utc);
    let time = time.map_or_else(|_| safe(&turn.at.utc), |time| output.short_time(time.to_utc()));
    let person = Cell::new(name_of(&turn.event)).fg(match turn.direction {
        Some(Direction::Inbound) => Color::Cyan,
        Some(Direction::Outbound) => Color::Green,
        None => Color::Reset,
    });
    let time = Cell::new(time).add_attribute(Attribute::Dim);
    vec![Cell::new(turn.event.seq), time, person, Cell::new(text(turn, output))]
}

/// Writes the text with a line for everything that happened to it.
fn text(turn: &TurnView, output: &Output) -> String {
    let mut lines = vec![match turn.event.state {
        PayloadState::Destroyed => "(disposed of or erased)".to_owned(),
        PayloadState::Unreadable => "(cannot be read)".to_owned(),
        PayloadState::Available if turn.text.is_empty() => {
            let kind = turn.event.message.as_ref().map(|message| message.message_type.as_str());
            format!("[{}]", safe(kind.unwrap_or(&turn.role)))
        }
        PayloadState::Available => safe(&turn.text),
    }];
    if let Some(origin) = origin(turn) {
        lines.push(format!("  {origin}"));
    }
    if let Some(seq) = turn.replies_to {
        lines.push(format!("  answers event {seq}"));
    }
    let attachments = turn.event.message.iter().flat_map(|message| &message.attachments);
    for (attachment, state) in attachments.zip(&turn.event.attachments) {
        let name = attachment.filename.as_deref().unwrap_or(&attachment.attachment_type);
        let state = match state.state {
            AttachmentState::Captured => "captured".to_owned(),
            AttachmentState::Waiting => "not fetched yet".to_owned(),
            AttachmentState::Unavailable => {
                format!("unavailable: {}", safe(state.detail.as_deref().unwrap_or("no reason given")))
            }
        };
        lines.push(format!("  {} {state}", safe(name)));
    }
    if !turn.edits.is_empty() {
        let first = turn.event.message.as_ref().map(|message| message.texts.join(" "));
        lines.push(format!("  first (event {}): {}", turn.event.seq, safe(&first.unwrap_or_default())));
        lines.extend(turn.edits.iter().map(|edit| {
            format!("  edited {} (event {}): {}", output.time_of(&edit.at.utc), edit.seq, safe(&edit.text))
        }));
    }
    let withdrawn = turn.withdrawn.iter();
    lines
        .extend(withdrawn.map(|at| format!("  withdrawn {} (event {})", output.time_of(&at.at.utc), at.seq)));
    lines.extend(turn.reactions.iter().map(|reaction| {
        let who = reaction.person.as_deref().unwrap_or("the business");
        match &reaction.emoji {
            Some(emoji) => format!("  {} {} (event {})", safe(emoji), safe(who), reaction.seq),
            None => format!("  reaction taken back by {} (event {})", safe(who), reaction.seq),
        }
    }));
    if let Some(status) = &turn.status {
        let codes: Vec<String> =
            turn.statuses.iter().flat_map(|one| &one.errors).map(i64::to_string).collect();
        let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
        lines.push(format!("  {}{codes}", safe(status)));
    }
    if !turn.duplicates.is_empty() {
        let seqs: Vec<String> = turn.duplicates.iter().map(u64::to_string).collect();
        lines.push(format!("  also event {}", seqs.join(", ")));
    }
    lines.join("\n")
}

/// Names whoever made a message, where the arrow does not say it.
fn origin(turn: &TurnView) -> Option<&'static str> {
    match turn.origin? {
        Origin::Api => Some("through the API"),
        Origin::Agent => Some("by the AI agent or another sender"),
        Origin::History => Some("from the history of the phone"),
        Origin::Import => Some("imported"),
        Origin::Customer | Origin::App | Origin::Platform => None,
    }
}
