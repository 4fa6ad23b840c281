//! `piperoll coverage`: how complete the capture of a number was, what is missing, why, and what can still be done.

use std::fmt::Display;

use comfy_table::{Attribute, Cell, Color};
use piperoll_server::{CauseView, CoverageListView, CoverageView, IntervalView, MissingView, NumberView};

use crate::args::{CoverageArgs, Global};
use crate::client::{Client, encode, query};
use crate::error::Exit;
use crate::output::{BOLD, DIM, GREEN, Output, RED, YELLOW};
use crate::text::{counted, safe};

/// Intervals that are listed; the newest ones.
const INTERVALS_MAX: usize = 40;

/// Events named as evidence of one line.
const EVIDENCE_MAX: usize = 5;

pub(crate) async fn run(global: &Global, args: &CoverageArgs, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let printed = match &args.number {
        Some(number) => {
            let parameters = [
                ("from", args.from.clone()),
                ("to", args.to.clone()),
                ("tz", global.tz.map(|zone| zone.name().to_owned())),
            ];
            let path = query(&format!("/v1/coverage/{}", encode(number)), &parameters);
            client.get::<CoverageView>(&path).await.map(Found::One)
        }
        None => client.get::<CoverageListView>("/v1/coverage").await.map(Found::All),
    };
    client.close().await;
    match printed? {
        Found::One(view) if output.is_json() => output.json_line(&view)?,
        Found::One(view) => print(&view, output)?,
        Found::All(view) if output.is_json() => output.json_line(&view)?,
        Found::All(view) => print_list(&view, output)?,
    }
    Ok(Exit::Success)
}

enum Found {
    One(CoverageView),
    All(CoverageListView),
}

fn print_list(view: &CoverageListView, output: &Output) -> anyhow::Result<()> {
    if view.numbers.is_empty() {
        output.line("Nothing is known about any number yet.")?;
    } else {
        let row = |number: &NumberView| {
            vec![
                Cell::new(safe(&number.number)),
                Cell::new(
                    number.phone.as_ref().map_or_else(String::new, |phone| format!("+{}", safe(phone))),
                ),
                state_cell(&number.state),
                Cell::new(number.since.as_deref().map_or_else(String::new, |since| output.time_of(since)))
                    .add_attribute(Attribute::Dim),
                Cell::new(number.gaps),
                Cell::new(number.causes.iter().map(reason).collect::<Vec<_>>().join("; ")),
            ]
        };
        let rows = view.numbers.iter().map(row).collect();
        output.table(&["number", "phone", "state", "since", "gaps", "why"], rows, &[4])?;
    }
    footer(view.complete_to, view.recorded_as, output)
}

/// Prints how complete the capture of a number was.
pub(crate) fn print(view: &CoverageView, output: &Output) -> anyhow::Result<()> {
    let phone = view.phone.as_ref().map_or_else(String::new, |phone| format!("  +{}", safe(phone)));
    let style = match view.state.as_str() {
        "open" => GREEN,
        "degraded" => YELLOW,
        _ => RED,
    };
    output.line(format_args!(
        "{BOLD}{}{BOLD:#}{phone}  {style}{}{style:#}",
        safe(&view.number),
        view.state
    ))?;
    output.line(format_args!(
        "{DIM}from {} to {}{DIM:#}\n",
        output.time_of(&view.from),
        output.time_of(&view.to)
    ))?;
    let skipped = view.intervals.len().saturating_sub(INTERVALS_MAX);
    if skipped > 0 {
        output.line(format_args!(
            "{DIM}{} before; ask for a shorter time{DIM:#}",
            counted(skipped as u64, "interval", "intervals")
        ))?;
    }
    let rows = view.intervals.iter().skip(skipped).map(|interval| interval_row(interval, output)).collect();
    output.table(&["from", "to", "state", "why", "shown by"], rows, &[])?;
    print_missing(&view.missing, output)?;
    output.line(format_args!(
        "\n{BOLD}Never delivered by WhatsApp{BOLD:#} {DIM}(no archive can have it){DIM:#}"
    ))?;
    for never in &view.never_delivered {
        output.line(format_args!("  {DIM}-{DIM:#} {}", safe(never)))?;
    }
    if !view.is_complete {
        output.line(format_args!(
            "\n{YELLOW}Not every reference in this time was followed; ask for a shorter time.{YELLOW:#}"
        ))?;
    }
    footer(view.complete_to, view.recorded_as, output)
}

fn interval_row(interval: &IntervalView, output: &Output) -> Vec<Cell> {
    let evidence =
        interval.causes.iter().flat_map(|cause| cause.evidence.iter().copied()).collect::<Vec<_>>();
    vec![
        Cell::new(output.time_of(&interval.from)).add_attribute(Attribute::Dim),
        Cell::new(output.time_of(&interval.to)).add_attribute(Attribute::Dim),
        state_cell(&interval.state),
        // In one word each: the list of what is missing says it in full.
        Cell::new(interval.causes.iter().map(|cause| safe(&cause.cause)).collect::<Vec<_>>().join(", ")),
        Cell::new(events(&evidence)).add_attribute(Attribute::Dim),
    ]
}

fn print_missing(missing: &[MissingView], output: &Output) -> anyhow::Result<()> {
    if missing.is_empty() {
        return output.line(format_args!("\n{GREEN}No gap is known in this time.{GREEN:#}"));
    }
    output.line(format_args!("\n{BOLD}Missing{BOLD:#}"))?;
    for gap in missing {
        let (style, certain) = if gap.certain { (RED, "certain") } else { (YELLOW, "possible") };
        let count = gap.count.map_or_else(String::new, |count| format!(": {}", crate::text::count(count)));
        output.line(format_args!("  {style}{certain:<9}{style:#} {}{count}", reason(&gap.why)))?;
        let when = if gap.from == gap.to {
            output.time_of(&gap.from)
        } else {
            format!("{} to {}", output.time_of(&gap.from), output.time_of(&gap.to))
        };
        let shown = events(&gap.why.evidence);
        let shown = if shown.is_empty() { shown } else { format!(", shown by {shown}") };
        output.line(format_args!("            {DIM}{when}{shown}{DIM:#}"))?;
        if let Some(remedy) = &gap.remedy {
            output.line(format_args!("            {DIM}what can be done:{DIM:#} {}", safe(remedy)))?;
        }
    }
    Ok(())
}

fn reason(cause: &CauseView) -> String {
    match &cause.detail {
        Some(detail) => format!("{} ({})", safe(&cause.words), safe(detail)),
        None => safe(&cause.words),
    }
}

fn events(seqs: &[u64]) -> String {
    let listed: Vec<String> = seqs.iter().take(EVIDENCE_MAX).map(u64::to_string).collect();
    match (listed.len(), seqs.len() - listed.len()) {
        (0, _) => String::new(),
        (1, 0) => format!("event {}", listed[0]),
        (_, 0) => format!("events {}", listed.join(", ")),
        (_, more) => format!("events {} and {more} more", listed.join(", ")),
    }
}

fn state_cell(state: &str) -> Cell {
    Cell::new(state).fg(match state {
        "open" => Color::Green,
        "degraded" => Color::Yellow,
        _ => Color::Red,
    })
}

fn footer(complete_to: impl Display, recorded_as: impl Display, output: &Output) -> anyhow::Result<()> {
    output
        .line(format_args!("\n{DIM}complete to event {complete_to}; recorded as event {recorded_as}{DIM:#}"))
}
