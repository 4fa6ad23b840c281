//! Versions and features live in the root manifest only; members say `workspace = true`.

use super::{Complaint, SourceFile};

/// Checks a manifest of a member; other files and the root manifest pass.
pub(super) fn check(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !file.path.ends_with("/Cargo.toml") {
        return complaints;
    }
    let mut section = "";
    for (line, number) in file.text.lines().map(str::trim).zip(1..) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        let inherited =
            key.ends_with(".workspace") || key == "workspace" || value.contains("workspace = true");
        let in_table = section.contains("dependencies.");
        let wrong = match section {
            "package" => ["version", "edition", "rust-version", "license"].contains(&key),
            _ if in_table => ["version", "path", "git"].contains(&key),
            _ => section.ends_with("dependencies") && !inherited,
        };
        if wrong && !line.starts_with('#') {
            complaints.push(Complaint::new(
                format!("{}:{number}", file.path),
                format!("expected `{key}.workspace = true`, found `{key} = {value}`"),
            ));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::SourceFile;

    #[test]
    fn version_in_a_member_is_found() {
        let text = "[package]\nname = \"a\"\nversion.workspace = true\nedition = \"2024\"\n\
            [dependencies]\nserde.workspace = true\ntokio = { workspace = true, optional = true }\n\
            blake3 = \"1\"\n[dev-dependencies.proptest]\nversion = \"1\"\n[[test]]\npath = \"x.rs\"\n";
        let file = |path: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
        let places: Vec<_> =
            check(&file("crates/a/Cargo.toml")).into_iter().map(|complaint| complaint.place).collect();
        assert_eq!(places, ["crates/a/Cargo.toml:4", "crates/a/Cargo.toml:8", "crates/a/Cargo.toml:10"]);
        assert!(check(&file("Cargo.toml")).is_empty());
    }
}
