//! Reads the facts of all runs and the single ones as if they stood in one place.

use std::cmp::Ordering;

use redb::{AccessGuard, Range, ReadOnlyTable, ReadTransaction};
use serde::Deserialize;

use super::run::{BLOCKS, Place, places, runs};
use super::{FACTS, rebuild};
use crate::error::ProjectionError;

/// A fact as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Stored<'a> {
    pub(super) key: &'a [u8],
    /// The number of its bucket.
    pub(super) bucket: u32,
    pub(super) value: &'a [u8],
}

type Bytes = &'static [u8];
type Single = (AccessGuard<'static, Bytes>, AccessGuard<'static, (u32, Bytes)>);

/// What facts are read from, in one of the two directions.
enum Source {
    Single {
        range: Range<'static, Bytes, (u32, Bytes)>,
        head: Option<Single>,
    },
    Run {
        range: Range<'static, Bytes, Bytes>,
        block: Option<AccessGuard<'static, Bytes>>,
        /// The facts of the block that are still to come, the next one last.
        places: Vec<Place>,
        /// Whether the blocks that follow are behind the end.
        is_last: bool,
    },
}

/// Facts in the order of their keys, or the other way round. Of several with one key the one of the first event comes.
pub(super) struct Merged {
    sources: Vec<Source>,
    start: Vec<u8>,
    end: Vec<u8>,
    newest_first: bool,
}

impl Merged {
    /// Begins to read the facts with keys from `start` to `end`, both included.
    pub(super) fn new(
        read: &ReadTransaction,
        start: &[u8],
        end: &[u8],
        newest_first: bool,
    ) -> Result<Self, ProjectionError> {
        let runs: Vec<u32> = runs(read)?.into_iter().map(|(run, _)| run).collect();
        let facts = read.open_table(FACTS).map_err(ProjectionError::database)?;
        let range = facts.range(start..=end).map_err(ProjectionError::database)?;
        let single = Source::Single { range, head: None };
        Self::begin(read, vec![single], &runs, (start, end), newest_first)
    }

    /// Begins to read every fact, oldest key first.
    pub(super) fn all(read: &ReadTransaction) -> Result<Self, ProjectionError> {
        Self::new(read, &[], &EVERYTHING, false)
    }

    /// Begins to read every fact of some runs, oldest key first.
    pub(super) fn of_runs(read: &ReadTransaction, runs: &[u32]) -> Result<Self, ProjectionError> {
        Self::begin(read, Vec::new(), runs, (&[], &EVERYTHING), false)
    }

    fn begin(
        read: &ReadTransaction,
        sources: Vec<Source>,
        runs: &[u32],
        (start, end): (&[u8], &[u8]),
        newest_first: bool,
    ) -> Result<Self, ProjectionError> {
        let mut merged = Self { sources, start: start.to_vec(), end: end.to_vec(), newest_first };
        if !runs.is_empty() {
            let blocks = read.open_table(BLOCKS).map_err(ProjectionError::database)?;
            for run in runs {
                let range = merged.blocks_of(*run, &blocks)?;
                merged.sources.push(Source::Run { range, block: None, places: Vec::new(), is_last: false });
            }
        }
        for at in (0..merged.sources.len()).rev() {
            merged.advance(at)?;
            if merged.head(at).is_none() {
                drop(merged.sources.swap_remove(at));
            }
        }
        Ok(merged)
    }

    /// Returns the blocks of a run from the one with the first fact on; backwards only those up to the last fact.
    fn blocks_of(
        &self,
        run: u32,
        blocks: &ReadOnlyTable<Bytes, Bytes>,
    ) -> Result<Range<'static, Bytes, Bytes>, ProjectionError> {
        let run_bytes = run.to_be_bytes();
        let start = [&run_bytes, self.start.as_slice()].concat();
        let behind = (run + 1).to_be_bytes();
        if self.newest_first {
            // A block has the key of its last fact: the first one at or behind the end may begin before it.
            let end = [&run_bytes, self.end.as_slice()].concat();
            let last =
                blocks.range(end.as_slice()..behind.as_slice()).map_err(ProjectionError::database)?.next();
            if let Some(last) = last {
                let (last, _) = last.map_err(ProjectionError::database)?;
                return blocks.range(start.as_slice()..=last.value()).map_err(ProjectionError::database);
            }
        }
        blocks.range(start.as_slice()..behind.as_slice()).map_err(ProjectionError::database)
    }

    fn head(&self, at: usize) -> Option<Stored<'_>> {
        match &self.sources[at] {
            Source::Single { head, .. } => head.as_ref().map(|(key, value)| {
                let (bucket, value) = value.value();
                Stored { key: key.value(), bucket, value }
            }),
            Source::Run { block, places, .. } => Some(places.last()?.fact(block.as_ref()?.value())),
        }
    }

    /// Moves a source to its next fact.
    fn advance(&mut self, at: usize) -> Result<(), ProjectionError> {
        let Self { sources, start, end, newest_first } = self;
        match &mut sources[at] {
            Source::Single { range, head } => {
                let row = if *newest_first { range.next_back() } else { range.next() };
                *head = row.transpose().map_err(ProjectionError::database)?;
            }
            Source::Run { range, block, places: waiting, is_last } => {
                let _done = waiting.pop();
                while waiting.is_empty() && !*is_last {
                    let row = if *newest_first { range.next_back() } else { range.next() };
                    let row = row.transpose().map_err(ProjectionError::database)?;
                    let Some((_, next)) = row else { return Ok(()) };
                    places(next.value(), waiting).ok_or_else(|| rebuild("a block of another form"))?;
                    let bytes = next.value();
                    let from = waiting.partition_point(|place| place.key(bytes) < start.as_slice());
                    let to = waiting.partition_point(|place| place.key(bytes) <= end.as_slice());
                    *is_last = !*newest_first && to < waiting.len();
                    waiting.truncate(to);
                    drop(waiting.drain(..from.min(to)));
                    if !*newest_first {
                        waiting.reverse();
                    }
                    *block = Some(next);
                }
            }
        }
        Ok(())
    }

    /// Takes the next fact.
    pub(super) fn next_with<T>(
        &mut self,
        take: impl FnOnce(Stored<'_>) -> T,
    ) -> Result<Option<T>, ProjectionError> {
        let mut best: Option<(usize, Stored<'_>)> = None;
        let mut is_only = true;
        for at in 0..self.sources.len() {
            let Some(fact) = self.head(at) else { continue };
            let Some((_, known)) = &best else {
                best = Some((at, fact));
                continue;
            };
            let order = fact.key.cmp(known.key);
            let order = if self.newest_first { order.reverse() } else { order };
            if order == Ordering::Less || order == Ordering::Equal && is_earlier(fact.value, known.value) {
                best = Some((at, fact));
            }
            is_only &= order != Ordering::Equal;
        }
        let Some((best, fact)) = best else { return Ok(None) };
        let taken = take(fact);
        if !is_only {
            let key = fact.key.to_vec();
            for at in (0..self.sources.len()).filter(|at| *at != best) {
                if self.head(at).is_some_and(|fact| fact.key == key) {
                    self.advance(at)?;
                }
            }
        }
        self.advance(best)?;
        Ok(Some(taken))
    }
}

/// Behind every key: no table has this number.
const EVERYTHING: [u8; 1] = [u8::MAX];

/// Of two facts with one key, tells whether the first one is that of the earlier event.
fn is_earlier(one: &[u8], other: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Told {
        seq: u64,
    }
    let seq = |value: &[u8]| serde_json::from_slice::<Told>(value).map_or(u64::MAX, |told| told.seq);
    seq(one) < seq(other)
}
