//! What the child process does: give up rights, read, take the text out, write it.

use std::io::{Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::extractor::Limits;
use crate::format::{self, Format};
use crate::{office, plain, vcard};

/// The first argument of a program that is started as the child; media type and file name (empty for none) follow.
pub const ARGUMENT: &str = "extract-text";

/// Exit code: the text is on standard output.
pub const TEXT: u8 = 0;
/// Exit code: the bytes are not what their type promises; standard error has the reason.
pub const UNREADABLE: u8 = 65;
/// Exit code: the process could not give up its rights, so it read nothing.
pub const NOT_CONFINED: u8 = 71;

/// Takes the text out of what is on standard input. Call it before anything else runs in the process: it never
/// opens a file, needs no thread, and ends the process's right to do either.
#[must_use]
pub fn run(media_type: &str, file_name: Option<&str>, limits: &Limits) -> ExitCode {
    if confine(limits).is_err() {
        return ExitCode::from(NOT_CONFINED);
    }
    // A parser's panic message may quote the file.
    std::panic::set_hook(Box::new(|_| {}));
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(limits.input_bytes).read_to_end(&mut bytes);
    let result = match (read, format::claimed(media_type, file_name)) {
        (Err(_), _) => Err("the attachment could not be passed on".to_owned()),
        (_, None) => Err("expected a type with text".to_owned()),
        (Ok(_), Some(claimed)) => text(format::actual(claimed, &bytes), &bytes),
    };
    match result {
        Ok(text) => {
            // One character more than is kept tells the parent that there was more.
            let end = text.floor_char_boundary(limits.text_bytes.saturating_add(4));
            match std::io::stdout().lock().write_all(&text.as_bytes()[..end]) {
                Ok(()) => ExitCode::from(TEXT),
                Err(_) => ExitCode::from(UNREADABLE),
            }
        }
        Err(reason) => {
            // Nobody reads it when the parent has gone.
            drop(std::io::stderr().lock().write_all(reason.as_bytes()));
            ExitCode::from(UNREADABLE)
        }
    }
}

/// Bounds memory and processor time, and forbids new files, sockets, writing to files and new processes.
fn confine(limits: &Limits) -> rustix::io::Result<()> {
    let set = |resource, most: u64| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    set(Resource::Core, 0)?;
    set(Resource::Fsize, 0)?;
    set(Resource::Nofile, 3)?;
    set(Resource::Nproc, 0)?;
    set(Resource::Cpu, limits.cpu_seconds)?;
    set(Resource::As, limits.memory_bytes)
}

fn text(format: Format, bytes: &[u8]) -> Result<String, String> {
    match format {
        Format::Pdf => {
            pdf_extract::extract_text_from_mem(bytes).map_err(|_| "expected a readable PDF".to_owned())
        }
        Format::Document => office::document(bytes),
        Format::Sheet => office::sheet(bytes),
        Format::VCard => Ok(vcard::text(bytes)),
        Format::Plain => Ok(plain::text(bytes)),
    }
}
