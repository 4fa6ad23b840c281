//! `piperoll completions`: scripts for shells.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::error::Exit;
use crate::output::Output;

pub(crate) fn run(args: &CompletionsArgs, output: &Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "piperoll", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Success)
}
