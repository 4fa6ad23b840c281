//! What the tests of all senders share.

use std::ops::Range;

use crate::item::Item;
use crate::message::Message;
use crate::project::{Captured, project};
use crate::sender::Sender;

/// Splits and checks what holds for every body: at least one item, ranges ascending, disjoint and inside.
pub(crate) fn split_valid(sender: Sender, body: &[u8]) -> Vec<Item> {
    let items = sender.split(body).items;
    assert!(!items.is_empty());
    let mut all: Vec<Range<usize>> = Vec::new();
    for item in &items {
        assert!(!item.ranges.is_empty());
        assert!(item.ranges.is_sorted_by(|a, b| a.end <= b.start), "{item:?}");
        all.extend(item.ranges.iter().cloned());
    }
    all.sort_by_key(|range| range.start);
    assert!(all.is_sorted_by(|a, b| a.end <= b.start), "{all:?}");
    assert!(all.iter().all(|range| range.start <= range.end && range.end <= body.len()), "{all:?}");
    items
}

/// Returns what is left of a body between its items.
pub(crate) fn skeleton(body: &str, items: &[Item]) -> String {
    let mut ranges: Vec<_> = items.iter().flat_map(|item| item.ranges.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    let mut kept = String::new();
    let mut at = 0;
    for range in ranges {
        kept.push_str(&body[at..range.start]);
        at = range.end;
    }
    kept + &body[at..]
}

/// Returns the parts of a body that are an item.
pub(crate) fn slices<'b>(body: &'b str, item: &Item) -> Vec<&'b str> {
    item.ranges.iter().map(|range| &body[range.clone()]).collect()
}

/// Puts slices back into the skeleton at their offsets.
pub(crate) fn rebuilt(body: &str, items: &[Item]) -> String {
    let mut cuts: Vec<(usize, &str)> = items
        .iter()
        .flat_map(|item| item.ranges.iter().map(|range| (range.start, &body[range.clone()])))
        .collect();
    cuts.sort_unstable();
    let mut text = skeleton(body, items);
    for (start, slice) in cuts {
        text.insert_str(start, slice);
    }
    text
}

/// Compares kind, source id, subject and flags, one line for each item.
#[track_caller]
pub(crate) fn check(sender: Sender, body: &str, expected: &[&str]) {
    let found: Vec<String> = split_valid(sender, body.as_bytes())
        .iter()
        .map(|item| {
            let flags: Vec<_> = item.flags.iter().map(|flag| flag.as_str()).collect();
            let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            [item.kind.as_str(), &or(&item.source_id), &or(&item.subject), &flags.join("+")].join(" ")
        })
        .collect();
    let found: Vec<_> = found.iter().map(|line| line.trim_end()).collect();
    assert_eq!(found, expected);
}

/// Reads the only item of a body from the whole of it.
pub(crate) fn project_whole(sender: Sender, body: &str) -> Message {
    let body = body.as_bytes();
    let items = sender.split(body).items;
    let captured = Captured { whole: true, parts: &[body], source: sender.as_str(), ..Captured::default() };
    project(items[0].kind, &captured)
}

/// Reads every item from its slices, as the items of a cut delivery are.
pub(crate) fn project_slices(sender: Sender, body: &[u8]) -> Vec<Message> {
    let read_item = |item: &Item| {
        let parts: Vec<&[u8]> = item.ranges.iter().map(|range| &body[range.clone()]).collect();
        let (number, subject) = (item.number.as_deref(), item.subject.as_deref());
        let captured = Captured { whole: false, parts: &parts, number, subject, source: sender.as_str() };
        project(item.kind, &captured)
    };
    sender.split(body).items.iter().map(read_item).collect()
}
