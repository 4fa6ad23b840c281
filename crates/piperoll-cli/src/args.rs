//! What can be typed: commands, options, their help and the environment variables behind them.

mod import;
mod serve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use import::{DateOrderArg, ImportArgs, ImportCommand};
pub(crate) use serve::{LogForm, ServeArgs};

use crate::config::Mode;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

/// Printed below every help: the exit codes are a promise to scripts.
const EXIT_CODES: &str = "\
Exit codes:
    0  success
    1  the operation failed
    2  wrong usage
    3  verification or scrub found problems, or evidence does not prove a send
    4  verification is incomplete: something could not be read
   10  archive or ledger not found
   11  conflict, or another process writes to the archive
   12  a key or signature is unknown
  130  interrupted
Treat any other code as a failure. With --json, an error is one JSON object on stderr.";

/// Write-once compliance archive for WhatsApp Business traffic
#[derive(Debug, Parser)]
#[command(name = "piperoll", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Directory of the archive [default: archive]
    #[arg(long, value_name = "DIR", env = "PIPEROLL_DIR", global = true)]
    pub(crate) dir: Option<PathBuf>,
    /// Use the server at this address instead of looking for one on the directory
    #[arg(long, value_name = "URL", env = "PIPEROLL_SERVER", global = true)]
    pub(crate) server: Option<String>,
    /// Token for the server
    #[arg(long, value_name = "TOKEN", env = "PIPEROLL_TOKEN", hide_env_values = true, global = true)]
    pub(crate) token: Option<String>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Time zone in which times are shown, UTC beside, and in which dates of a query are meant
    #[arg(long, value_name = "ZONE", global = true, value_parser = parse_zone)]
    pub(crate) tz: Option<Tz>,
}

impl Global {
    /// Returns the directory of the archive.
    pub(crate) fn directory(&self) -> &Path {
        self.dir.as_deref().unwrap_or(Path::new("archive"))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an archive
    Init(InitArgs),
    /// Bring an archive back from its store and the backup of its keys
    Restore(RestoreArgs),
    /// Receive webhooks and answer the API
    Serve(ServeArgs),
    /// Create an archive with made-up traffic and show what it can do
    Demo(DemoArgs),
    /// Find events
    Search(SearchArgs),
    /// Show one event
    Show(ShowArgs),
    /// Show a conversation
    Conversation(ConversationArgs),
    /// Show which numbers, user ids and names belong to one person
    Person(PersonArgs),
    /// Show whether a person wants messages, and what shows it
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// Show a template as it stood at a time
    #[command(subcommand)]
    Template(TemplateCommand),
    /// Gather what proves that a message was sent as it may be
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Show how complete the capture of a number was, what is missing and why
    Coverage(CoverageArgs),
    /// Write the events of a query with their proofs to a file
    Export(ExportArgs),
    /// Bring in messages from an export of another system
    #[command(subcommand)]
    Import(ImportCommand),
    /// Check everything that is stored
    Verify(VerifyArgs),
    /// Destroy what retention no longer keeps
    #[command(subcommand)]
    Dispose(DisposeCommand),
    /// Look after the search index
    #[command(subcommand)]
    Index(IndexCommand),
    /// Look after the second copy
    #[command(subcommand)]
    Replica(ReplicaCommand),
    /// Read every object again, and repair one copy from the other
    Scrub,
    /// Check the installation and say what to do
    Doctor,
    /// Manage access tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Manage the keys of the archive
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show the configuration in effect
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script
    Completions(CompletionsArgs),
}

#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// Name of the log for all time, such as `archive.example.com/records`
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<String>,
    /// Shipped retention policies, by name; see retention-policies/
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) policies: Vec<String>,
    /// Retention policy file of your own; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) policy_file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// How objects in a bucket are locked [default: compliance]
    #[arg(long, value_name = "MODE", requires = "store")]
    pub(crate) mode: Option<Mode>,
}

#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Backup of the keys; the passphrase is asked for, or taken from `PIPEROLL_PASSPHRASE` [default: keys in DIR]
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Make index and projections from the ledger alone
    #[arg(long)]
    pub(crate) no_snapshot: bool,
}

/// Where the records are to be, or are.
#[derive(Args, Clone, Debug)]
pub(crate) struct StoreArgs {
    /// Bucket `s3://bucket/prefix`, or a directory [default: `store` in the archive's directory]
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<String>,
    /// Address of an S3 service that is not AWS, such as `https://s3.example.com`
    #[arg(long, value_name = "URL", requires = "store")]
    pub(crate) endpoint: Option<String>,
    /// Region of the bucket [default: as the AWS tools find it]
    #[arg(long, value_name = "REGION", requires = "store")]
    pub(crate) region: Option<String>,
    /// Profile in the AWS configuration files [default: as the AWS tools find credentials]
    #[arg(long, value_name = "PROFILE", requires = "store")]
    pub(crate) profile: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Address to listen on [default: 127.0.0.1:8722, or any free port]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// End after the tour instead of serving on
    #[arg(long)]
    pub(crate) exit: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SearchArgs {
    /// Words, "phrases", and fields such as from:, kind:, after:
    #[arg(required = true, num_args = 1.., value_name = "QUERY")]
    pub(crate) query: Vec<String>,
    /// Most results
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: u32,
    /// Only events before this one: the next page
    #[arg(long, value_name = "SEQ")]
    pub(crate) before: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Position of the event
    pub(crate) seq: u64,
    /// Write the captured bytes, exactly, to stdout
    #[arg(long, conflicts_with = "proof")]
    pub(crate) raw: bool,
    /// Print the proof: a C2SP tlog-proof, or with --json everything that an outsider needs
    #[arg(long)]
    pub(crate) proof: bool,
    /// Write one of its attachments, by its position from 0
    #[arg(long, value_name = "N", conflicts_with_all = ["raw", "proof"])]
    pub(crate) attachment: Option<u32>,
    /// File for the attachment, which must not exist; stdout unless given
    #[arg(long, value_name = "FILE", requires = "attachment")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ConversationArgs {
    /// Conversation, as `piperoll search` and `piperoll show` print it
    pub(crate) id: String,
    /// Most messages, 200 at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
    /// Only messages before this place, as the newer page named it
    #[arg(long, value_name = "PLACE")]
    pub(crate) before: Option<String>,
    /// Read statuses, reactions, withdrawals and answers again, too, and prove each
    #[arg(long)]
    pub(crate) prove: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PersonArgs {
    /// Any alias: a phone number, a user id such as `DE.1001`, `@name`, `wa:…`, `bsuid:…`
    pub(crate) person: String,
    /// Who had the alias at this moment: `2026-11-21`, `2026-11-21T09:30`, or with an offset
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConsentCommand {
    /// Print the state of a consent at a moment, with the events that show it
    Show(ConsentArgs),
    /// Print a consent record with the fields of ISO/IEC TS 27560, JSON
    Export(ConsentArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ConsentArgs {
    /// Any alias: a phone number, a user id such as `DE.1001`, `@name`, `wa:…`, `bsuid:…`
    pub(crate) person: String,
    /// Moment: `2026-11-21`, `2026-11-21T09:30`, or with an offset [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// What the messages are for, such as `marketing` [default: any]
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    /// Id of the business number [default: any]
    #[arg(long)]
    pub(crate) number: Option<String>,
    /// Channel on which the consent must have been given [default: any]
    #[arg(long)]
    pub(crate) channel: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// Print version, status, category and content at a moment
    Show(TemplateArgs),
}

#[derive(Args, Debug)]
pub(crate) struct TemplateArgs {
    /// Name of the template
    pub(crate) name: String,
    /// Only this language
    #[arg(long, value_name = "CODE")]
    pub(crate) language: Option<String>,
    /// Moment: `2026-11-21`, `2026-11-21T09:30`, or with an offset [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Print consent, template, request, statuses and service window of a message, with proofs; exit code 3 if not proven
    Send(EvidenceSendArgs),
}

#[derive(Args, Debug)]
pub(crate) struct EvidenceSendArgs {
    /// Id of the message, `wamid.…`
    pub(crate) wamid: String,
}

#[derive(Args, Debug)]
pub(crate) struct CoverageArgs {
    /// Business number, by its id or phone number; all numbers when absent
    pub(crate) number: Option<String>,
    /// First day, or moment in RFC 3339 [default: 30 days before the end]
    #[arg(long, value_name = "DATE", requires = "number")]
    pub(crate) from: Option<String>,
    /// Last day, or moment in RFC 3339 [default: now]
    #[arg(long, value_name = "DATE", requires = "number")]
    pub(crate) to: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// Words, "phrases", and fields such as from:, kind:, after:
    #[arg(required = true, num_args = 1.., value_name = "QUERY")]
    pub(crate) query: Vec<String>,
    /// File to write, JSON lines; must not exist
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Check the checkpoint's signature instead of every event's
    #[arg(long)]
    pub(crate) quick: bool,
    /// Check that the ledger only grew since this checkpoint instead of the remembered one
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,
    /// Do not open payloads, even if the keys are there
    #[arg(long)]
    pub(crate) no_keys: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DisposeCommand {
    /// List what is due, and why the rest stays
    Plan,
    /// Destroy what is due, and record it
    Execute(DisposeExecuteArgs),
}

#[derive(Args, Debug)]
pub(crate) struct DisposeExecuteArgs {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Build the search index anew from the store
    Rebuild,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReplicaCommand {
    /// Show how far the second copy is, and whether it is the same
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and show it once
    Create(TokenCreateArgs),
    /// List tokens
    List,
    /// Revoke a token
    Revoke(TokenRevokeArgs),
}

#[derive(Args, Debug)]
pub(crate) struct TokenCreateArgs {
    /// Name that appears in the record of access
    pub(crate) name: String,
    /// What the token may do
    #[arg(long, value_enum)]
    pub(crate) role: RoleArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Hand in events
    Ingest,
    /// Search, view and export
    Officer,
    /// Search, view, export and verify
    Auditor,
    /// Everything
    Admin,
}

#[derive(Args, Debug)]
pub(crate) struct TokenRevokeArgs {
    /// Name of the token
    pub(crate) name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Write all keys to a file, encrypted with a passphrase
    Backup(KeyFileArgs),
    /// Put the keys of a backup back in place
    Restore(KeyFileArgs),
    /// Show the public parts of the keys
    Show,
}

#[derive(Args, Debug)]
pub(crate) struct KeyFileArgs {
    /// Backup file; the passphrase is asked for, or taken from `PIPEROLL_PASSPHRASE`
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration in effect, secrets masked
    Show,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// Shell
    pub(crate) shell: Shell,
}

fn parse_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| format!("expected an IANA time zone such as `Europe/Warsaw`, found `{text}`"))
}
