//! The terminal: data to stdout, everything else to stderr; colour and tables only for people.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use chrono::Utc;
use chrono_tz::Tz;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::args::Global;

/// Columns when stdout is no terminal.
const COLUMNS_DEFAULT: u16 = 100;

/// What failed when stdout could not be written.
pub(crate) const STDOUT_CONTEXT: &str = "write to stdout";

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// How a command speaks.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    zone: Tz,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self { json: global.json, zone: global.tz.unwrap_or(Tz::UTC) }
    }

    pub(crate) const fn json() -> Self {
        Self { json: true, zone: Tz::UTC }
    }

    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one line of data.
    pub(crate) fn line(&self, text: impl Display) -> anyhow::Result<()> {
        writeln!(anstream::stdout().lock(), "{text}").context(STDOUT_CONTEXT)
    }

    /// Prints one JSON value on one line.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.line(serde_json::to_string(value)?)
    }

    /// Writes exact bytes to stdout.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).context(STDOUT_CONTEXT)
    }

    /// Tells people something that is not data; silent with `--json`.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.json {
            to_stderr(&text);
        }
    }

    pub(crate) fn error(&self, message: &str, hint: Option<&str>) {
        to_stderr(&format_args!("{RED}error:{RED:#} {message}"));
        if let Some(hint) = hint {
            to_stderr(&format_args!("{CYAN}hint:{CYAN:#} {hint}"));
        }
    }

    pub(crate) fn json_error(&self, code: &str, message: &str, hint: Option<&str>) {
        let error = object([("code", code.into()), ("message", message.into()), ("hint", hint.into())]);
        to_stderr(&object([("error", error)]));
    }

    /// Shows a moment in the zone asked for, with UTC beside it unless that is the zone.
    pub(crate) fn time(&self, moment: chrono::DateTime<Utc>) -> String {
        let utc = moment.format("%Y-%m-%d %H:%M:%SZ");
        if self.zone == Tz::UTC {
            return utc.to_string();
        }
        format!("{} ({utc})", moment.with_timezone(&self.zone).format("%Y-%m-%d %H:%M:%S %Z"))
    }

    /// Shows a moment for a table: in the zone asked for only.
    pub(crate) fn short_time(&self, moment: chrono::DateTime<Utc>) -> String {
        if self.zone == Tz::UTC {
            return moment.format("%Y-%m-%d %H:%M:%SZ").to_string();
        }
        moment.with_timezone(&self.zone).format("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// Shows a moment given as RFC 3339 text; what is no such text is shown as it is.
    pub(crate) fn time_of(&self, text: &str) -> String {
        chrono::DateTime::parse_from_rfc3339(text)
            .map_or_else(|_| text.to_owned(), |time| self.time(time.to_utc()))
    }

    /// Prints a table; `numbers` are the columns that are aligned to the right.
    pub(crate) fn table<C: Into<Cell>>(
        &self,
        header: &[&str],
        rows: Vec<Vec<C>>,
        numbers: &[usize],
    ) -> anyhow::Result<()> {
        self.line(render_table(header, rows, numbers))
    }

    /// Returns a bar for long work: on stderr, only on a terminal, never with `--json`.
    pub(crate) fn progress(&self, what: &'static str, total: u64) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), self.draw_target());
        let template = "{prefix:>12.cyan.bold} [{bar:30}] {human_pos}/{human_len} {per_sec:.dim} {eta:.dim}";
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(what);
        bar
    }

    /// Returns a counter for work of unknown length.
    pub(crate) fn counter(&self, what: &'static str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, self.draw_target());
        let style = ProgressStyle::with_template("{prefix:>12.cyan.bold} {human_pos} {per_sec:.dim}");
        bar.set_style(style.expect("the template is well formed"));
        bar.set_prefix(what);
        bar
    }

    fn draw_target(&self) -> ProgressDrawTarget {
        if self.json || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        }
    }
}

/// Makes a JSON object.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Lays out a table without a frame for the width of the terminal.
fn render_table<C: Into<Cell>>(header: &[&str], rows: Vec<Vec<C>>, numbers: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // The stream that prints it takes colours out again where they do not belong.
    table.set_width(columns()).enforce_styling();
    if !header.is_empty() {
        table.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Dim)));
    }
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(Into::into).collect::<Vec<Cell>>()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for index in numbers {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| trim_line(&line)).collect();
    lines.join("\n")
}

/// Takes the filling of the last column away, also inside its colour.
fn trim_line(line: &str) -> String {
    const RESET: &str = "\u{1b}[0m";
    let line = line.trim_end();
    match line.strip_suffix(RESET) {
        Some(coloured) => format!("{}{RESET}", coloured.trim_end()),
        None => line.to_owned(),
    }
}

/// Returns the width to lay out for.
pub(crate) fn columns() -> u16 {
    if io::stdout().is_terminal() { console::Term::stdout().size().1 } else { COLUMNS_DEFAULT }
}

/// Writes a line to stderr. When stderr is closed there is nobody left to tell.
fn to_stderr(text: &dyn Display) {
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}
