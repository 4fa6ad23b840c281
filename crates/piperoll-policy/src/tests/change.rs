//! Tests of policies: change.

use std::fmt::Write as _;

use super::{check_golden, policy, shipped_policy, shipped_set};
use crate::{Policy, PolicySet, compare};

fn versioned(version: u32, keep: &str, dispose_after: &str, rest: &str) -> Policy {
    let text = policy("p", keep, dispose_after, rest).canonical();
    Policy::parse("p.toml", &text.replace("version = 1", &format!("version = {version}"))).unwrap()
}

#[test]
fn every_change_has_its_line() {
    let base = || versioned(2, "3 years", "5 years", "[[match]]");
    let cases: Vec<(&str, Policy)> = vec![
        ("same", base()),
        ("only the version", versioned(3, "3 years", "5 years", "[[match]]")),
        ("only the version, backwards", versioned(1, "3 years", "5 years", "[[match]]")),
        ("longer", versioned(3, "4 years", "6 years", "[[match]]")),
        ("shorter", versioned(3, "2 years", "4 years", "[[match]]")),
        ("other unit", versioned(3, "36 months", "60 months", "[[match]]")),
        ("one day shorter in most years", versioned(3, "1095 days", "5 years", "[[match]]")),
        ("bucket", versioned(3, "3 years", "5 years", "bucket = \"day\"\n[[match]]")),
        ("matches", versioned(3, "3 years", "5 years", "[[match]]\n[[match]]\nkinds = [\"delivery\"]")),
        ("extends", versioned(3, "3 years", "5 years", "extends = [\"q\"]\n[[match]]")),
        ("version not raised", versioned(2, "4 years", "5 years", "[[match]]")),
        ("version lowered", versioned(1, "4 years", "5 years", "[[match]]")),
        ("wording", {
            let text = versioned(3, "3 years", "5 years", "[[match]]").canonical();
            Policy::parse("p.toml", &text.replace("title = \"T\"", "title = \"Title\"")).unwrap()
        }),
    ];
    let mut text = String::new();
    for (name, after) in cases {
        writeln!(text, "# {name}").unwrap();
        for change in compare(&[base()], &PolicySet::new(vec![after]).unwrap()) {
            writeln!(text, "{change}").unwrap();
        }
        text.push('\n');
    }
    writeln!(text, "# added and removed").unwrap();
    let old = [shipped_policy("sec-17a-4"), shipped_policy("operations"), shipped_policy("mifid-ii")];
    for change in compare(&old, &shipped_set(&["mifid-ii-7y", "mifid-ii", "finra-4511"])) {
        writeln!(text, "{change}").unwrap();
    }
    check_golden("changes.txt", &text);
}

#[test]
fn recorded_canonical_texts_compare_equal() {
    let set = shipped_set(&["sec-17a-4", "gdpr-consent", "operations"]);
    let recorded =
        set.policies().iter().map(|policy| Policy::parse("recorded", &policy.canonical()).unwrap());
    assert_eq!(compare(&recorded.collect::<Vec<_>>(), &set), []);
}
