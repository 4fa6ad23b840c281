//! The commands: one file each, from parsed arguments to an exit code.

mod completions;
mod config;
mod consent;
mod conversation;
mod coverage;
mod demo;
mod dispose;
mod doctor;
mod evidence;
mod export;
mod import;
mod index;
pub(crate) mod init;
pub(crate) mod key;
mod person;
pub(crate) mod replica;
mod restore;
mod scrub;
mod search;
mod serve;
mod show;
mod template;
mod token;
mod verify;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::{Cli, Command};
use crate::error::{Exit, Failure, report};
use crate::output::Output;

/// Threads that wait for the disk. More only keep more memory: each holds buffers of the largest file it has read.
const BLOCKING_THREADS_MAX: usize = 24;

/// Runs the command that was typed and reports how it ended.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let output = Output::new(&cli.global);
    match start(cli, &output) {
        Ok(exit) => exit.into(),
        Err(error) => report(&error, &output).into(),
    }
}

fn start(cli: &Cli, output: &Output) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let exit = runtime.block_on(run_until_interrupted(cli, output));
    // A disk that hangs must not keep the command from ending.
    runtime.shutdown_background();
    exit
}

/// Ends a command when it is interrupted; servers end in order by themselves.
async fn run_until_interrupted(cli: &Cli, output: &Output) -> anyhow::Result<Exit> {
    if matches!(cli.command, Command::Serve(_) | Command::Demo(_)) {
        return run_async(cli, output).await;
    }
    tokio::select! {
        exit = run_async(cli, output) => exit,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted").into()),
    }
}

async fn run_async(cli: &Cli, output: &Output) -> anyhow::Result<Exit> {
    let global = &cli.global;
    match &cli.command {
        Command::Init(args) => init::run(global, args, output).await,
        Command::Restore(args) => restore::run(global, args, output).await,
        Command::Serve(args) => serve::run(global, args, output).await,
        Command::Search(args) => search::run(global, args, output).await,
        Command::Show(args) => show::run(global, args, output).await,
        Command::Coverage(args) => coverage::run(global, args, output).await,
        Command::Conversation(args) => conversation::run(global, args, output).await,
        Command::Person(args) => person::run(global, args, output).await,
        Command::Consent(command) => consent::run(global, command, output).await,
        Command::Template(command) => template::run(global, command, output).await,
        Command::Evidence(command) => evidence::run(global, command, output).await,
        Command::Export(args) => export::run(global, args, output).await,
        Command::Import(command) => import::run(global, command, output).await,
        Command::Verify(args) => verify::run(global, args, output).await,
        Command::Dispose(command) => dispose::run(global, command, output).await,
        Command::Index(command) => index::run(global, command, output).await,
        Command::Replica(command) => replica::run(global, command, output).await,
        Command::Scrub => scrub::run(global, output).await,
        Command::Doctor => doctor::run(global, output).await,
        Command::Token(command) => token::run(global, command, output).await,
        Command::Key(command) => key::run(global, command, output).await,
        Command::Config(command) => config::run(global, command, output),
        Command::Completions(args) => completions::run(args, output),
        Command::Demo(args) => demo::run(global, args, output).await,
    }
}
