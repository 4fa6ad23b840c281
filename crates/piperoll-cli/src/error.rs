//! From an error to the exit code and to what people and scripts read.

use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use piperoll_engine::EngineError;
use piperoll_store::StoreError;
use piperoll_verify::ReadError;

use crate::output::{Output, STDOUT_CONTEXT};

/// How a command ended. The numbers are documented in the help and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    Failed = 1,
    Usage = 2,
    Findings = 3,
    Incomplete = 4,
    NotFound = 10,
    Conflict = 11,
    KeyUnknown = 12,
    Interrupted = 130,
}

impl Exit {
    /// Returns the name used in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Findings => "findings",
            Self::Incomplete => "incomplete",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::KeyUnknown => "key-unknown",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its exit code and what the reader can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    /// A more exact name than that of the exit code, such as the one a server sent.
    code: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, code: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Failure {}

/// Returns the exit code of an error: the only place where errors become codes.
pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
    // A failure is often added as context, which `chain` does not show as what it is.
    match error.downcast_ref::<Failure>() {
        Some(failure) => failure.exit,
        None => error.chain().find_map(exit_of_one).unwrap_or(Exit::Failed),
    }
}

fn exit_of_one(error: &(dyn StdError + 'static)) -> Option<Exit> {
    if let Some(error) = error.downcast_ref::<ReadError>() {
        return match error {
            ReadError::NoLedger { .. } => Some(Exit::NotFound),
            ReadError::NoKey { .. } => Some(Exit::KeyUnknown),
            _ => None,
        };
    }
    if let Some(EngineError::Invalid { .. }) = error.downcast_ref::<EngineError>() {
        return Some(Exit::Failed);
    }
    match error.downcast_ref::<StoreError>() {
        Some(StoreError::AlreadyExists { .. } | StoreError::Retained { .. }) => Some(Exit::Conflict),
        _ => None,
    }
}

/// Reports an error on stderr and returns its exit code.
pub(crate) fn report(error: &anyhow::Error, output: &Output) -> Exit {
    let exit = exit_of(error);
    if is_closed_pipe(error) {
        // Whoever reads has seen enough, as `head` has; there is nothing to say.
        return exit;
    }
    let failure = error.downcast_ref::<Failure>();
    let hint = failure.and_then(|failure| failure.hint.as_deref());
    if output.is_json() {
        let code = failure.and_then(|failure| failure.code.as_deref()).unwrap_or(exit.name());
        output.json_error(code, &one_line(error), hint);
    } else {
        output.error(&one_line(error), hint);
    }
    exit
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.root_cause().downcast_ref::<std::io::Error>();
    error.to_string() == STDOUT_CONTEXT && io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Reports what clap says about the arguments: help on stdout, errors on stderr, as JSON when asked for.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Output::json().json_error(Exit::Usage.name(), message, Some("see `piperoll --help`"));
    } else if error.print().is_err() {
        return Exit::Failed.into();
    }
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() }
}

/// Joins an error and its causes, leaving out a cause that only repeats what was said.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let part = cause.to_string();
        if text.is_empty() {
            text = part;
        } else if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
    }
    text
}
