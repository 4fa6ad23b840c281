//! Goal: what is computed from the kept older part is what a computation of everything finds.
//! Method: four weeks made by a rule, each kind of gap among them; the older part is found on some days and used on later
//! ones.

use piperoll_format::Kind;
use serde_json::json;

use crate::coverage::{CoverageOptions, HOUR, Missing};
use crate::tests::{DAY, Feed, NUMBER};

/// Days that are played.
const DAYS: i64 = 29;

/// Days on which the older part is found.
const FOUND_ON: [i64; 4] = [2, 9, 17, 24];

/// A sequence that only looks random (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// Plays one day: messages in most hours, statuses with and without their message, notices, a silent day now and then.
fn play(feed: &mut Feed, day: i64, random: &mut Random) {
    let is_silent = random.below(7) == 0;
    for hour in 0..24_i64 {
        let at = DAY + day * 86_400 + hour * 3_600;
        let id = format!("wamid.{day}.{hour}");
        if !is_silent {
            let _seq = feed.text("491", &id, at, "hello");
        }
        match random.below(12) {
            0 => status(feed, &format!("wamid.unseen.{day}.{hour}"), at + 60),
            // The message of a status that came before it: its reference is open until then.
            1 => status(feed, &format!("wamid.late.{day}.{hour}"), at + 60),
            2 if day > 0 => {
                let _seq = feed.text("491", &format!("wamid.late.{}.{hour}", day - 1), at + 120, "late");
            }
            _ => {}
        }
    }
    let event = match random.below(5) {
        0 => "offline",
        1 => "online",
        _ => return,
    };
    let at = DAY + day * 86_400 + 7_200;
    let report =
        json!({"device_id": "phone-1", "event": event, "number": NUMBER, "at": crate::utc(at * 1_000_000)});
    let _seq = feed.own(Kind::DeviceReported, at, None, &report);
}

fn status(feed: &mut Feed, id: &str, at: i64) {
    let status = json!({"id": id, "status": "sent", "timestamp": at.to_string(), "recipient_id": "491"});
    let _seq = feed.webhook("messages", json!({"statuses": [status]}));
}

#[test]
fn older_and_newer_part_are_the_whole() {
    for seed in 0..4 {
        let (mut feed, mut random, mut older) = (Feed::new(), Random(seed), Vec::new());
        for day in 0..DAYS {
            play(&mut feed, day, &mut random);
            let now = (DAY + (day + 1) * 86_400) * 1_000_000 + HOUR / 2;
            let options = CoverageOptions { now, canaries: &[], references_max: 100_000 };
            let number = feed.projections.number(NUMBER).unwrap().unwrap();
            if FOUND_ON.contains(&day) {
                older.push((day, feed.projections.coverage_older(&number, &options).unwrap()));
            }
            if day % 3 != 0 {
                continue;
            }
            let whole = feed.projections.coverage(&number, i64::MIN / 2, now, &options).unwrap();
            for (found_on, older) in &older {
                let found = feed.projections.coverage_now(&number, older, &options).unwrap();
                assert_eq!(
                    found.missing, whole.missing,
                    "seed {seed}, day {day}, older part of day {found_on}"
                );
                assert_eq!(
                    found.intervals.last().map(|interval| (interval.state, &interval.causes)),
                    whole.intervals.last().map(|interval| (interval.state, &interval.causes)),
                    "seed {seed}, day {day}"
                );
                assert!(found.is_complete && whole.is_complete);
            }
        }
        let causes: std::collections::BTreeSet<_> =
            older.iter().flat_map(|(_, older)| older.causes()).collect();
        assert!(causes.len() >= 2, "the rule makes gaps: {causes:?}");
    }
}

#[test]
fn what_is_found_later_takes_an_older_gap_back() {
    let mut feed = Feed::new();
    let _first = feed.text("491", "wamid.1", DAY, "hello");
    status(&mut feed, "wamid.2", DAY + 60);
    let _last = feed.text("491", "wamid.3", DAY + 86_400, "hello");
    let now = (DAY + 10 * 86_400) * 1_000_000;
    let options = CoverageOptions { now, canaries: &[], references_max: 1_000 };
    let number = feed.projections.number(NUMBER).unwrap().unwrap();
    let older = feed.projections.coverage_older(&number, &options).unwrap();
    let orphans = |feed: &Feed| {
        let found = feed.projections.coverage_now(&number, &older, &options).unwrap().missing;
        found.iter().filter(|missing: &&Missing| missing.count > 0).count()
    };
    assert_eq!(orphans(&feed), 1);
    let _late = feed.text("491", "wamid.2", DAY + 61, "found in another export");
    assert_eq!(orphans(&feed), 0);
}
