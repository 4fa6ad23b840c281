//! Goal: the demonstration runs to its end and shows what it promises.
//! Method: the program itself, as people start it, with the option to end after the tour; its output has every station.

use piperoll_tests::{command, piperoll};

/// What each station prints, in the order of the tour.
const STATIONS: [(&str, &[&str]); 11] = [
    ("Search: a phrase", &["events match", "shown and proven", "gaps are known in these numbers and times:"]),
    ("Search: a word in another language", &["血液検査", "shown and proven"]),
    ("The conversation of the first hit", &["→", "←", "messages shown; complete to event"]),
    ("A proof that outsiders can check", &["c2sp.org/tlog-proof@v1", "whose root the archive's key signed"]),
    (
        "What was not captured, and why",
        &["PRIMARY_INACTIVITY", "what can be done:", "Never delivered by WhatsApp"],
    ),
    (
        "A send, with everything that allowed it",
        &["winter_checkup_offer", "consent for marketing before the send: given", "\nPROVEN\n"],
    ),
    ("A send that nobody journaled", &["\nNOT PROVEN: its content was not captured, only statuses\n"]),
    ("Verify everything", &["no problems found"]),
    ("Retention: this number's records", &["shown and proven"]),
    ("Disposal: the plan, the deed", &["buckets due with", "destroyed", "ordered by event"]),
    ("Verify again", &["destroyed by order", "no problems found"]),
];

#[test]
fn demonstration_shows_every_station_and_ends() {
    let home = tempfile::tempdir().unwrap();
    let output = command(piperoll(), home.path())
        .args(["--dir", "demo", "demo", "--exit", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let (said, trouble) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{trouble}");
    let mut rest = said.as_str();
    for (title, expected) in STATIONS {
        let start =
            rest.find(&format!("▌ {title}")).unwrap_or_else(|| panic!("no station `{title}`:\n{rest}"));
        rest = &rest[start..];
        // The title and the command stand behind two bars, and the next title behind the next.
        let end = rest.match_indices("\n▌ ").nth(1).map_or(rest.len(), |(at, _)| at + 1);
        let station = &rest[..end];
        for text in expected {
            assert!(station.contains(text), "`{text}` is not shown in `{title}`:\n{station}");
        }
        rest = &rest[end..];
    }
    assert!(rest.contains("▌ Search for what was destroyed") && rest.contains("Nothing found."), "{rest}");
}
