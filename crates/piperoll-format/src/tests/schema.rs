//! The CDDL files and `FORMAT.md` describe what the encoders write, checked by a CDDL reader that we did not write.

use std::fs;

use cddl_cat::validate_cbor_bytes;
use ciborium::Value;
use proptest::prelude::*;

use super::{Encoded, repository, sample, strategy};
use crate::Kind;

impl Encoded {
    /// The CDDL file and its first rule have the same name.
    const fn rule(self) -> (&'static str, &'static str) {
        match self {
            Self::Core => ("core.cddl", "event-core"),
            Self::DisposalOrder => ("disposal-order.cddl", "disposal-order"),
            Self::Genesis => ("genesis.cddl", "genesis"),
            Self::KeyObject => ("key-object.cddl", "key-object"),
            Self::Payload => ("payload.cddl", "payload"),
            Self::Segment => ("segment.cddl", "segment"),
        }
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(repository().join("schemas").join(name)).expect("the schema is readable")
}

fn check(object: Encoded, bytes: &[u8]) -> Result<(), String> {
    let (file, rule) = object.rule();
    validate_cbor_bytes(rule, &read(file), bytes).map_err(|error| format!("{file}: {error}"))
}

#[test]
fn committed_vectors_follow_the_cddl() {
    for (object, bytes) in sample::encoded_vectors() {
        check(object, &bytes).unwrap_or_else(|error| panic!("{error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_encoded_value_follows_the_cddl((object, bytes) in strategy::encoded()) {
        prop_assert_eq!(check(object, &bytes), Ok(()));
    }
}

/// Removes, renumbers and retypes each key of each vector in turn: decoder and CDDL must agree on the verdict.
#[test]
fn decoders_and_cddl_refuse_the_same_maps() {
    for (object, bytes) in sample::encoded_vectors() {
        let value: Value = ciborium::from_reader(&bytes[..]).expect("ciborium reads it");
        let Value::Map(pairs) = value else { panic!("{object:?} is a map") };
        for at in 0..pairs.len() {
            let mut removed = pairs.clone();
            removed.remove(at);
            let mut renumbered = pairs.clone();
            renumbered[at].0 = Value::from(99);
            let mut retyped = pairs.clone();
            retyped[at].1 = Value::Bool(true);
            for damaged in [removed, renumbered, retyped] {
                let mut bytes = Vec::new();
                ciborium::into_writer(&Value::Map(damaged), &mut bytes).expect("writing to memory");
                assert_eq!(
                    object.reencode(&bytes).is_ok(),
                    check(object, &bytes).is_ok(),
                    "{object:?} key {at}"
                );
            }
        }
    }
}

#[test]
fn kinds_are_the_same_in_code_cddl_and_text() {
    let (cddl, text) = (read("core.cddl"), read("FORMAT.md"));
    let rule = cddl.split_once("kind =\n").expect("a rule for kinds").1;
    let listed: Vec<&str> = rule.split('"').skip(1).step_by(2).collect();
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(listed, kinds, "core.cddl");
    let section = text.split_once("### 4.3").expect("section 4.3").1;
    let section = section.split_once("\n## ").expect("a section after it").0;
    let rows: Vec<(&str, bool)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(kind, rest)| (kind, rest.starts_with("clear |")))
        .collect();
    let kinds: Vec<(&str, bool)> = Kind::ALL.iter().map(|kind| (kind.as_str(), kind.is_clear())).collect();
    assert_eq!(rows, kinds, "FORMAT.md section 4.3");
}
