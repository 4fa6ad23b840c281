//! Tests of policies: decision.

use std::fmt::Write as _;

use piperoll_format::Kind;

use super::{check_golden, policy, policy_text, shipped_set};
use crate::{Facts, Policy, PolicySet};

const DEMO_NUMBER: &str = "100000000000009";

fn facts<'a>(kind: Kind, number: Option<&'a str>, source: &'a str) -> Facts<'a> {
    Facts { kind, number, source }
}

#[test]
fn decisions_of_shipped_sets_are_golden() {
    let sets: &[&[&str]] = &[
        &["sec-17a-4"],
        &["sec-17a-4", "finra-4511", "operations"],
        &["sec-17a-4", "gdpr-consent", "operations"],
        &["mifid-ii", "gdpr-consent", "operations"],
        &["mifid-ii", "mifid-ii-7y", "gdpr-consent", "operations"],
        &["hipaa", "finra-4511"],
        &["demo", "demo-rest", "operations"],
    ];
    let mut text = String::new();
    for ids in sets {
        let set = shipped_set(ids);
        writeln!(text, "# {}\n", ids.join(" ")).unwrap();
        let mut explained = Vec::new();
        for number in [None, Some("100000000000001"), Some(DEMO_NUMBER)] {
            writeln!(text, "{}:", number.unwrap_or("no number")).unwrap();
            let decide = |kind: &Kind| set.decide(&facts(*kind, number, "whatsapp"));
            for kinds in Kind::ALL.chunk_by(|a, b| decide(a) == decide(b)) {
                let (first, last, decision) = (kinds[0], kinds[kinds.len() - 1], decide(&kinds[0]));
                writeln!(text, "  {first} .. {last}: {}", decision.brief()).unwrap();
                if !explained.contains(&decision) {
                    explained.push(decision);
                }
            }
        }
        for decision in explained {
            write!(text, "\n{}", decision.explain()).unwrap();
        }
        text.push('\n');
    }
    check_golden("decisions.txt", &text);
}

#[track_caller]
fn check_match(rules: &str, facts: &Facts<'_>, expected: Option<&str>) {
    let decided = [policy("p", "2 days", "2 days", rules), policy("rest", "1 day", "1 day", "[[match]]")];
    let set = PolicySet::new(decided.into()).unwrap();
    let decision = set.decide(facts);
    let found = (decision.class.as_str() == "p").then(|| decision.reasons[0].why.as_str());
    assert_eq!(found, expected, "{rules} for {facts:?}");
    assert_eq!(decision.reasons.last().unwrap().why, "every event");
}

#[test]
fn every_field_of_a_match_must_hold() {
    let echo = facts(Kind::WhatsappEcho, Some("1"), "whatsapp");
    let consent = facts(Kind::ConsentGiven, None, "api");
    check_match("[[match]]", &echo, Some("every event"));
    check_match("[[match]]\nkinds = [\"*\"]", &consent, Some("kind *"));
    check_match("[[match]]\nkinds = [\"whatsapp.*\"]", &echo, Some("kind whatsapp.*"));
    check_match("[[match]]\nkinds = [\"whatsapp.*\"]", &consent, None);
    check_match("[[match]]\nkinds = [\"whatsapp.message\"]", &echo, None);
    let group = "[[match]]\nkinds = [\"whatsapp.message\", \"whatsapp.echo\", \"delivery\"]";
    check_match(group, &echo, Some("kind delivery, whatsapp.echo or whatsapp.message"));
    check_match("[[match]]\nnumbers = [\"1\", \"2\"]", &echo, Some("number 1 or 2"));
    check_match("[[match]]\nnumbers = [\"2\"]", &echo, None);
    check_match("[[match]]\nnumbers = [\"1\"]", &consent, None);
    check_match("[[match]]\nexcept_numbers = [\"1\"]", &echo, None);
    check_match("[[match]]\nexcept_numbers = [\"1\"]", &consent, Some("any number but 1"));
    check_match("[[match]]\nsources = [\"api\"]", &consent, Some("source api"));
    check_match("[[match]]\nsources = [\"api\"]", &echo, None);
    let both = "[[match]]\nkinds = [\"whatsapp.*\"]\nnumbers = [\"1\"]\nsources = [\"whatsapp\"]";
    check_match(both, &echo, Some("kind whatsapp.*, number 1, source whatsapp"));
    check_match(both, &facts(Kind::WhatsappEcho, Some("1"), "import"), None);
    check_match(both, &facts(Kind::WhatsappEcho, None, "whatsapp"), None);
}

#[test]
fn any_match_is_enough_and_the_first_is_told() {
    let rules =
        "[[match]]\nsources = [\"api\"]\n[[match]]\nkinds = [\"consent.*\"]\n[[match]]\nnumbers = [\"1\"]";
    check_match(rules, &facts(Kind::ConsentGiven, Some("1"), "api"), Some("source api"));
    check_match(rules, &facts(Kind::ConsentGiven, Some("1"), "whatsapp"), Some("kind consent.*"));
    check_match(rules, &facts(Kind::Delivery, Some("1"), "whatsapp"), Some("number 1"));
    check_match(rules, &facts(Kind::Delivery, Some("2"), "whatsapp"), None);
}

#[test]
fn long_lists_are_cut_in_explanations() {
    let numbers: Vec<String> = (10..40).map(|n| format!("\"{n}\"")).collect();
    let rules = format!("[[match]]\nnumbers = [{}]", numbers.join(", "));
    let why = "number 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21 or 18 more";
    check_match(&rules, &facts(Kind::Delivery, Some("39"), "whatsapp"), Some(why));
}

#[track_caller]
fn check_winner(policies: [(&str, &str, &str); 2], expected: &str) {
    for order in [[0, 1], [1, 0]] {
        let policies = order.map(|i| {
            let (id, keep, dispose_after) = policies[i];
            policy(id, keep, dispose_after, "[[match]]")
        });
        let set = PolicySet::new(policies.into()).unwrap();
        let explained = set.decide(&facts(Kind::WhatsappMessage, None, "whatsapp")).explain();
        assert_eq!(explained.lines().nth(1), Some(expected));
    }
}

#[test]
fn longest_keep_then_longest_dispose_after_then_id_wins() {
    check_winner(
        [("a", "3 years", "9 years"), ("b", "6 years", "6 years")],
        "- `b` version 1 decides, it keeps longest: keep 6 years, dispose after 6 years; L; matched: every event",
    );
    check_winner(
        [("a", "36 months", "3 years"), ("b", "3 years", "6 years")],
        "- `b` version 1 decides, it keeps as long as another and disposes later: keep 3 years, dispose after 6 years; \
         L; matched: every event",
    );
    check_winner(
        [("a", "36 months", "3 years"), ("b", "3 years", "36 months")],
        "- `a` version 1 decides, its periods equal another's and its id is first: keep 36 months, dispose after 3 \
         years; L; matched: every event",
    );
    check_winner(
        [("a", "1095 days", "3 years"), ("b", "3 years", "3 years")],
        "- `b` version 1 decides, it keeps longest: keep 3 years, dispose after 3 years; L; matched: every event",
    );
}

#[test]
fn kinds_are_numbered_in_the_order_of_the_list() {
    for (index, kind) in Kind::ALL.iter().enumerate() {
        assert_eq!(*kind as usize, index, "the decision table relies on it");
    }
}

#[test]
fn unusable_sets_are_refused() {
    let mut text = String::new();
    let mut case = |title: &str, policies: Vec<Policy>| {
        writeln!(text, "# {title}\n{}\n", PolicySet::new(policies).unwrap_err()).unwrap();
    };
    let all = |id: &str, keep: &str| policy(id, keep, "100 years", "[[match]]");
    case("no policy", vec![]);
    case("too many", (0..65).map(|n| all(&format!("p{n}"), "1 day")).collect());
    let twice = Policy::parse("copy of a.toml", &policy_text("a", "1 day", "1 day", "[[match]]")).unwrap();
    case("same id", vec![all("a", "1 day"), all("b", "1 day"), twice]);
    case("no order", vec![all("a", "1 month"), all("b", "3 years"), all("c", "30 days")]);
    case("kinds", vec![policy("a", "1 day", "1 day", "[[match]]\nkinds = [\"whatsapp.*\", \"delivery\"]")]);
    case("hipaa alone has nothing for messages", vec![super::shipped_policy("hipaa")]);
    let demo = [super::shipped_policy("demo"), super::shipped_policy("operations")];
    case("demo number only", demo.into());
    let rules = "[[match]]\nkinds = [\"*\"]\nsources = [\"api\", \"whatsapp\"]";
    case("sources", vec![policy("a", "1 day", "1 day", rules)]);
    let rules = "[[match]]\nexcept_numbers = [\"1\"]\n[[match]]\nnumbers = [\"1\"]\nsources = [\"whatsapp\"]";
    case("one number from other sources", vec![policy("a", "1 day", "1 day", rules)]);
    let rules = "[[match]]\nsources = [\"api\"]\n[[match]]\nnumbers = [\"1\"]";
    case("many cases", vec![policy("a", "1 day", "1 day", rules), all_but_messages()]);
    check_golden("set-errors.txt", &text);
}

fn all_but_messages() -> Policy {
    let others = Kind::ALL.iter().filter(|kind| **kind != Kind::WhatsappMessage);
    let names: Vec<String> = others.map(|kind| format!("\"{kind}\"")).collect();
    let rules = format!(
        "[[match]]\nkinds = [{}]\n[[match]]\nkinds = [\"whatsapp.message\"]\nnumbers = [\"1\"]\nsources = [\"whatsapp\"]\n\
         [[match]]\nnumbers = [\"2\", \"3\"]\nsources = [\"import\"]",
        names.join(", ")
    );
    policy("most", "1 day", "1 day", &rules)
}

#[test]
fn complementary_rules_cover_together() {
    let set = shipped_set(&["demo", "demo-rest", "operations"]);
    assert_eq!(
        set.decide(&facts(Kind::WhatsappMessage, Some(DEMO_NUMBER), "whatsapp")).class.as_str(),
        "demo"
    );
    assert_eq!(set.decide(&facts(Kind::WhatsappMessage, Some("7"), "whatsapp")).class.as_str(), "demo-rest");
    assert_eq!(set.decide(&facts(Kind::Delivery, None, "whatsapp")).class.as_str(), "demo-rest");
    assert_eq!(set.decide(&facts(Kind::AccessSearch, None, "")).class.as_str(), "operations");
}

/// The record of access and disposal lives at least as long as what it is about: in no useful shipped set is an
/// event of the archive kept shorter than a message.
#[test]
fn audit_trail_is_kept_as_long_as_messages() {
    let messages = ["sec-17a-4", "finra-4511", "mifid-ii", "mifid-ii-7y", "demo-rest"];
    for id in messages {
        let demo: &[&str] = if id == "demo-rest" { &["demo"] } else { &[] };
        let set = shipped_set(&[&[id, "operations", "gdpr-consent"], demo].concat());
        let keep = |kind| set.decide(&facts(kind, Some("1"), "whatsapp")).keep;
        for kind in [Kind::AccessView, Kind::ConfigChanged, Kind::DisposalOrdered, Kind::LedgerOpened] {
            assert!(keep(kind).covers(keep(Kind::WhatsappMessage)), "{id}: {kind}");
        }
    }
}
