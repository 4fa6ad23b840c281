//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use piperoll_format::LedgerId;
use piperoll_tlog::note::key::VerifierKey;

/// Printed below every help: the exit codes are a promise to scripts.
const EXIT_CODES: &str = "\
Exit codes:
    0  success
    1  the operation failed
    2  wrong usage
    3  verification found problems
    4  verification is incomplete: something could not be read
   10  ledger not found
   11  conflict: several ledgers, name one with --ledger
   12  the ledger was signed by another key
  130  interrupted
Treat any other code as a failure. With --json, an error is one JSON object on stderr.";

/// Checks a Piperoll archive without trusting who runs it
#[derive(Debug, Parser)]
#[command(name = "piperoll-audit", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check everything that is stored
    Verify(VerifyArgs),
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Bucket `s3://bucket/prefix`, or the directory of the archive, of its store, or of one ledger in it
    pub(crate) store: String,
    /// Address of an S3 service that is not AWS, such as `https://s3.example.com`
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Region of the bucket [default: as the AWS tools find it]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Profile in the AWS configuration files; credentials that may read are enough [default: as the AWS tools find
    /// them]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// Public key of the ledger, as `piperoll init` printed it; from a source that you trust
    #[arg(long, value_name = "KEY", required = true, value_parser = parse_vkey)]
    pub(crate) vkey: Vec<VerifierKey>,
    /// Ledger to check, where there are several
    #[arg(long, value_name = "ID")]
    pub(crate) ledger: Option<LedgerId>,
    /// Check the checkpoint's signature instead of every event's
    #[arg(long)]
    pub(crate) quick: bool,
    /// Check that the ledger only grew since the checkpoint in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,
    /// Keep the newest checkpoint in this file, and check that the ledger only grew since
    #[arg(long, value_name = "FILE", conflicts_with = "since")]
    pub(crate) remember: Option<PathBuf>,
    /// Key-encryption key, to check payloads as well
    #[arg(long, value_name = "FILE")]
    pub(crate) kek: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_vkey(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).map_err(|error| error.to_string())
}
