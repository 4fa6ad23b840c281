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
mod policies;
mod secret;
mod serve;
mod text;
mod token;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

/// Many small allocations a second come and go on other threads than they were made on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::Cli::try_parse() {
        Ok(cli) => command::run(&cli),
        Err(error) => error::report_usage(&error),
    }
}

#[cfg(test)]
mod tests;
