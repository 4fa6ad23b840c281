//! `piperoll show`: one event, its exact bytes, its proof or one of its attachments.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use axum::body::Body;
use piperoll_server::{EventView, ProofView};

use crate::args::{Global, ShowArgs};
use crate::client::{Client, next_piece};
use crate::error::Exit;
use crate::output::Output;
use crate::text::counted;
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
    if let Some(index) = args.attachment {
        let mut body = client.get_stream(&format!("{path}/attachments/{index}")).await?;
        return match &args.out {
            Some(file) => {
                let bytes = write_file(&mut body, file).await?;
                let bytes = counted(bytes, "byte", "bytes");
                output.line(format_args!("Wrote {bytes} to {}", file.display()))
            }
            None => {
                while let Some(piece) = next_piece(&mut body).await? {
                    output.bytes(&piece)?;
                }
                Ok(())
            }
        };
    }
    let event: EventView = client.get(&path).await?;
    if output.is_json() { output.json_line(&event) } else { print_event(&event, output) }
}

/// Writes an attachment to a new file, and returns how many bytes it has; what broke off leaves no file.
async fn write_file(body: &mut Body, path: &Path) -> anyhow::Result<u64> {
    let creating = || format!("create `{}`", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).with_context(creating)?;
    let written = async {
        let mut bytes = 0;
        while let Some(piece) = next_piece(body).await? {
            file.write_all(&piece)?;
            bytes += piece.len() as u64;
        }
        file.sync_all()?;
        anyhow::Ok(bytes)
    };
    match written.await {
        Ok(bytes) => Ok(bytes),
        Err(error) => {
            std::fs::remove_file(path)
                .with_context(|| format!("delete `{}`, which is not whole", path.display()))?;
            Err(error.context(format!("write `{}`", path.display())))
        }
    }
}
