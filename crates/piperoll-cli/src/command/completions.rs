//! `piperoll completions`: scripts for shells.

use std::io;

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::error::Exit;

#[expect(clippy::unnecessary_wraps, reason = "every command has the same signature")]
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    clap_complete::generate(args.shell, &mut Cli::command(), "piperoll", &mut io::stdout());
    Ok(Exit::Success)
}
