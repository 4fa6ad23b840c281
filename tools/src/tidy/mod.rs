//! `cargo xt tidy`: what the compiler does not check about layout, dependencies and habits.

mod dependency;
mod file;
mod manifest;
mod text;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::repository;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// The file or package, with the line where there is one.
    pub place: String,
    /// What was expected and what was found.
    pub message: String,
}

impl Complaint {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.message)
    }
}

/// A text file of the repository.
#[derive(Debug)]
struct SourceFile {
    /// From the root, with `/`.
    path: String,
    text: String,
}

/// Runs the task.
///
/// # Errors
///
/// Never fails; what could not be read is a complaint.
pub fn run() -> Result<ExitCode> {
    let complaints = tidy();
    for complaint in &complaints {
        repository::say(&complaint.to_string());
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the repository; an empty list means that all is well.
#[must_use]
pub fn tidy() -> Vec<Complaint> {
    let root = repository::root();
    let mut complaints = dependency::check();
    match read_all(&root) {
        Ok(files) => complaints.extend(check_files(&files)),
        Err(error) => complaints.push(Complaint::new(".", format!("cannot be read: {error}"))),
    }
    match top_level(&root) {
        Ok(names) => complaints.extend(file::check_top_level(&names)),
        Err(error) => complaints.push(Complaint::new(".", format!("cannot be listed: {error}"))),
    }
    complaints.sort();
    complaints
}

fn check_files(files: &[SourceFile]) -> Vec<Complaint> {
    let mut complaints = file::check_modules(files);
    for file in files {
        complaints.extend(text::check(file));
        complaints.extend(file::check_shape(file));
        complaints.extend(manifest::check(file));
    }
    complaints
}

fn top_level(root: &Path) -> std::io::Result<Vec<String>> {
    std::fs::read_dir(root)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Reads every text file below `root` except build output and the version control's own.
fn read_all(root: &Path) -> std::io::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if entry.file_type()?.is_dir() {
                if relative != "target" && relative != ".git" {
                    folders.push(path);
                }
            } else if let Ok(text) = String::from_utf8(std::fs::read(&path)?) {
                files.push(SourceFile { path: relative, text });
            }
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}
