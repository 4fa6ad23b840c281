//! `piperoll evidence`: what shows that a message was sent as it may be.

use piperoll_server::{EventView, PayloadState, SendEvidenceView};

use crate::args::{EvidenceCommand, Global};
use crate::client::{Client, encode, query};
use crate::command::consent::print_signals;
use crate::command::template::print_state;
use crate::error::Exit;
use crate::output::{BOLD, DIM, GREEN, Output, RED};
use crate::text::{counted, safe};
use crate::view::zone;

pub(crate) async fn run(global: &Global, command: &EvidenceCommand, output: &Output) -> anyhow::Result<Exit> {
    let EvidenceCommand::Send(args) = command;
    let client = Client::connect(global).await?;
    let path = query(&format!("/v1/evidence/sends/{}", encode(&args.wamid)), &[("tz", zone(global))]);
    let found = client.get::<SendEvidenceView>(&path).await;
    client.close().await;
    let found = found?;
    print(&found, output)?;
    Ok(exit_of(&found))
}

fn exit_of(found: &SendEvidenceView) -> Exit {
    if found.verdict == "PROVEN" { Exit::Success } else { Exit::Findings }
}

/// Prints the evidence of a send, the verdict last.
pub(crate) fn print(found: &SendEvidenceView, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(found);
    }
    let line = |name: &str, value: &str| output.line(format_args!("{DIM}{name:<10}{DIM:#} {value}"));
    line("message", &safe(&found.wamid))?;
    if let Some(at) = &found.sent_at {
        line("sent", &output.time_of(&at.utc))?;
        line("to", &safe(&found.aliases.join(", ")))?;
        line("number", &safe(found.number.as_deref().unwrap_or("unknown")))?;
        line("type", &safe(&found.message_type))?;
    }
    if let Some(assignee) = &found.assignee {
        let name = assignee.name.as_deref().unwrap_or(&assignee.employee);
        line("by", &format!("{} (event {})", safe(name), assignee.seq))?;
    }
    if let Some(text) = &found.text {
        line("text", &safe(text).replace('\n', &format!("\n{:11}", "")))?;
    }
    for (name, seq) in [("request", found.request), ("answer", found.answer)] {
        if let Some(seq) = seq {
            line(name, &format!("event {seq}"))?;
        }
    }
    for status in &found.statuses {
        let at = output.time_of(&status.at.utc);
        line("status", &format!("{} {at} (event {})", safe(&status.status), status.seq))?;
    }
    if let Some(last) = &found.last_inbound {
        let window = if found.window_open { "open" } else { "closed" };
        line(
            "window",
            &format!("{window}: the customer wrote {} (event {})", output.time_of(&last.at.utc), last.seq),
        )?;
    } else if found.sent_at.is_some() {
        line("window", "closed: the customer had not written")?;
    }
    if let Some(template) = &found.template {
        output.line(format_args!(
            "\n{BOLD}template {}{BOLD:#}",
            safe(found.template_name.as_deref().unwrap_or_default())
        ))?;
        print_state(template, output)?;
    }
    if found.sent_at.is_some() {
        let purpose = safe(&found.purpose);
        output
            .line(format_args!("\n{BOLD}consent for {purpose} before the send: {}{BOLD:#}", found.consent))?;
        output.line(format_args!("{DIM}{}{DIM:#}", safe(&found.consent_rule)))?;
        print_signals(&found.consent_evidence, output)?;
    }
    print_proofs(&found.events, output)?;
    print_verdict(found, output)
}

fn print_proofs(events: &[EventView], output: &Output) -> anyhow::Result<()> {
    let Some(first) = events.first() else { return Ok(()) };
    let readable = events.iter().filter(|event| event.state == PayloadState::Available).count();
    output.line(format_args!(
        "\n{GREEN}✓{GREEN:#} proven in the tree of {} events, root {}: {}, {readable} with content",
        first.proof.tree_size,
        first.proof.root,
        counted(events.len() as u64, "event", "events"),
    ))
}

fn print_verdict(found: &SendEvidenceView, output: &Output) -> anyhow::Result<()> {
    output.line("")?;
    for violation in &found.violations {
        output.line(format_args!("{RED}violation{RED:#} {}: {}", violation.rule, safe(&violation.detail)))?;
    }
    if found.verdict == "PROVEN" {
        return output.line(format_args!("{GREEN}PROVEN{GREEN:#}"));
    }
    let missing: Vec<String> = found.missing.iter().map(|missing| safe(missing)).collect();
    let why = if missing.is_empty() { "nothing, but it broke a rule".to_owned() } else { missing.join("; ") };
    output.line(format_args!("{RED}NOT PROVEN{RED:#}: {why}"))
}
