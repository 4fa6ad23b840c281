//! Spans that may overlap, laid over each other: one state at each moment, with every cause of it.

use super::{Cause, State};

/// A time during which something was the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// From this moment, microseconds since the epoch.
    pub from: i64,
    /// Until just before this moment.
    pub to: i64,
    /// The state that follows from it.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// The events that show it.
    pub evidence: Vec<u64>,
    /// What a reader should know.
    pub detail: Option<String>,
}

/// A time during which state and causes did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// From this moment, microseconds since the epoch.
    pub from: i64,
    /// Until just before this moment.
    pub to: i64,
    /// The worst of the states.
    pub state: State,
    /// Everything that makes it so, in the order of time.
    pub causes: Vec<Span>,
}

/// Lays spans over each other between two moments. Where no span is, nothing was connected.
#[must_use]
pub fn intervals(spans: &[Span], from: i64, to: i64) -> Vec<Interval> {
    if from >= to {
        return Vec::new();
    }
    let mut cuts: Vec<i64> = spans.iter().flat_map(|span| [span.from, span.to]).collect();
    cuts.retain(|cut| (from + 1..to).contains(cut));
    cuts.extend([from, to]);
    cuts.sort_unstable();
    cuts.dedup();
    // Spans enter in the order of their start and leave at their end, so that many of them cost little.
    let mut order: Vec<&Span> = spans.iter().filter(|span| span.to > from && span.from < to).collect();
    order.sort_by_key(|span| (span.from, span.to, span.cause));
    let (mut entering, mut present) = (order.into_iter().peekable(), Vec::<&Span>::new());
    let mut found: Vec<Interval> = Vec::new();
    for pair in cuts.windows(2) {
        let (start, end) = (pair[0], pair[1]);
        present.retain(|span| span.to > start);
        while let Some(span) = entering.next_if(|span| span.from <= start) {
            present.push(span);
        }
        let state = present.iter().map(|span| span.state).max();
        let (state, causes) = match state {
            // A notice of trouble with a number that nothing says is connected leaves it not connected.
            Some(state) => (state, causes_of(state, &present)),
            None => (State::Closed, vec![not_connected(start, end)]),
        };
        match found.last_mut() {
            Some(last) if last.state == state && same(&last.causes, &causes) => {
                last.to = end;
                if let [only] = &mut *last.causes
                    && only.cause == Cause::NotConnected
                {
                    only.to = end;
                }
            }
            _ => found.push(Interval { from: start, to: end, state, causes }),
        }
    }
    found
}

fn causes_of(state: State, present: &[&Span]) -> Vec<Span> {
    // What is open explains nothing beside what is not.
    present
        .iter()
        .filter(|span| state == State::Open || span.state != State::Open)
        .map(|span| (*span).clone())
        .collect()
}

fn same(left: &[Span], right: &[Span]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| (left.cause, &left.evidence) == (right.cause, &right.evidence))
}

fn not_connected(from: i64, to: i64) -> Span {
    let (state, cause) = (State::Closed, Cause::NotConnected);
    Span { from, to, state, cause, evidence: Vec::new(), detail: None }
}
