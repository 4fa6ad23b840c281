//! The database of facts: rows by table, entity and time, with the cursor of the ledger they were folded from.

mod copy;
mod merge;
mod run;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use piperoll_format::LedgerId;
use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction,
};
use serde::de::DeserializeOwned;

use self::merge::{Merged, Stored};
use self::run::{BLOCKS, RUNS, RunWriter};
use crate::error::ProjectionError;
use crate::fact::{Fact, Row, Rows, Table, at_and_seq, prefix, time_key};

/// Changed whenever facts are made or read in another way.
const VERSION: u64 = 4;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const LEDGER: TableDefinition<'_, &str, [u8; 16]> = TableDefinition::new("ledger");
/// Bucket → its number.
const BUCKETS: TableDefinition<'_, &str, u32> = TableDefinition::new("buckets");
/// Key of a fact → number of its bucket, value. What comes many at a time stands in runs instead.
const FACTS: TableDefinition<'_, &[u8], (u32, &[u8])> = TableDefinition::new("facts");

/// So many facts at a time become a run.
const RUN_MIN: usize = 8_192;

/// The facts of one ledger on local disk. Cheap to clone; one writer at a time, any number of readers.
#[derive(Clone, Debug)]
pub struct Projections {
    path: PathBuf,
    ledger: LedgerId,
    cache_bytes: usize,
    // Behind a lock because forgetting replaces the file.
    database: Arc<RwLock<Arc<Database>>>,
}

impl Projections {
    /// Opens the facts of `ledger` in the file `path`, or begins with none. `cache_bytes` bounds the memory.
    ///
    /// # Errors
    /// [`ProjectionError::NeedsRebuild`] when the file holds something else: [`Self::reset`] deletes it.
    pub fn open(path: &Path, ledger: LedgerId, cache_bytes: usize) -> Result<Self, ProjectionError> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(ProjectionError::database)?;
        }
        // The database panics on pages that make no sense; a damaged one is as good as none.
        let opened = std::panic::catch_unwind(|| open(path, ledger, cache_bytes));
        let database = opened.unwrap_or_else(|_| Err(rebuild("its pages make no sense")))?;
        let database = Arc::new(RwLock::new(Arc::new(database)));
        Ok(Self { path: path.to_owned(), ledger, cache_bytes, database })
    }

    /// Deletes the file.
    ///
    /// # Errors
    /// [`ProjectionError::Database`] when it cannot be deleted.
    pub fn reset(path: &Path) -> Result<(), ProjectionError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ProjectionError::database(error))
            }
            _ => Ok(()),
        }
    }

    fn database(&self) -> Arc<Database> {
        self.database.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the `seq` of the first event that was not folded.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn cursor(&self) -> Result<u64, ProjectionError> {
        cursor(&self.database())
    }

    /// Adds facts and moves the cursor, together. Facts come in the order of events, best in few large sorted parts
    /// ([`Rows::sort`]). Not flushed each time: a crash repeats the last few.
    ///
    /// # Errors
    /// [`ProjectionError`]; nothing was added then.
    pub fn add(&self, parts: &[Rows], cursor: u64, durable: bool) -> Result<(), ProjectionError> {
        let many = parts.iter().map(Rows::len).sum::<usize>() >= RUN_MIN;
        self.add_as(parts, cursor, durable, many)
    }

    /// Adds facts, as a run where they are many.
    fn add_as(&self, parts: &[Rows], cursor: u64, durable: bool, many: bool) -> Result<(), ProjectionError> {
        let database = self.database();
        let write = begin_write(&database, durable)?;
        {
            let mut buckets = write.open_table(BUCKETS).map_err(ProjectionError::database)?;
            let numbers = parts
                .iter()
                .map(|part| part.buckets().iter().map(|name| number_of(&mut buckets, name)).collect())
                .collect::<Result<Vec<Vec<u32>>, _>>()?;
            if many {
                add_run(&write, parts, &numbers)?;
            } else {
                add_single(&write, parts, &numbers)?;
            }
            let mut meta = write.open_table(META).map_err(ProjectionError::database)?;
            meta.insert("cursor", cursor).map_err(ProjectionError::database)?;
        }
        write.commit().map_err(ProjectionError::database)?;
        if many { run::merge(&database, run::mergeable, false) } else { Ok(()) }
    }

    /// Merges what was added many at a time, so that there are few places to look in. For when nothing else is to do: it
    /// reads and writes up to everything, and does nothing when there is nothing to merge. What was added is on the disk
    /// afterwards if something was merged.
    ///
    /// # Errors
    /// [`ProjectionError`]; every fact is still there then.
    pub fn settle(&self) -> Result<(), ProjectionError> {
        run::merge(&self.database(), run::settleable, true)
    }

    /// Returns the facts of an entity in a span of time (both ends included), oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`ProjectionError`]; a value of another form is `NeedsRebuild`.
    pub fn facts<T: DeserializeOwned>(
        &self,
        table: Table,
        entity: &str,
        span: RangeInclusive<i64>,
        limit: usize,
    ) -> Result<Vec<Fact<T>>, ProjectionError> {
        self.read(table, entity, span, limit, false)
    }

    /// Returns the facts of an entity in a span of time, newest first, at most `limit`.
    ///
    /// # Errors
    /// As [`Self::facts`].
    pub fn newest<T: DeserializeOwned>(
        &self,
        table: Table,
        entity: &str,
        span: RangeInclusive<i64>,
        limit: usize,
    ) -> Result<Vec<Fact<T>>, ProjectionError> {
        self.read(table, entity, span, limit, true)
    }

    fn read<T: DeserializeOwned>(
        &self,
        table: Table,
        entity: &str,
        span: RangeInclusive<i64>,
        limit: usize,
        newest_first: bool,
    ) -> Result<Vec<Fact<T>>, ProjectionError> {
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let bound = |at: i64, rest: u8| {
            let mut key = prefix(table, entity);
            key.extend_from_slice(&time_key(at));
            key.extend_from_slice(&[rest; 10]);
            key
        };
        let (start, end) = (bound(*span.start(), 0), bound(*span.end(), u8::MAX));
        let read = self.database().begin_read().map_err(ProjectionError::database)?;
        let mut facts = Merged::new(&read, &start, &end, newest_first)?;
        let mut found = Vec::new();
        while found.len() < limit {
            let read = |fact: Stored<'_>| {
                let (at, seq) = at_and_seq(fact.key).ok_or_else(|| rebuild("a key of another form"))?;
                let value = serde_json::from_slice(fact.value)
                    .map_err(|error| rebuild(&format!("a fact of another form: {error}")))?;
                Ok(Fact { at, seq, value })
            };
            let Some(fact) = facts.next_with(read)?.transpose()? else { break };
            found.push(fact);
        }
        Ok(found)
    }

    /// Returns up to `limit` entities of a table that come after `after`, in byte order. Conversations and items are not
    /// listed.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn entities(
        &self,
        table: Table,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, ProjectionError> {
        let read = self.database().begin_read().map_err(ProjectionError::database)?;
        // Behind every key of `after`: its closing zero byte becomes a one.
        let behind = |entity: &str| {
            let mut key = prefix(table, entity);
            *key.last_mut().expect("a prefix ends with a byte") = 1;
            key
        };
        let mut start = after.map_or_else(|| vec![table as u8], behind);
        let end = [table as u8 + 1];
        let mut found = Vec::new();
        while found.len() < limit {
            let name = |fact: Stored<'_>| {
                let name = fact.key[1..].split(|byte| *byte == 0).next().unwrap_or_default();
                String::from_utf8_lossy(name).into_owned()
            };
            let Some(name) = Merged::new(&read, &start, &end, false)?.next_with(name)? else { break };
            start = behind(&name);
            found.push(name);
        }
        Ok(found)
    }

    fn holds(&self, bucket: &str) -> Result<bool, ProjectionError> {
        let read = self.database().begin_read().map_err(ProjectionError::database)?;
        let buckets = read.open_table(BUCKETS).map_err(ProjectionError::database)?;
        Ok(buckets.get(bucket).map_err(ProjectionError::database)?.is_some())
    }

    /// Leaves out every fact of a bucket, in a new file: the old one is deleted, so that no page keeps a word of it.
    /// Returns how many facts went.
    ///
    /// # Errors
    /// [`ProjectionError`]; the old file is still in use then.
    pub fn forget(&self, bucket: &str) -> Result<u64, ProjectionError> {
        if !self.holds(bucket)? {
            return Ok(0);
        }
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let staged = self.path.with_extension("new");
        Self::reset(&staged)?;
        let next = open(&staged, self.ledger, self.cache_bytes)?;
        let forgotten = copy_without(&place, &next, bucket)?;
        std::fs::rename(&staged, &self.path).map_err(ProjectionError::database)?;
        *place = Arc::new(next);
        Ok(forgotten)
    }
}

fn begin_write(database: &Database, durable: bool) -> Result<WriteTransaction, ProjectionError> {
    let mut write = database.begin_write().map_err(ProjectionError::database)?;
    let durability = if durable { Durability::Immediate } else { Durability::None };
    write.set_durability(durability).map_err(ProjectionError::database)?;
    // After a crash the database opens at once instead of being searched from end to end.
    write.set_quick_repair(durable);
    Ok(write)
}

/// Adds facts each for itself. `numbers` are those of the buckets of each part.
fn add_single(write: &WriteTransaction, parts: &[Rows], numbers: &[Vec<u32>]) -> Result<(), ProjectionError> {
    let mut facts = write.open_table(FACTS).map_err(ProjectionError::database)?;
    let mut last: &[u8] = &[];
    for (part, row) in in_order(parts) {
        let key = row.key;
        let is_known = || Ok(key == last || facts.get(key).map_err(ProjectionError::database)?.is_some());
        if row.keep_first && is_known()? {
            continue;
        }
        last = key;
        facts.insert(key, (numbers[part][row.bucket], row.value)).map_err(ProjectionError::database)?;
    }
    Ok(())
}

/// Adds facts as a run of their own. One that says the same as another run's is left out by whoever reads both.
fn add_run(write: &WriteTransaction, parts: &[Rows], numbers: &[Vec<u32>]) -> Result<(), ProjectionError> {
    let mut runs = write.open_table(RUNS).map_err(ProjectionError::database)?;
    let last = runs.last().map_err(ProjectionError::database)?.map(|(run, _)| run.value());
    let run = last.map_or(0, |run| run + 1);
    let mut blocks = write.open_table(BLOCKS).map_err(ProjectionError::database)?;
    let mut writer = RunWriter::new(run, &mut blocks);
    let mut last: &[u8] = &[];
    for (part, row) in in_order(parts) {
        // The first of one key is that of the first event.
        if row.key != last {
            writer.push(Stored { key: row.key, bucket: numbers[part][row.bucket], value: row.value })?;
        }
        last = row.key;
    }
    let facts = writer.finish()?;
    runs.insert(run, facts).map_err(ProjectionError::database)?;
    Ok(())
}

/// Returns all rows by key, each with the position of its part; of rows with one key the first comes first. Neighbours
/// in the order of keys fall on the same pages.
fn in_order(parts: &[Rows]) -> impl Iterator<Item = (usize, Row<'_>)> {
    let rows = parts.iter().enumerate();
    let mut rows: Vec<([u64; 2], u32, u32)> = rows
        .flat_map(|(part, rows)| (0..rows.len()).map(move |at| (rows.get(at).begin, nth(part), nth(at))))
        .collect();
    let get = |part: u32, at: u32| parts[part as usize].get(at as usize);
    // The stable sort merges parts that are sorted, and keeps their order.
    rows.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| get(a.1, a.2).key.cmp(get(b.1, b.2).key)));
    rows.into_iter().map(move |(_, part, at)| (part as usize, get(part, at)))
}

fn nth(position: usize) -> u32 {
    u32::try_from(position).expect("what is added at a time fits memory many times")
}

fn rebuild(reason: &str) -> ProjectionError {
    ProjectionError::NeedsRebuild { reason: reason.to_owned() }
}

fn open(path: &Path, ledger: LedgerId, cache_bytes: usize) -> Result<Database, ProjectionError> {
    let is_new = !path.exists();
    let database = Database::builder()
        .set_cache_size(cache_bytes)
        .create(path)
        .map_err(|error| rebuild(&error.to_string()))?;
    if is_new {
        begin(&database, ledger)?;
    } else {
        check(&database, ledger)?;
    }
    Ok(database)
}

fn begin(database: &Database, ledger: LedgerId) -> Result<(), ProjectionError> {
    let write = database.begin_write().map_err(ProjectionError::database)?;
    {
        let mut meta = write.open_table(META).map_err(ProjectionError::database)?;
        meta.insert("version", VERSION).map_err(ProjectionError::database)?;
        meta.insert("cursor", 0).map_err(ProjectionError::database)?;
        let mut of = write.open_table(LEDGER).map_err(ProjectionError::database)?;
        of.insert("id", ledger.0).map_err(ProjectionError::database)?;
        write.open_table(BUCKETS).map_err(ProjectionError::database)?;
        write.open_table(FACTS).map_err(ProjectionError::database)?;
        write.open_table(BLOCKS).map_err(ProjectionError::database)?;
        write.open_table(RUNS).map_err(ProjectionError::database)?;
    }
    write.commit().map_err(ProjectionError::database)
}

fn check(database: &Database, ledger: LedgerId) -> Result<(), ProjectionError> {
    let read = database.begin_read().map_err(ProjectionError::database)?;
    let unfit = |error: redb::TableError| rebuild(&error.to_string());
    let version = read.open_table(META).map_err(unfit)?.get("version").map_err(ProjectionError::database)?;
    let of = read.open_table(LEDGER).map_err(unfit)?.get("id").map_err(ProjectionError::database)?;
    match (version.map(|found| found.value()), of.map(|found| found.value())) {
        (Some(VERSION), Some(id)) if id == ledger.0 => Ok(()),
        (Some(VERSION), _) => Err(rebuild("expected the facts of this ledger, found those of another")),
        (version, _) => Err(rebuild(&format!("expected version {VERSION}, found {version:?}"))),
    }
}

fn cursor(database: &Database) -> Result<u64, ProjectionError> {
    let read = database.begin_read().map_err(ProjectionError::database)?;
    let meta = read.open_table(META).map_err(ProjectionError::database)?;
    let cursor = meta.get("cursor").map_err(ProjectionError::database)?;
    cursor.map(|cursor| cursor.value()).ok_or_else(|| rebuild("expected a cursor, found none"))
}

fn number_of(buckets: &mut redb::Table<'_, &str, u32>, bucket: &str) -> Result<u32, ProjectionError> {
    if let Some(number) = buckets.get(bucket).map_err(ProjectionError::database)? {
        return Ok(number.value());
    }
    let mut greatest = None;
    for row in buckets.iter().map_err(ProjectionError::database)? {
        let (_, number) = row.map_err(ProjectionError::database)?;
        greatest = greatest.max(Some(number.value()));
    }
    let number = greatest.map_or(0, |greatest| greatest + 1);
    buckets.insert(bucket, number).map_err(ProjectionError::database)?;
    Ok(number)
}

/// Copies everything but the facts of a bucket, and returns how many those were.
fn copy_without(from: &Database, to: &Database, bucket: &str) -> Result<u64, ProjectionError> {
    let read = from.begin_read().map_err(ProjectionError::database)?;
    let write = to.begin_write().map_err(ProjectionError::database)?;
    let mut left_out = 0;
    {
        let buckets = read.open_table(BUCKETS).map_err(ProjectionError::database)?;
        let mut copied = write.open_table(BUCKETS).map_err(ProjectionError::database)?;
        let mut gone = None;
        for row in buckets.iter().map_err(ProjectionError::database)? {
            let (name, number) = row.map_err(ProjectionError::database)?;
            if name.value() == bucket {
                gone = Some(number.value());
            } else {
                copied.insert(name.value(), number.value()).map_err(ProjectionError::database)?;
            }
        }
        let mut facts = Merged::all(&read)?;
        let mut blocks = write.open_table(BLOCKS).map_err(ProjectionError::database)?;
        let mut kept = RunWriter::new(0, &mut blocks);
        let copy = |kept: &mut RunWriter<'_, '_>, fact: Stored<'_>| {
            let is_gone = Some(fact.bucket) == gone;
            left_out += u64::from(is_gone);
            if is_gone { Ok(()) } else { kept.push(fact) }
        };
        let mut copy = copy;
        while facts.next_with(|fact| copy(&mut kept, fact))?.transpose()?.is_some() {}
        let kept = kept.finish()?;
        let mut runs = write.open_table(RUNS).map_err(ProjectionError::database)?;
        runs.insert(0, kept).map_err(ProjectionError::database)?;
        let mut meta = write.open_table(META).map_err(ProjectionError::database)?;
        meta.insert("cursor", cursor(from)?).map_err(ProjectionError::database)?;
    }
    write.commit().map_err(ProjectionError::database)?;
    Ok(left_out)
}

#[cfg(test)]
mod tests;
