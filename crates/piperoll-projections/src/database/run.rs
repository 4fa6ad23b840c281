//! Runs: many facts in the order of their keys, packed into blocks of some kilobytes.
//!
//! A fact of its own in the tree costs a search, and pages that are written anew with each few facts. What comes many at
//! a time stands in a run instead: whole blocks are added behind each other. Runs of about one size are merged into one,
//! so that there are few.

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, Table, TableDefinition};

use super::merge::{Merged, Stored};
use crate::error::ProjectionError;

/// Number of the run, key of the last fact → facts.
pub(super) const BLOCKS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("blocks");
/// Number of the run → how many facts it has.
pub(super) const RUNS: TableDefinition<'_, u32, u64> = TableDefinition::new("runs");

/// The size of a block: a page of the database, without what the page needs for itself and its key. A lookup reads one
/// block of each run, so larger ones make it slow.
const BLOCK_BYTES: usize = 3_900;

/// So many runs of about one size are merged.
const MERGED: usize = 4;

/// Length of the numbers before key and value of a fact.
const HEAD: usize = 10;

/// Writes one run.
pub(super) struct RunWriter<'w, 't> {
    blocks: &'w mut Table<'t, &'static [u8], &'static [u8]>,
    block: Vec<u8>,
    /// The number of the run and the key of the last fact.
    last: Vec<u8>,
    facts: u64,
}

impl<'w, 't> RunWriter<'w, 't> {
    pub(super) fn new(run: u32, blocks: &'w mut Table<'t, &'static [u8], &'static [u8]>) -> Self {
        Self { blocks, block: Vec::with_capacity(BLOCK_BYTES), last: run.to_be_bytes().to_vec(), facts: 0 }
    }

    /// Adds a fact, whose key must come after the last one.
    pub(super) fn push(&mut self, fact: Stored<'_>) -> Result<(), ProjectionError> {
        let Stored { key, bucket, value } = fact;
        if !self.block.is_empty() && self.block.len() + HEAD + key.len() + value.len() > BLOCK_BYTES {
            self.close()?;
        }
        self.last.truncate(4);
        self.last.extend_from_slice(key);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("facts are far smaller");
        let key_length = u16::try_from(key.len()).expect("keys are bounded");
        self.block.extend_from_slice(&key_length.to_be_bytes());
        self.block.extend_from_slice(&length(value).to_be_bytes());
        self.block.extend_from_slice(&bucket.to_be_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.facts += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), ProjectionError> {
        self.blocks.insert(&*self.last, &*self.block).map_err(ProjectionError::database)?;
        self.block.clear();
        Ok(())
    }

    /// Ends the run and returns how many facts it has.
    pub(super) fn finish(mut self) -> Result<u64, ProjectionError> {
        if !self.block.is_empty() {
            self.close()?;
        }
        Ok(self.facts)
    }
}

/// Where a fact of a block is: the key begins at `at`, the value ends at `end`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    at: u32,
    value: u32,
    end: u32,
    bucket: u32,
}

impl Place {
    pub(super) fn key(self, block: &[u8]) -> &[u8] {
        &block[self.at as usize..self.value as usize]
    }

    pub(super) fn fact(self, block: &[u8]) -> Stored<'_> {
        let value = &block[self.value as usize..self.end as usize];
        Stored { key: self.key(block), bucket: self.bucket, value }
    }
}

/// Finds the facts of a block; nothing if it makes no sense.
pub(super) fn places(block: &[u8], places: &mut Vec<Place>) -> Option<()> {
    places.clear();
    let mut rest = block;
    while !rest.is_empty() {
        let start = block.len() - rest.len() + HEAD;
        let (head, behind) = rest.split_at_checked(HEAD)?;
        let key = usize::from(u16::from_be_bytes(head[..2].try_into().ok()?));
        let value = usize::try_from(u32::from_be_bytes(head[2..6].try_into().ok()?)).ok()?;
        let bucket = u32::from_be_bytes(head[6..].try_into().ok()?);
        let (_, behind) = behind.split_at_checked(key.checked_add(value)?)?;
        let position = |at: usize| u32::try_from(at).ok();
        let (at, value, end) = (position(start)?, position(start + key)?, position(start + key + value)?);
        places.push(Place { at, value, end, bucket });
        rest = behind;
    }
    Some(())
}

/// Returns the runs with the number of their facts.
pub(super) fn runs(read: &ReadTransaction) -> Result<Vec<(u32, u64)>, ProjectionError> {
    let runs = read.open_table(RUNS).map_err(ProjectionError::database)?;
    let all = runs.iter().map_err(ProjectionError::database)?;
    all.map(|row| row.map(|(run, facts)| (run.value(), facts.value())))
        .collect::<Result<_, _>>()
        .map_err(ProjectionError::database)
}

/// Returns the runs to merge next: as many of about one size as there may be of it.
pub(super) fn mergeable(runs: &[(u32, u64)]) -> Option<Vec<u32>> {
    // Merged ones are at least as large as the next size.
    let size = |facts: u64| facts.max(1).ilog2() / MERGED.ilog2();
    let sizes = runs.iter().map(|(_, facts)| size(*facts));
    let chosen = sizes.clone().find(|one| sizes.clone().filter(|other| other == one).count() >= MERGED)?;
    Some(runs.iter().filter(|(_, facts)| size(*facts) == chosen).map(|(run, _)| *run).collect())
}

/// Returns the runs that are merged when there is time: from the smallest on, each that is not much larger than those
/// before it together. What is left has few runs, and merging copies each fact a bounded number of times.
pub(super) fn settleable(runs: &[(u32, u64)]) -> Option<Vec<u32>> {
    let mut by_size = runs.to_vec();
    by_size.sort_unstable_by_key(|(_, facts)| *facts);
    let mut together = 0_u64;
    let chosen = by_size.iter().take_while(|(_, facts)| {
        let fits = together == 0 || *facts <= together.saturating_mul(MERGED as u64);
        together = together.saturating_add(*facts);
        fits
    });
    let chosen: Vec<u32> = chosen.map(|(run, _)| *run).collect();
    (chosen.len() > 1).then_some(chosen)
}

/// Says which runs, given with the number of their facts, are merged into one.
pub(super) type Choose = fn(&[(u32, u64)]) -> Option<Vec<u32>>;

/// Merges the runs that `choose` says as long as it names some. Unless `durable`, what is in memory only stays so.
pub(super) fn merge(database: &Database, choose: Choose, durable: bool) -> Result<(), ProjectionError> {
    loop {
        let read = database.begin_read().map_err(ProjectionError::database)?;
        let known = runs(&read)?;
        let Some(merged) = choose(&known) else { return Ok(()) };
        let next = known.last().map_or(0, |(run, _)| run + 1);
        let mut facts = Merged::of_runs(&read, &merged)?;
        let write = super::begin_write(database, durable)?;
        {
            let mut blocks = write.open_table(BLOCKS).map_err(ProjectionError::database)?;
            let mut runs = write.open_table(RUNS).map_err(ProjectionError::database)?;
            let mut writer = RunWriter::new(next, &mut blocks);
            while facts.next_with(|fact| writer.push(fact))?.transpose()?.is_some() {}
            let written = writer.finish()?;
            for run in merged {
                let (start, end) = (run.to_be_bytes(), (run + 1).to_be_bytes());
                let all = start.as_slice()..end.as_slice();
                blocks.retain_in(all, |_, _| false).map_err(ProjectionError::database)?;
                runs.remove(run).map_err(ProjectionError::database)?;
            }
            runs.insert(next, written).map_err(ProjectionError::database)?;
        }
        write.commit().map_err(ProjectionError::database)?;
    }
}
