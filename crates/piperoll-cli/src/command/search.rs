//! `piperoll search`: finds events; each one shown was read again from the store and proven.

use piperoll_server::{GapsView, SearchView};

use crate::args::{Global, SearchArgs};
use crate::client::{Client, query};
use crate::error::Exit;
use crate::output::{DIM, Output, YELLOW};
use crate::text::{count, counted, safe};
use crate::view::print_hits;

pub(crate) async fn run(global: &Global, args: &SearchArgs, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let found = search(&client, global, args).await;
    client.close().await;
    print(&found?, output)?;
    Ok(Exit::Success)
}

async fn search(client: &Client, global: &Global, args: &SearchArgs) -> anyhow::Result<SearchView> {
    let parameters = [
        ("q", Some(args.query.join(" "))),
        ("limit", Some(args.limit.to_string())),
        ("before", args.before.map(|seq| seq.to_string())),
        ("tz", global.tz.map(|zone| zone.name().to_owned())),
    ];
    client.get(&query("/v1/search", &parameters)).await
}

/// Prints a page of hits.
pub(crate) fn print(found: &SearchView, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(found);
    }
    if found.hits.is_empty() {
        output.line("Nothing found.")?;
    } else {
        print_hits(&found.hits, output)?;
    }
    let shown = count(found.hits.len() as u64);
    let total = counted(found.total, "event matches", "events match");
    output.line(format_args!(
        "\n{DIM}{total}, {shown} shown and proven; complete to event {}; recorded as event {}{DIM:#}",
        found.complete_to, found.recorded_as
    ))?;
    print_gaps(&found.gaps, output)?;
    if let Some(before) = found.next_before {
        output.note(format_args!("{DIM}more with --before {before}{DIM:#}"));
    }
    Ok(())
}

/// Gaps that are named below a search.
const GAPS_SHOWN: usize = 5;

/// Names what is known to be missing in the scope of what was shown.
fn print_gaps(found: &GapsView, output: &Output) -> anyhow::Result<()> {
    let total = found.gaps.len() as u64 + found.more;
    if !found.complete {
        let as_of = found.as_of.as_deref().map_or_else(|| "not known".to_owned(), |at| output.time_of(at));
        output.line(format_args!(
            "{YELLOW}Gaps may not all be known: they are of {as_of}, looked at up to event {}.{YELLOW:#}",
            found.complete_to
        ))?;
    }
    if total == 0 {
        return Ok(());
    }
    let known = counted(total, "gap is known", "gaps are known");
    output.line(format_args!("{YELLOW}{known} in these numbers and times:{YELLOW:#}"))?;
    for gap in found.gaps.iter().take(GAPS_SHOWN) {
        let when = if gap.from == gap.to {
            output.time_of(&gap.from)
        } else {
            format!("{} to {}", output.time_of(&gap.from), output.time_of(&gap.to))
        };
        let count = gap.count.map_or_else(String::new, |missing| format!(" ({})", count(missing)));
        output.line(format_args!(
            "  {}  {}{count}  {DIM}{when}{DIM:#}",
            safe(&gap.number),
            safe(&gap.cause)
        ))?;
    }
    let more = total.saturating_sub(GAPS_SHOWN as u64);
    if more > 0 {
        output.line(format_args!("  {DIM}and {} more{DIM:#}", count(more)))?;
    }
    output.line(format_args!(
        "{DIM}`piperoll coverage NUMBER` says what is missing and what can be done{DIM:#}"
    ))
}
