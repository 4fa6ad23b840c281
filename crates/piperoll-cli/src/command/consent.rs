//! `piperoll consent`: whether a person wants messages, at a moment, and what shows it.

use piperoll_server::{ConsentView, PayloadState, SignalView};
use serde_json::Value;

use crate::args::{ConsentArgs, ConsentCommand, Global};
use crate::client::{Client, encode, query};
use crate::error::Exit;
use crate::output::{BOLD, DIM, GREEN, Output, RED, YELLOW};
use crate::text::{counted, safe};
use crate::view::zone;

pub(crate) async fn run(global: &Global, command: &ConsentCommand, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let done = match command {
        ConsentCommand::Show(args) => show(&client, global, args, output).await,
        ConsentCommand::Export(args) => export(&client, global, args, output).await,
    };
    client.close().await;
    done.map(|()| Exit::Success)
}

fn path(global: &Global, args: &ConsentArgs, tail: &str) -> String {
    let parameters = [
        ("at", args.at.clone()),
        ("purpose", args.purpose.clone()),
        ("number", args.number.clone()),
        ("channel", args.channel.clone()),
        ("tz", zone(global)),
    ];
    query(&format!("/v1/persons/{}/consent{tail}", encode(&args.person)), &parameters)
}

async fn show(client: &Client, global: &Global, args: &ConsentArgs, output: &Output) -> anyhow::Result<()> {
    let found: ConsentView = client.get(&path(global, args, "")).await?;
    if output.is_json() {
        return output.json_line(&found);
    }
    let line = |name: &str, value: &str| output.line(format_args!("{DIM}{name:<10}{DIM:#} {value}"));
    let style = match found.state.as_str() {
        "given" => GREEN,
        "unknown" | "candidate-withdrawn" => YELLOW,
        _ => RED,
    };
    line("person", &safe(&found.aliases.join(", ")))?;
    line("at", &output.time_of(&found.at.utc))?;
    line("purpose", &safe(found.purpose.as_deref().unwrap_or("any")))?;
    if let Some(number) = &found.number {
        line("number", &safe(number))?;
    }
    line("state", &format!("{style}{}{style:#}", found.state))?;
    line("because", &safe(&found.rule))?;
    if let Some(seq) = found.decided_by {
        line("event", &seq.to_string())?;
    }
    print_signals(&found.evidence, output)?;
    output.line(format_args!(
        "\n{DIM}{} of evidence; complete to event {}; recorded as event {}{DIM:#}",
        counted(found.evidence.len() as u64, "event", "events"),
        found.complete_to,
        found.recorded_as
    ))
}

/// Prints signals of consent, oldest first, each with what was proven about it.
pub(crate) fn print_signals(signals: &[SignalView], output: &Output) -> anyhow::Result<()> {
    if signals.is_empty() {
        return Ok(());
    }
    output.line("")?;
    for signal in signals {
        let makes = signal.makes.as_deref().unwrap_or("nothing");
        output.line(format_args!(
            "{BOLD}event {}{BOLD:#}  {}  {} → {makes}",
            signal.seq,
            output.time_of(&signal.at.utc),
            safe(&signal.via)
        ))?;
        output.line(format_args!("    {DIM}{}{DIM:#}", safe(&signal.rule)))?;
        output.line(format_args!("    {}", proof(signal)))?;
    }
    Ok(())
}

fn proof(signal: &SignalView) -> String {
    let Some(event) = &signal.event else {
        return format!("{YELLOW}newer than the last checkpoint{YELLOW:#}");
    };
    let proven = format!(
        "{GREEN}✓{GREEN:#} {DIM}proven in the tree of {} events, root {}{DIM:#}",
        event.proof.tree_size, event.proof.root
    );
    match (&signal.disposed_on, event.state) {
        (Some(on), _) => format!("{proven} {YELLOW}content disposed of on {on}{YELLOW:#}"),
        (None, PayloadState::Destroyed) => {
            format!("{proven} {YELLOW}content disposed of or erased{YELLOW:#}")
        }
        (None, PayloadState::Unreadable) => format!("{proven} {RED}content cannot be read{RED:#}"),
        (None, PayloadState::Available) => proven,
    }
}

async fn export(client: &Client, global: &Global, args: &ConsentArgs, output: &Output) -> anyhow::Result<()> {
    let record: Value = client.get(&path(global, args, "/record")).await?;
    if output.is_json() {
        return output.json_line(&record);
    }
    output.line(serde_json::to_string_pretty(&record)?)
}
