//! `piperoll show`: one event, its exact bytes or its proof.

use piperoll_server::{EventView, ProofView};

use crate::args::{Global, ShowArgs};
use crate::client::Client;
use crate::error::Exit;
use crate::output::Output;
use crate::view::print_event;

pub(crate) async fn run(global: &Global, args: &ShowArgs, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let shown = show(&client, args, output).await;
    client.close().await;
    shown?;
    Ok(Exit::Success)
}

async fn show(client: &Client, args: &ShowArgs, output: &Output) -> anyhow::Result<()> {
    let path = format!("/v1/events/{}", args.seq);
    if args.raw {
        return output.bytes(&client.get_bytes(&format!("{path}/raw")).await?);
    }
    if args.proof && output.is_json() {
        return output.json_line(&client.get::<ProofView>(&format!("{path}/proof")).await?);
    }
    if args.proof {
        return output.bytes(&client.get_bytes(&format!("{path}/proof?format=tlog-proof")).await?);
    }
    let event: EventView = client.get(&path).await?;
    if output.is_json() { output.json_line(&event) } else { print_event(&event, output) }
}
