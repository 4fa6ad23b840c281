//! `piperoll config show`: the settings in effect and where each comes from.

use crate::args::{ConfigCommand, Global};
use crate::config::{Environment, Flags, Settings, show_json, show_toml};
use crate::directory::ArchiveDirectory;
use crate::error::Exit;
use crate::output::Output;

pub(crate) fn run(global: &Global, command: &ConfigCommand, output: &Output) -> anyhow::Result<Exit> {
    let ConfigCommand::Show = command;
    let directory = ArchiveDirectory::new(global.directory());
    let flags = Flags { time_zone: global.tz, ..Flags::default() };
    let settings = Settings::load(&directory, flags, &Environment::of_process())?;
    if output.is_json() {
        output.json_line(&show_json(&settings))?;
    } else {
        output.line(show_toml(&settings).trim_end())?;
    }
    Ok(Exit::Success)
}
