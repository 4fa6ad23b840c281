//! Persons: aliases are tied by what was told, and numbers that changed hands do not mix people.

use super::*;

fn aliases_of(feed: &Feed, alias: &str, at: Option<i64>) -> Vec<String> {
    let person = feed.projections.person(alias, at.map(|at| at * 1_000_000)).unwrap();
    let mut aliases: Vec<String> = person.aliases.into_iter().map(|alias| alias.alias).collect();
    aliases.sort();
    aliases
}

fn hello(phone: &str, user: &str, name: &str, at: i64) -> Value {
    json!({"contacts": [{"profile": {"name": name}, "wa_id": phone, "user_id": user}],
        "messages": [{"from": phone, "from_user_id": user, "id": format!("wamid.{at}"), "timestamp": at.to_string(),
            "type": "text", "text": {"body": "hello"}}]})
}

#[test]
fn message_ties_number_user_id_and_names() {
    let mut feed = Feed::new();
    let first = feed.webhook("messages", hello("491", "DE.1", "Ada", DAY));
    feed.webhook("messages", hello("491", "DE.1", "Ada B.", DAY + 90_000));
    let person = feed.projections.person("bsuid:DE.1", None).unwrap();
    assert_eq!(aliases_of(&feed, "wa:491", None), ["bsuid:DE.1", "wa:491"]);
    assert_eq!(person.aliases[0].since, Some(DAY * 1_000_000));
    assert_eq!(person.aliases[0].seq, Some(first));
    let names: Vec<&str> = person.names.iter().map(|name| name.name.as_str()).collect();
    assert_eq!(names, ["Ada", "Ada B."]);
    assert_eq!((person.shared, person.cut), (false, false));
    assert_eq!(aliases_of(&feed, "wa:999", None), ["wa:999"]);
}

#[test]
fn changed_number_and_user_id_are_followed() {
    let mut feed = Feed::new();
    feed.webhook("messages", hello("491", "DE.1", "Ada", DAY));
    let system = json!({"messages": [{"from": "491", "id": "wamid.s", "timestamp": (DAY + 100).to_string(),
        "type": "system", "system": {"body": "changed", "wa_id": "492", "type": "user_changed_number"}}]});
    feed.webhook("messages", system);
    let update = json!({"user_id_update": [{"wa_id": "492", "detail": "d", "timestamp": (DAY + 101).to_string(),
        "user_id": {"previous": "DE.1", "current": "DE.2"}}]});
    feed.webhook("user_id_update", update);
    for alias in ["wa:491", "wa:492", "bsuid:DE.1", "bsuid:DE.2"] {
        assert_eq!(
            aliases_of(&feed, alias, None),
            ["bsuid:DE.1", "bsuid:DE.2", "wa:491", "wa:492"],
            "{alias}"
        );
    }
    let person = feed.projections.person("wa:491", None).unwrap();
    let old = person.aliases.iter().find(|alias| alias.alias == "wa:491").unwrap();
    assert_eq!(old.until, Some((DAY + 100) * 1_000_000));
}

#[test]
fn number_given_to_somebody_else_does_not_join_them() {
    let mut feed = Feed::new();
    feed.webhook("messages", hello("491", "DE.1", "Ada", DAY));
    feed.webhook("messages", hello("491", "DE.9", "Zoe", DAY + 86_400 * 200));
    assert_eq!(aliases_of(&feed, "bsuid:DE.1", None), ["bsuid:DE.1", "wa:491"]);
    assert_eq!(aliases_of(&feed, "bsuid:DE.9", None), ["bsuid:DE.9", "wa:491"]);
    assert!(feed.projections.person("bsuid:DE.1", None).unwrap().shared);
    assert_eq!(aliases_of(&feed, "wa:491", Some(DAY + 5)), ["bsuid:DE.1", "wa:491"]);
    assert_eq!(aliases_of(&feed, "wa:491", Some(DAY + 86_400 * 201)), ["bsuid:DE.9", "wa:491"]);
    let names = feed.projections.person("bsuid:DE.1", None).unwrap().names;
    assert_eq!(names.iter().map(|name| name.name.as_str()).collect::<Vec<_>>(), ["Ada"]);
}

#[test]
fn cycles_end() {
    let mut feed = Feed::new();
    for (from, to) in [("1", "2"), ("2", "3"), ("3", "1")] {
        let update = json!({"user_id_update": [{"timestamp": "1795305600", "user_id": {"previous": format!("DE.{from}"),
            "current": format!("DE.{to}")}}]});
        feed.webhook("user_id_update", update);
    }
    assert_eq!(aliases_of(&feed, "bsuid:DE.2", None), ["bsuid:DE.1", "bsuid:DE.2", "bsuid:DE.3"]);
    for n in 0..200 {
        let update = json!({"user_id_update": [{"timestamp": "1795305600",
            "user_id": {"previous": format!("FR.{n}"), "current": format!("FR.{}", n + 1)}}]});
        feed.webhook("user_id_update", update);
    }
    let person = feed.projections.person("bsuid:FR.0", None).unwrap();
    assert_eq!((person.aliases.len(), person.cut), (64, true));
}

#[test]
fn number_is_in_the_hands_of_its_time() {
    let mut feed = Feed::new();
    let given = |id: &str, from: &str, until: Option<&str>| {
        let mut document = json!({"number": NUMBER, "employee": {"id": id, "name": id}, "from": from});
        if let Some(until) = until {
            document["until"] = until.into();
        }
        document
    };
    // Recorded out of order: what counts is the time they are about.
    feed.own(Kind::AssignmentRecorded, DAY, None, &given("bo", "2026-11-10T00:00:00.000000Z", None));
    let ann = given("ann", "2026-11-01T00:00:00.000000Z", Some("2026-11-09T00:00:00.000000Z"));
    feed.own(Kind::AssignmentRecorded, DAY, None, &ann);
    let who = |text: &str| {
        let at = crate::time::micros(text).unwrap();
        feed.projections.assignee(NUMBER, at).unwrap().map(|found| found.value.employee)
    };
    assert_eq!(who("2026-10-31T00:00:00Z"), None);
    assert_eq!(who("2026-11-05T00:00:00Z").as_deref(), Some("ann"));
    assert_eq!(who("2026-11-09T12:00:00Z"), None);
    assert_eq!(who("2026-11-22T00:00:00Z").as_deref(), Some("bo"));
}
