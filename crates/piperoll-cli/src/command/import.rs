//! `piperoll import`: messages from exports of other systems.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::args::{DateOrderArg, Global, ImportArgs, ImportCommand};
use crate::client::{Client, query};
use crate::error::{Exit, Failure};
use crate::output::Output;
use crate::text::counted;

/// Counts of an import, as the answer names them and as one and several are told.
const COUNTS: [(&str, &str, &str); 8] = [
    ("items", "message found", "messages found"),
    ("stored", "stored", "stored"),
    ("repeated", "imported before", "imported before"),
    ("known", "captured live, not stored again", "captured live, not stored again"),
    ("probable", "probably captured live, stored and marked", "probably captured live, stored and marked"),
    ("media", "attachment taken", "attachments taken"),
    ("media_missing", "attachment missing from the file", "attachments missing from the file"),
    ("mistakes", "line that is no message", "lines that are no messages"),
];

pub(crate) async fn run(global: &Global, command: &ImportCommand, output: &Output) -> anyhow::Result<Exit> {
    let (format, args, zone, order) = match command {
        ImportCommand::Chat(args) => ("chat", &args.file, Some(args.zone), args.date_order),
        ImportCommand::Jsonl(args) => ("jsonl", args, global.tz, DateOrderArg::Auto),
        ImportCommand::Eml(args) => ("eml", args, global.tz, DateOrderArg::Auto),
    };
    let order = match order {
        DateOrderArg::Auto => None,
        DateOrderArg::Dmy => Some("dmy"),
        DateOrderArg::Mdy => Some("mdy"),
        DateOrderArg::Ymd => Some("ymd"),
    };
    let parameters = [
        ("format", Some(format.to_owned())),
        ("number", Some(args.number.clone())),
        ("zone", zone.map(|zone| zone.name().to_owned())),
        ("date_order", order.map(str::to_owned)),
        ("name", args.name.clone()),
        ("person", args.person.clone()),
    ];
    let path = query("/v1/import", &parameters);
    let files = files(args, format)?;
    let client = Client::connect(global).await?;
    let imported = import(&client, &path, &files, output).await;
    client.close().await;
    let total = imported?;
    report(&total, output)?;
    Ok(if total["mistakes"] == 0 { Exit::Success } else { Exit::Failed })
}

/// Returns the files to import: the one that is named, or those of a directory.
fn files(args: &ImportArgs, format: &str) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("read `{}`", args.path.display());
    if !fs::metadata(&args.path).with_context(context)?.is_dir() {
        return Ok(vec![args.path.clone()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&args.path).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(format)) {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        let message = format!("expected `.{format}` files in `{}`, found none", args.path.display());
        return Err(Failure::new(Exit::Usage, message).into());
    }
    Ok(found)
}

/// Imports one file after another and adds up what they brought.
async fn import(client: &Client, path: &str, files: &[PathBuf], output: &Output) -> anyhow::Result<Value> {
    let bar = output.progress("Importing", files.len() as u64);
    let mut total = Value::Null;
    for file in files {
        let answer: Value = client
            .post_file(path, open(file)?)
            .await
            .with_context(|| format!("import `{}`", file.display()))?;
        add(&mut total, answer);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(total)
}

fn open(file: &Path) -> anyhow::Result<File> {
    File::open(file).with_context(|| format!("read `{}`", file.display()))
}

fn add(total: &mut Value, answer: Value) {
    if total.is_null() {
        *total = answer;
        return;
    }
    for (key, ..) in COUNTS {
        total[key] = (total[key].as_u64().unwrap_or(0) + answer[key].as_u64().unwrap_or(0)).into();
    }
    if let (Some(all), Some(more)) = (total["mistaken"].as_array_mut(), answer["mistaken"].as_array()) {
        all.extend(more.iter().cloned());
    }
    for key in ["batch", "recorded_as"] {
        total[key] = answer[key].clone();
    }
}

fn report(total: &Value, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(total);
    }
    for (key, one, several) in COUNTS {
        let count = total[key].as_u64().unwrap_or(0);
        let told = if count == 1 { one } else { several };
        if count > 0 || matches!(key, "items" | "stored") {
            output.line(format_args!("{count:>9}  {told}"))?;
        }
    }
    let mistakes = total["mistaken"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !mistakes.is_empty() {
        output.line(format_args!("\n{} left out:", counted(mistakes.len() as u64, "line", "lines")))?;
    }
    for mistake in mistakes {
        let file = mistake["file"].as_str().map(|file| format!("{file}: ")).unwrap_or_default();
        output.line(format_args!("  {file}{}", mistake["message"].as_str().unwrap_or_default()))?;
    }
    let recorded = if total["recorded_as"]["repeated"] == true { "was recorded before" } else { "recorded" };
    output.line(format_args!("\n{recorded} as event {}", total["recorded_as"]["seq"]))
}
