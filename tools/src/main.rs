//! The task runner: `cargo xt <task>`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tools::{ci, corpus, test, tidy};

/// Tasks of the project.
#[derive(Parser)]
#[command(name = "cargo xt", bin_name = "cargo xt")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the generated demo traffic and webhook fixtures
    Corpus(corpus::Arguments),
    /// Check layout, dependencies and habits of the repository
    Tidy,
    /// Run all checks and tests
    Test,
    /// Run what continuous integration runs
    Ci,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().task {
        Task::Corpus(arguments) => corpus::run(&arguments),
        Task::Tidy => tidy::run(),
        Task::Test => test::run(),
        Task::Ci => ci::run(),
    }
}
