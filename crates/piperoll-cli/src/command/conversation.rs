//! `piperoll conversation`: what was said between one customer and one number.

use piperoll_server::ConversationView;

use crate::args::{ConversationArgs, Global};
use crate::client::{Client, encode, query};
use crate::error::Exit;
use crate::output::{DIM, Output};
use crate::text::counted;
use crate::view::print_conversation;

pub(crate) async fn run(global: &Global, args: &ConversationArgs, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let parameters =
        [("limit", Some(args.limit.to_string())), ("before", args.before.map(|seq| seq.to_string()))];
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
    print_conversation(&found.events, output)?;
    output.line(format_args!(
        "\n{DIM}{} in this conversation; complete to event {}; recorded as event {}{DIM:#}",
        counted(found.total, "event", "events"),
        found.complete_to,
        found.recorded_as
    ))?;
    if let Some(before) = found.next_before {
        output.note(format_args!("{DIM}older ones with --before {before}{DIM:#}"));
    }
    Ok(())
}
