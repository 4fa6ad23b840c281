//! Tests of policies: schema.

use std::fs;

use serde_json::Value;

use super::{policy_text, repository};
use crate::file::PolicyFile;
use crate::{Policy, shipped};

/// The committed schema is what the types say; programs that edit policy files rely on it.
#[test]
fn committed_schema_is_the_derived_one() {
    let derived = serde_json::to_value(schemars::schema_for!(PolicyFile)).unwrap();
    let path = repository().join("schemas/policy.schema.json");
    if std::env::var_os("PIPEROLL_UPDATE_GOLDEN").is_some() {
        fs::write(&path, serde_json::to_string_pretty(&derived).unwrap() + "\n").unwrap();
    }
    // Values, because the order of keys depends on which features other packages of a build switch on.
    let committed: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(committed, derived, "PIPEROLL_UPDATE_GOLDEN=1 writes the schema");
}

fn validator() -> jsonschema::Validator {
    let text = fs::read_to_string(repository().join("schemas/policy.schema.json")).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
fn shipped_policies_and_their_canonical_texts_follow_the_schema() {
    let validator = validator();
    for (name, text) in shipped() {
        for text in [(*text).to_owned(), Policy::parse(name, text).unwrap().canonical()] {
            let errors: Vec<String> = validator.iter_errors(&json(&text)).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
    }
}

#[test]
fn broken_policies_do_not_follow_the_schema() {
    let validator = validator();
    let valid = policy_text("p", "1 day", "1 day", "bucket = \"day\"\n[[match]]\nkinds = [\"*\"]");
    assert!(validator.is_valid(&json(&valid)));
    for (from, to) in [
        ("id = \"p\"", "id = \"P\""),
        ("id = \"p\"\n", ""),
        ("version = 1", "version = 0"),
        ("version = 1", "version = \"1\""),
        ("title = \"T\"", "title = \"\""),
        ("summary = \"S\"\n", ""),
        ("keep = \"1 day\"", "keep = \"0 days\""),
        ("keep = \"1 day\"", "keep = \"1 week\""),
        ("keep = \"1 day\"", "keep = 1"),
        ("keep = \"1 day\"", "keep = \"1 day\"\nkeeps = \"1 day\""),
        ("clock = \"recorded\"", "clock = \"occurred\""),
        ("bucket = \"day\"", "bucket = \"week\""),
        ("bucket = \"day\"", "extends = [\"A\"]"),
        ("kinds = [\"*\"]", "kinds = []"),
        ("kinds = [\"*\"]", "kinds = [\"whatsapp*\"]"),
        ("kinds = [\"*\"]", "kind = [\"*\"]"),
        ("kinds = [\"*\"]", "numbers = [\"+44\"]"),
        ("kinds = [\"*\"]", "except_numbers = [1]"),
        ("kinds = [\"*\"]", "sources = [\"Web Form\"]"),
        ("[[match]]\nkinds = [\"*\"]", "match = []"),
        ("[[match]]", "[match]"),
    ] {
        assert!(valid.contains(from), "{from}");
        let broken = valid.replace(from, to);
        assert!(!validator.is_valid(&json(&broken)), "the schema accepts {to}");
        assert!(Policy::parse("p.toml", &broken).is_err(), "the reader accepts {to}");
    }
}
