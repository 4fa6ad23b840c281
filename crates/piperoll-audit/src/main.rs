//! Verifies an archive without linking what writes it: `piperoll-audit`.
//!
//! It needs the store and the public key, and no configuration. It writes nothing but the checkpoint file that it is
//! told to remember.

mod args;
mod error;
mod place;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return error::report_usage(&error),
    };
    let Command::Verify(args) = &cli.command;
    match verify::run(args) {
        Ok(exit) => exit.into(),
        Err(error) => error::report(&error, args.json).into(),
    }
}

#[cfg(test)]
mod tests;
