//! `piperoll template`: a template as it stood at a moment.

use piperoll_server::{MomentView, TemplateStateView, TemplateView};

use crate::args::{Global, TemplateCommand};
use crate::client::{Client, encode, query};
use crate::error::Exit;
use crate::output::{BOLD, DIM, Output, YELLOW};
use crate::text::safe;
use crate::view::zone;

pub(crate) async fn run(global: &Global, command: &TemplateCommand, output: &Output) -> anyhow::Result<Exit> {
    let TemplateCommand::Show(args) = command;
    let client = Client::connect(global).await?;
    let parameters = [("language", args.language.clone()), ("at", args.at.clone()), ("tz", zone(global))];
    let path = query(&format!("/v1/templates/{}", encode(&args.name)), &parameters);
    let found = client.get::<TemplateView>(&path).await;
    client.close().await;
    print(&found?, output)?;
    Ok(Exit::Success)
}

fn print(found: &TemplateView, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(found);
    }
    output.line(format_args!(
        "{BOLD}{}{BOLD:#} {DIM}at {}{DIM:#}",
        safe(&found.name),
        output.time_of(&found.at.utc)
    ))?;
    for state in &found.languages {
        output.line("")?;
        print_state(state, output)?;
    }
    output.line(format_args!(
        "\n{DIM}complete to event {}; recorded as event {}{DIM:#}",
        found.complete_to, found.recorded_as
    ))
}

/// Prints a template in one language.
pub(crate) fn print_state(state: &TemplateStateView, output: &Output) -> anyhow::Result<()> {
    let line = |name: &str, value: &str| output.line(format_args!("{DIM}{name:<10}{DIM:#} {value}"));
    let since = |since: &MomentView, seq: u64| format!("since {} (event {seq})", output.time_of(&since.utc));
    line("language", &safe(state.language.as_deref().unwrap_or("unknown")))?;
    for (name, told) in [("status", &state.status), ("category", &state.category)] {
        let value =
            told.as_ref().map(|told| format!("{} {}", safe(&told.value), since(&told.since, told.seq)));
        line(name, value.as_deref().unwrap_or("not told before"))?;
    }
    match &state.version {
        Some(version) => {
            line("version", &since(&version.since, version.seq))?;
            line("hash", &version.content_hash)?;
        }
        None => line("version", "not seen before")?,
    }
    if let Some(changed) = &state.changed_since {
        line(
            "stale",
            &format!("{YELLOW}its texts changed {}{YELLOW:#}", since(&changed.since, changed.seq)),
        )?;
    }
    if state.versions.len() > 1 {
        line("versions", &state.versions.len().to_string())?;
    }
    if let Some(text) = &state.text {
        line("text", &safe(text).replace('\n', &format!("\n{:11}", "")))?;
    }
    Ok(())
}
