//! The table of dependencies between our packages (DESIGN.md section 9), and what the auditor never links.

use std::process::Command;

use serde_json::Value;

use super::Complaint;
use crate::repository;

/// Which of our packages each package may use. The tests and the tools may use anything.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("piperoll-format", &[]),
    ("piperoll-tlog", &[]),
    ("piperoll-sources", &["piperoll-format"]),
    ("piperoll-policy", &["piperoll-format"]),
    ("piperoll-store", &[]),
    ("piperoll-verify", &["piperoll-format", "piperoll-tlog", "piperoll-policy", "piperoll-store"]),
    ("piperoll-index", &["piperoll-format", "piperoll-sources"]),
    ("piperoll-export", &["piperoll-format", "piperoll-tlog", "piperoll-sources", "piperoll-verify"]),
    ("piperoll-projections", &["piperoll-format", "piperoll-sources"]),
    ("piperoll-graph", &[]),
    ("piperoll-extract", &[]),
    ("piperoll-replica", &["piperoll-format", "piperoll-store", "piperoll-verify"]),
    ("piperoll-engine", &["piperoll-format", "piperoll-tlog", "piperoll-policy", "piperoll-store"]),
    (
        "piperoll-server",
        &[
            "piperoll-engine",
            "piperoll-index",
            "piperoll-verify",
            "piperoll-export",
            "piperoll-sources",
            "piperoll-policy",
            "piperoll-format",
            "piperoll-projections",
            "piperoll-graph",
            "piperoll-extract",
            "piperoll-replica",
        ],
    ),
    (
        "piperoll-cli",
        &[
            "piperoll-format",
            "piperoll-tlog",
            "piperoll-sources",
            "piperoll-policy",
            "piperoll-store",
            "piperoll-verify",
            "piperoll-index",
            "piperoll-export",
            "piperoll-engine",
            "piperoll-server",
            "piperoll-projections",
            "piperoll-graph",
            "piperoll-extract",
            "piperoll-replica",
        ],
    ),
    ("piperoll-audit", &["piperoll-verify", "piperoll-tlog", "piperoll-format", "piperoll-store"]),
];
const FREE: [&str; 2] = ["piperoll-tests", "tools"];
/// What tests of any package may use besides, to look at it from outside: stores that fail on purpose, and the tree
/// as outsiders check it.
const FOR_TESTS: [&str; 2] = ["piperoll-store", "piperoll-tlog"];
/// What `piperoll-audit` must not link, directly or not.
const NOT_IN_AUDIT: [&str; 7] = [
    "axum",
    "tantivy",
    "piperoll-engine",
    "piperoll-index",
    "piperoll-server",
    "piperoll-projections",
    "piperoll-graph",
];

/// Asks cargo about the workspace and compares.
pub(super) fn check() -> Vec<Complaint> {
    let mut complaints = Vec::new();
    match output(&["metadata", "--format-version", "1", "--no-deps"]) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(metadata) => complaints.extend(check_metadata(&metadata)),
            Err(error) => complaints.push(Complaint::new("cargo metadata", error.to_string())),
        },
        Err(complaint) => complaints.push(complaint),
    }
    match output(&["tree", "-p", "piperoll-audit", "-e", "normal", "--prefix", "none"]) {
        Ok(text) => complaints.extend(check_audit_tree(&text)),
        Err(complaint) => complaints.push(complaint),
    }
    complaints
}

/// Runs cargo without the network if possible, else with it.
fn output(arguments: &[&str]) -> Result<String, Complaint> {
    let offline: Vec<&str> = arguments.iter().copied().chain(["--offline"]).collect();
    let run = |mut command: Command| match command.output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    run(repository::cargo(&offline))
        .or_else(|_| run(repository::cargo(arguments)))
        .map_err(|error| Complaint::new(format!("cargo {}", arguments[0]), error.trim().to_owned()))
}

fn check_metadata(metadata: &Value) -> Vec<Complaint> {
    let packages: &[Value] = metadata["packages"].as_array().map_or(&[], Vec::as_slice);
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut complaints = Vec::new();
    for (expected, _) in MAY_USE {
        if !names.contains(&expected) {
            complaints.push(Complaint::new(expected, "expected a package of this name, found none"));
        }
    }
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        if FREE.contains(&name) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            complaints.push(Complaint::new(name, "expected a package of the table in DESIGN.md section 9"));
            continue;
        };
        for dependency in package["dependencies"].as_array().map_or(&[] as &[Value], Vec::as_slice) {
            let used = dependency["name"].as_str().unwrap_or_default();
            let for_tests =
                dependency["kind"] == "dev" && (FREE.contains(&used) || FOR_TESTS.contains(&used));
            if names.contains(&used) && used != name && !allowed.contains(&used) && !for_tests {
                complaints.push(Complaint::new(
                    name,
                    format!("expected dependencies among {allowed:?}, found `{used}`"),
                ));
            }
        }
    }
    complaints
}

fn check_audit_tree(tree: &str) -> Vec<Complaint> {
    let mut found: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    found.retain(|name| NOT_IN_AUDIT.contains(name));
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .map(|name| Complaint::new("piperoll-audit", format!("expected not to link `{name}`, found it")))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the `json!` macro unwraps inside")]

    use serde_json::json;

    use super::{MAY_USE, check_audit_tree, check_metadata};

    #[test]
    fn forbidden_edge_and_unknown_package_are_found() {
        let mut packages: Vec<_> =
            MAY_USE.iter().map(|(name, _)| json!({"name": name, "dependencies": []})).collect();
        assert!(check_metadata(&json!({"packages": packages})).is_empty());
        packages[0]["dependencies"] = json!([{"name": "piperoll-store", "kind": null}, {"name": "serde"}]);
        packages[1]["dependencies"] = json!([{"name": "piperoll-tests", "kind": "dev"}]);
        packages.push(json!({"name": "piperoll-tests", "dependencies": [{"name": "piperoll-engine"}]}));
        packages.push(json!({"name": "piperoll-common", "dependencies": []}));
        let places: Vec<_> = check_metadata(&json!({"packages": packages}))
            .into_iter()
            .map(|complaint| complaint.place)
            .collect();
        assert_eq!(places, ["piperoll-format", "piperoll-common"]);
    }

    #[test]
    fn audit_that_links_the_writer_is_found() {
        assert!(check_audit_tree("piperoll-audit v0.0.0\npiperoll-verify v0.0.0\n").is_empty());
        assert_eq!(check_audit_tree("a v1\naxum v0.8\naxum v0.8 (*)\npiperoll-engine v0.0.0\n").len(), 2);
    }
}
