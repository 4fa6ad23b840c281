//! Tests of what watches a phone from outside: expected test messages, and reports of a device management.

use piperoll_format::Kind;
use serde_json::json;

use super::shortly;
use crate::coverage::{Canary, CoverageOptions, HOUR, Interval};
use crate::tests::{DAY, Feed, NUMBER};

/// Where the test's timelines begin, microseconds since the epoch.
const START: i64 = DAY * 1_000_000;
/// Seconds in an hour.
const SECONDS: i64 = 3_600;
/// The test handset.
const HANDSET: &str = "15550100001";

/// Feeds the archive's first heartbeat, from which on test messages are expected.
fn watched() -> Feed {
    let mut feed = Feed::new();
    beat(&mut feed, 0, 0);
    feed
}

fn beat(feed: &mut Feed, from: i64, to: i64) {
    let time = |hour: i64| crate::utc(START + hour * HOUR);
    let document = json!({"from": time(from), "to": time(to), "numbers": [], "capturing": true});
    let _seq = feed.own(Kind::CoverageHeartbeat, DAY + to * SECONDS, None, &document);
}

/// States and causes of the number between two hours, which are told as hours since the start.
fn asked(feed: &Feed, canaries: &[Canary], to: i64) -> Vec<(i64, i64, &'static str, Vec<&'static str>)> {
    let number = feed.projections.number(NUMBER).unwrap().expect("something is known about the number");
    let options = CoverageOptions { now: START + to * HOUR, canaries, references_max: 1_000 };
    let found = feed.projections.coverage(&number, START, START + to * HOUR, &options).unwrap();
    let since_start = |interval: &Interval| {
        let (from, to) = (interval.from - START, interval.to - START);
        Interval { from, to, ..interval.clone() }
    };
    shortly(&found.intervals.iter().map(since_start).collect::<Vec<_>>())
}

fn canary(number: &str) -> Canary {
    Canary { number: number.to_owned(), every: 2 * HOUR, from: HANDSET.to_owned() }
}

/// A canary every two hours is late after three: hours at which one came, and when it counts as missing.
#[test]
fn expected_test_messages_that_do_not_come_degrade() {
    type Row = (&'static [i64], i64, &'static [(i64, i64)]);
    let rows: [Row; 6] = [
        (&[0, 2, 4, 6, 8], 10, &[]),
        (&[0, 3, 6, 9], 12, &[]),
        (&[0, 2, 6, 8], 10, &[(5, 6)]),
        (&[0, 2], 12, &[(5, 12)]),
        (&[0, 5, 10], 11, &[(3, 5), (8, 10)]),
        (&[8], 10, &[(3, 8)]),
    ];
    for (came, to, expected) in rows {
        let mut feed = watched();
        // Somebody else's message connects the number and is no canary.
        let _seq = feed.text("491", "wamid.other", DAY, "hello");
        for (nth, hour) in came.iter().enumerate() {
            let id = format!("wamid.canary.{nth}");
            let _seq = feed.text(HANDSET, &id, DAY + hour * SECONDS, "canary");
        }
        beat(&mut feed, 0, to);
        let found = asked(&feed, &[canary(NUMBER)], to);
        let missing: Vec<(i64, i64)> = found
            .iter()
            .filter(|(.., causes)| causes.contains(&"canary-missing"))
            .map(|(from, to, ..)| (*from, *to))
            .collect();
        assert_eq!(missing, expected, "{came:?}: {found:?}");
        let degraded = found.iter().filter(|(_, _, state, _)| *state == "degraded").count();
        assert_eq!(degraded, expected.len(), "{came:?}: {found:?}");
        // A canary of another number says nothing about this one.
        assert!(asked(&feed, &[canary("9002")], to).iter().all(|(_, _, state, _)| *state == "open"));
    }
}

/// What the number itself writes to the handset is no sign that something arrives.
#[test]
fn only_what_the_handset_sends_is_a_canary() {
    let mut feed = watched();
    let _seq = feed.text("491", "wamid.other", DAY, "hello");
    let _seq = feed.text(HANDSET, "wamid.canary", DAY, "canary");
    let echo = json!({"message_echoes": [{"from": "15550100000", "to": HANDSET, "id": "wamid.echo",
        "timestamp": (DAY + 2 * SECONDS).to_string(), "type": "text", "text": {"body": "received"}}]});
    let _seq = feed.webhook("smb_message_echoes", echo);
    beat(&mut feed, 0, 6);
    let found = asked(&feed, &[canary(NUMBER)], 6);
    assert_eq!(found.last().map(|last| (last.0, last.2)), Some((3, "degraded")), "{found:?}");
}

/// Reports of a device management, each with its hour, and what they make of ten hours.
#[test]
fn reports_about_a_phone_degrade_until_it_is_back() {
    type Row = (&'static [(i64, &'static str, &'static str)], &'static [(i64, i64, &'static str)]);
    let rows: [Row; 8] = [
        (&[(1, "a", "enrolled")], &[]),
        (&[(2, "a", "wiped")], &[(2, 10, "device-wiped")]),
        (&[(2, "a", "unenrolled"), (5, "a", "enrolled")], &[(2, 5, "device-wiped")]),
        (&[(2, "a", "offline"), (3, "a", "offline"), (6, "a", "online")], &[(2, 6, "device-offline")]),
        (&[(2, "a", "offline"), (4, "b", "online")], &[(2, 10, "device-offline")]),
        (&[(2, "a", "offline"), (4, "a", "wiped")], &[(2, 4, "device-offline"), (4, 10, "device-wiped")]),
        // A late report falls into its own time.
        (&[(6, "a", "online"), (2, "a", "offline")], &[(2, 6, "device-offline")]),
        (&[(2, "a", "repainted")], &[]),
    ];
    for (reports, expected) in rows {
        let mut feed = watched();
        let _seq = feed.text("491", "wamid.other", DAY, "hello");
        for (hour, device, event) in reports {
            let at = crate::utc(START + hour * HOUR);
            let document =
                json!({"device_id": device, "number": NUMBER, "event": event, "at": at, "source": "mdm"});
            // Reported hours after it happened: the document's time counts.
            let _seq = feed.own(Kind::DeviceReported, DAY + 9 * SECONDS, None, &document);
        }
        beat(&mut feed, 0, 10);
        let found = asked(&feed, &[], 10);
        let degraded = found.iter().filter(|(_, _, state, _)| *state == "degraded");
        let shown: Vec<_> = degraded
            .map(|(from, to, _, causes)| (*from, *to, *causes.last().expect("one at least")))
            .collect();
        assert_eq!(shown, expected, "{reports:?}: {found:?}");
    }
}
