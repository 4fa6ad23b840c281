//! `piperoll search`: finds events; each one shown was read again from the store and proven.

use piperoll_server::SearchView;

use crate::args::{Global, SearchArgs};
use crate::client::{Client, query};
use crate::error::Exit;
use crate::output::{DIM, Output};
use crate::text::{count, counted};
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
    if let Some(before) = found.next_before {
        output.note(format_args!("{DIM}more with --before {before}{DIM:#}"));
    }
    Ok(())
}
