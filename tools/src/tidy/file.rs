//! Names at the top level, forgotten modules, headers and lengths of source files.

use super::text::is_rust;
use super::{Complaint, SourceFile};

const TOP_LEVEL: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "crates",
    "schemas",
    "retention-policies",
    "tests",
    "tools",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
];
const PRODUCTION_LINES_MAX: usize = 500;

/// Checks the names at the top level; dot files and build output are free.
pub(super) fn check_top_level(names: &[String]) -> Vec<Complaint> {
    names
        .iter()
        .filter(|name| !name.starts_with('.') && *name != "target" && !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| Complaint::new(name, "expected only the prescribed names at the top level"))
        .collect()
}

/// Checks the header and the length of one Rust file.
pub(super) fn check_shape(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !is_rust(&file.path) {
        return complaints;
    }
    if !file.text.starts_with("//!") {
        complaints.push(Complaint::new(&file.path, "expected a `//!` header on the first line"));
    }
    let test_file = file.path.starts_with("tests/")
        || file.path.ends_with("/tests.rs")
        || file.path.contains("/src/tests/");
    let lines = production_lines(&file.text);
    if !test_file && lines > PRODUCTION_LINES_MAX {
        complaints.push(Complaint::new(
            &file.path,
            format!("expected at most {PRODUCTION_LINES_MAX} production lines, found {lines}"),
        ));
    }
    complaints
}

/// Counts the lines before the tests that stand in the file itself.
fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.iter().enumerate().position(|(at, line)| {
        *line == "#[cfg(test)]"
            && lines[at + 1..]
                .iter()
                .find(|next| !next.starts_with("#["))
                .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
    });
    tests.unwrap_or(lines.len())
}

/// Finds Rust files that no `mod` names and no manifest knows: the compiler never sees them.
pub(super) fn check_modules(files: &[SourceFile]) -> Vec<Complaint> {
    files
        .iter()
        .filter(|file| is_rust(&file.path) && !is_root(files, &file.path) && !is_named(files, &file.path))
        .map(|file| Complaint::new(&file.path, "expected a `mod` that names this file, found none"))
        .collect()
}

/// Says whether cargo itself finds the file: crate roots, by their usual name or named in a manifest.
fn is_root(files: &[SourceFile], path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let usual = matches!(parts.as_slice(), [.., "src", "lib.rs" | "main.rs"] | [.., "build.rs"])
        || matches!(parts.as_slice(), [.., "src", "bin", _] | [.., "benches" | "examples", _])
        || matches!(parts.as_slice(), ["crates", _, "tests", _]);
    usual
        || files.iter().filter(|file| file.path.ends_with("Cargo.toml")).any(|manifest| {
            let folder = manifest.path.trim_end_matches("Cargo.toml");
            path.strip_prefix(folder)
                .is_some_and(|inner| manifest.text.contains(&format!("path = \"{inner}\"")))
        })
}

/// Says whether a parent module declares the file.
fn is_named(files: &[SourceFile], path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (folder, module) = match name.strip_suffix(".rs") {
        Some("mod") => folder.rsplit_once('/').unwrap_or(("", folder)),
        Some(stem) => (folder, stem),
        None => return true,
    };
    let declaration = format!("mod {module};");
    let parents = [
        format!("{folder}/lib.rs"),
        format!("{folder}/main.rs"),
        format!("{folder}/mod.rs"),
        format!("{folder}.rs"),
    ];
    let declares = |parent: &SourceFile| {
        parents.contains(&parent.path)
            && parent.text.lines().any(|line| {
                let line = line.trim();
                line.strip_suffix(&declaration).is_some_and(|start| start.is_empty() || start.ends_with(' '))
            })
    };
    let elsewhere = |other: &SourceFile| {
        is_rust(&other.path)
            && other
                .text
                .lines()
                .any(|line| line.trim().starts_with("#[path = \"") && line.contains(&format!("{name}\"]")))
    };
    files.iter().any(|file| declares(file) || elsewhere(file))
}

#[cfg(test)]
mod tests {
    use super::{check_modules, check_shape, check_top_level};
    use crate::tidy::SourceFile;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn unexpected_name_at_the_top_is_found() {
        let names = ["crates", ".cargo", "target", "scripts"].map(str::to_owned);
        assert_eq!(check_top_level(&names).len(), 1);
    }

    #[test]
    fn missing_header_and_long_file_are_found() {
        assert_eq!(check_shape(&file("crates/a/src/x.rs", "use a;")).len(), 1);
        let long = format!("//! Header.\n{}", "let a = 1;\n".repeat(500));
        assert_eq!(check_shape(&file("crates/a/src/x.rs", &long)).len(), 1);
        assert_eq!(check_shape(&file("crates/a/src/x/tests.rs", &long)).len(), 0);
        let mostly_tests =
            format!("//! Header.\n#[cfg(test)]\nmod tests {{\n{}}}", "let a = 1;\n".repeat(500));
        assert_eq!(check_shape(&file("crates/a/src/x.rs", &mostly_tests)).len(), 0);
    }

    #[test]
    fn forgotten_module_is_found() {
        let files = [
            file("crates/a/src/lib.rs", "mod one;\npub(crate) mod two;\n"),
            file("crates/a/src/one.rs", "mod deep;"),
            file("crates/a/src/one/deep.rs", ""),
            file("crates/a/src/one/lost.rs", ""),
            file("crates/a/src/two/mod.rs", ""),
            file("crates/a/src/forgotten.rs", ""),
            file("tests/Cargo.toml", "path = \"it/main.rs\""),
            file("tests/it/main.rs", "mod ingest;"),
            file("tests/it/ingest.rs", ""),
        ];
        let places: Vec<_> = check_modules(&files).into_iter().map(|complaint| complaint.place).collect();
        assert_eq!(places, ["crates/a/src/one/lost.rs", "crates/a/src/forgotten.rs"]);
    }
}
