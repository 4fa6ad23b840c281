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
mod replica;
mod secret;
mod serve;
mod store;
mod text;
mod token;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

/// Many small allocations a second come and go on other threads than they were made on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(piperoll_extract::child::ARGUMENT) {
        return extract_text(arguments);
    }
    match args::Cli::try_parse() {
        Ok(cli) => command::run(&cli),
        Err(error) => error::report_usage(&error),
    }
}

/// Takes the text out of the attachment on standard input: what the archive starts its own program for. Nothing else
/// runs in such a process, because it gives up its rights for good.
fn extract_text(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let media_type = arguments.next().unwrap_or_default();
    let file_name = arguments.next().filter(|name| !name.is_empty());
    piperoll_extract::child::run(&media_type, file_name.as_deref(), &piperoll_extract::Limits::default())
}

#[cfg(test)]
mod tests;
