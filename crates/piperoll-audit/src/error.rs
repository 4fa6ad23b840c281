//! From an error to the exit code and to what people and scripts read.

use std::error::Error as StdError;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use piperoll_verify::ReadError;
use piperoll_verify::verify::VerifyError;
use serde::Serialize;

/// How the program ended. The numbers are documented in the help and never change.
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
    const fn name(self) -> &'static str {
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
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
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
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.exit;
    }
    match (error.downcast_ref::<VerifyError>(), error.downcast_ref::<ReadError>()) {
        (Some(VerifyError::NoLedger { .. }), _) | (_, Some(ReadError::NoLedger { .. })) => Exit::NotFound,
        (Some(VerifyError::Store(_)), _) | (_, Some(ReadError::Store(_))) => Exit::Incomplete,
        _ => Exit::Failed,
    }
}

/// Reports an error on stderr and returns its exit code.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> Exit {
    let exit = exit_of(error);
    let hint = error.downcast_ref::<Failure>().and_then(|failure| failure.hint.clone());
    let message = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    write_error(exit, &message, hint.as_deref(), json);
    exit
}

/// Reports what clap says about the arguments: help on stdout, errors on stderr, as JSON when asked for.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        write_error(Exit::Usage, message, Some("see `piperoll-audit --help`"), true);
    } else if error.print().is_err() {
        return Exit::Failed.into();
    }
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    code: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
}

fn write_error(exit: Exit, message: &str, hint: Option<&str>, json: bool) {
    let mut stderr = std::io::stderr().lock();
    let written = if json {
        let error = ErrorBody { error: ErrorDetail { code: exit.name(), message, hint } };
        writeln!(stderr, "{}", serde_json::to_string(&error).expect("texts are always JSON"))
    } else {
        let hint = hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        writeln!(stderr, "error: {message}{hint}")
    };
    // When stderr is closed there is nobody left to tell.
    drop(written);
}
