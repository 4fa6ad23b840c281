//! Collects the newest hits and the number of all hits.
//!
//! Inside a tantivy segment the documents are in `seq` order (the writer sees to it), so the newest are the last.
//! No column is read except for the few hits that are returned.

use std::cmp::Reverse;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use crate::fields::SEQ;

/// Asks for the newest `limit` hits before `before_seq`, and counts all.
pub(crate) struct Newest {
    pub(crate) limit: usize,
    pub(crate) before_seq: Option<u64>,
}

/// The newest hits, newest first, and the number of all.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) seqs: Vec<u64>,
    pub(crate) total: u64,
}

/// How many documents may pile up beyond the limit before the oldest are dropped.
const SLACK: usize = 4096;

pub(crate) struct SegmentNewest {
    limit: usize,
    /// Documents from this one on are counted but belong to an earlier page.
    end: DocId,
    docs: Vec<DocId>,
    total: u64,
    seq: Column<u64>,
}

impl Collector for Newest {
    type Fruit = Collected;
    type Child = SegmentNewest;

    fn for_segment(&self, _: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentNewest> {
        let seq = reader.fast_fields().u64(SEQ)?;
        let end = match self.before_seq {
            Some(before) => first_at_or_after(&seq, before, reader.max_doc()),
            None => reader.max_doc(),
        };
        Ok(SegmentNewest { limit: self.limit, end, docs: Vec::new(), total: 0, seq })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Collected>) -> tantivy::Result<Collected> {
        let total = fruits.iter().map(|fruit| fruit.total).sum();
        let mut seqs: Vec<u64> = fruits.into_iter().flat_map(|fruit| fruit.seqs).collect();
        seqs.sort_unstable_by_key(|seq| Reverse(*seq));
        seqs.truncate(self.limit);
        Ok(Collected { seqs, total })
    }
}

impl SegmentCollector for SegmentNewest {
    type Fruit = Collected;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.collect_block(&[doc]);
    }

    fn collect_block(&mut self, docs: &[DocId]) {
        self.total += docs.len() as u64;
        let within = match docs.last() {
            Some(last) if *last < self.end => docs,
            _ => &docs[..docs.partition_point(|doc| *doc < self.end)],
        };
        self.docs.extend_from_slice(within);
        if self.docs.len() > self.limit.saturating_add(SLACK) {
            self.docs.drain(..self.docs.len() - self.limit);
        }
    }

    fn harvest(self) -> Collected {
        let newest = self.docs.iter().rev().take(self.limit);
        let seqs = newest.filter_map(|doc| self.seq.first(*doc)).collect();
        Collected { seqs, total: self.total }
    }
}

/// Returns the first document whose seq is not lower than `bound`.
fn first_at_or_after(seq: &Column<u64>, bound: u64, max_doc: DocId) -> DocId {
    let (mut low, mut high) = (0, max_doc);
    while low < high {
        let middle = low + (high - low) / 2;
        if seq.first(middle).is_some_and(|seq| seq < bound) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
