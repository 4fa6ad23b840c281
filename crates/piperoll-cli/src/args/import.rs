//! What `piperoll import` takes.

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{Args, Subcommand, ValueEnum};

use super::parse_zone;

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Import a chat exported from the app: its text, or the zip with its files
    Chat(ImportChatArgs),
    /// Import JSON lines; see schemas/import.schema.json
    Jsonl(ImportArgs),
    /// Import e-mail files: one, a directory of them, or a zip
    Eml(ImportArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// File or directory
    pub(crate) path: PathBuf,
    /// Business number, by its `phone_number_id`
    #[arg(long, value_name = "ID")]
    pub(crate) number: String,
    /// Name under which the business wrote, which tells sent from received
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Phone number of the person whom the messages are with
    #[arg(long, value_name = "PHONE")]
    pub(crate) person: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ImportChatArgs {
    #[command(flatten)]
    pub(crate) file: ImportArgs,
    /// Time zone of the phone that exported it
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    pub(crate) zone: Tz,
    /// Order of day and month in dates
    #[arg(long, value_enum, default_value_t = DateOrderArg::Auto)]
    pub(crate) date_order: DateOrderArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DateOrderArg {
    /// Found from the dates themselves
    Auto,
    /// Day, month, year
    Dmy,
    /// Month, day, year
    Mdy,
    /// Year, month, day
    Ymd,
}
