//! `piperoll index rebuild`: index and projections are derived; this makes them again from the store.

use std::time::Duration;

use piperoll_server::LedgerView;

use crate::args::{Global, IndexCommand};
use crate::client::Client;
use crate::error::Exit;
use crate::output::{Output, object};
use crate::text::counted;

/// The pause between two looks at how far the index is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(global: &Global, command: &IndexCommand, output: &Output) -> anyhow::Result<Exit> {
    let IndexCommand::Rebuild = command;
    let client = Client::connect(global).await?;
    let built = rebuild(&client, output).await;
    client.close().await;
    let size = built?;
    if output.is_json() {
        output.json_line(&object([("events", size.into())]))?;
    } else {
        output.line(format_args!("Built the index anew from {}.", counted(size, "event", "events")))?;
    }
    Ok(Exit::Success)
}

/// Orders the rebuild and waits until everything that was committed then is searchable again.
async fn rebuild(client: &Client, output: &Output) -> anyhow::Result<u64> {
    client.order("/v1/index/rebuild").await?;
    let size = client.get::<LedgerView>("/v1/ledger").await?.size;
    let bar = output.progress("Indexing", size);
    loop {
        let ledger = client.get::<LedgerView>("/v1/ledger").await?;
        let covered = ledger.complete_to.min(ledger.projected_to);
        bar.set_position(covered.min(size));
        if covered >= size {
            bar.finish_and_clear();
            return Ok(size);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
