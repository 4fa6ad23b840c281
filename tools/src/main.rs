//! The task runner: `cargo xt <task>`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tools::{bench, ci, corpus, dictionary, s3, test, tidy};

/// Tasks of the project.
#[derive(Parser)]
#[command(name = "cargo xt", bin_name = "cargo xt")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure release builds, and peers beside them
    Bench(bench::Arguments),
    /// Write the generated demo traffic and webhook fixtures
    Corpus(corpus::Arguments),
    /// Train the next compression dictionary
    Dictionary(dictionary::Arguments),
    /// Run a program beside a real S3 service on loopback
    S3(s3::Arguments),
    /// Check layout, dependencies and habits of the repository
    Tidy,
    /// Run all checks and tests
    Test,
    /// Run what continuous integration runs
    Ci,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().task {
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Corpus(arguments) => corpus::run(&arguments),
        Task::Dictionary(arguments) => dictionary::run(&arguments),
        Task::S3(arguments) => s3::run(&arguments),
        Task::Tidy => tidy::run(),
        Task::Test => test::run(),
        Task::Ci => ci::run(),
    }
}
