//! Words that do not belong into the repository: unnumbered notes, skipped or sleeping tests, paths of one
//! machine, hosts of package registries.

use super::{Complaint, SourceFile};

// Written in two parts so that this file does not accuse itself.
const NOTES: [&str; 2] = [concat!("FIX", "ME"), concat!("TO", "DO")];
const NOT_IN_CODE: [&str; 2] = [concat!("#[ign", "ore"), concat!("#[should", "_panic")];
const NOT_IN_TESTS: [&str; 2] = [concat!("thread::", "sleep"), concat!("tokio::time::", "sleep(")];
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
const REGISTRY_HOSTS: [&str; 5] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("registry.", "npmjs.org"),
    concat!("pypi.", "org/simple"),
    concat!("proxy.", "golang.org"),
];
const LOCKED_SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Checks the lines of one file.
pub(super) fn check(file: &SourceFile) -> Vec<Complaint> {
    let rust = is_rust(&file.path);
    let mut in_tests = file.path.starts_with("tests/") || file.path.ends_with("/tests.rs");
    let mut complaints = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        in_tests |= line.trim_start().starts_with("#[cfg(test)]");
        let mut complain = |message: String| {
            complaints.push(Complaint::new(format!("{}:{number}", file.path), message));
        };
        for note in NOTES {
            if stands_alone(line, note) && !has_issue_number(line) {
                complain(format!("expected an issue number (`#12`) with `{note}`, found none"));
            }
        }
        for word in NOT_IN_CODE {
            if rust && line.contains(word) {
                complain(format!("expected no `{word}]`: fix or delete the test"));
            }
        }
        for word in NOT_IN_TESTS {
            if rust && in_tests && line.contains(word) {
                complain(format!("expected no `{word}` in tests: wait for a condition"));
            }
        }
        for path in MACHINE_PATHS {
            if starts_path(line, path) {
                complain(format!("expected no path of one machine, found `{path}`"));
            }
        }
        for host in REGISTRY_HOSTS {
            if line.contains(host) {
                complain(format!("expected no registry host, found `{host}`"));
            }
        }
        if file.path == "Cargo.lock" && line.starts_with("source = ") && line != LOCKED_SOURCE {
            complain(format!("expected packages from crates.io, found {line}"));
        }
    }
    complaints
}

/// Says whether a path is that of a Rust source file.
pub(super) fn is_rust(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

fn stands_alone(line: &str, word: &str) -> bool {
    let outside = |character: Option<char>| !character.is_some_and(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        outside(line[..at].chars().next_back()) && outside(line[at + word.len()..].chars().next())
    })
}

fn has_issue_number(line: &str) -> bool {
    line.match_indices('#').any(|(at, _)| line[at + 1..].starts_with(|next: char| next.is_ascii_digit()))
}

/// Says whether an absolute path that starts with `path` stands in `line`.
fn starts_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || "._-/}>*~".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::SourceFile;

    #[track_caller]
    fn count(path: &str, text: &str) -> usize {
        check(&SourceFile { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn notes_need_an_issue_number() {
        let note = concat!("// TO", "DO");
        assert_eq!(count("a.rs", note), 1);
        assert_eq!(count("a.rs", &format!("{note}(#12): later")), 0);
        assert_eq!(count("a.txt", concat!("mas", "TODON")), 0);
    }

    #[test]
    fn skipped_and_sleeping_tests_are_found() {
        let sleep = concat!("std::thread::", "sleep(x);");
        assert_eq!(count("a.rs", concat!("#[ign", "ore]\n#[should", "_panic]")), 2);
        assert_eq!(count("a.rs", sleep), 0);
        assert_eq!(count("a.rs", &format!("#[cfg(test)]\nmod tests {{\n{sleep}")), 1);
        assert_eq!(count("tests/it/main.rs", sleep), 1);
        assert_eq!(count("tests/it/note.md", sleep), 0);
    }

    #[test]
    fn machine_paths_and_registries_are_found() {
        assert_eq!(count("a.md", concat!("see /ho", "me/ann/x and '/wo", "rk/main'")), 2);
        assert_eq!(count("a.md", "src/home/page.rs ~/work/ {dir}/root/"), 0);
        assert_eq!(count("a.toml", concat!("https://index.", "crates.io/x")), 1);
        assert_eq!(count("Cargo.lock", "source = \"registry+https://mirror.example/index\""), 1);
        assert_eq!(count("Cargo.lock", super::LOCKED_SOURCE), 0);
    }
}
