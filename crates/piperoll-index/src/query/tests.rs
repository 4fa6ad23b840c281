//! Tests: tests.

use super::*;

#[track_caller]
fn canonical(text: &str) -> String {
    match Query::parse(text, Tz::Asia__Jakarta) {
        Ok(query) => query.to_string(),
        Err(error) => panic!("{}", error.render(text)),
    }
}

#[test]
fn canonical_text_is_unambiguous() {
    for (typed, expected) in [
        ("Loan", "Loan"),
        ("  loan   fraud ", "loan AND fraud"),
        ("loan\u{3000}fraud", "loan AND fraud"),
        ("a1 b1 OR c1", "a1 AND b1 OR c1"),
        ("a1 (b1 OR c1)", "a1 AND (b1 OR c1)"),
        ("((a1)) AND (b1 c1)", "a1 AND b1 AND c1"),
        ("a1 OR (b1 OR c1)", "a1 OR b1 OR c1"),
        ("-a1", "NOT a1"),
        ("a1 -b1 NOT c1", "a1 AND NOT b1 AND NOT c1"),
        ("a1 OR -(b1 c1)", "a1 OR NOT (b1 AND c1)"),
        ("and or not", "and AND or AND not"),
        ("\"data breach\"", "\"data breach\""),
        ("“data breach”~5", "\"data breach\"~5"),
        ("\"a \\\"b\\\" c\\\\d e\\f\"", "\"a \\\"b\\\" c\\\\d e\\\\f\""),
        ("foo\"bar baz\"", "foo AND \"bar baz\""),
        ("meet*", "meet*"),
        ("会*", "会*"),
        ("10:30", "10:30"),
        ("https://example.org/a", "https://example.org/a"),
        ("acct-12", "acct-12"),
        ("FROM:Siti", "from:Siti"),
        ("from:\"Siti R\"", "from:\"Siti R\""),
        ("from:\"siti*\"", "from:\"siti*\""),
        ("from:\"siti\"", "from:siti"),
        ("to:si*", "to:si*"),
        ("kind:Consent.*", "kind:consent.*"),
        ("kind:whatsapp.message", "kind:whatsapp.message"),
        ("kind:delivery", "kind:delivery"),
        ("direction:inbound", "direction:in"),
        ("has:Attachment", "has:attachment"),
        ("id:wamid.HBgN==", "id:wamid.HBgN=="),
        ("conversation:1065:62812", "conversation:1065:62812"),
        ("after:2026-01-01", "after:2025-12-31T17:00:00Z"),
        ("before:2026-01-01T00:00:00.5Z", "before:2026-01-01T00:00:00.500Z"),
        ("on:2026-11-21", "on:2026-11-20T17:00:00Z/2026-11-21T17:00:00Z"),
    ] {
        assert_eq!(canonical(typed), expected, "{typed}");
        assert_eq!(
            expected.parse::<Query>().unwrap(),
            Query::parse(typed, Tz::Asia__Jakarta).unwrap(),
            "{typed}"
        );
    }
}

#[test]
fn errors_point_at_the_character() {
    for (typed, at, message) in [
        ("", 0, "expected a word, found the end of the query"),
        ("   ", 3, "expected a word, found the end of the query"),
        ("loan AND", 8, "expected a word, found the end of the query"),
        ("loan OR OR x1", 8, "expected a word, found `OR`"),
        ("AND loan", 0, "expected a word, found `AND`"),
        ("(loan", 0, "`(` is never closed"),
        ("żółć (loan (x1 y1)", 5, "`(` is never closed"),
        ("loan)", 4, "`)` without a `(` before it"),
        ("()", 1, "expected a word, found `)`"),
        ("loan \"open", 5, "the quote is never closed"),
        ("*", 0, "`*` alone matches everything"),
        ("a*", 0, "expected at least 2 letters before the `*`"),
        ("from:a*", 5, "expected at least 2 letters before the `*`"),
        ("fo*o", 2, "`*` can only stand at the end of a word"),
        ("*foo", 0, "`*` can only stand at the end of a word"),
        ("from:m*a", 6, "`*` can only stand at the end of a word"),
        ("\"a b\"~", 6, "expected a number of words from 1 to 100 after `~`"),
        ("\"a b\"~101", 6, "expected a number of words from 1 to 100 after `~`"),
        ("会议 form:siti", 3, "there is no field `form`"),
        ("from:", 5, "expected a value after the `:`"),
        ("from: siti", 5, "expected a value after the `:`"),
        ("from:(a1 OR b1)", 5, "expected a value after the `:`"),
        ("from:\" \"", 5, "expected a value after the `:`"),
        ("kind:message", 5, "there is no kind `message`"),
        ("kind:*", 5, "there is no kind `*`"),
        ("number:main*", 7, "expected a business number or its id, found `main*`"),
        ("has:link", 4, "expected has:attachment, found has:link"),
        ("direction:up", 10, "expected direction:in or direction:out, found `up`"),
        ("x1 after:yesterday", 9, "expected a date, found `yesterday`"),
        ("after:2026-02-30", 6, "expected a date, found `2026-02-30`"),
        ("after:2026-1-1", 6, "expected a date, found `2026-1-1`"),
        ("after:1969-12-31", 6, "expected a date, found `1969-12-31`"),
        ("on:2026-11-21T10:00:00Z", 3, "expected a day, found `2026-11-21T10:00:00Z`"),
        ("on:2026-11-22/2026-11-21", 3, "expected a day, found `2026-11-22/2026-11-21`"),
        ("loan !!!", 5, "there is nothing to search for in `!!!`"),
        ("-", 0, "there is nothing to search for in `-`"),
        ("\"\"", 0, "there is nothing to search for in ``"),
    ] {
        let error = Query::parse(typed, Tz::UTC).expect_err(typed);
        assert_eq!((error.at, error.message.as_str()), (at, message), "{typed}");
    }
}

#[test]
fn an_error_is_shown_under_its_character() {
    let error = Query::parse("会议 kind:message", Tz::UTC).expect_err("no such kind");
    assert_eq!(
        error.render("会议 kind:message"),
        "会议 kind:message\n        ^ there is no kind `message`\nhint: similar kinds: whatsapp.message, import.message",
    );
    let long = format!("{} (", "word ".repeat(50));
    let shown = Query::parse(&long, Tz::UTC).expect_err("open").render(&long);
    assert!(shown.lines().all(|line| line.chars().count() <= 120), "{shown}");
}

#[test]
fn limits_are_enforced_with_a_position() {
    let check = |typed: &str, message: &str| {
        let error = Query::parse(typed, Tz::UTC).expect_err(message);
        assert_eq!(error.message, message);
        assert!(error.at <= typed.chars().count());
    };
    check(&"ab ".repeat(10_000), "expected at most 4096 characters, found more");
    check(&"ab ".repeat(257), "expected at most 256 words and values, found more");
    check(&format!("\"{}\"", "ab ".repeat(257)), "expected at most 256 words and values, found more");
    check(&format!("{}ab{}", "(".repeat(33), ")".repeat(33)), "nested deeper than 32 levels");
    check(&"(".repeat(4_000), "nested deeper than 32 levels");
    check(&format!("{}ab", "-".repeat(33)), "nested deeper than 32 levels");
    check(&format!("{}ab", "NOT ".repeat(500)), "nested deeper than 32 levels");
    assert!(Query::parse(&"ab ".repeat(256), Tz::UTC).is_ok());
    assert!(Query::parse(&format!("{}ab{}", "(".repeat(32), ")".repeat(32)), Tz::UTC).is_ok());
}

#[test]
fn the_longest_query_has_canonical_text_that_parses() {
    let typed = "on:2026-11-21 ".repeat(256);
    let query = Query::parse(&typed, Tz::UTC).unwrap();
    assert_eq!(query.to_string().parse::<Query>().unwrap(), query);
}

#[test]
fn a_day_starts_when_the_clock_skips_midnight() {
    // Santiago went from 23:59:59 to 01:00 on 2026-09-06.
    let query = Query::parse("after:2026-09-06", Tz::America__Santiago).unwrap();
    assert_eq!(query.to_string(), "after:2026-09-06T04:00:00Z");
}

#[test]
fn joined_queries_keep_their_meaning() {
    let typed = Query::parse("a1 OR b1", Tz::UTC).unwrap();
    let joined = typed.and(Query::conversation("1065:628 12"));
    assert_eq!(joined.to_string(), "(a1 OR b1) AND conversation:\"1065:628 12\"");
    assert_eq!(joined.to_string().parse::<Query>().unwrap(), joined);
}

/// What the generated queries are put together from.
const PIECES: [&str; 48] = [
    "loan",
    "会议",
    "ประชุม",
    "acct-12",
    "don't",
    "meet*",
    "会*",
    "\"data breach\"",
    "\"a \\\" b\\\\\"",
    "“x y”",
    "~5",
    "~",
    "(",
    ")",
    "((",
    "))",
    " ",
    "  ",
    "\u{3000}",
    " AND ",
    " OR ",
    " NOT ",
    "-",
    "--",
    "AND",
    "OR",
    "NOT",
    "from:",
    "to:siti",
    "with:\"a b\"",
    "kind:whatsapp.message",
    "kind:consent.*",
    "kind:",
    "type:im*",
    "id:wamid.X=",
    "has:attachment",
    "direction:in",
    "after:2026-01-01",
    "before:2026-11-21T10:00:00+07:00",
    "on:2026-11-21",
    "on:2026-11-21/2026-11-22",
    "\"",
    "\\",
    ":",
    "*",
    "👍",
    "!",
    "\0",
];

#[track_caller]
fn check_round_trip(typed: &str) {
    match Query::parse(typed, Tz::Asia__Jakarta) {
        Ok(query) => {
            let text = query.to_string();
            assert_eq!(text.parse::<Query>().as_ref(), Ok(&query), "{typed:?} became {text:?}");
            assert_eq!(
                Query::parse(&text, Tz::America__Santiago).ok().unwrap_or_else(|| query.clone()),
                query
            );
        }
        Err(error) => {
            assert!(error.at <= typed.chars().count(), "{typed:?}: {error}");
            assert!(!error.render(typed).is_empty());
        }
    }
}

#[test]
fn canonical_text_of_any_query_parses_back_to_it() {
    bolero::check!().with_iterations(20_000).with_type::<Vec<u8>>().for_each(|choices| {
        let typed: String = choices.iter().map(|choice| PIECES[*choice as usize % PIECES.len()]).collect();
        check_round_trip(&typed);
    });
}

#[test]
fn any_text_is_a_query_or_an_error() {
    bolero::check!().with_iterations(20_000).with_type::<String>().for_each(|typed| check_round_trip(typed));
}

#[test]
fn the_scope_of_a_query_is_what_every_match_has() {
    let scope = |text: &str| Query::parse(text, Tz::UTC).unwrap().scope();
    let found = scope("loan number:100 after:2026-01-01 before:2026-02-01");
    assert_eq!(found.numbers, ["100"]);
    assert!(found.from.is_some() && found.to.is_some());
    assert_eq!(scope("loan OR number:100"), Scope::default());
    assert_eq!(scope("-number:100"), Scope::default());
}
