//! Tests of policies: file.

use std::fmt::Write as _;

use super::{check_golden, policy_text};
use crate::{BucketPeriod, Policy, PolicyError};

const VALID: &str = r#"
# A comment.
id = "sample-1"
version = 3
title = "Sample"
legal_basis = "Sample Act § 1"
summary = """
Two
lines with "quotes" and a \\ backslash."""
keep = "36 months"
dispose_after = "10 years"
clock = "recorded"
bucket = "day"
extends = ["b", "a", "b"]

[[match]]
kinds = ["whatsapp.*", "consent.given"]
numbers = ["2", "1"]

[[match]]
except_numbers = ["3"]
sources = ["whatsapp", "api"]
"#;

#[test]
fn canonical_text_is_fixed_and_reads_back() {
    let policy = Policy::parse("sample.toml", VALID).unwrap();
    assert_eq!((policy.version(), policy.bucket(), policy.title()), (3, BucketPeriod::Day, "Sample"));
    assert_eq!(policy.summary(), "Two\nlines with \"quotes\" and a \\ backslash.");
    let canonical = policy.canonical();
    check_golden("canonical.txt", &canonical);
    let again = Policy::parse("again.toml", &canonical).unwrap();
    assert_eq!(again.canonical(), canonical);
    let reordered = VALID.replace("[\"2\", \"1\"]", "[\"1\", \"2\", \"2\"]").replace("# A comment.", "");
    assert_eq!(Policy::parse("other.toml", &reordered).unwrap().canonical(), canonical);
}

#[test]
fn bucket_is_a_month_unless_told() {
    let policy = Policy::parse("p.toml", &policy_text("p", "1 day", "1 day", "[[match]]")).unwrap();
    assert_eq!(policy.bucket(), BucketPeriod::Month);
}

/// Each line of the sample is replaced by something wrong; the messages are golden.
#[test]
fn every_mistake_has_its_message() {
    let many_values = format!("numbers = [{}]", vec!["\"1\""; 1001].join(", "));
    let cases: &[(&str, &str)] = &[
        ("id = \"sample-1\"", "id = \"Sample 1\""),
        ("id = \"sample-1\"", "id = \"\""),
        ("id = \"sample-1\"", "id = \"a2345678901234567890123456789012x\""),
        ("id = \"sample-1\"", "id = 7"),
        ("id = \"sample-1\"\n", ""),
        ("version = 3", "version = 0"),
        ("version = 3", "version = -1"),
        ("version = 3", "version = \"3\""),
        ("version = 3", "version = 4294967296"),
        ("title = \"Sample\"", "title = \"  \""),
        ("title = \"Sample\"", "title = \"Sam\\u0007ple\""),
        ("legal_basis = \"Sample Act § 1\"\n", ""),
        ("keep = \"36 months\"", "keep = \"3 weeks\""),
        ("keep = \"36 months\"", "keep = \"0 years\""),
        ("keep = \"36 months\"", "keep = \"101 years\""),
        ("keep = \"36 months\"", "keep = 3"),
        ("keep = \"36 months\"", "keeps = \"36 months\""),
        ("keep = \"36 months\"\n", ""),
        ("keep = \"36 months\"", "keep = \"36 months\"\nkeep = \"3 years\""),
        ("dispose_after = \"10 years\"", "dispose_after = \"2 years\""),
        ("dispose_after = \"10 years\"", "dispose_after = \"1095 days\""),
        ("dispose_after = \"10 years\"", "dispose_after = \"forever\""),
        ("clock = \"recorded\"", "clock = \"account_closed\""),
        ("clock = \"recorded\"", "clock = \"Recorded\""),
        ("bucket = \"day\"", "bucket = \"week\""),
        ("extends = [\"b\", \"a\", \"b\"]", "extends = [\"sample-1\"]"),
        ("extends = [\"b\", \"a\", \"b\"]", "extends = [\"a\", \"B\"]"),
        ("extends = [\"b\", \"a\", \"b\"]", "extends = []"),
        ("[\"whatsapp.*\", \"consent.given\"]", "[\"whatsapp.*\", \"consent.give\"]"),
        ("[\"whatsapp.*\", \"consent.given\"]", "[\"whatsap.*\"]"),
        ("[\"whatsapp.*\", \"consent.given\"]", "[\"delivery.*\"]"),
        ("[\"whatsapp.*\", \"consent.given\"]", "[\"whatsapp*\"]"),
        ("[\"whatsapp.*\", \"consent.given\"]", "[]"),
        ("[\"whatsapp.*\", \"consent.given\"]", "\"whatsapp.*\""),
        ("kinds = ", "kind = "),
        ("numbers = [\"2\", \"1\"]", "numbers = [\"+44 20 7946 0000\"]"),
        ("numbers = [\"2\", \"1\"]", "numbers = [2]"),
        ("numbers = [\"2\", \"1\"]", &many_values),
        ("except_numbers = [\"3\"]", "except_numbers = [\"\"]"),
        ("sources = [\"whatsapp\", \"api\"]", "sources = [\"whatsapp\", \"Web Form\"]"),
        ("[[match]]", "[[matches]]"),
        ("[[match]]", "[match]"),
        ("# A comment.", "no toml"),
    ];
    let mut text = String::new();
    for (from, to) in cases {
        assert!(VALID.contains(from), "{from}");
        let error = Policy::parse("sample.toml", &VALID.replace(from, to)).expect_err(to);
        let shown: String = to.chars().take(60).collect();
        writeln!(text, "# {from:?} -> {shown:?}\n{error}\n").unwrap();
    }
    let whole: &[(&str, String)] = &[
        ("empty file", String::new()),
        ("no rules", format!("match = []\n{}", policy_text("p", "1 day", "1 day", ""))),
        ("65 rules", policy_text("p", "1 day", "1 day", &"[[match]]\n".repeat(65))),
        ("too long", "#".repeat(300_000)),
    ];
    for (name, file) in whole {
        writeln!(text, "# {name}\n{}\n", Policy::parse("sample.toml", file).unwrap_err()).unwrap();
    }
    check_golden("file-errors.txt", &text);
}

#[test]
fn file_and_key_can_be_read_from_the_error() {
    let text = VALID.replace("consent.given", "consent.give");
    let error = Policy::parse("sample.toml", &text).unwrap_err();
    let PolicyError::Value { file, key, expected, found } = error else { panic!("{error}") };
    assert_eq!(
        (file.as_str(), key.as_str(), found.as_str()),
        ("sample.toml", "match[1].kinds[2]", "\"consent.give\"")
    );
    assert!(expected.contains("consent.*"), "{expected}");
}
