//! `piperoll export`: the events of a query with their proofs, as JSON lines.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use axum::body::Body;

use crate::args::{ExportArgs, Global};
use crate::client::{Client, next_piece, query};
use crate::error::{Exit, Failure};
use crate::output::{Output, object};
use crate::text::{bytes, counted};

/// The first line says what the export is, the last one that it is complete.
const LINES_AROUND: u64 = 2;

pub(crate) async fn run(global: &Global, args: &ExportArgs, output: &Output) -> anyhow::Result<Exit> {
    if args.out.exists() {
        let message = format!("export file `{}` exists", args.out.display());
        return Err(Failure::new(Exit::Conflict, message).hint("name another file").into());
    }
    let client = Client::connect(global).await?;
    let written = export(&client, global, args, output).await;
    client.close().await;
    let (lines, size) = written?;
    let events = lines.saturating_sub(LINES_AROUND);
    if output.is_json() {
        let file = args.out.display().to_string();
        output.json_line(&object([
            ("file", file.into()),
            ("events", events.into()),
            ("bytes", size.into()),
        ]))?;
    } else {
        let events = counted(events, "event", "events");
        output.line(format_args!(
            "Wrote {events} with proofs ({}) to {}",
            bytes(size),
            args.out.display()
        ))?;
    }
    Ok(Exit::Success)
}

/// Writes to a file beside the wanted one and renames it at the end: a file of that name is always complete.
async fn export(
    client: &Client,
    global: &Global,
    args: &ExportArgs,
    output: &Output,
) -> anyhow::Result<(u64, u64)> {
    let zone = global.tz.map(|zone| zone.name().to_owned());
    let path = query("/v1/export", &[("q", Some(args.query.join(" "))), ("tz", zone)]);
    let body = client.get_stream(&path).await?;
    let mut name = args.out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = args.out.with_file_name(name);
    let written = receive(body, &partial, output).await;
    match written {
        Ok(counts) => {
            fs::rename(&partial, &args.out).with_context(|| format!("rename to `{}`", args.out.display()))?;
            Ok(counts)
        }
        Err(error) => {
            // The reason for the failure says more than that this file stayed.
            drop(fs::remove_file(&partial));
            Err(error)
        }
    }
}

async fn receive(mut body: Body, path: &Path, output: &Output) -> anyhow::Result<(u64, u64)> {
    let context = || format!("write `{}`", path.display());
    let file: File =
        OpenOptions::new().write(true).create(true).truncate(true).open(path).with_context(context)?;
    let mut writer = BufWriter::new(file);
    let bar = output.counter("Exporting");
    let (mut lines, mut size) = (0_u64, 0_u64);
    while let Some(piece) = next_piece(&mut body).await? {
        writer.write_all(&piece).with_context(context)?;
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        size += piece.len() as u64;
        bar.set_position(lines);
    }
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(context)?;
    file.sync_all().with_context(context)?;
    bar.finish_and_clear();
    Ok((lines, size))
}
