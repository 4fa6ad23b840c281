//! Tests of coverage: timelines made by hand or by a rule, and what must come out.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

mod older;
mod watch;

use std::collections::HashMap;

use piperoll_sources::Relation;
use serde_json::{Value, json};

use super::beat::{Beat, downtimes};
use super::history::Piece;
use super::reference::{Known, Pointer};
use super::rhythm::{silences, unopened};
use super::signal::{Aspect, Signal, spans};
use super::*;
use crate::fact::Fact;

fn fact<T>(at: i64, seq: u64, value: T) -> Fact<T> {
    Fact { at, seq, value }
}

fn set(aspect: Aspect, state: State, cause: Cause) -> Signal {
    Signal::Set { aspect, state, cause, until: None, detail: None }
}

/// States with their causes and hours, shortly.
fn shortly(found: &[Interval]) -> Vec<(i64, i64, &'static str, Vec<&'static str>)> {
    let causes = |interval: &Interval| interval.causes.iter().map(|span| span.cause.as_str()).collect();
    let hours = |at: i64| at / HOUR;
    found
        .iter()
        .map(|interval| (hours(interval.from), hours(interval.to), interval.state.as_str(), causes(interval)))
        .collect()
}

#[test]
fn a_number_is_open_between_its_notices_and_closed_before_and_after() {
    let signals = [
        fact(10 * HOUR, 1, set(Aspect::Link, State::Open, Cause::Onboarded)),
        fact(20 * HOUR, 2, set(Aspect::Link, State::Closed, Cause::Offboarded)),
        fact(21 * HOUR, 3, set(Aspect::Link, State::Closed, Cause::Offboarded)),
        fact(30 * HOUR, 4, set(Aspect::Link, State::Open, Cause::Reconnected)),
        fact(32 * HOUR, 5, set(Aspect::Restriction, State::Degraded, Cause::AccountRestricted)),
    ];
    let found = intervals(&spans(&signals, 40 * HOUR), 0, 40 * HOUR);
    assert_eq!(
        shortly(&found),
        [
            (0, 10, "closed", vec!["not-connected"]),
            (10, 20, "open", vec!["onboarded"]),
            (20, 30, "closed", vec!["offboarded"]),
            (30, 32, "open", vec!["reconnected"]),
            (32, 40, "degraded", vec!["account-restricted"]),
        ]
    );
    assert_eq!(found[2].causes[0].evidence, [2], "the first notice is the evidence");
}

#[test]
fn a_restriction_ends_at_the_moment_that_it_names() {
    let until = Some(20 * HOUR);
    let restricted = Signal::Set {
        aspect: Aspect::Restriction,
        state: State::Degraded,
        cause: Cause::AccountRestricted,
        until,
        detail: None,
    };
    let signals =
        [fact(0, 1, set(Aspect::Link, State::Open, Cause::Onboarded)), fact(10 * HOUR, 2, restricted)];
    let found = intervals(&spans(&signals, 40 * HOUR), 0, 40 * HOUR);
    assert_eq!(
        shortly(&found),
        [
            (0, 10, "open", vec!["onboarded"]),
            (10, 20, "degraded", vec!["account-restricted"]),
            (20, 40, "open", vec!["onboarded"]),
        ]
    );
}

#[test]
fn an_address_that_changes_degrades_until_it_is_the_first_one_again() {
    let value = |value: Option<&str>| Signal::Value {
        aspect: Aspect::Callback,
        value: value.map(str::to_owned),
        cause: Cause::CallbackChanged,
    };
    let signals = [
        fact(0, 1, set(Aspect::Link, State::Open, Cause::Onboarded)),
        fact(HOUR, 2, value(None)),
        fact(5 * HOUR, 3, value(Some("https://elsewhere.example"))),
        fact(9 * HOUR, 4, value(None)),
    ];
    let found = intervals(&spans(&signals, 12 * HOUR), 0, 12 * HOUR);
    let states: Vec<_> = shortly(&found).into_iter().map(|(from, to, state, _)| (from, to, state)).collect();
    assert_eq!(states, [(0, 5, "open"), (5, 9, "degraded"), (9, 12, "open")]);
}

#[test]
fn every_moment_of_any_timeline_has_exactly_one_state() {
    // A small generator without randomness: many spans that overlap in many ways.
    let states = [State::Open, State::Degraded, State::Closed];
    let spans: Vec<Span> = (0_i64..200)
        .map(|n| Span {
            from: (n * 37) % 500,
            to: (n * 37) % 500 + 1 + (n * 53) % 60,
            state: states[usize::try_from(n % 3).unwrap()],
            cause: Cause::ALL[usize::try_from(n).unwrap() % Cause::ALL.len()],
            evidence: vec![n.cast_unsigned()],
            detail: None,
        })
        .collect();
    let found = intervals(&spans, -10, 600);
    assert_eq!((found[0].from, found.last().unwrap().to), (-10, 600));
    assert!(found.windows(2).all(|pair| pair[0].to == pair[1].from), "no hole and no overlap");
    for interval in &found {
        for at in [interval.from, interval.to - 1] {
            let present = spans.iter().filter(|span| (span.from..span.to).contains(&at));
            let worst = present.map(|span| span.state).max().unwrap_or(State::Closed);
            assert_eq!(interval.state, worst, "at {at}");
        }
    }
}

#[test]
fn a_stop_of_the_archive_is_possible_loss_up_to_36_hours_and_certain_after() {
    for (hours, expected) in [(36, Cause::Downtime), (37, Cause::DowntimeLost)] {
        let end = (1 + hours) * HOUR;
        let beats = [fact(HOUR, 1, Beat { from: 0, to: HOUR }), fact(end, 2, Beat { from: end, to: end })];
        let found = downtimes(&beats, end);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].cause, found[0].from, found[0].to), (expected, HOUR, end));
        assert_eq!(found[0].evidence, [1, 2]);
    }
    let short = [
        fact(HOUR, 1, Beat { from: 0, to: HOUR }),
        fact(2 * HOUR, 2, Beat { from: HOUR + DOWNTIME_MIN, to: 2 * HOUR }),
    ];
    assert_eq!(downtimes(&short, 2 * HOUR), []);
    assert_eq!(downtimes(&[], 99 * DAY), [], "before the first beat nothing is claimed");
}

#[test]
fn silence_counts_against_the_numbers_own_rhythm() {
    // Four items an hour from 8 to 18 on five days of each week, for four weeks.
    let mut arrivals = Vec::new();
    for day in (0..28).filter(|day| day % 7 < 5) {
        for quarter in 32..72 {
            arrivals.push(day * DAY + quarter * HOUR / 4);
        }
    }
    let last = *arrivals.last().unwrap();
    // The weekend and the night are quiet as ever; by the late morning of the next Monday ten are missing.
    let monday = 28 * DAY;
    assert_eq!(silences(&arrivals, 20 * DAY, monday + 10 * HOUR), []);
    let found = silences(&arrivals, 20 * DAY, monday + 11 * HOUR);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].from, found[0].cause), (last, Cause::Silence));
    // A number that seldom gets anything is never silent.
    let seldom: Vec<i64> = (0..4).map(|week| week * 7 * DAY).collect();
    assert_eq!(silences(&seldom, 0, 60 * DAY), []);
}

#[test]
fn a_phone_that_nobody_opens_is_a_warning_after_ten_days_and_a_loss_after_fourteen() {
    let signs = [fact(0, 1, ()), fact(2 * DAY, 2, ())];
    assert_eq!(unopened(&signs, &[], 12 * DAY), []);
    let warned = unopened(&signs, &[], 13 * DAY);
    assert_eq!(
        warned.iter().map(|span| (span.cause, span.from)).collect::<Vec<_>>(),
        [(Cause::PhoneUnopened, 12 * DAY)]
    );
    let lost = unopened(&signs, &[], 20 * DAY);
    let expected =
        [(Cause::PhoneUnopened, 12 * DAY, 16 * DAY), (Cause::PhoneUnopenedLost, 16 * DAY, 20 * DAY)];
    assert_eq!(lost.iter().map(|span| (span.cause, span.from, span.to)).collect::<Vec<_>>(), expected);
    assert_eq!(lost[1].evidence, [2]);
    let alive = unopened(&signs, &[18 * DAY], 20 * DAY);
    assert_eq!((alive[0].to, alive[1].from), (18 * DAY, 18 * DAY), "what still arrives proves a connection");
    assert_eq!(unopened(&[], &[], 99 * DAY), [], "a number that never was on the app is not claimed to be");
}

#[test]
fn history_tells_which_pieces_are_missing_and_that_it_never_ended() {
    let chunk = |phase, order, progress| Piece::Chunk { phase, order, progress };
    let pieces = [fact(0, 1, chunk(0, 1, 10)), fact(1, 2, chunk(1, 3, 80)), fact(2, 3, chunk(1, 1, 40))];
    assert_eq!(history::missing(&pieces, HOUR), [], "it may still be on its way");
    let found = history::missing(&pieces, 2 * DAY);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].cause, found[0].count), (Cause::HistoryIncomplete, 1));
    let detail = found[0].detail.clone().unwrap();
    assert!(detail.contains("80 percent") && detail.contains("piece 2 of phase 1"), "{detail}");
    let whole = [fact(0, 1, chunk(0, 1, 50)), fact(1, 2, chunk(1, 1, 100))];
    assert_eq!(history::missing(&whole, 2 * DAY), []);
    let declined = history::missing(&[fact(0, 7, Piece::Declined)], 1);
    assert_eq!((declined[0].cause, declined[0].evidence.clone()), (Cause::HistoryDeclined, vec![7]));
    let placeholder = |id: &str| Piece::Placeholder { id: id.to_owned() };
    let media = [
        fact(0, 1, placeholder("a")),
        fact(0, 2, placeholder("b")),
        fact(5, 3, Piece::Followed { id: "a".to_owned() }),
    ];
    let found = history::missing(&media, 2 * DAY);
    assert_eq!(
        (found[0].cause, found[0].count, found[0].evidence.clone()),
        (Cause::HistoryMedia, 1, vec![2])
    );
}

#[test]
fn what_points_at_nothing_is_missing_after_a_while() {
    let status =
        |target: &str, status: &str| Pointer::Status { target: target.to_owned(), status: status.to_owned() };
    let pointers = [
        fact(0, 1, status("unseen", "sent")),
        fact(1, 2, status("unseen", "delivered")),
        fact(2, 3, status("journaled", "read")),
        fact(3, 4, status("known", "read")),
        fact(4, 5, Pointer::Reference { target: "before us".to_owned(), relation: Relation::RepliesTo }),
        fact(5, 6, Pointer::Unsupported { code: 131_060 }),
    ];
    let known = HashMap::from([
        ("journaled".to_owned(), Known { content: true, sent: false }),
        ("known".to_owned(), Known { content: true, sent: true }),
    ]);
    assert_eq!(reference::missing(&pointers, &known, 10), [], "webhooks are not in order");
    let found = reference::missing(&pointers, &known, DAY);
    let shortly: Vec<_> =
        found.iter().map(|missing| (missing.cause, missing.count, missing.evidence.clone())).collect();
    assert_eq!(
        shortly,
        [
            (Cause::OrphanStatus, 1, vec![1]),
            (Cause::ReadWithoutSent, 1, vec![3]),
            (Cause::DanglingReference, 1, vec![5]),
            (Cause::Unsupported, 1, vec![6]),
        ]
    );
}

fn signals_of(value: &Value) -> Vec<(Aspect, State, Cause)> {
    let found = account::update(value).into_iter().chain(account::observed(value));
    let read = |signal| match signal {
        Signal::Set { aspect, state, cause, .. } => Some((aspect, state, cause)),
        _ => None,
    };
    found
        .filter_map(read)
        .filter(|(aspect, ..)| {
            *aspect != Aspect::Permission
                || value.get("answer").is_none_or(|answer| answer.get("error").is_some())
        })
        .collect()
}

#[test]
fn notices_are_read_wherever_their_members_stand() {
    let inside = json!({"value": {"event": "PARTNER_REMOVED", "disconnection_info": {"reason": "PRIMARY_INACTIVITY"}}});
    let beside = json!({"value": {"event": "PARTNER_REMOVED"}, "disconnection_info": {"reason": "PRIMARY_INACTIVITY"}});
    let expected = [(Aspect::Link, State::Closed, Cause::PrimaryInactivity)];
    assert_eq!(signals_of(&inside), expected);
    assert_eq!(signals_of(&beside), expected);
    let cases = [
        (json!({"event": "PARTNER_REMOVED"}), Aspect::Link, State::Closed, Cause::Disconnected),
        (json!({"event": "ACCOUNT_OFFBOARDED"}), Aspect::Link, State::Closed, Cause::Offboarded),
        (json!({"event": "ACCOUNT_RECONNECTED"}), Aspect::Link, State::Open, Cause::Reconnected),
        (
            json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}),
            Aspect::Ban,
            State::Closed,
            Cause::AccountDisabled,
        ),
        (
            json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "X", "expiration": 1_793_751_100}]}),
            Aspect::Restriction,
            State::Degraded,
            Cause::AccountRestricted,
        ),
        (
            json!({"object": "subscribed_apps", "status": 200, "answer": {"data": []}}),
            Aspect::Subscription,
            State::Closed,
            Cause::SubscriptionMissing,
        ),
        (
            json!({"object": "phone_number", "status": 200, "answer": {"status": "BANNED"}}),
            Aspect::Status,
            State::Closed,
            Cause::NumberNotConnected,
        ),
        (
            json!({"object": "phone_number", "status": 401, "answer": {"error": {"code": 190}}}),
            Aspect::Permission,
            State::Degraded,
            Cause::PermissionLost,
        ),
    ];
    for (value, aspect, state, cause) in cases {
        assert_eq!(signals_of(&value), [(aspect, state, cause)], "{value}");
    }
    for nothing in
        [json!({"event": "VERIFIED_ACCOUNT"}), json!([]), json!({"object": "phone_number", "status": 500})]
    {
        assert_eq!(signals_of(&nothing), [], "{nothing}");
    }
}

#[test]
fn causes_have_words_and_keep_their_text() {
    for cause in Cause::ALL {
        let text = serde_json::to_string(cause).unwrap();
        assert_eq!(text, format!("\"{}\"", cause.as_str()));
        assert!(cause.words().len() > 10);
    }
}
