//! That no test file is forgotten: a file without a `mod` line is never compiled.

use std::path::Path;

/// Returns the Rust files of a test binary that its `main.rs` does not name; `binary` is its folder.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn forgotten_modules(binary: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(binary);
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    let mut forgotten = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        if module != "main" && !main.lines().any(|line| line == format!("mod {module};")) {
            forgotten.push(name);
        }
    }
    forgotten
}
