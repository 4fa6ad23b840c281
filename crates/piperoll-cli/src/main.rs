//! The command line of the archive: `piperoll`.
//!
//! It composes the other crates, talks to the terminal and decides nothing about events, search or retention.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests and schemars' derive may unwrap"))]

mod args;
mod backup;
mod client;
mod command;
mod config;
mod directory;
mod error;
mod lock;
mod output;
mod secret;
mod serve;
mod text;
mod token;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return error::report_usage(&error),
    };
    let output = Output::new(&cli.global);
    match command::run(&cli, &output) {
        Ok(exit) => exit.into(),
        Err(error) => error::report(&error, &output).into(),
    }
}

#[cfg(test)]
mod tests;
