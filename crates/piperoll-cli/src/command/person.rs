//! `piperoll person`: which aliases belong to one person.

use piperoll_server::PersonView;

use crate::args::{Global, PersonArgs};
use crate::client::{Client, encode, query};
use crate::error::Exit;
use crate::output::{DIM, Output, YELLOW};
use crate::text::safe;
use crate::view::zone;

pub(crate) async fn run(global: &Global, args: &PersonArgs, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let path = format!("/v1/persons/{}", encode(&args.person));
    let found =
        client.get::<PersonView>(&query(&path, &[("at", args.at.clone()), ("tz", zone(global))])).await;
    client.close().await;
    print(&found?, output)?;
    Ok(Exit::Success)
}

fn print(found: &PersonView, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(found);
    }
    let time = |at: &Option<piperoll_server::MomentView>| {
        at.as_ref().map(|at| output.time_of(&at.utc)).unwrap_or_default()
    };
    let rows = found.aliases.iter().map(|alias| {
        let seq = alias.seq.map(|seq| seq.to_string()).unwrap_or_default();
        vec![safe(&alias.alias), time(&alias.since), time(&alias.until), seq]
    });
    output.table(&["alias", "first seen", "left", "event"], rows.collect(), &[])?;
    if !found.names.is_empty() {
        output.line("")?;
        let rows = found.names.iter();
        let rows =
            rows.map(|name| vec![safe(&name.name), output.time_of(&name.since.utc), name.seq.to_string()]);
        output.table(&["name", "first seen", "event"], rows.collect(), &[])?;
    }
    if found.shared {
        output.note(format_args!(
            "{YELLOW}other people had one of these numbers too; they are left out{YELLOW:#}"
        ));
    }
    if found.cut {
        output.note(format_args!("{YELLOW}there are too many aliases; more are left out{YELLOW:#}"));
    }
    output.line(format_args!(
        "\n{DIM}complete to event {}; recorded as event {}{DIM:#}",
        found.complete_to, found.recorded_as
    ))
}
