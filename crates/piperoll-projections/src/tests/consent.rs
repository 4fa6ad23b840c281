//! Consent: a table of histories and the state they make.

use super::*;
use crate::{Consent, ConsentQuestion, ConsentRules, ConsentState, FlowRule, WordRule};

const PERSON: &str = "wa:491";

fn given(purpose: Option<&str>, number: Option<&str>, channel: &str) -> Value {
    let mut document = json!({"person": {"phone": "491"}, "channel": channel, "statement": "I agree."});
    if let Some(purpose) = purpose {
        document["purpose"] = purpose.into();
    }
    if let Some(number) = number {
        document["number"] = number.into();
    }
    document
}

fn preference(value: &str, at: i64) -> Value {
    json!({"user_preferences": [{"wa_id": "491", "detail": "d", "category": "marketing_messages", "value": value,
        "timestamp": at}]})
}

fn ask(feed: &Feed, question: ConsentQuestion<'_>, rules: &ConsentRules) -> Consent {
    let person = feed.projections.person(PERSON, None).unwrap();
    feed.projections.consent(&person, &question, rules).unwrap()
}

fn at(second: i64) -> ConsentQuestion<'static> {
    ConsentQuestion {
        purpose: Some("marketing"),
        at: (DAY + second) * 1_000_000,
        ..ConsentQuestion::default()
    }
}

#[test]
fn state_follows_what_was_said_until_then() {
    let mut feed = Feed::new();
    let rules = ConsentRules::default();
    let form = feed.own(Kind::ConsentGiven, DAY + 10, Some(PERSON), &given(None, None, "web-form"));
    let stop = feed.text("491", "wamid.1", DAY + 20, "Stop.");
    let resume = feed.webhook("user_preferences", preference("resume", DAY + 30));
    feed.text("491", "wamid.2", DAY + 40, "please stop the noise");
    let asked = feed.text("491", "wamid.3", DAY + 50, "СТОП");
    let refused = feed.own(Kind::ConsentRefused, DAY + 60, Some(PERSON), &given(None, None, "ivr"));
    let rows = [
        (9, ConsentState::Unknown, None),
        (10, ConsentState::Given, Some(form)),
        (20, ConsentState::Withdrawn, Some(stop)),
        (30, ConsentState::Given, Some(resume)),
        (45, ConsentState::Given, Some(resume)),
        (50, ConsentState::CandidateWithdrawn, Some(asked)),
        (60, ConsentState::Refused, Some(refused)),
    ];
    for (second, state, decided_by) in rows {
        let found = ask(&feed, at(second), &rules);
        assert_eq!((found.state, found.decided_by), (state, decided_by), "at {second}: {found:?}");
    }
    let found = ask(&feed, at(60), &rules);
    assert!(found.evidence.is_sorted_by_key(|weighed| weighed.at));
    assert_eq!(found.evidence.len(), 5);
    assert!(ask(&feed, at(20), &rules).rule.contains("64.1200"));
}

#[test]
fn agreement_with_an_end_expires_by_itself() {
    let mut feed = Feed::new();
    let rules = ConsentRules::default();
    let until = |second: i64| {
        let mut document = given(None, None, "web-form");
        document["expires_at"] = crate::utc((DAY + second) * 1_000_000).into();
        document
    };
    let first = feed.own(Kind::ConsentGiven, DAY + 10, Some(PERSON), &until(20));
    let renewed = feed.own(Kind::ConsentGiven, DAY + 30, Some(PERSON), &until(40));
    let word = feed.text("491", "wamid.1", DAY + 50, "СТОП");
    let lasting = feed.own(Kind::ConsentGiven, DAY + 60, Some(PERSON), &given(None, None, "web-form"));
    let mut ended = until(65);
    ended["expires_at"] = ended["expires_at"].as_str().unwrap().replace('Z', "+00:00").into();
    let withdrawn = feed.own(Kind::ConsentWithdrawn, DAY + 70, Some(PERSON), &ended);
    let rows = [
        (19, ConsentState::Given, first),
        (20, ConsentState::Expired, first),
        (30, ConsentState::Given, renewed),
        (49, ConsentState::Expired, renewed),
        // A word that asks withdraws nothing that has ended.
        (50, ConsentState::Expired, renewed),
        (69, ConsentState::Given, lasting),
        // Only an agreement ends by its own terms.
        (70, ConsentState::Withdrawn, withdrawn),
        (99, ConsentState::Withdrawn, withdrawn),
    ];
    for (second, state, decided_by) in rows {
        let found = ask(&feed, at(second), &rules);
        assert_eq!((found.state, found.decided_by), (state, Some(decided_by)), "at {second}: {found:?}");
    }
    let found = ask(&feed, at(25), &rules);
    assert!(
        found.rule.contains("was given until ") && found.evidence[0].rule.contains(", until "),
        "{found:?}"
    );
    assert!(ask(&feed, at(50), &rules).evidence.iter().any(|weighed| weighed.seq == word));
}

#[test]
fn word_decides_about_marketing_and_asks_about_the_rest() {
    let mut feed = Feed::new();
    feed.own(Kind::ConsentGiven, DAY, Some(PERSON), &given(None, None, "paper"));
    feed.text("491", "wamid.1", DAY + 1, "UNSUBSCRIBE");
    let mut rules = ConsentRules::default();
    let utility = ConsentQuestion { purpose: Some("utility"), ..at(9) };
    assert_eq!(ask(&feed, at(9), &rules).state, ConsentState::Withdrawn);
    assert_eq!(ask(&feed, utility, &rules).state, ConsentState::CandidateWithdrawn);
    rules.words_decide_every_purpose = true;
    assert_eq!(ask(&feed, utility, &rules).state, ConsentState::Withdrawn);
    feed.own(Kind::ConsentGiven, DAY + 2, Some(PERSON), &given(Some("utility"), None, "paper"));
    assert_eq!(ask(&feed, utility, &rules).state, ConsentState::Given);
    feed.text("491", "wamid.2", DAY + 3, "BAJA");
    assert_eq!(ask(&feed, at(9), &rules).state, ConsentState::Withdrawn, "nothing is left to withdraw");
    assert_eq!(ask(&feed, utility, &rules).state, ConsentState::CandidateWithdrawn);
    rules.deciding_words = vec!["¡Baja!".to_owned()];
    assert_eq!(ask(&feed, utility, &rules).state, ConsentState::Withdrawn);
}

#[test]
fn number_and_channel_narrow_a_consent() {
    let mut feed = Feed::new();
    let rules = ConsentRules::default();
    feed.own(Kind::ConsentGiven, DAY, Some(PERSON), &given(Some("Marketing"), Some("9002"), "sms"));
    let on = |number, channel| ConsentQuestion { number: Some(number), channel, ..at(9) };
    assert_eq!(ask(&feed, on("9002", None), &rules).state, ConsentState::Given);
    assert_eq!(ask(&feed, on("9001", None), &rules).state, ConsentState::Unknown);
    assert_eq!(ask(&feed, on("9002", Some("whatsapp")), &rules).state, ConsentState::Unknown);
    feed.own(Kind::ConsentWithdrawn, DAY + 1, Some(PERSON), &given(None, None, "email"));
    assert_eq!(ask(&feed, on("9002", Some("sms")), &rules).state, ConsentState::Withdrawn);
}

#[test]
fn buttons_failed_deliveries_and_flows_are_signals() {
    let mut feed = Feed::new();
    let mut rules = ConsentRules::default();
    let status = json!({"statuses": [{"id": "wamid.o", "status": "failed", "timestamp": (DAY + 1).to_string(),
        "recipient_id": "491", "errors": [{"code": 131_050, "title": "stopped"}]}]});
    feed.webhook("messages", status);
    assert_eq!(ask(&feed, at(1), &rules).state, ConsentState::Withdrawn);
    feed.webhook("user_preferences", preference("signup", DAY + 2));
    assert_eq!(ask(&feed, at(2), &rules).state, ConsentState::Given);
    let button = json!({"messages": [{"from": "491", "id": "wamid.b", "timestamp": (DAY + 3).to_string(),
        "type": "button", "button": {"payload": "X-17", "text": "Stop promotions"}}]});
    feed.webhook("messages", button);
    assert_eq!(ask(&feed, at(3), &rules).state, ConsentState::Withdrawn);
    let answers = json!({"optin": true, "flow_token": "t"}).to_string();
    let flow = json!({"messages": [{"from": "491", "id": "wamid.f", "timestamp": (DAY + 4).to_string(),
        "type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": answers}}}]});
    feed.webhook("messages", flow);
    assert_eq!(ask(&feed, at(4), &rules).state, ConsentState::Withdrawn, "no rule says what the flow means");
    rules.flow = vec![FlowRule {
        key: "optin".to_owned(),
        value: "true".to_owned(),
        means: crate::Act::Given,
        purpose: Some("marketing".to_owned()),
    }];
    assert_eq!(ask(&feed, at(4), &rules).state, ConsentState::Given);
    rules.buttons_ask = true;
    assert_eq!(ask(&feed, at(3), &rules).state, ConsentState::CandidateWithdrawn);
}

#[test]
fn consent_follows_the_person_to_another_number() {
    let mut feed = Feed::new();
    feed.own(Kind::ConsentWithdrawn, DAY, Some("wa:490"), &json!({"person": {"phone": "490"}}));
    let system = json!({"messages": [{"from": "490", "id": "wamid.s", "timestamp": DAY.to_string(),
        "type": "system", "system": {"body": "changed", "wa_id": "491", "type": "user_changed_number"}}]});
    feed.webhook("messages", system);
    assert_eq!(ask(&feed, at(1), &ConsentRules::default()).state, ConsentState::Withdrawn);
}

#[test]
fn words_of_a_language_decide_or_ask() {
    use ConsentState::{CandidateWithdrawn, Withdrawn};
    let rows = [
        ("ABMELDEN", &[][..], CandidateWithdrawn),
        ("ABMELDEN", &[("de", WordRule::Ask)], CandidateWithdrawn),
        ("ABMELDEN", &[("de", WordRule::Decide)], Withdrawn),
        ("ABMELDEN", &[("es", WordRule::Decide)], CandidateWithdrawn),
        ("Cancelar", &[("es", WordRule::Ask), ("pt", WordRule::Decide)], Withdrawn),
        // The words of 47 CFR 64.1200(a)(10) decide by themselves.
        ("STOP", &[("en", WordRule::Ask)], Withdrawn),
    ];
    for (word, languages, expected) in rows {
        let mut feed = Feed::new();
        feed.own(Kind::ConsentGiven, DAY, Some(PERSON), &given(Some("marketing"), None, "paper"));
        feed.text("491", "wamid.1", DAY + 1, word);
        let languages = languages.iter().map(|(code, rule)| ((*code).to_owned(), *rule)).collect();
        let rules = ConsentRules { languages, ..ConsentRules::default() };
        assert_eq!(ask(&feed, at(9), &rules).state, expected, "{word} {:?}", rules.languages);
    }
}

#[test]
fn default_purpose_narrows_what_is_given_and_never_what_is_withdrawn() {
    let mut feed = Feed::new();
    feed.own(Kind::ConsentGiven, DAY, Some(PERSON), &given(None, None, "paper"));
    let default_purpose = Some("marketing".to_owned());
    let rules = ConsentRules { default_purpose, ..ConsentRules::default() };
    let utility = ConsentQuestion { purpose: Some("utility"), ..at(9) };
    assert_eq!(ask(&feed, utility, &ConsentRules::default()).state, ConsentState::Given);
    assert_eq!(ask(&feed, utility, &rules).state, ConsentState::Unknown);
    assert_eq!(ask(&feed, at(9), &rules).state, ConsentState::Given);
    feed.own(Kind::ConsentWithdrawn, DAY + 1, Some(PERSON), &given(None, None, "paper"));
    assert_eq!(ask(&feed, utility, &rules).state, ConsentState::Withdrawn);
}
